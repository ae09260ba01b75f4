"""
Tests for L{sockhost.redis.slots}, L{sockhost.redis.inbox} and
L{sockhost.redis.line} by what a connection does with them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    CommandTimeout,
    MaybeExecuted,
    RedisConnectionError,
    RedisDenied,
    RedisReplyError,
)
from sockhost.redis.connection import RedisConnection
from sockhost.redis.resp import Push, encode_command
from tests.redis.fakes import Wire


class _Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pushes: list[Push] = []
        self.connection = RedisConnection(self.clock, on_push=self.pushes.append)
        self.wire = Wire(self.clock, self.connection)

    def batch(self, count: int, **options: Any) -> Deferred[list[Any]]:
        """Send that many commands as one."""
        data = encode_command(("PING",)) * count
        sent = self.connection.send_many(count, data, **options)
        self.clock.advance(0)
        return sent


class BatchTests(_Case):
    """Many commands in one place of the queue."""

    def test_replies(self) -> None:
        """All replies come in one list, errors in their places."""
        sent = self.batch(3)
        after = self.connection.execute("GET", "a")
        self.clock.advance(0)
        self.wire.send(b":1\r\n-ERR no\r\n")
        self.assertNoResult(sent)
        self.wire.send(b":3\r\n:4\r\n")
        first, error, third = self.successResultOf(sent)
        self.assertEqual((first, third), (1, 3))
        self.assertIsInstance(error, RedisReplyError)
        self.assertEqual(self.successResultOf(after), 4)

    def test_one_write(self) -> None:
        """They are sent in one piece, and taken from the queue together."""
        self.batch(3)
        self.assertEqual(self.wire.writes, 1)
        self.assertEqual(self.connection.outstanding, 3)
        self.wire.send(b":1\r\n" * 3)
        self.assertEqual(self.connection.outstanding, 0)

    def test_push_between(self) -> None:
        """A push among the replies is none of them, wherever it stands."""
        for place in range(4):
            sent = self.batch(3)
            replies = [b":1\r\n", b":2\r\n", b":3\r\n"]
            replies.insert(place, b">1\r\n+p\r\n")
            self.wire.send(b"".join(replies))
            self.assertEqual(self.successResultOf(sent), [1, 2, 3])
        self.assertEqual(self.pushes, [[b"p"]] * 4)

    def test_cancelled(self) -> None:
        """One that was sent and cancelled keeps its place to its last reply."""
        sent = self.batch(2)
        after = self.connection.execute("GET", "a")
        self.clock.advance(0)
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.wire.send(b":1\r\n:2\r\n:3\r\n")
        self.assertEqual(self.successResultOf(after), 3)

    def test_cut(self) -> None:
        """The loss of one of its replies loses all of it."""
        sent = self.batch(2)
        self.wire.send(b":1\r\n")
        self.wire.lose()
        self.failureResultOf(sent, MaybeExecuted)

    def test_late(self) -> None:
        """A limit holds for all of it, and late replies end in its place."""
        sent = self.batch(2, timeout=1.0)
        self.wire.send(b":1\r\n")
        self.clock.pump([0.25] * 5)
        self.failureResultOf(sent, CommandTimeout)
        after = self.connection.execute("GET", "a")
        self.clock.advance(0)
        self.wire.send(b":2\r\n:3\r\n")
        self.assertEqual(self.successResultOf(after), 3)

    def test_listened_to(self) -> None:
        """Where messages are looked at first, those of a batch are too."""
        self.connection.on_message = lambda message: bool(message == b"line")
        sent = self.batch(2)
        self.wire.send(b"+line\r\n:1\r\n+line\r\n:2\r\n+line\r\n")
        self.assertEqual(self.successResultOf(sent), [1, 2])


class AckedTests(_Case):
    """Commands that pushes answer."""

    def send(self, count: int = 1) -> Deferred[Any]:
        """Subscribe to that many channels."""
        left = count

        def acknowledged(push: Push) -> bool:
            nonlocal left
            left -= push[0] == b"subscribe"
            return not left

        data = encode_command(("SUBSCRIBE", "a"))
        return self.connection.send_acked(data, acknowledged)

    def test_acknowledged(self) -> None:
        """It fires with its last push, and takes no reply of others."""
        before = self.connection.execute("GET", "a")
        sent = self.send(2)
        after = self.connection.execute("GET", "b")
        self.clock.advance(0)
        ack = b">3\r\n+subscribe\r\n+a\r\n:1\r\n"
        self.wire.send(b":1\r\n" + ack + b">1\r\n+other\r\n")
        self.assertNoResult(sent)
        self.wire.send(ack + b":2\r\n")
        self.assertEqual(self.successResultOf(before), 1)
        self.assertEqual(self.successResultOf(sent), [b"subscribe", b"a", 1])
        self.assertEqual(self.successResultOf(after), 2)
        self.assertEqual(len(self.pushes), 3)

    def test_refused(self) -> None:
        """An error reply fails it alone."""
        sent = self.send()
        after = self.connection.execute("GET", "b")
        self.clock.advance(0)
        self.wire.send(b"-NOPERM no\r\n:2\r\n")
        self.failureResultOf(sent, RedisDenied)
        self.assertEqual(self.successResultOf(after), 2)

    def test_cancelled(self) -> None:
        """A cancelled one waits for its pushes all the same."""
        sent = self.send()
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.wire.send(b">3\r\n+subscribe\r\n+a\r\n:1\r\n")
        after = self.connection.execute("GET", "b")
        self.wire.send(b":2\r\n")
        self.assertEqual(self.successResultOf(after), 2)


class ListenerTests(_Case):
    """What looks at messages first."""

    def test_message(self) -> None:
        """What it takes answers nothing, also where nothing is owed."""
        seen: list[Any] = []

        def take(message: object) -> bool:
            seen.append(message)
            return True

        self.connection.on_message = take
        self.wire.send(b"+line\r\n:1\r\n")
        self.assertEqual(seen, [b"line", 1])
        self.assertTrue(self.connection.open)

    def test_fails(self) -> None:
        """One that fails is logged, and the message is a reply like others."""
        self.connection.on_message = lambda message: bool(1 / 0)
        sent = self.connection.execute("GET", "a")
        self.wire.send(b":1\r\n")
        self.assertEqual(self.successResultOf(sent), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_passed_on(self) -> None:
        """A message can be handed on as a push."""
        self.connection.take_push(Push([b"message", b"a", b"b"]))
        self.assertEqual(self.pushes, [[b"message", b"a", b"b"]])


class UnsentTests(_Case):
    """What is given up before its bytes are handed over."""

    def test_cancelled(self) -> None:
        """It is not sent, and no reply is expected for it."""
        first, second, third = (
            self.connection.execute("ECHO", number) for number in range(3)
        )
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.clock.advance(0)
        self.assertEqual(self.wire.sent(), [[b"ECHO", b"0"], [b"ECHO", b"2"]])
        self.wire.send(b":1\r\n:3\r\n")
        self.assertEqual(self.successResultOf(first), 1)
        self.assertEqual(self.successResultOf(third), 3)

    def test_all_cancelled(self) -> None:
        """Where nothing is left, nothing is written."""
        self.connection.execute("PING")
        second = self.connection.execute("PING")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        writes = self.wire.writes
        self.clock.advance(0)
        self.assertEqual((self.wire.writes, self.connection.outstanding), (writes, 1))

    def test_slow_server(self) -> None:
        """While the transport is full, commands wait here, and all go later."""
        producer: Any = self.wire.producer
        producer.pauseProducing()
        sent = [self.connection.execute("ECHO", number) for number in range(3)]
        self.clock.advance(0)
        self.assertEqual(self.wire.sent(), [])
        sent[1].cancel()
        self.failureResultOf(sent[1], CancelledError)
        producer.resumeProducing()
        self.assertEqual(len(self.wire.sent()), 2)
        self.wire.send(b":0\r\n:2\r\n")
        self.assertEqual(self.successResultOf(sent[0]), 0)
        self.assertEqual(self.successResultOf(sent[2]), 2)

    def test_late(self) -> None:
        """What was not sent in its time certainly was not executed."""
        producer: Any = self.wire.producer
        producer.pauseProducing()
        sent = self.connection.execute("ECHO", 1, timeout=1.0)
        self.clock.pump([0.25] * 5)
        failure = self.failureResultOf(sent, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        producer.resumeProducing()
        self.assertEqual(self.wire.sent(), [])
        self.assertEqual(self.connection.outstanding, 0)

    def test_answered(self) -> None:
        """A reply that comes before its command was sent is no reply to it."""
        producer: Any = self.wire.producer
        producer.pauseProducing()
        held = self.connection.execute("ECHO", 1)
        self.wire.send(b":1\r\n")
        self.assertTrue(self.wire.aborted)
        self.clock.advance(0)
        failure = self.failureResultOf(held, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)

    def test_lost(self) -> None:
        """After a loss it is said of each whether it was sent."""
        sent = self.connection.execute("ECHO", 0)
        producer: Any = self.wire.producer
        producer.pauseProducing()
        held = self.connection.execute("ECHO", 1)
        self.clock.advance(0)
        self.wire.lose()
        self.failureResultOf(sent, MaybeExecuted)
        failure = self.failureResultOf(held, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)


class DeadlinesTests(_Case):
    """Limits of single commands."""

    def test_own(self) -> None:
        """A command may have a limit of its own, shorter than others before it."""
        long = self.connection.execute("GET", "a", timeout=10.0)
        short = self.connection.execute("GET", "b", timeout=0.4)
        self.clock.pump([0.05] * 11)
        self.failureResultOf(short, CommandTimeout)
        self.assertNoResult(long)
        self.clock.pump([0.25] * 50)
        self.failureResultOf(long, CommandTimeout)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never_early(self) -> None:
        """No command is given up before its time, whenever it was issued."""
        connection = RedisConnection(self.clock, timeout=1.0)
        wire = Wire(self.clock, connection)
        issued: list[tuple[float, Deferred[Any]]] = []
        for step in range(100):
            sent = connection.execute("GET", step)
            sent.addErrback(lambda _: self.clock.seconds())
            issued.append((self.clock.seconds(), sent))
            self.clock.advance(0.017)
        self.clock.pump([0.01] * 200)
        for begun, sent in issued:
            waited = self.successResultOf(sent) - begun
            self.assertGreaterEqual(waited, 1.0 - 1e-9)
            self.assertLessEqual(waited, 1.3)
        self.assertTrue(connection.open)
        self.assertFalse(wire.aborted)

    def test_none(self) -> None:
        """A command may be without limit where the connection has one."""
        connection = RedisConnection(self.clock, timeout=1.0)
        Wire(self.clock, connection)
        sent = connection.execute("GET", "a", timeout=0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.pump([0.25] * 20)
        self.assertNoResult(sent)
