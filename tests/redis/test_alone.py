"""
Tests for L{sockhost.redis.alone}: what waits for the writes in front of it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisError
from tests.redis.test_dedicated import DedicatedCase


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
