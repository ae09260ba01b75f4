"""
What our client does where hiredis' asynchronous client is known for something:
one test, or more, for each topic of its behaviour, named for that.  What needs
a real server is in L{tests.functional.test_redis_parity}; the reader is in
L{tests.redis.test_hiredis_reader}; published messages and MONITOR are in
L{tests.redis.test_pubsub}, L{tests.redis.test_hub} and
L{tests.redis.test_monitor}; the bounds of the queue are in
L{tests.redis.test_queue_bounds}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    CommandTimeout,
    MaybeExecuted,
    RedisConnectionError,
    RedisDenied,
    RedisError,
    RedisLoading,
    RedisMaxClients,
    RedisProtocolError,
    RedisReplyError,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.resp import Push
from sockhost.redis.standalone import connect
from tests.redis.fakes import FakeServer, Wire


class _Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Any] = []
        self.connect()

    def connect(self, **options: Any) -> None:
        self.connection = RedisConnection(self.clock, **options)
        self.wire = Wire(self.clock, self.connection)

    def several(self, count: int) -> list[Deferred[Any]]:
        """Send that many commands."""
        sent = [self.connection.execute("ECHO", number) for number in range(count)]
        self.clock.advance(0)
        return sent

    def tell(self, what: Any) -> Any:
        """As a callback: take note."""
        return lambda result: self.told.append(what)


class ConnectCallbackTests(SynchronousTestCase):
    """Connect callback."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.server = FakeServer(self.reactor)

    def connected(
        self, client: RedisClient, end: str, outcomes: list[Any]
    ) -> Deferred[None]:
        """Ask, and end at once."""
        client.execute("PING").addBoth(outcomes.append)
        ended: Deferred[None] = getattr(client, end)()
        return ended

    def test_fires_once(self) -> None:
        """Connecting is told once, however often the connection is lost later."""
        told: list[RedisClient] = []
        connect("unix:///run/v.sock", self.reactor).addCallback(told.append)
        wire = self.server.greet()
        wire.lose()
        self.reactor.advance(1)
        self.server.greet()
        self.assertEqual(len(told), 1)
        told[0].abort()
        self.reactor.advance(0)

    def test_everything_is_legal(self) -> None:
        """Commands, closing and aborting are legal in its callback."""
        for end in ("close", "abort"):
            connecting = connect("unix:///run/v.sock", self.reactor)
            outcomes: list[Any] = []
            connecting.addCallback(self.connected, end, outcomes)
            wire = self.server.greet()
            wire.send(b"+PONG\r\n")
            self.reactor.advance(0)
            self.successResultOf(connecting)
            self.assertEqual(len(outcomes), 1)


class DisconnectCallbackTests(_Case):
    """Disconnect callback, and the order at free."""

    def test_order(self) -> None:
        """Replies fail first to last; then the end is told, once, with the reason."""
        self.connection.when_disconnected().addCallback(self.told.append)
        for number, sent in enumerate(self.several(3)):
            sent.addErrback(self.tell(number))
        self.connection.abort(RedisError("because"))
        self.assertEqual(self.told, [])
        self.clock.advance(0)
        self.assertEqual(self.told[:3], [0, 1, 2])
        self.assertEqual([str(each) for each in self.told[3:]], ["because"])

    def test_clean(self) -> None:
        """After an orderly end there is no reason."""
        ended = self.connection.when_disconnected()
        self.connection.close()
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(ended))

    def test_nil_is_no_failure(self) -> None:
        """A nil reply and a lost one cannot be taken for each other."""
        nil, lost = self.several(2)
        self.wire.send(b"_\r\n")
        self.wire.lose()
        self.assertIsNone(self.successResultOf(nil))
        self.failureResultOf(lost, MaybeExecuted)


class CommandFromFailureTests(_Case):
    """Command from a NULL callback."""

    def retry(self, limit: int = 50) -> None:
        """Issue a command that is issued again whenever it fails."""

        def again(failure: Any) -> None:
            self.told.append(failure.type)
            if len(self.told) < limit:
                self.retry(limit)

        self.connection.execute("GET", "a").addErrback(again)

    def test_after_loss(self) -> None:
        """A retry in a failure finds the connection closed; nothing is endless."""
        self.retry(5)
        self.wire.lose()
        self.assertEqual(self.told, [MaybeExecuted] + [RedisConnectionError] * 4)

    def test_after_timeout(self) -> None:
        """A retry after a timeout is a new command with all its time."""
        self.connect(timeout=1.0)
        self.retry(5)
        self.clock.pump([0.1] * 13)
        self.assertEqual(self.told, [CommandTimeout])
        self.clock.pump([0.1] * 13)
        self.assertEqual(self.told, [CommandTimeout] * 2)


class DisconnectTests(_Case):
    """redisAsyncDisconnect."""

    def test_drains(self) -> None:
        """It refuses what is new, waits for what is owed, and then is clean."""
        sent = self.several(2)
        closed = self.connection.close(5.0)
        refused = self.connection.execute("PING")
        self.failureResultOf(refused, RedisConnectionError)
        self.wire.send(b":1\r\n")
        self.assertFalse(self.wire.disconnecting)
        self.wire.send(b":2\r\n")
        self.assertTrue(self.wire.disconnecting)
        self.clock.advance(0)
        self.successResultOf(closed)
        self.assertEqual([self.successResultOf(each) for each in sent], [1, 2])

    def test_drains_batches_and_acknowledgements(self) -> None:
        """It waits for commands of every kind."""
        batch = self.connection.send_many(2, b"PING\r\n" * 2)
        acked = self.connection.send_acked(b"SUBSCRIBE a\r\n", lambda push: True)
        self.clock.advance(0)
        self.connection.close(5.0)
        self.wire.send(b":1\r\n:2\r\n")
        self.assertFalse(self.wire.disconnecting)
        self.wire.send(b">3\r\n+subscribe\r\n+a\r\n:1\r\n")
        self.assertTrue(self.wire.disconnecting)
        self.successResultOf(batch)
        self.successResultOf(acked)

    def test_stalled(self) -> None:
        """A server that says nothing does not hold it up for ever."""
        [sent] = self.several(1)
        closed = self.connection.close(2.0)
        self.clock.advance(2.0)
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)
        self.successResultOf(closed)

    def test_within_callback(self) -> None:
        """It is legal in the callback of a reply, and waits for those after it."""
        first, second = self.several(2)
        closed: list[Deferred[None]] = []
        first.addCallback(lambda _: closed.append(self.connection.close()))
        self.wire.send(b":1\r\n:2\r\n")
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(second), 2)
        self.successResultOf(closed[0])


class FreeTests(_Case):
    """redisAsyncFree."""

    def test_within_callback(self) -> None:
        """Replies of the same read that come after it are lost, not handed out."""
        first, second = self.several(2)
        first.addCallback(lambda _: self.connection.abort())
        self.wire.send(b":1\r\n:2\r\n")
        self.clock.advance(0)
        self.failureResultOf(second, MaybeExecuted)

    def test_within_push(self) -> None:
        """It is carried out in the callback of a push too."""
        self.connection.on_push = lambda push: self.connection.abort()
        [sent] = self.several(1)
        self.wire.send(b">1\r\n+x\r\n:1\r\n")
        self.assertTrue(self.wire.aborted)
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)

    def test_within_batch(self) -> None:
        """And where a push stands between the replies of a batch."""
        self.connection.on_push = lambda push: self.connection.abort()
        sent = self.connection.send_many(3, b"x")
        self.wire.send(b":1\r\n>1\r\n+x\r\n:2\r\n")
        self.assertTrue(self.wire.aborted)
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)

    def test_within_failure_and_end(self) -> None:
        """And in failures, and when the end is told: without effect."""
        [sent] = self.several(1)
        sent.addErrback(lambda _: self.connection.abort())
        ended = self.connection.when_disconnected()
        ended.addCallback(lambda _: self.connection.abort())
        self.wire.lose()
        self.successResultOf(ended)
        self.assertFalse(self.wire.aborted)


class SpontaneousReplyTests(_Case):
    """Spontaneous reply, nothing pending."""

    def test_texts(self) -> None:
        """The server's words are the reason, as a type of their own."""
        for text, kind in (
            (b"-ERR max number of clients reached", RedisMaxClients),
            (b"-LOADING the dataset", RedisLoading),
            (b"--DENIED Redis is running in protected mode", RedisDenied),
            (b"-NOAUTH no", RedisDenied),
            (b"-OTHER thing", RedisReplyError),
        ):
            self.connect()
            ended = self.connection.when_disconnected()
            self.wire.send(text + b"\r\n")
            self.wire.lose()
            reason = self.successResultOf(ended)
            self.assertIs(type(reason), kind)
            self.assertEqual(str(reason).encode(), text[1:])

    def test_data(self) -> None:
        """Anything else is a breach of the protocol, and no crash."""
        ended = self.connection.when_disconnected()
        self.wire.send(b":1\r\n")
        self.clock.advance(0)
        self.assertIsInstance(self.successResultOf(ended), RedisProtocolError)

    def test_reason_of_later_commands(self) -> None:
        """Commands that are issued afterwards say the same reason."""
        self.wire.send(b"-ERR max number of clients reached\r\n")
        refused = self.connection.execute("PING")
        failure = self.failureResultOf(refused, RedisConnectionError)
        self.assertIn("max number of clients", str(failure.value))


class PushTests(_Case):
    """RESP3 PUSH, regular replies before pub/sub, errors while subscribed."""

    def test_classified_by_type(self) -> None:
        """Arrays that look like messages are replies; pushes never are."""
        pushes: list[Push] = []
        self.connection.on_push = pushes.append
        [sent] = self.several(1)
        message = b"3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"
        self.wire.send(b">" + message + b"*" + message)
        self.assertEqual(self.successResultOf(sent), [b"message", b"a", b"b"])
        self.assertEqual(len(pushes), 1)

    def test_short_and_odd(self) -> None:
        """Pushes of no or one element, and of unknown kinds, harm nobody."""
        pushes: list[Push] = []
        self.connection.on_push = pushes.append
        self.wire.send(b">0\r\n>1\r\n+messageX\r\n>1\r\n*0\r\n")
        self.assertEqual(pushes, [[], [b"messageX"], [[]]])
        self.assertTrue(self.connection.open)

    def test_errors_while_subscribed(self) -> None:
        """An error reply fails its own command, and the connection goes on."""
        acked = self.connection.send_acked(b"SUBSCRIBE a\r\n", lambda push: True)
        self.wire.send(b">3\r\n+subscribe\r\n+a\r\n:1\r\n")
        self.successResultOf(acked)
        bad, good = self.several(2)
        self.wire.send(b"-ERR wrong number of arguments\r\n:1\r\n")
        self.failureResultOf(bad, RedisReplyError)
        self.assertEqual(self.successResultOf(good), 1)


class CommandTimeoutTests(_Case):
    """Command timeout."""

    def test_is_no_inactivity(self) -> None:
        """A command's time runs out though others are answered all the while."""
        sent = self.connection.send_acked(b"x", lambda push: False, timeout=1.0)
        for _ in range(12):
            self.wire.send(b">1\r\n+p\r\n")
            self.clock.advance(0.1)
        self.failureResultOf(sent, CommandTimeout)

    def test_ends_nobody_else(self) -> None:
        """Neither others nor the connection suffer."""
        short = self.connection.execute("GET", "a", timeout=0.5)
        long = self.connection.execute("GET", "b", timeout=5.0)
        self.clock.pump([0.1] * 7)
        self.failureResultOf(short, CommandTimeout)
        self.wire.send(b":1\r\n:2\r\n")
        self.assertEqual(self.successResultOf(long), 2)

    def test_stall_limit(self) -> None:
        """A server that says nothing at all is another matter, with a limit of
        its own, for idle connections too."""
        self.connect(ping_interval=1.0)
        ended = self.connection.when_disconnected()
        self.clock.pump([1.0, 1.0, 0.0])
        self.assertIsInstance(self.successResultOf(ended), RedisConnectionError)
