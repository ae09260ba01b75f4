"""
Tests for L{sockhost.redis.hub}: wishes through losses of the connection, and
what the server takes away.
"""

from __future__ import annotations

from typing import Any

from sockhost.interfaces import CommandTimeout, RedisConnectionError, RedisReplyError
from sockhost.redis.subscription import Subscription
from tests.redis.test_hub import FENCE, FENCED, HubCase, push


class LossTests(HubCase):
    """Wishes through losses of the connection."""

    def lose(self) -> None:
        self.wire.lose()

    def test_sent_again(self) -> None:
        """On a new connection all that is wished is asked for, and the gap told."""
        one = self.subscribed("a", "b")
        one.psubscribe("p*")
        self.ack(b"psubscribe", b"p*")
        self.lose()
        self.connect()
        self.assertEqual(
            self.sent(), [[b"subscribe", b"a", b"b"], [b"psubscribe", b"p*"]]
        )
        self.ack(b"subscribe", b"a", b"b")
        self.assertEqual(self.gaps, [])
        self.ack(b"psubscribe", b"p*")
        self.assertEqual(len(self.gaps), 1)
        self.assertIn("lost", self.gaps[0].reason)
        self.publish(b"a")
        self.assertEqual(self.heard, [(b"a", b"x")])

    def test_while_down(self) -> None:
        """What is asked for and given up while down is right on the next."""
        one = self.subscribed("a", "b")
        self.lose()
        calls = [
            one.unsubscribe("a"),
            one.subscribe("c", "d"),
            one.unsubscribe("d"),
            one.subscribe("e"),
            one.unsubscribe("e"),
        ]
        for done in (0, 2, 3, 4):
            self.successResultOf(calls[done])
        self.assertNoResult(calls[1])
        self.connect()
        self.assertEqual(self.sent(), [[b"subscribe", b"b"], [b"subscribe", b"c"]])
        self.ack(b"subscribe", b"b", b"c")
        self.successResultOf(calls[1])

    def test_in_flight(self) -> None:
        """
        A call whose answer was lost is sent again; giving up is done with the
        connection, and a call that was given up and lost is done too.
        """
        one = self.subscribed("a")
        calls = [one.subscribe("b"), one.unsubscribe("a"), one.subscribe("c")]
        calls.append(one.unsubscribe("c"))
        self.lose()
        self.assertNoResult(calls[0])
        self.successResultOf(calls[1])
        self.successResultOf(calls[3])
        self.connect()
        self.successResultOf(calls[2])
        self.assertEqual(self.sent(), [[b"subscribe", b"b"]])
        self.ack(b"subscribe", b"b")
        self.successResultOf(calls[0])

    def test_lost_again(self) -> None:
        """A loss before all is acknowledged is one gap, told when all is."""
        self.subscribed("a", "b")
        self.lose()
        self.connect()
        self.ack(b"subscribe", b"a")
        self.lose()
        self.connect()
        self.ack(b"subscribe", b"a", b"b")
        self.assertEqual(len(self.gaps), 1)

    def test_gap_in_iteration(self) -> None:
        """The first message after a loss says that some may be missing."""
        one = self.subscribed("a", listener=None)
        self.publish(b"a", b"1")
        self.lose()
        self.connect()
        self.ack(b"subscribe", b"a")
        self.publish(b"a", b"2")
        self.publish(b"a", b"3")
        gaps = [self.successResultOf(one.next()).gap is not None for _ in "123"]
        self.assertEqual(gaps, [False, True, False])

    def test_gap_among_dropped(self) -> None:
        """Those that are dropped are missing where they were, loss or not."""
        one = self.subscribed("a", listener=None, max_buffered=2)
        for data in (b"1", b"2"):
            self.publish(b"a", data)
        self.lose()
        self.connect()
        self.ack(b"subscribe", b"a")
        self.publish(b"a", b"3")
        first, second = (self.successResultOf(one.next()) for _ in "12")
        self.assertEqual((first.data, first.gap and first.gap.dropped), (b"2", 1))
        self.assertEqual((second.data, second.gap and second.gap.dropped), (b"3", 0))

    def test_gap_and_dropped(self) -> None:
        """The reason of a loss stays, though it is known of some that came later."""
        one = self.subscribed("a", listener=None, max_buffered=2)
        for data in (b"1", b"2"):
            self.publish(b"a", data)
        self.lose()
        self.connect()
        self.ack(b"subscribe", b"a")
        for data in (b"3", b"4"):
            self.publish(b"a", data)
        gap = self.successResultOf(one.next()).gap
        self.assertEqual(gap and gap.dropped, 2)
        self.assertIn("lost", gap.reason if gap else "")

    def test_refused_again(self) -> None:
        """What is refused on the new connection is told, and the others come."""
        self.subscribed("a", "no")
        self.lose()
        self.connect()
        self.wire.send(b"-NOPERM no\r\n")
        alone = self.sent()[1:]
        self.assertEqual(len(alone), 2)
        for _, name in alone:
            if name == b"no":
                self.wire.send(b"-NOPERM no\r\n")
            else:
                self.ack(b"subscribe", name)
        self.assertEqual([gap.refused for gap in self.gaps], [(b"no",)])
        self.publish(b"a")
        self.assertEqual(self.heard, [(b"a", b"x")])

    def test_left_when_refused(self) -> None:
        """Of those that are refused together, only the wished are asked for again."""
        one = self.subscribed("a", "no")
        self.lose()
        self.connect()
        self.sent()
        one.unsubscribe("no")
        self.wire.send(b"-NOPERM no\r\n")
        self.assertEqual(self.sent(), [[b"unsubscribe", b"no"], [b"subscribe", b"a"]])
        self.ack(b"unsubscribe", b"no")
        self.ack(b"subscribe", b"a")
        self.assertEqual([gap.refused for gap in self.gaps], [()])

    def test_replaced(self) -> None:
        """A connection that is replaced counts as lost; its end changes nothing."""
        self.subscribed("a")
        old = self.wire
        self.connect()
        self.ack(b"subscribe", b"a")
        old.lose()
        self.publish(b"a")
        self.assertEqual((len(self.gaps), self.heard), (1, [(b"a", b"x")]))

    def test_failing_on_gap(self) -> None:
        """What C{on_gap} raises is logged, and the others are told."""
        one = self.subscribed("a")
        one.on_gap = lambda gap: 1 / 0
        self.subscribed("a")
        self.lose()
        self.connect()
        self.ack(b"subscribe", b"a")
        self.assertEqual(len(self.gaps), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_end(self) -> None:
        """The end fails calls and ends readers, until there is a connection."""
        one = self.subscribed("a", listener=None)
        waiting, call = one.next(), one.subscribe("b")
        self.hub.end(RedisConnectionError("closed"))
        for each in (waiting, call, one.next()):
            self.failureResultOf(each, RedisConnectionError)
        self.failureResultOf(self.listen().subscribe("a"), RedisConnectionError)
        self.connect()
        self.assertEqual(self.sent(), [])
        self.subscribed("a")

    def test_gap_of_closed(self) -> None:
        """Who has ceased to listen before the next connection misses nothing."""
        for leave in (Subscription.close, Subscription.unsubscribe):
            one = self.subscribed("a")
            self.wire.lose()
            self.successResultOf(leave(one))
            self.connect()
            self.assertEqual(self.gaps, [])


class ShardTests(HubCase):
    """What the server takes away by itself."""

    def subscribe(self) -> Subscription:
        one = self.listen()
        one.ssubscribe("a")
        self.ack(b"ssubscribe", b"a")
        self.wire.clear()
        return one

    def test_moved(self) -> None:
        """A sharded channel that is taken away is asked for again, as a gap."""
        self.subscribe()
        self.ack(b"sunsubscribe", b"a")
        self.assertEqual(self.sent(), [[b"ssubscribe", b"a"]])
        self.ack(b"ssubscribe", b"a")
        self.assertEqual(len(self.gaps), 1)

    def test_moved_elsewhere(self) -> None:
        """One who knows where it went may take care of it."""
        self.subscribe()
        moved: list[bytes] = []

        def take(name: bytes) -> bool:
            moved.append(name)
            return True

        self.hub.on_moved = take
        self.ack(b"sunsubscribe", b"a")
        self.assertEqual((moved, self.sent()), ([b"a"], []))

    def test_own(self) -> None:
        """What was given up by itself has not moved."""
        one = self.subscribe()
        call = one.sunsubscribe()
        self.assertEqual(self.sent(), [[b"sunsubscribe", b"a"], FENCE])
        self.ack(b"sunsubscribe", b"a")
        self.wire.send(FENCED)
        self.successResultOf(call)
        self.ack(b"sunsubscribe", b"a")
        self.assertEqual((self.sent(), self.gaps), ([], []))

    def test_left_meanwhile(self) -> None:
        """
        What is taken away while it is being given up is acknowledged by that,
        and the command has an answer of its own: the commands behind it keep
        theirs.
        """
        for answer in (b"-MOVED 1 b:2\r\n", push(b"sunsubscribe", b"a", 0)):
            one = self.subscribe()
            call = one.sunsubscribe()
            behind = self.connection.execute("GET", "k")
            self.clock.advance(0)
            self.wire.send(push(b"sunsubscribe", b"a", 0) + answer)
            self.assertNoResult(call)
            self.wire.send(FENCED + b"$1\r\nv\r\n")
            self.assertEqual(self.successResultOf(behind), b"v")
            if answer.startswith(b"-"):
                self.failureResultOf(call, RedisReplyError)
            else:
                self.successResultOf(call)

    def test_fence_refused(self) -> None:
        """A server that does not take the end for a command has ended it too."""
        for error in (b"Can't execute 'hello': only", b"unknown command 'HELLO'"):
            call = self.subscribe().sunsubscribe()
            self.clock.advance(0)
            self.wire.send(push(b"sunsubscribe", b"a", 0) + b"-ERR %s\r\n" % error)
            self.successResultOf(call)

    def test_moved_after_refusal(self) -> None:
        """A refusal to give it up is no reason not to see it taken away later."""
        one = self.subscribe()
        call = one.sunsubscribe()
        self.clock.advance(0)
        self.wire.send(b"-MOVED 1 b:2\r\n" + FENCED)
        self.failureResultOf(call, RedisReplyError)
        one.ssubscribe("a")
        self.ack(b"ssubscribe", b"a")
        self.sent()
        self.ack(b"sunsubscribe", b"a")
        self.assertEqual(self.sent(), [[b"ssubscribe", b"a"]])

    def test_not_sent(self) -> None:
        """A command that could not be sent in time is not waited for either."""
        self.connect(timeout=1.0)
        one = self.subscribe()
        before = self.connection.execute("GET", "k")
        self.clock.advance(0)
        outlet: Any = self.wire.producer
        outlet.pauseProducing()
        call = one.sunsubscribe()
        self.clock.pump([0.5] * 4)
        self.failureResultOf(before, CommandTimeout)
        self.failureResultOf(call, RedisConnectionError)
        one.ssubscribe("a")
        outlet.resumeProducing()
        self.wire.send(b"_\r\n")
        self.ack(b"ssubscribe", b"a")
        self.sent()
        self.ack(b"sunsubscribe", b"a")
        self.assertEqual(self.sent(), [[b"ssubscribe", b"a"]])
