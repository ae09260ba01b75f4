# -*- test-case-name: tests.redis.test_ending -*-
"""
The end of a connection: when it comes at the latest, and who is told of it.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.interfaces import RedisConnectionError, RedisError


@define
class Ending:
    """
    Limits how long a connection takes to close, and tells when it has ended.

    @ivar over: C{True} once it has.
    """

    _clock: IReactorTime
    _abort: Callable[[RedisError], object]
    # Closes it, if nothing is owed.
    _look: Callable[[], object]
    over: bool = False
    _reason: RedisError | None = None
    _waiting: list[Deferred[RedisError | None]] = field(factory=list)
    _call: IDelayedCall | None = None
    _looking: IDelayedCall | None = None

    def limit(self, timeout: float) -> None:
        """Abort after so many seconds, or when it was said before, if sooner."""
        call = self._call
        if call is not None:
            if not call.active() or call.getTime() <= self._clock.seconds() + timeout:
                return
            call.cancel()
        late = RedisConnectionError(f"not drained within {timeout} s")
        self._call = self._clock.callLater(timeout, self._abort, late)

    def look_soon(self) -> None:
        """
        See in the next turn, once for all that was given up until then, whether
        that was the last thing that it is not closed for.
        """
        if self._call is not None and self._looking is None and not self.over:
            self._looking = self._clock.callLater(0, self._look_now)

    def _look_now(self) -> None:
        self._looking = None
        self._look()

    def when(self) -> Deferred[RedisError | None]:
        """Fires when it has ended, with the reason."""
        if self.over:
            return succeed(self._reason)
        waiting: Deferred[RedisError | None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def stop(self) -> None:
        """It is ending: no timer is left."""
        calls, self._call, self._looking = (self._call, self._looking), None, None
        for call in calls:
            if call is not None and call.active():
                call.cancel()

    def tell(self, reason: RedisError | None) -> None:
        """It has ended."""
        self.over = True
        self._reason = reason
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(reason)
