"""
Tests for L{sockhost.redis.pubsub}: which connection subscriptions are on.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisConnectionError
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.pubsub import RETRY
from tests.redis.fakes import Wire
from tests.redis.test_hub import push


def array(*items: bytes) -> bytes:
    """Write a message or an acknowledgement of RESP2."""
    return push(*items).replace(b">", b"*", 1)


class _ClientCase(SynchronousTestCase):
    protocol = 3

    def setUp(self) -> None:
        self.clock = Clock()
        self.own: list[Wire] = []
        self.refusals = 0
        self.client = RedisClient(self.clock, connector=self.connector)
        self.heard: list[Any] = []
        self.attach()

    def make(self) -> tuple[RedisConnection, Wire]:
        connection = RedisConnection(self.clock)
        wire = Wire(self.clock, connection)
        connection.protocol = self.protocol
        return connection, wire

    def connector(self) -> Deferred[RedisConnection]:
        if self.refusals:
            self.refusals -= 1
            return fail(RedisConnectionError("no"))
        connection, wire = self.make()
        self.own.append(wire)
        return succeed(connection)

    def attach(self) -> None:
        connection, self.wire = self.make()
        self.client.attach(connection)

    def hear(self, channel: bytes, data: bytes) -> None:
        self.heard.append((channel, data))


class SharedTests(_ClientCase):
    """With RESP3."""

    def test_shared(self) -> None:
        """Subscriptions are on the connection of the client, after each loss."""
        asked = self.client.pubsub.subscribe("a", listener=self.hear)
        self.wire.send(push(b"subscribe", b"a", 1))
        subscription = self.successResultOf(asked)
        self.assertEqual(subscription.channels, {b"a"})
        self.wire.lose()
        self.attach()
        self.assertEqual(self.wire.sent(), [[b"subscribe", b"a"]])
        self.wire.send(push(b"subscribe", b"a", 1) + push(b"message", b"a", b"x"))
        self.assertEqual((self.heard, self.own), ([(b"a", b"x")], []))

    def test_before_commands(self) -> None:
        """On a new connection, subscriptions come before commands that wait."""
        self.client.pubsub.subscribe("a")
        self.wire.lose()
        self.client.execute("PUBLISH", "a", "x")
        self.attach()
        self.clock.advance(0)
        names = [command[0] for command in self.wire.sent()]
        self.assertEqual(names, [b"subscribe", b"PUBLISH"])

    def test_cancel(self) -> None:
        """Cancelling the call that makes a subscription withdraws it."""
        asked = self.client.pubsub.psubscribe("a*")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.wire.lose()
        self.attach()
        self.assertEqual(self.wire.sent(), [])

    def test_unknown_push(self) -> None:
        """Pushes that nobody handles go to the client's C{on_push}."""
        pushes: list[Any] = []
        self.assertIsNone(self.client.on_push)
        self.client.on_push = pushes.append
        self.client.pubsub.ssubscribe("a")
        self.wire.send(push(b"new", b"x") + push(b"ssubscribe", b"a", 1))
        self.assertEqual(pushes, [[b"new", b"x"]])

    def test_closed(self) -> None:
        """With the client, subscriptions end, and the wait of their readers."""
        new = self.client.pubsub.subscription()
        waiting = new.next()
        self.client.close()
        self.failureResultOf(waiting, RedisConnectionError)
        self.failureResultOf(self.client.pubsub.subscribe("a"), RedisConnectionError)
        self.clock.advance(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_subscribed_when_closed(self) -> None:
        """Who subscribes when he hears that his client is closed is told so too."""
        again: list[Deferred[None]] = []
        one = self.client.pubsub.subscription()
        one.subscribe("a").addErrback(lambda _: again.append(one.subscribe("b")))
        self.client.close()
        self.failureResultOf(again[0], RedisConnectionError)

    def test_cancelled_when_closed(self) -> None:
        """Who hears that a client is closed may cancel what would hear it next."""
        first, second = (self.client.pubsub.subscribe(name) for name in "ab")
        first.addErrback(lambda _: second.cancel())
        self.client.close()
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)

    def test_bad_overflow(self) -> None:
        """What is to happen beyond the limit is one of three."""
        with self.assertRaises(ValueError):
            self.client.pubsub.subscription(overflow="explode")


class PauseTests(_ClientCase):
    """With back-pressure."""

    def test_own_connection(self) -> None:
        """Each has a connection of its own, which alone is not read."""
        one = self.client.pubsub.subscribe("a", max_buffered=2, overflow="pause")
        [wire] = self.own
        wire.send(push(b"subscribe", b"a", 1))
        wire.send(push(b"message", b"a", b"x") * 3)
        self.assertEqual(
            (wire.producerState, self.wire.producerState), ("paused", "producing")
        )
        subscription = self.successResultOf(one)
        for _ in "12":
            self.successResultOf(subscription.next())
        self.assertEqual(wire.producerState, "producing")
        closing = subscription.close()
        wire.send(push(b"unsubscribe", b"a", 0))
        self.successResultOf(closing)
        self.assertTrue(wire.aborted)

    def test_closed_when_full(self) -> None:
        """One that is full ends all the same: what nobody wants is read."""
        one = self.client.pubsub.subscribe("a", max_buffered=1, overflow="pause")
        [wire] = self.own
        wire.send(push(b"subscribe", b"a", 1) + push(b"message", b"a", b"x") * 2)
        self.assertEqual(wire.producerState, "paused")
        subscription = self.successResultOf(one)
        closing = subscription.close()
        self.assertEqual(wire.producerState, "producing")
        wire.send(push(b"message", b"a", b"x") + push(b"unsubscribe", b"a", 0))
        self.successResultOf(closing)
        self.assertTrue(wire.aborted)
        self.assertEqual(subscription.buffered, 2)

    def test_closed_without_wish(self) -> None:
        """One that listens to nothing yet ends with the client too."""
        one = self.client.pubsub.subscription(overflow="pause")
        waiting = one.next()
        self.client.close()
        self.failureResultOf(waiting, RedisConnectionError)

    def test_of_closed(self) -> None:
        """A client that is closed has none any more, and again when it is used."""
        self.client.close()
        for overflow in ("drop-oldest", "pause"):
            asked = self.client.pubsub.subscribe("a", overflow=overflow)
            self.failureResultOf(asked, RedisConnectionError)
        self.clock.advance(0)
        self.attach()
        again = self.client.pubsub.subscribe("a", overflow="pause")
        self.own[-1].send(push(b"subscribe", b"a", 1))
        self.successResultOf(again)

    def test_given_up_and_lost(self) -> None:
        """What was given up is done with when its connection is lost, the last."""
        one = self.client.pubsub.subscription(overflow="pause")
        asked, closing = one.subscribe("a"), one.close()
        self.own[-1].lose()
        self.successResultOf(asked)
        self.successResultOf(closing)
        self.assertEqual(len(self.own), 1)

    def test_paused_through_loss(self) -> None:
        """One that is full when its connection is lost does not read the next."""
        one = self.client.pubsub.subscribe("a", max_buffered=1, overflow="pause")
        self.own[0].send(push(b"subscribe", b"a", 1) + push(b"message", b"a", b"x"))
        self.own[0].lose()
        self.clock.advance(RETRY)
        self.own[1].send(push(b"subscribe", b"a", 1))
        self.assertEqual(self.own[1].producerState, "paused")
        self.successResultOf(self.successResultOf(one).next())
        self.assertEqual(self.own[1].producerState, "producing")


class OwnConnectionTests(_ClientCase):
    """With RESP2."""

    protocol = 2

    def subscribe(self, name: str) -> Any:
        return self.client.pubsub.subscribe(name, listener=self.hear)

    def test_one_for_all(self) -> None:
        """All share one, which is made when it is needed and ended when not."""
        self.assertEqual(self.own, [])
        first, second = self.subscribe("a"), self.subscribe("b")
        [wire] = self.own
        for name in (b"a", b"b"):
            wire.send(array(b"subscribe", name, b"1"))
        wire.send(array(b"message", b"b", b"x"))
        self.assertEqual(self.heard, [(b"b", b"x")])
        self.assertEqual(self.wire.sent(), [])
        for each, name in ((first, b"a"), (second, b"b")):
            closing = self.successResultOf(each).close()
            wire.send(array(b"unsubscribe", name, b"0"))
            self.successResultOf(closing)
        self.assertTrue(wire.aborted)
        self.subscribe("c")
        self.assertEqual(len(self.own), 2)

    def test_lost(self) -> None:
        """When it is lost another is made, not all at once if it did not last."""
        self.subscribe("a")
        self.own[0].lose()
        self.assertEqual(len(self.own), 1)
        self.clock.advance(RETRY)
        self.assertEqual(self.own[1].sent(), [[b"subscribe", b"a"]])
        self.clock.advance(2 * RETRY)
        self.own[1].lose()
        self.assertEqual(len(self.own), 3)

    def test_refused(self) -> None:
        """Where none can be made it is tried again; the calls wait."""
        self.refusals = 2
        call = self.subscribe("a")
        self.clock.pump([RETRY] * 2)
        self.own[0].send(array(b"subscribe", b"a", b"1"))
        self.successResultOf(call)

    def test_client_lost(self) -> None:
        """While the client has no connection none is tried."""
        self.subscribe("a")
        self.wire.lose()
        self.own[0].lose()
        self.clock.advance(10)
        self.assertEqual(len(self.own), 1)
        self.attach()
        self.clock.advance(RETRY)
        self.assertEqual(len(self.own), 2)

    def test_closed(self) -> None:
        """The client's end is that of the connection, and of a wait for one."""
        self.refusals = 1
        call = self.subscribe("a")
        self.client.close()
        self.failureResultOf(call, RedisConnectionError)
        self.clock.advance(5)
        self.assertEqual((self.clock.getDelayedCalls(), self.own), ([], []))

    def test_stopped_and_started(self) -> None:
        """A unit that is stopped and started again finds its wishes."""
        self.subscribe("a")
        self.client.drain(1.0)
        for wire in (self.wire, self.own[0]):
            wire.lose()
        self.clock.advance(10)
        self.client.reopen()
        self.attach()
        self.clock.advance(RETRY)
        self.assertEqual(self.own[1].sent(), [[b"subscribe", b"a"]])

    def test_closed_and_started(self) -> None:
        """A client that was closed and is connected again takes new wishes."""
        self.subscribe("a").addErrback(lambda why: why.trap(RedisConnectionError))
        self.client.close()
        for wire in (self.wire, self.own[0]):
            wire.lose()
        self.client.reopen()
        early = self.subscribe("b")
        self.attach()
        call = self.subscribe("c")
        self.clock.advance(RETRY)
        self.own[1].send(array(b"subscribe", b"b", b"1"))
        self.own[1].send(array(b"subscribe", b"c", b"1"))
        self.successResultOf(early)
        self.successResultOf(call)

    def test_attempt_fails(self) -> None:
        """Whatever an attempt fails with, there is another."""
        failures = [fail(OSError("no")), fail(ValueError("no"))]
        usual = self.connector
        dedicated = self.client._dedicated
        dedicated.connector = lambda: failures.pop() if failures else usual()
        call = self.subscribe("a")
        self.clock.pump([RETRY] * 2)
        self.own[0].send(array(b"subscribe", b"a", b"1"))
        self.successResultOf(call)

    def test_newer_server(self) -> None:
        """When the server comes back with RESP3, the connections become one."""
        self.subscribe("a")
        self.wire.lose()
        self.protocol = 3
        self.attach()
        self.assertEqual(self.wire.sent(), [[b"subscribe", b"a"]])
        self.assertTrue(self.own[0].aborted)
        self.own[0].lose()
        self.clock.advance(RETRY)
        self.assertEqual(len(self.own), 1)
