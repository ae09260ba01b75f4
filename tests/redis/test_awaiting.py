"""
Coroutines that await what a connection owes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisReplyError
from sockhost.redis.slots import Slot


async def _awaiting(slot: Slot) -> Any:
    return await slot


class AwaitTests(SynchronousTestCase):
    """A slot is awaited as any Deferred is."""

    def setUp(self) -> None:
        self.slot = Slot(lambda slot: None)

    def test_before(self) -> None:
        """What is awaited before the reply has come gets it, whatever it is."""
        replies: tuple[Any, ...] = (b"reply", None, 0, [], False)
        for reply in replies:
            slot = Slot()
            waiting = Deferred.fromCoroutine(_awaiting(slot))
            self.assertNoResult(waiting)
            slot.settle(reply)
            self.assertEqual(self.successResultOf(waiting), reply)

    def test_afterwards(self) -> None:
        """What is awaited after the reply has come gets it at once, and again."""
        for reply in (b"reply", None, 0):
            slot = Slot()
            slot.settle(reply)
            for _ in range(2):
                waiting = Deferred.fromCoroutine(_awaiting(slot))
                self.assertEqual(self.successResultOf(waiting), reply)

    def test_error_before(self) -> None:
        """An error reply that comes later is raised where it is awaited."""
        waiting = Deferred.fromCoroutine(_awaiting(self.slot))
        self.slot.settle(RedisReplyError("ERR no"))
        self.failureResultOf(waiting, RedisReplyError)

    def test_error_afterwards(self) -> None:
        """An error reply that came before is raised, and is not logged."""
        self.slot.settle(RedisReplyError("ERR no"))
        waiting = Deferred.fromCoroutine(_awaiting(self.slot))
        self.failureResultOf(waiting, RedisReplyError)
        del self.slot
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_callback_in_between(self) -> None:
        """What a callback makes of a reply is what is awaited."""
        self.slot.addCallback(lambda reply: reply.decode())
        waiting = Deferred.fromCoroutine(_awaiting(self.slot))
        self.slot.settle(b"reply")
        self.assertEqual(self.successResultOf(waiting), "reply")

    def test_callback_that_waits(self) -> None:
        """What a callback waits for is waited for."""
        other: Deferred[str] = Deferred()
        self.slot.addCallback(lambda reply: other)
        waiting = Deferred.fromCoroutine(_awaiting(self.slot))
        self.slot.settle(b"reply")
        self.assertNoResult(waiting)
        other.callback("other")
        self.assertEqual(self.successResultOf(waiting), "other")

    def test_paused(self) -> None:
        """A fired slot whose callback waits is waited for."""
        other: Deferred[str] = Deferred()
        self.slot.settle(b"reply")
        self.slot.addCallback(lambda reply: other)
        waiting = Deferred.fromCoroutine(_awaiting(self.slot))
        self.assertNoResult(waiting)
        other.callback("other")
        self.assertEqual(self.successResultOf(waiting), "other")

    def test_cancelled(self) -> None:
        """Cancelling the coroutine cancels the slot, and its late reply is dropped."""
        waiting = Deferred.fromCoroutine(_awaiting(self.slot))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.slot.settle(b"late")
