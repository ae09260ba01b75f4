# -*- test-case-name: tests.redis.test_lifetime -*-
"""
What waits for better times, and ends with the client.
"""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sockhost.interfaces import RedisConnectionError

_T = TypeVar("_T")


@define(eq=False)
class Lifetime:
    """
    Knows whether a client was closed by its user, after which no time is better
    than now, and fails what waits when it is.

    @ivar over: C{True} from then until L{begin}.
    """

    _clock: IReactorTime
    over: bool = False
    _waiting: dict[Deferred[Any], None] = field(factory=dict)

    def pause(self, seconds: float) -> Deferred[None]:
        """
        Wait for a time.

        @return: fails with L{RedisConnectionError} when the client is closed,
            at once if it is.
        """
        pausing: Deferred[None] = deferLater(self._clock, seconds)
        return self.hold(pausing)

    def hold(self, waiting: Deferred[_T]) -> Deferred[_T]:
        """
        Have something else that waits, and that can be cancelled, fail in the
        same way.
        """
        if not self.over:
            self._waiting[waiting] = None
        waiting.addBoth(self._done, waiting)
        if self.over:
            waiting.cancel()
        return waiting

    def end(self) -> None:
        """The client is closed."""
        self.over = True
        waiting, self._waiting = self._waiting, {}
        for each in waiting:
            each.cancel()

    def begin(self) -> None:
        """It is used again."""
        self.over = False

    def _done(self, result: Any, waiting: Deferred[Any]) -> Any:
        held = waiting in self._waiting
        self._waiting.pop(waiting, None)
        if not held and isinstance(result, Failure) and result.check(CancelledError):
            raise RedisConnectionError("the client is closed")
        return result
