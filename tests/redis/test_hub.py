"""
Tests for L{sockhost.redis.hub} and L{sockhost.redis.subscription}: wishes, the
commands that come of them, and what is heard.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    CommandTimeout,
    RedisConnectionError,
    RedisReplyError,
)
from sockhost.redis.connection import RedisConnection
from sockhost.redis.hub import SubscriptionHub
from sockhost.redis.mailbox import Overflow
from sockhost.redis.push import PushRouter
from sockhost.redis.subscription import Gap, Message, Subscription
from tests.redis.fakes import Wire

# What is sent behind SUNSUBSCRIBE, and what it is answered with.
FENCE = [b"HELLO"]
FENCED = b"%0\r\n"


def push(*items: bytes | int | None) -> bytes:
    """Write a push."""
    out = b">%d\r\n" % len(items)
    for item in items:
        if item is None:
            out += b"_\r\n"
        else:
            out += (
                b":%d\r\n" % item
                if isinstance(item, int)
                else b"$%d\r\n%s\r\n" % (len(item), item)
            )
    return out


class HubCase(SynchronousTestCase):
    """A hub, its connection, and the server turned by hand."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.router = PushRouter()
        self.hub = SubscriptionHub(self.router)
        self.heard: list[Any] = []
        self.gaps: list[Gap] = []
        self.connect()

    def connect(self, **options: Any) -> None:
        """Make a connection and attach it."""
        connection = RedisConnection(self.clock, **options)
        self.wire = Wire(self.clock, connection)
        connection.on_push = self.router.take
        self.connection = connection
        self.hub.attach(connection)

    def listen(self, **options: Any) -> Subscription:
        options = {"listener": lambda *pair: self.heard.append(pair), **options}
        return Subscription(self.hub, on_gap=self.gaps.append, **options)

    def sent(self) -> list[list[bytes]]:
        """What was sent; the names of a command in order."""
        self.clock.advance(0)
        return [[word, *sorted(rest)] for word, *rest in self.wire.sent()]

    def ack(self, word: bytes, *names: bytes) -> None:
        """Acknowledge names."""
        self.wire.send(b"".join(push(word, name, 1) for name in names))

    def publish(self, channel: bytes, data: bytes = b"x") -> None:
        self.wire.send(push(b"message", channel, data))

    def subscribed(self, *names: str, **options: Any) -> Subscription:
        """Make a subscription that is acknowledged."""
        new = self.listen(**options)
        done = new.subscribe(*names)
        self.clock.advance(0)
        self.ack(b"subscribe", *[name.encode() for name in names])
        self.assertIsNone(self.successResultOf(done))
        self.wire.clear()
        return new


class CallsTests(HubCase):
    """Calls and their acknowledgements."""

    def test_own_acknowledgements(self) -> None:
        """Each call fires with the last of its own acknowledgements."""
        one = self.listen()
        first, second = one.subscribe("a", "b"), one.subscribe("a", "c")
        expected = [[b"subscribe", b"a", b"b"], [b"subscribe", b"a", b"c"]]
        self.assertEqual(self.sent(), expected)
        self.ack(b"subscribe", b"a", b"b")
        self.successResultOf(first)
        self.ack(b"subscribe", b"c")
        self.assertNoResult(second)
        self.ack(b"subscribe", b"a")
        self.successResultOf(second)
        self.assertEqual(one.channels, {b"a", b"b", b"c"})

    def test_refused_after_an_earlier_one(self) -> None:
        """
        The acknowledgement of a call whose name was given up since grants
        nothing to a later call, which is refused.
        """
        one = self.listen()
        first, gone = one.subscribe("a"), one.unsubscribe("a")
        refused = one.subscribe("a", "b")
        self.clock.advance(0)
        self.ack(b"subscribe", b"a")
        self.ack(b"unsubscribe", b"a")
        self.wire.send(b"-NOPERM no\r\n")
        for each in (first, gone):
            self.successResultOf(each)
        self.failureResultOf(refused, RedisReplyError)
        self.assertEqual(one.channels, set())

    def test_cancelled_after_an_earlier_one(self) -> None:
        """Nor to one that is cancelled."""
        one = self.listen()
        one.subscribe("a")
        one.unsubscribe("a")
        cancelled = one.subscribe("a")
        self.clock.advance(0)
        self.ack(b"subscribe", b"a")
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.assertEqual(one.channels, set())

    def test_between_replies(self) -> None:
        """Commands around the calls keep their replies."""
        before = self.connection.execute("ECHO", 1)
        call = self.listen().subscribe("a")
        after = self.connection.execute("ECHO", 2)
        self.wire.send(b":1\r\n" + push(b"subscribe", b"a", 1))
        self.wire.send(push(b"message", b"a", b"x") + b":2\r\n")
        self.assertEqual(self.successResultOf(before), 1)
        self.successResultOf(call)
        self.assertEqual(self.successResultOf(after), 2)
        self.assertEqual(self.heard, [(b"a", b"x")])

    def test_refused(self) -> None:
        """An error fails its call alone, and its names are not listened to."""
        one = self.listen()
        calls = [one.subscribe("a"), one.subscribe("a", "no"), one.subscribe("b")]
        self.ack(b"subscribe", b"a")
        self.wire.send(b"-NOPERM no\r\n")
        self.ack(b"subscribe", b"b")
        self.successResultOf(calls[0])
        self.failureResultOf(calls[1], RedisReplyError)
        self.successResultOf(calls[2])
        self.assertEqual(one.channels, {b"a", b"b"})

    def test_refused_after_others_left(self) -> None:
        """A name that only a refused call still wished is given up."""
        one, two = self.subscribed("a"), self.listen()
        call = two.subscribe("a", "no")
        self.successResultOf(one.unsubscribe("a"))
        self.wire.send(b"-NOPERM no\r\n")
        self.failureResultOf(call, RedisReplyError)
        self.assertEqual(self.sent()[-1], [b"unsubscribe", b"a"])

    def test_too_late(self) -> None:
        """A call that runs out of time is given up; its late answer is nobody's."""
        self.connect(timeout=1.0)
        one = self.listen()
        call = one.subscribe("a")
        self.clock.pump([0.25] * 6)
        self.failureResultOf(call, CommandTimeout)
        self.assertEqual(self.sent()[-1], [b"unsubscribe", b"a"])
        self.ack(b"subscribe", b"a")
        self.publish(b"a")
        self.ack(b"unsubscribe", b"a")
        reply = self.connection.execute("PING")
        self.wire.send(b"+PONG\r\n")
        self.successResultOf(reply)
        self.assertEqual((self.heard, one.channels), ([], frozenset()))

    def test_cancelled(self) -> None:
        """A call that is cancelled withdraws its wish, from the server too."""
        one = self.listen()
        call = one.subscribe("a", "b")
        self.assertEqual(len(self.sent()), 1)
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.assertEqual(self.sent(), [[b"unsubscribe", b"a", b"b"]])
        self.ack(b"subscribe", b"a", b"b")
        self.publish(b"a")
        self.assertEqual((self.heard, self.hub.wishes), ([], False))

    def test_unsubscribe_in_flight(self) -> None:
        """Giving up what is being asked for ends with both calls done."""
        one = self.listen()
        calls = [one.subscribe("a"), one.unsubscribe("a")]
        self.assertEqual(self.sent(), [[b"subscribe", b"a"], [b"unsubscribe", b"a"]])
        self.ack(b"subscribe", b"a")
        self.successResultOf(calls[0])
        self.publish(b"a")
        self.ack(b"unsubscribe", b"a")
        self.successResultOf(calls[1])
        self.assertEqual(self.heard, [])

    def test_unsubscribe_all(self) -> None:
        """Without names, all of its kind go, and those of no other kind."""
        one = self.subscribed("a", "b")
        patterns = one.psubscribe("p*")
        self.ack(b"psubscribe", b"p*")
        self.successResultOf(patterns)
        self.wire.clear()
        call = one.unsubscribe()
        self.assertEqual(self.sent(), [[b"unsubscribe", b"a", b"b"]])
        self.assertNoResult(call)
        self.ack(b"unsubscribe", b"b", b"a")
        self.successResultOf(call)
        self.assertEqual((one.channels, one.patterns), (frozenset(), {b"p*"}))

    def test_unsubscribe_nothing(self) -> None:
        """What is not listened to is no reason to ask the server."""
        one = self.subscribed("a")
        for call in (one.unsubscribe("b"), one.punsubscribe(), one.sunsubscribe("a")):
            self.successResultOf(call)
        self.successResultOf(one.subscribe())
        self.assertEqual(self.sent(), [])

    def test_unsubscribe_refused(self) -> None:
        """An error to UNSUBSCRIBE fails that call; it is done with all the same."""
        one = self.subscribed("a")
        call = one.unsubscribe()
        self.wire.send(b"-NOPERM no\r\n")
        self.failureResultOf(call, RedisReplyError)
        self.publish(b"a")
        self.assertEqual((self.heard, one.channels), ([], frozenset()))

    def test_stray_acknowledgements(self) -> None:
        """Acknowledgements that nobody waits for, or malformed, do no harm."""
        one = self.listen()
        call = one.subscribe("a")
        self.ack(b"subscribe", b"z")
        self.ack(b"unsubscribe", b"a")
        self.wire.send(push(b"subscribe") + push(b"subscribe", None, 0))
        self.assertNoResult(call)
        self.ack(b"subscribe", b"a")
        self.successResultOf(call)
        self.ack(b"subscribe", b"a")
        self.assertTrue(self.connection.open)


class MessagesTests(HubCase):
    """Who hears what."""

    def test_kinds(self) -> None:
        """Channels, patterns and shards are kept apart."""
        one = self.listen(listener=None)
        one.subscribe("a")
        one.psubscribe("a")
        one.ssubscribe("a")
        for word in (b"subscribe", b"psubscribe", b"ssubscribe"):
            self.ack(word, b"a")
        self.wire.send(push(b"message", b"a", b"1"))
        self.wire.send(push(b"pmessage", b"a", b"b", b"2"))
        self.wire.send(push(b"smessage", b"a", b"3"))
        expected = [
            Message("message", b"a", b"1"),
            Message("pmessage", b"b", b"2", b"a"),
            Message("smessage", b"a", b"3"),
        ]
        heard = [self.successResultOf(one.next()) for _ in expected]
        self.assertEqual(heard, expected)
        self.assertEqual((one.channels, one.patterns, one.shards), ({b"a"},) * 3)

    def test_malformed(self) -> None:
        """Messages of a wrong length, or about nothing, are dropped."""
        self.subscribed("a")
        odd = [
            push(b"message"),
            push(b"message", b"a"),
            push(b"message", b"a", b"", b""),
        ]
        self.wire.send(b"".join(odd) + push(b"message", None, b"x"))
        self.publish(b"other")
        self.assertEqual(self.heard, [])

    def test_not_before_acknowledged(self) -> None:
        """A second listener of a channel hears it from its own call on."""
        self.subscribed("a")
        two = self.listen(listener=None)
        two.subscribe("a")
        self.publish(b"a", b"1")
        self.ack(b"subscribe", b"a")
        self.publish(b"a", b"2")
        self.assertEqual(self.successResultOf(two.next()).data, b"2")
        self.assertEqual(self.heard, [(b"a", b"1"), (b"a", b"2")])

    def test_ended_by_another(self) -> None:
        """A listener that another one ends hears nothing more, not even this."""
        calls: list[Deferred[None]] = []
        two = self.listen()
        first = self.subscribed("a", listener=lambda *_: calls.append(two.close()))
        two.subscribe("a")
        self.ack(b"subscribe", b"a")
        self.publish(b"a")
        self.assertEqual((len(calls), self.heard), (1, []))
        self.assertEqual(first.channels, {b"a"})

    def test_failing_listener(self) -> None:
        """What one listener raises keeps no message from the others."""

        def bad(channel: bytes, data: bytes) -> None:
            raise ZeroDivisionError

        async def worse(channel: bytes, data: bytes) -> None:
            raise ZeroDivisionError

        for listener in (bad, worse, lambda *pair: self.heard.append(pair)):
            self.subscribed("a", listener=listener)
        self.publish(b"a")
        self.assertEqual(self.heard, [(b"a", b"x")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_slow_reader(self) -> None:
        """The oldest are dropped, and the next that is read says how many."""
        one = self.subscribed("a", listener=None, max_buffered=2)
        for number in range(5):
            self.publish(b"a", b"%d" % number)
        first, second = (self.successResultOf(one.next()) for _ in "12")
        self.assertEqual((first.data, second.data), (b"3", b"4"))
        self.assertEqual(first.gap and first.gap.dropped, 3)
        self.assertEqual((second.gap, one.dropped), (None, 3))

    def test_drop_newest(self) -> None:
        """The newest are dropped, and the next that has room says how many."""
        one = self.subscribed(
            "a", listener=None, max_buffered=2, overflow=Overflow.DROP_NEWEST
        )
        for number in range(5):
            self.publish(b"a", b"%d" % number)
        first, second = (self.successResultOf(one.next()) for _ in "12")
        self.assertEqual(
            (first[2:], second[2:]), ((b"0", None, None), (b"1", None, None))
        )
        self.publish(b"a", b"5")
        third = self.successResultOf(one.next())
        self.assertEqual((third.data, third.gap and third.gap.dropped), (b"5", 3))

    def test_close(self) -> None:
        """What was received can be read after a close; then it ends."""
        one = self.subscribed("a", listener=None)
        self.publish(b"a", b"1")
        closing = one.close()
        self.publish(b"a", b"2")
        self.ack(b"unsubscribe", b"a")
        self.successResultOf(closing)
        self.assertEqual(self.successResultOf(one.next()).data, b"1")
        self.failureResultOf(one.next(), StopAsyncIteration)
        self.failureResultOf(one.subscribe("b"), RedisConnectionError)
