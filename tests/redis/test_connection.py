"""
Tests for L{sockhost.redis.connection}: the queue of commands, and its end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import ITCPTransport, IUNIXTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.interfaces import (
    CommandTimeout,
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisProtocolError,
    RedisReplyError,
)
from sockhost.redis.connection import RedisConnection
from sockhost.redis.resp import Push
from tests.redis.fakes import Wire


class ConnectionCase(SynchronousTestCase):
    """A connection, and the server turned by hand."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pushes: list[Push] = []
        self.connect()

    def connect(self, **options: Any) -> None:
        options = {"on_push": self.pushes.append, **options}
        self.connection = RedisConnection(self.clock, **options)
        self.wire = Wire(self.clock, self.connection)

    def execute(self, *args: Any) -> Deferred[Any]:
        return self.connection.execute(*args)

    def several(self, count: int) -> list[Deferred[Any]]:
        """Send that many commands, all in one turn."""
        sent = [self.execute("ECHO", n) for n in range(count)]
        self.clock.advance(0)
        return sent


class RepliesTests(ConnectionCase):
    """Commands and their replies."""

    def test_order(self) -> None:
        """Replies go to the commands in their order, several in one read."""
        first, second, third = self.several(3)
        self.wire.send(b":1\r\n:2\r\n:")
        self.assertEqual(self.successResultOf(first), 1)
        self.assertEqual(self.successResultOf(second), 2)
        self.assertNoResult(third)
        self.wire.send(b"3\r\n")
        self.assertEqual(self.successResultOf(third), 3)

    def test_error_reply(self) -> None:
        """An error reply fails its command and no other."""
        bad, good = self.several(2)
        self.wire.send(b"-WRONGTYPE no\r\n*1\r\n-ERR nested\r\n")
        self.assertEqual(
            self.failureResultOf(bad, RedisReplyError).value.code, "WRONGTYPE"
        )
        [nested] = self.successResultOf(good)
        self.assertIsInstance(nested, RedisReplyError)

    def test_nil_and_false(self) -> None:
        """Nil and false are replies like others."""
        nil, false = self.several(2)
        self.wire.send(b"_\r\n#f\r\n")
        self.assertIsNone(self.successResultOf(nil))
        self.assertIs(self.successResultOf(false), False)

    def test_pushes(self) -> None:
        """Pushes take nobody's place; a listener that fails costs nothing."""
        [sent] = self.several(1)
        self.wire.send(b">2\r\n+a\r\n:1\r\n:1\r\n>1\r\n+b\r\n")
        self.assertEqual(self.successResultOf(sent), 1)
        self.assertEqual(self.pushes, [[b"a", 1], [b"b"]])
        self.connect(on_push=lambda push: 1 / 0)
        [sent] = self.several(1)
        self.wire.send(b">1\r\n+a\r\n:1\r\n")
        self.assertEqual(self.successResultOf(sent), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_pushes_without_listener(self) -> None:
        """Pushes that nobody wants are dropped."""
        self.connect(on_push=None)
        [sent] = self.several(1)
        self.wire.send(b">1\r\n+a\r\n:1\r\n")
        self.assertEqual(self.successResultOf(sent), 1)

    def test_bad_command(self) -> None:
        """What is no command fails and leaves nothing behind."""
        self.failureResultOf(self.execute("GET", None), TypeError)
        self.assertEqual((self.connection.outstanding, self.wire.value()), (0, b""))

    def test_cancel(self) -> None:
        """A cancelled command keeps its place."""
        first, second, third = self.several(3)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.wire.send(b":1\r\n:2\r\n:3\r\n")
        self.assertEqual(self.successResultOf(first), 1)
        self.assertEqual(self.successResultOf(third), 3)

    def test_cancel_from_reply(self) -> None:
        """A command that is cancelled while its reply is already read."""
        first, second, third = self.several(3)
        first.addCallback(lambda _: second.cancel())
        self.wire.send(b":1\r\n:2\r\n:3\r\n")
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.successResultOf(third), 3)


class WritesTests(ConnectionCase):
    """When bytes are handed to the transport."""

    def test_idle(self) -> None:
        """The first command is written at once, the rest of the turn together."""
        for n in range(5):
            self.execute("ECHO", n)
        self.assertEqual((self.wire.writes, len(self.wire.sent())), (1, 1))
        self.clock.advance(0)
        self.assertEqual((self.wire.writes, len(self.wire.sent())), (2, 4))

    def test_from_replies(self) -> None:
        """What is issued from the replies of one read is one write after it."""
        for sent in self.several(3):
            sent.addCallback(lambda _: bool(self.execute("GET", "a")))
        before = self.wire.writes
        self.wire.clear()
        self.wire.send(b":1\r\n:2\r\n:3\r\n")
        self.assertEqual(self.wire.writes, before + 1)
        self.assertEqual(len(self.wire.sent()), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_delay(self) -> None:
        """TCP is told not to hold small writes back; a Unix socket cannot be."""

        @implementer(ITCPTransport)
        class TCPWire(Wire):  # type: ignore[misc]
            delays: bool = True

            def setTcpNoDelay(self, enabled: bool) -> None:
                self.delays = not enabled

        @implementer(IUNIXTransport)
        class UnixWire(TCPWire):  # type: ignore[misc]
            """Twisted's Unix transports claim to be those of TCP too."""

        tcp = TCPWire(self.clock, RedisConnection(self.clock))
        unix = UnixWire(self.clock, RedisConnection(self.clock))
        self.assertEqual((tcp.delays, unix.delays), (False, True))


class TimeoutTests(ConnectionCase):
    """Commands that are not waited for any longer."""

    def setUp(self) -> None:
        super().setUp()
        self.connect(timeout=1.0)

    def test_late_reply(self) -> None:
        """A command fails in its time, and its late reply goes to nobody."""
        late = self.execute("GET", "a")
        self.clock.pump([0.25] * 3)
        self.assertNoResult(late)
        soon = self.execute("GET", "b")
        self.clock.pump([0.25] * 2)
        self.failureResultOf(late, MaybeExecuted)
        self.wire.send(b":1\r\n:2\r\n")
        self.assertEqual(self.successResultOf(soon), 2)

    def test_idle(self) -> None:
        """Without commands there is no timer, and with many there is one."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.several(10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.wire.send(b":1\r\n" * 10)
        self.clock.advance(0.3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_retry(self) -> None:
        """A command issued from such a failure is a new one, and adds no timer."""
        again: list[Deferred[Any]] = []
        self.execute("GET", "a").addErrback(
            lambda _: again.append(self.execute("GET", "b"))
        )
        self.clock.pump([0.25] * 4)
        self.clock.advance(0)
        self.assertEqual(len(again), 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.wire.send(b":1\r\n:2\r\n")
        self.assertEqual(self.successResultOf(again[0]), 2)

    def test_longer_again(self) -> None:
        """That one may take longer does not let another do so."""
        first = self.connection.execute("GET", "a", timeout=0.1)
        first.addErrback(lambda _: self.connection.execute("GET", "a", timeout=9.0))
        second = self.connection.execute("GET", "b", timeout=0.12)
        self.clock.pump([0.0125] * 14)
        self.failureResultOf(second, CommandTimeout)

    def test_not_sent(self) -> None:
        """
        What is told not to have been sent never is, even if the bytes are sent
        while that is told.
        """
        self.execute("GET", "a").addErrback(lambda why: why.trap(CommandTimeout))
        self.wire.clear()
        outlet: Any = self.wire.producer
        outlet.pauseProducing()
        first, second = self.execute("INCR", "n"), self.execute("INCR", "n")

        def resume(failure: Failure) -> Failure:
            outlet.resumeProducing()
            return failure

        first.addErrback(resume)
        self.clock.pump([0.25] * 5)
        for each in (first, second):
            failure = self.failureResultOf(each, RedisConnectionError)
            self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assertEqual(self.wire.sent(), [])

    def test_cancel_another(self) -> None:
        """A failure that cancels the next one to fail."""
        first, second = self.several(2)
        first.addErrback(lambda _: second.cancel())
        self.clock.pump([0.25] * 5)
        self.failureResultOf(second, CancelledError)


class LossTests(ConnectionCase):
    """The end of the connection."""

    def test_order(self) -> None:
        """Commands fail in their order, and after them the end is told, once."""
        told: list[object] = []
        self.connection.when_disconnected().addCallback(told.append)
        for n, sent in enumerate(self.several(3)):
            sent.addErrback(lambda failure, n: told.append((n, failure.type)), n)
        self.wire.lose()
        self.assertEqual(told[:3], [(n, MaybeExecuted) for n in range(3)])
        self.assertIsInstance(told[3], RedisConnectionError)
        self.assertEqual(len(told), 4)
        self.assertFalse(self.connection.open)
        again = self.successResultOf(self.connection.when_disconnected())
        self.assertIs(again, told[3])

    def test_not_sent(self) -> None:
        """What was never handed to the transport may be run again safely."""
        first, second = self.execute("GET", "a"), self.execute("GET", "b")
        self.wire.lose()
        self.failureResultOf(first, MaybeExecuted)
        failure = self.failureResultOf(second, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_retry(self) -> None:
        """Commands that are issued from failures fail at once, and end."""
        outcomes: list[type] = []

        def again(failure: Any) -> Any:
            outcomes.append(failure.type)
            if len(outcomes) < 10:
                self.execute("GET", "a").addErrback(again)

        self.execute("GET", "a").addErrback(again)
        self.wire.lose()
        self.assertEqual(outcomes, [MaybeExecuted] + [RedisConnectionError] * 9)

    def test_abort_from_reply(self) -> None:
        """After an abort nothing that was read already is handed out."""
        first, second = self.several(2)
        first.addCallback(lambda _: self.connection.abort())
        self.wire.send(b":1\r\n:2\r\n")
        self.assertNoResult(second)
        self.clock.advance(0)
        self.failureResultOf(second, MaybeExecuted)
        self.assertTrue(self.wire.aborted)

    def test_abort_twice(self) -> None:
        """Only the first abort counts."""
        self.connection.abort(RedisError("first"))
        self.connection.abort(RedisError("second"))
        self.clock.advance(0)
        reason = self.successResultOf(self.connection.when_disconnected())
        self.assertEqual(str(reason), "first")

    def test_abort_unconnected(self) -> None:
        """There is nothing to abort before the connection is made."""
        connection = RedisConnection(self.clock)
        connection.abort()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_garbage(self) -> None:
        """Bytes that are no protocol end the connection; replies before them count."""
        first, second = self.several(2)
        self.wire.send(b":1\r\nHTTP/1.1 400 Bad Request\r\n")
        self.assertEqual(self.successResultOf(first), 1)
        self.clock.advance(0)
        self.failureResultOf(second, MaybeExecuted)
        reason = self.successResultOf(self.connection.when_disconnected())
        self.assertIsInstance(reason, RedisProtocolError)

    def test_spontaneous_error(self) -> None:
        """An error that answers nothing is the reason of the end."""
        self.wire.send(b"-ERR max number of clients reached\r\n")
        self.clock.advance(0)
        reason = self.successResultOf(self.connection.when_disconnected())
        self.assertIsInstance(reason, RedisReplyError)
        self.assertEqual(str(reason), "ERR max number of clients reached")

    def test_spontaneous_data(self) -> None:
        """A reply that answers nothing is against the protocol."""
        self.wire.send(b"+OK\r\n")
        self.clock.advance(0)
        reason = self.successResultOf(self.connection.when_disconnected())
        self.assertIsInstance(reason, RedisProtocolError)

    def test_stalled(self) -> None:
        """A server that answers no ping is given up."""
        self.connect(ping_interval=5.0)
        self.clock.advance(5)
        self.assertEqual(self.wire.sent(), [[b"PING"]])
        self.wire.send(b"+PONG\r\n")
        self.assertEqual(self.connection.latency, 0)
        self.clock.advance(5)
        self.clock.advance(5)
        self.clock.advance(0)
        reason = self.successResultOf(self.connection.when_disconnected())
        self.assertIn("ping", str(reason))
        self.assertEqual(self.clock.getDelayedCalls(), [])
