"""
Tests for L{sockhost.redis.alone}: what waits for the writes in front of it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisConnectionError, RedisError, RedisReplyError
from sockhost.redis.connection import RedisConnection
from tests.redis.test_dedicated import DedicatedCase

LET_GO = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"


class BehindTests(DedicatedCase):
    """C{WAIT} and C{WAITAOF}, which are about their own connection."""

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.attach()

    def test_wait_by_itself(self) -> None:
        """
        What is about the writes of its own connection is refused by itself: it
        would be about none, and succeed at once.
        """
        for args in (("WAIT", 1, 0), (b"waitaof", 1, 0, 0)):
            failure = self.failureResultOf(self.client.execute(*args), RedisError)
            self.assertIn("pipeline()", str(failure.value))
        self.failureResultOf(self.client.wait(1, 0), RedisError)
        self.assertEqual((self.shared.sent(), self.asked), ([], []))

    def test_wait_in_a_pipeline(self) -> None:
        """Behind the writes that it is about it goes with them, on a connection."""
        pipeline = self.client.pipeline().set("a", 1).wait(1, 1000)
        sent = pipeline.run()
        wire = self.accept()
        self.assertEqual(wire.sent(), [[b"SET", b"a", b"1"], [b"WAIT", b"1", b"1000"]])
        wire.send(b"+OK\r\n:1\r\n")
        self.assertEqual(self.successResultOf(sent), [True, 1])
        self.assertEqual(self.shared.sent(), [])
        # What is collected next needs none of that.
        pipeline.get("a").run()
        self.assertEqual(self.shared.sent(), [[b"GET", b"a"]])

    def test_wait_forgotten(self) -> None:
        """A pipeline that was cleared needs no connection of its own."""
        pipeline = self.client.pipeline().wait(1, 1000)
        pipeline.clear()
        pipeline.get("a").run()
        self.assertEqual((len(self.shared.sent()), self.asked), (1, []))

    def test_wait_in_a_transaction(self) -> None:
        """Where it would wait for nothing it is refused."""
        with self.assertRaises(RedisError) as caught:
            self.client.transaction().set("a", 1).wait(1, 1000)
        self.assertIn("watch()", str(caught.exception))

    def test_wait_in_a_watch(self) -> None:
        """On a connection of its own it may be sent by itself."""

        async def write() -> int:
            async with self.client.watch("a") as watch:
                await watch.transaction().set("a", 1).run()
                return await watch.wait(1, 1000)

        written = Deferred.fromCoroutine(write())
        wire = self.accept()
        wire.send(b"+OK\r\n")
        wire.send(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
        self.assertEqual(wire.sent()[-1], [b"WAIT", b"1", b"1000"])
        wire.send(b":2\r\n")
        self.assertEqual(self.successResultOf(written), 2)


class ClosedTests(DedicatedCase):
    """Commands that block when their client is closed."""

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.attach()

    def make(self, **options: Any) -> RedisConnection:
        connection = super().make(**options)
        connection.client_id = 70 + len(self.wires)
        return connection

    def unblocked(self) -> list[bytes]:
        """Whom the server is told to let go."""
        self.clock.advance(0)
        return [words[2] for words in self.shared.sent() if b"UNBLOCK" in words]

    def test_let_go(self) -> None:
        """
        The server is told to end what may take longer than the close: it may
        have given something to it already, which is not lost so.
        """
        for_ever, first = self.block("BLPOP", "a", 0)
        given, second = self.block("BLPOP", "b", 6)
        closing = self.client.close(5.0)
        self.assertEqual(self.unblocked(), [b"72", b"73"])
        second.send(b"*2\r\n$1\r\nb\r\n:1\r\n")
        first.send(LET_GO)
        self.shared.send(b":1\r\n:0\r\n")
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(given), [b"b", 1])
        failure = self.failureResultOf(for_ever, RedisConnectionError)
        self.assertEqual(str(failure.value), "the client is closed")
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_awaited(self) -> None:
        """What ends by itself before that is waited for."""
        sent, wire = self.block("BLPOP", "a", 2)
        closing = self.client.close(5.0)
        self.assertEqual(self.unblocked(), [])
        wire.send(b"_\r\n")
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(sent))
        self.successResultOf(closing)

    def test_answered(self) -> None:
        """What was answered is not let go."""
        sent, wire = self.block()
        wire.send(b"_\r\n")
        self.assertIsNone(self.successResultOf(sent))
        self.client.close(5.0)
        self.assertEqual(self.unblocked(), [])

    def test_not_permitted(self) -> None:
        """Where the user may not say so, all of the time is waited."""
        sent, wire = self.block()
        closing = self.client.close(5.0)
        self.assertEqual(self.unblocked(), [b"72"])
        self.shared.send(b"-NOPERM no\r\n")
        self.clock.advance(4.0)
        self.assertNoResult(closing)
        wire.send(b"_\r\n")
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(sent))
        self.successResultOf(closing)

    def test_let_go_by_others(self) -> None:
        """Who is let go by somebody else is told what the server says."""
        sent, wire = self.block()
        wire.send(LET_GO)
        self.failureResultOf(sent, RedisReplyError)

    def test_aborted(self) -> None:
        """Nobody is told where the client does not wait for anything."""
        sent, _ = self.block()
        self.client.abort()
        self.clock.advance(0)
        self.assertEqual(self.unblocked(), [])
        self.failureResultOf(sent, RedisConnectionError)
