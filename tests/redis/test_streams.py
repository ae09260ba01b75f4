"""
Members of groups.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisReplyError
from sockhost.redis.commands.base import Caller
from sockhost.redis.streams import Delivery, GroupReader


class Hand(Caller):
    """
    A client whose commands are answered by hand.

    @ivar waiting: the commands without an answer, as words.
    @ivar cancelled: how many were cancelled.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[list[Any], Deferred[Any]]] = []
        self.timeouts: list[float | None] = []
        self.cancelled = 0

    def _cancel(self, sent: Deferred[Any]) -> None:
        self.cancelled += 1
        self.waiting.clear()

    def execute(
        self, *args: Any, timeout: float | None = None, decode: str | None = None
    ) -> Deferred[Any]:
        """Keep it; a reader asks for bytes."""
        if decode != "":
            raise AssertionError(f"{args} is to be decoded: {decode!r}")
        sent: Deferred[Any] = Deferred(self._cancel)
        self.waiting.append((list(args), sent))
        self.timeouts.append(timeout)
        return sent

    def next(self, *words: Any) -> Deferred[Any]:
        """The only command that waits, which has to begin with some words."""
        ((args, sent),) = self.waiting
        if args[: len(words)] != list(words):
            raise AssertionError(f"{args} does not begin with {words}")
        self.waiting.clear()
        self.last = args
        return sent

    def answer(self, reply: Any, *words: Any) -> None:
        """Answer it."""
        sent = self.next(*words)
        if isinstance(reply, Exception):
            sent.errback(reply)
        else:
            sent.callback(reply)


def entries(*ids: str, stream: bytes = b"s") -> dict[bytes, list[Any]]:
    """The reply to a read."""
    return {stream: [[id_.encode(), [b"f", id_.encode()]] for id_ in ids]}


class ReaderCase(SynchronousTestCase):
    """A reader of one stream, which takes nothing over."""

    def setUp(self) -> None:
        self.hand = Hand()
        self.clock = Clock()
        self.reader = self.make()

    def make(self, keys: tuple[str, ...] = ("s",), **options: Any) -> GroupReader:
        """Make a reader."""
        options.setdefault("claim_idle", None)
        return GroupReader(self.hand, self.clock, keys, "g", "me", **options)

    def ask(self) -> Deferred[Delivery]:
        """Ask for the next entry."""
        return Deferred.fromCoroutine(self.reader.__anext__())

    def begin(self, *ids: str) -> Deferred[Delivery]:
        """Ask for the first entry, to the point where new ones are waited for."""
        asked = self.ask()
        self.hand.answer(b"OK", "XGROUP", "CREATE", b"s", "g", "0", "MKSTREAM")
        self.hand.answer(entries(), "XREADGROUP")
        if ids:
            self.hand.answer(entries(*ids), "XREADGROUP")
        return asked


class ReaderTests(ReaderCase):
    """Readers that are answered."""

    def test_new(self) -> None:
        """The group is made, what is its own is asked for, then what is new."""
        asked = self.begin()
        self.hand.answer(
            entries("1-0", "2-0"),
            *["XREADGROUP", "GROUP", "g", "me", "COUNT", 64, "BLOCK", 5000, "STREAMS"],
            *[b"s", ">"],
        )
        delivery = self.successResultOf(asked)
        self.assertEqual((delivery.stream, delivery.id), (b"s", b"1-0"))
        self.assertEqual(delivery.fields, {b"f": b"1-0"})
        self.assertFalse(delivery.claimed)
        # The second is here already.
        self.assertEqual(self.successResultOf(self.ask()).id, b"2-0")
        self.assertEqual(self.hand.waiting, [])

    def test_patience(self) -> None:
        """A reply is waited for longer than the server may wait."""
        self.begin()
        self.assertEqual(self.hand.timeouts[-1], 15.0)

    def test_group_exists(self) -> None:
        """A group that is there already is used."""
        asked = self.ask()
        self.hand.answer(RedisReplyError("BUSYGROUP there"), "XGROUP", "CREATE")
        self.hand.answer(entries("1-0"), "XREADGROUP")
        self.assertEqual(self.successResultOf(asked).id, b"1-0")

    def test_own(self) -> None:
        """What is its own is gone through page by page, and is marked."""
        asked = self.ask()
        self.hand.answer(b"OK")
        self.hand.answer(entries("1-0"))
        self.assertEqual(self.hand.last[-1], b"0")
        self.assertTrue(self.successResultOf(asked).claimed)
        self.ask()
        self.hand.answer(entries())
        self.assertEqual(self.hand.last[-1], b"1-0")
        self.hand.next("XREADGROUP", "GROUP", "g", "me", "COUNT", 64, "BLOCK")

    def test_nothing_yet(self) -> None:
        """When there is nothing, it is waited again."""
        asked = self.begin()
        for _ in range(3):
            self.hand.answer(None, "XREADGROUP")
        self.assertNoResult(asked)
        self.hand.answer(entries("1-0"))
        self.assertEqual(self.successResultOf(asked).id, b"1-0")

    def test_acked(self) -> None:
        """What is acknowledged is not kept in mind."""
        delivery = self.successResultOf(self.begin("1-0", "2-0"))
        other = self.successResultOf(self.ask())
        self.assertEqual(self.reader.unacked, 2)
        done = delivery.ack()
        self.hand.answer(1, "XACK", b"s", "g", b"1-0")
        self.assertEqual(self.successResultOf(done), 1)
        done = self.reader.ack(other, delivery)
        self.hand.answer(1, "XACK", b"s", "g", b"2-0", b"1-0")
        self.assertEqual(self.successResultOf(done), 1)
        self.assertEqual(self.reader.unacked, 0)

    def test_ack_lost(self) -> None:
        """An acknowledgement that was lost can be told again."""
        delivery = self.successResultOf(self.begin("1-0"))
        failed = delivery.ack()
        self.hand.answer(MaybeExecuted("lost"))
        self.failureResultOf(failed, MaybeExecuted)
        self.assertEqual(self.reader.unacked, 1)
        done = delivery.ack()
        self.hand.answer(0)
        self.assertEqual(self.successResultOf(done), 0)

    def test_lost(self) -> None:
        """After a loss it asks for what is its own, but for what it has given."""
        self.successResultOf(self.begin("1-0"))
        asked = self.ask()
        self.hand.answer(MaybeExecuted("lost"), "XREADGROUP")
        self.assertEqual(self.hand.waiting, [])
        self.clock.advance(0.05)
        self.hand.answer(entries("1-0", "2-0"))
        self.assertEqual(self.hand.last[-1], b"0")
        self.assertEqual(self.successResultOf(asked).id, b"2-0")

    def test_pauses(self) -> None:
        """Between attempts it waits, longer each time, and then not any more."""
        self.begin()
        delays = []
        for _ in range(8):
            self.hand.answer(RedisConnectionError("away"))
            (call,) = self.clock.getDelayedCalls()
            delays.append(round(call.getTime() - self.clock.seconds(), 2))
            self.clock.advance(2)
        self.assertEqual(delays, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
        self.hand.answer(entries())
        self.hand.answer(MaybeExecuted("lost"))
        (call,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime() - self.clock.seconds(), 0.05)

    def test_loading(self) -> None:
        """A server that is not ready is asked again."""
        asked = self.begin()
        self.hand.answer(RedisReplyError("LOADING wait"))
        self.clock.advance(0.05)
        self.hand.answer(entries("1-0"))
        self.assertEqual(self.successResultOf(asked).id, b"1-0")

    def test_group_gone(self) -> None:
        """A group that is gone is made again."""
        asked = self.begin()
        self.hand.answer(RedisReplyError("NOGROUP gone"))
        self.hand.answer(b"OK", "XGROUP", "CREATE")
        self.hand.answer(entries("1-0"))
        self.assertEqual(self.successResultOf(asked).id, b"1-0")

    def test_refused(self) -> None:
        """What the server refuses for good is what it fails with."""
        asked = self.begin()
        self.hand.answer(RedisReplyError("WRONGTYPE no stream"))
        self.failureResultOf(asked, RedisReplyError)

    def test_cancelled(self) -> None:
        """Cancelling cancels the read, whose entries are asked for again."""
        asked = self.begin()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.hand.cancelled, 1)
        again = self.ask()
        self.hand.answer(entries("1-0"))
        self.assertEqual(self.hand.last[-1], b"0")
        self.assertTrue(self.successResultOf(again).claimed)

    def test_closed(self) -> None:
        """Closing ends the iteration, also one that waits."""
        asked = self.begin()
        self.reader.close()
        self.failureResultOf(asked, StopAsyncIteration)
        self.assertEqual(self.hand.cancelled, 1)
        self.failureResultOf(self.ask(), StopAsyncIteration)

    def test_closed_while_away(self) -> None:
        """Closing ends it between two attempts, too."""
        asked = self.begin()
        self.hand.answer(RedisConnectionError("away"))
        self.reader.close()
        self.failureResultOf(asked, StopAsyncIteration)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_room(self) -> None:
        """No more is read than may be without acknowledgement."""
        self.reader = self.make(max_unacked=2)
        first = self.successResultOf(self.begin("1-0"))
        self.assertEqual(self.hand.last[5], 2)
        self.ask()
        self.hand.answer(entries("2-0"))
        self.assertEqual(self.hand.last[5], 1)
        waiting = self.ask()
        self.assertEqual(self.hand.waiting, [])
        first.ack()
        self.hand.answer(1, "XACK")
        self.hand.answer(entries("3-0"), "XREADGROUP")
        self.assertEqual(self.successResultOf(waiting).id, b"3-0")

    def test_room_in_part(self) -> None:
        """What was acknowledged makes room, though something else was not."""
        self.reader = self.make(keys=("s", "t"), max_unacked=2)
        asked = self.ask()
        for reply in (b"OK", b"OK", entries(), entries()):
            self.hand.answer(reply)
        self.hand.answer({**entries("1-0"), **entries("2-0", stream=b"t")})
        taken = [self.successResultOf(each) for each in (asked, self.ask())]
        self.ask()
        acked = self.reader.ack(*taken)
        self.hand.answer(1, "XACK", b"s")
        (_, _), (words, second) = sorted(
            self.hand.waiting, key=lambda each: each[0][0] == "XACK"
        )
        self.assertEqual(words[:2], ["XACK", b"t"])
        second.errback(RedisConnectionError("lost"))
        self.failureResultOf(acked, RedisConnectionError)
        self.assertEqual(self.reader.unacked, 1)

    def test_closed_while_full(self) -> None:
        """Closing ends it when it waits for acknowledgements, too."""
        self.reader = self.make(max_unacked=1)
        self.successResultOf(self.begin("1-0"))
        waiting = self.ask()
        self.reader.close()
        self.failureResultOf(waiting, StopAsyncIteration)

    def test_deleted(self) -> None:
        """What was deleted is acknowledged, and not handed out."""
        asked = self.ask()
        self.hand.answer(b"OK")
        self.hand.answer({b"s": [[b"1-0", None], [b"2-0", [b"f", b"v"]]]})
        self.hand.answer(1, "XACK", b"s", "g", b"1-0")
        self.assertEqual(self.successResultOf(asked).id, b"2-0")

    def test_several(self) -> None:
        """Several streams are read together, and have their own group each."""
        self.reader = self.make(keys=("s", "t"))
        asked = self.ask()
        self.hand.answer(b"OK", "XGROUP", "CREATE", b"s")
        self.hand.answer(b"OK", "XGROUP", "CREATE", b"t")
        self.hand.answer(entries())
        self.hand.answer(entries())
        self.hand.answer({**entries("1-0", stream=b"t"), **entries("5-0")})
        self.assertEqual(self.hand.last[-4:], [b"s", b"t", ">", ">"])
        self.assertEqual(self.successResultOf(asked).stream, b"s")
        self.assertEqual(self.successResultOf(self.ask()).stream, b"t")


class ClaimTests(SynchronousTestCase):
    """What others had for too long."""

    def setUp(self) -> None:
        self.hand = Hand()
        self.clock = Clock()
        self.reader = GroupReader(
            self.hand, self.clock, ["s"], "g", "me", claim_idle=30, claim_interval=10
        )

    def ask(self) -> Deferred[Delivery]:
        """Ask for the next entry."""
        return Deferred.fromCoroutine(self.reader.__anext__())

    def begin(self) -> Deferred[Delivery]:
        """Ask for the first entry, to the look for stale ones."""
        asked = self.ask()
        self.hand.answer(b"OK", "XGROUP", "CREATE")
        self.hand.answer(entries(), "XREADGROUP")
        return asked

    def claimed(self, cursor: bytes, *ids: str) -> list[Any]:
        """The reply to a claim."""
        return [cursor, entries(*ids)[b"s"], []]

    def test_claimed(self) -> None:
        """They are taken over, page by page, before new ones are read."""
        asked = self.begin()
        self.hand.answer(
            self.claimed(b"7-0"),
            *["XAUTOCLAIM", b"s", "g", "me", 30_000, b"0-0", "COUNT", 64],
        )
        self.hand.answer(self.claimed(b"0-0", "8-0"), "XAUTOCLAIM", b"s", "g", "me")
        self.assertEqual(self.hand.last[5], b"7-0")
        delivery = self.successResultOf(asked)
        self.assertEqual((delivery.id, delivery.claimed), (b"8-0", True))

    def test_interval(self) -> None:
        """It is looked for them only now and then."""
        self.begin()
        self.hand.answer(self.claimed(b"0-0"), "XAUTOCLAIM")
        self.hand.answer(None, "XREADGROUP")
        self.clock.advance(9)
        self.hand.answer(None, "XREADGROUP")
        self.clock.advance(1)
        self.hand.answer(None, "XREADGROUP")
        self.hand.answer(self.claimed(b"0-0"), "XAUTOCLAIM")
        self.hand.next("XREADGROUP")

    def test_not_twice(self) -> None:
        """What it has given out itself it does not take over."""
        asked = self.begin()
        self.hand.answer(self.claimed(b"0-0"), "XAUTOCLAIM")
        self.hand.answer(entries("1-0"), "XREADGROUP")
        self.successResultOf(asked)
        self.clock.advance(10)
        again = self.ask()
        self.hand.answer(self.claimed(b"0-0", "1-0"), "XAUTOCLAIM")
        self.assertNoResult(again)
        self.hand.next("XREADGROUP")


class OptionsTests(SynchronousTestCase):
    """Clients that cannot do it."""

    def test_fails(self) -> None:
        """It fails as the client does."""

        class Broken(Caller):
            def execute(self, *args: Any, **options: Any) -> Deferred[Any]:
                return fail(ZeroDivisionError())

        reader = GroupReader(Broken(), Clock(), ["s"], "g", "me")
        asked = Deferred.fromCoroutine(reader.__anext__())
        self.failureResultOf(asked, ZeroDivisionError)
