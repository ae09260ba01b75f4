# -*- test-case-name: tests.redis.test_deadlines -*-
"""
How long the slots of a queue are waited for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.redis.slots import Slot

# The coarsest step of the timer, in seconds, and the part of a limit that it
# may be late by.
COARSEST = 0.25
PART = 4


@define
class Deadlines:
    """
    One coarse timer for all slots: a timer for each costs more than the command
    itself.  It runs only while a slot has a limit.
    """

    _clock: IReactorTime
    _queue: Callable[[], deque[Slot]]
    _expired: Callable[[list[Slot], float], object]
    _call: IDelayedCall | None = None
    _grain: float = COARSEST

    def limit(self, slot: Slot, seconds: float) -> None:
        """Give a slot that many seconds, and up to a quarter more."""
        slot.expires = self._clock.seconds() + seconds
        grain = seconds / PART
        if self._call is None:
            self._grain = min(grain, COARSEST)
            self._call = self._clock.callLater(self._grain, self._look)
        elif grain < self._grain:
            self._grain = grain
            if self._call.getTime() > self._clock.seconds() + grain:
                self._call.reset(grain)

    def stop(self) -> None:
        """End: no timer is left."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _look(self) -> None:
        self._call = None
        now = self._clock.seconds()
        queue = self._queue()
        late = [slot for slot in queue if slot.expires <= now and not slot.called]
        if late:
            self._expired(late, now)
        self._again()

    def _again(self) -> None:
        # What was fired may have limited others, or ended everything.
        limited = [slot.expires for slot in self._queue() if not slot.called]
        nearest = min(limited, default=inf)
        if nearest < inf and self._call is None:
            left = nearest - self._clock.seconds()
            self._grain = COARSEST
            delay = min(max(left, 0.001), COARSEST)
            self._call = self._clock.callLater(delay, self._look)
