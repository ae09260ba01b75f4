# -*- test-case-name: tests.redis.test_slot_firing -*-
"""
Tests for how L{sockhost.redis.slots.Slot} fires: as every Deferred does.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import (
    AlreadyCalledError,
    CancelledError,
    Deferred,
    fail,
    succeed,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.slots import Slot, short_way_known

RETURNS = ("none", "value", "raise", "fired", "failed", "waits", "adds", "failure")
STEPS = st.lists(st.sampled_from(RETURNS), max_size=5)
BEFORE = st.sampled_from(("nothing", "paused", "cancelled", "chained"))


def no_canceller(_deferred: Deferred[Any]) -> None:
    """Nothing has to be done to cancel this."""


class Program:
    """
    Something done to a Deferred, and what can be seen of it.

    @ivar seen: what its callbacks were given, in order.
    """

    def __init__(self, deferred: Deferred[Any], late: Deferred[Any]) -> None:
        self.deferred = deferred
        self.late = late
        self.seen: list[object] = []

    def note(self, name: object, result: object) -> None:
        """Take note of what a callback was given."""
        told = result.type if isinstance(result, Failure) else result
        self.seen.append((name, told))

    def add(self, name: object, what: str) -> None:
        """Add a callback."""

        def called(result: Any) -> Any:
            self.note(name, result)
            return self.act(name, what)

        self.deferred.addBoth(called)

    def act(self, name: object, what: str) -> Any:
        """Do what a callback does at its end."""
        if what == "raise":
            raise ZeroDivisionError(name)
        if what == "adds":
            self.add((name, "added"), "value")
        results: dict[str, Callable[[], Any]] = {
            "value": lambda: name,
            "fired": lambda: succeed(name),
            "failed": lambda: fail(KeyError(name)),
            "waits": lambda: self.late,
            "failure": lambda: Failure(ValueError(name)),
        }
        return results[what]() if what in results else None

    def run(self, steps: list[str], before: str, value: Any, after: list[str]) -> None:
        """Add callbacks, fire, add more."""
        for number, what in enumerate(steps):
            self.add(number, what)
        outer: Deferred[Any] = Deferred()
        if before == "paused":
            self.deferred.pause()
        elif before == "cancelled":
            self.deferred.cancel()
        elif before == "chained":
            outer.addBoth(lambda _: self.deferred)
            outer.callback(None)
            outer.addBoth(lambda result: self.note("outer", result))
        try:
            self.deferred.callback(value)
        except AlreadyCalledError:
            self.seen.append("called already")
        if before == "paused":
            self.deferred.unpause()
        for number, what in enumerate(after, 100):
            self.add(number, what)
        self.late.callback("late")
        self.note("left", getattr(self.deferred, "result", "no result"))
        for each in (self.deferred, outer):
            each.addErrback(lambda _: None)


class FiringTests(SynchronousTestCase):
    """Callbacks of a slot see what those of any Deferred see."""

    @given(STEPS, BEFORE, st.sampled_from((None, b"value")), STEPS)
    def test_like_a_deferred(
        self, steps: list[str], before: str, value: Any, after: list[str]
    ) -> None:
        """Whatever is done to it, and whatever its callbacks do."""
        plain = Program(Deferred(no_canceller), Deferred())
        slot = Program(Slot(no_canceller), Deferred())
        for each in (plain, slot):
            each.run(steps, before, value, after)
        self.assertEqual(slot.seen, plain.seen)

    def test_twice(self) -> None:
        """Nobody fires it twice."""
        slot = Slot(no_canceller)
        slot.addCallback(lambda _: None)
        slot.callback(1)
        self.assertRaises(AlreadyCalledError, slot.callback, 2)

    def test_result_while_called(self) -> None:
        """What it was fired with can be looked up by its callback."""
        slot = Slot(no_canceller)
        results: list[object] = []
        slot.addCallback(lambda _: results.append(slot.result))
        slot.callback(b"value")
        self.assertEqual((results, slot.result), ([b"value"], None))

    def test_within(self) -> None:
        """A callback that is added within one is called after it."""
        slot = Slot(no_canceller)
        order: list[str] = []

        def first(_result: object) -> None:
            slot.addCallback(lambda _: order.append("second"))
            order.append("first")

        slot.addCallback(first)
        slot.callback(b"value")
        self.assertEqual(order, ["first", "second"])

    def test_unhandled(self) -> None:
        """What a callback raises and nobody handles is logged at the end."""
        slot = Slot(no_canceller)
        slot.addCallback(lambda _: 1 // 0)
        slot.callback(b"value")
        del slot
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cancel_in_callback(self) -> None:
        """A coroutine that is cancelled while it waits ends with that."""
        slot = Slot(no_canceller)

        async def wait() -> Any:
            return await slot

        waiting = Deferred.fromCoroutine(wait())
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_exit(self) -> None:
        """What ends the process is a failure here, as for any Deferred."""
        slot = Slot(no_canceller)

        def leave(_result: object) -> None:
            raise SystemExit(3)

        slot.addCallback(leave)
        slot.callback(b"value")
        self.failureResultOf(slot, SystemExit)

    def test_known(self) -> None:
        """The short way is taken with this Twisted, and not with an unknown one."""
        self.assertIn("callback", vars(Slot))
        self.assertTrue(short_way_known(Deferred()))
        self.assertFalse(short_way_known(object()))
