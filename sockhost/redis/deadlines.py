# -*- test-case-name: tests.redis.test_connection -*-
"""
How long the slots of a queue are waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.interfaces import CommandTimeout, RedisConnectionError
from sockhost.redis.line import Line
from sockhost.redis.slots import Slot

# The coarsest step of the timer, in seconds, and the part of a limit that it is.
COARSEST = 0.25
PART = 8


def _nothing() -> None:
    """Nobody wants to know."""


@define
class Deadlines:
    """
    One coarse timer for all slots: a timer for each costs more than the command
    itself.  It runs only while a slot has a limit.  A slot is given up between
    its limit and a quarter more, or half a second more if that is less.

    @ivar usual: seconds that a slot has unless something else is said; 0 for
        no limit.
    @ivar coming: when slots of the usual limit that are put in now expire, or 0
        if L{limit} must be asked, because the timer does not run.
    """

    _clock: IReactorTime
    usual: float
    _line: Line
    # Is called when slots were given up.
    _given_up: Callable[[], object] = _nothing
    coming: float = 0.0
    _call: IDelayedCall | None = None
    _grain: float = COARSEST

    def limit(self, slot: Slot, seconds: float) -> None:
        """Give a slot that many seconds; 0 for no limit."""
        if not seconds:
            return
        now = self._clock.seconds()
        slot.expires = now + seconds
        self._look_within(now, min(seconds / PART, COARSEST))

    def stop(self) -> None:
        """End: no timer is left."""
        call, self._call = self._call, None
        self.coming = 0.0
        if call is not None and call.active():
            call.cancel()

    def _look_within(self, now: float, grain: float) -> None:
        if self._call is None:
            self._tick(now, grain)
        elif grain < self._grain:
            self._call.cancel()
            self._tick(now, grain)

    def _tick(self, now: float, grain: float) -> None:
        self._grain = grain
        self._call = self._clock.callLater(grain, self._look)
        if self.usual:
            # Until the next tick nobody looks at the clock.
            self.coming = now + self.usual + grain

    def _look(self) -> None:
        self._call = None
        self.coming = 0.0
        now = self._clock.seconds()
        slots = self._line.slots
        late = [slot for slot in slots if slot.expires <= now and not slot.called]
        if late:
            self._expire(late)
            self._given_up()
        limits = [slot.expires for slot in slots if not slot.called]
        nearest = min(limits, default=inf)
        if nearest < inf:
            # What was fired may have limited others, for longer.
            left = max(nearest - now, 0.0)
            usual = min(self.usual / PART, COARSEST) if self.usual else COARSEST
            self._look_within(now, min(usual, max(left, 0.001)))

    def _expire(self, late: list[Slot]) -> None:
        # Firing one may end others, or have all bytes sent: what is told not to
        # have been sent must be out of reach by then.
        unsent = set(late) - self._line.sent()
        if unsent:
            self._line.drop(unsent)
        for slot in late:
            if slot.called:
                continue
            if slot in unsent:
                text = "not sent in the time that it was given"
                slot.errback(RedisConnectionError(text))
            else:
                slot.errback(CommandTimeout("no reply in the time that it was given"))
