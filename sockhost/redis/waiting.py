# -*- test-case-name: tests.redis.test_client -*-
"""
What waits for a connection, or for room on it: in order, and not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.redis.slots import Slot


@define
class Waiting:
    """
    What waits, the oldest first.

    @ivar late: makes the error for what has waited too long.
    """

    _clock: IReactorTime
    late: Callable[[], Exception]
    # When it is given up, its bytes, and the limit for its reply.
    _slots: dict[Slot, tuple[float, bytes, float | None]] = field(factory=dict)
    _call: IDelayedCall | None = None
    # How many commands they stand for, beyond one each.
    _beyond: int = 0

    def __len__(self) -> int:
        return len(self._slots) + self._beyond

    def add(
        self, slot: Slot, data: bytes, timeout: float | None, seconds: float
    ) -> None:
        """Let a slot wait for that many seconds."""
        until = self._clock.seconds() + seconds
        self._slots[slot] = (until, data, timeout)
        self._beyond += slot.beyond
        self._look_at(until)

    def withdraw(self, slot: Deferred[Any]) -> bool:
        """
        Let a slot go.

        @return: C{False} if it does not wait.
        """
        if self._slots.pop(slot, None) is None:  # type: ignore[call-overload]
            return False
        self._beyond -= slot.beyond  # type: ignore[attr-defined]
        return True

    def take(self) -> tuple[Slot, bytes, float | None] | None:
        """Take out what has waited longest, or C{None}."""
        for slot in self._slots:
            _, data, timeout = self._slots.pop(slot)
            self._beyond -= slot.beyond
            if not self._slots:
                self._stop()
            return slot, data, timeout
        return None

    def take_all(self) -> Iterator[Slot]:
        """Take out everything, in order, for it to be fired."""
        slots, self._slots, self._beyond = self._slots, {}, 0
        self._stop()
        for slot in slots:
            # Firing one may have cancelled another.
            if not slot.called:
                yield slot

    def _look_at(self, until: float) -> None:
        seconds = max(until - self._clock.seconds(), 0.0)
        if self._call is None:
            self._call = self._clock.callLater(seconds, self._expire)
        elif self._call.getTime() > until:
            self._call.reset(seconds)

    def _stop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _expire(self) -> None:
        self._call = None
        now = self._clock.seconds()
        late = [slot for slot, (until, *_) in self._slots.items() if until <= now]
        for slot in late:
            if self.withdraw(slot):
                slot.errback(self.late())
        nearest = min((until for until, *_ in self._slots.values()), default=None)
        # What was fired may have had others wait.
        if nearest is not None:
            self._look_at(nearest)
