# -*- test-case-name: tests.redis.test_pulse -*-
"""
Whether the other side is still there: pings at an interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from sockhost.interfaces import RedisError


@define
class Pulse:
    """
    Pings at an interval, and says when a whole interval has passed after a ping
    without anything having been heard.  Anything counts, not only the answer:
    a long reply on its way is a sign of life too.

    @ivar held: C{True} while the other side is busy and would not answer: then
        there are no pings, and silence says nothing.
    @ivar silent: C{True} if nothing was heard since the last ping: to be set to
        C{False} with whatever is received.
    @ivar latency: seconds that the last answered ping took, or C{None}.
    """

    _clock: IReactorTime
    _interval: float
    _ping: Callable[[], Deferred[Any]]
    _stalled: Callable[[], object]
    held: bool = False
    latency: float | None = None
    silent: bool = False
    _call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to ping, the first time after one interval."""
        if self._interval > 0:
            self._call = self._clock.callLater(self._interval, self._beat)

    def stop(self) -> None:
        """End: no timer is left."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _beat(self) -> None:
        self._call = None
        if self.silent and not self.held:
            # A reactor that was busy has not read yet what has come meanwhile.
            self._call = self._clock.callLater(0, self._judge)
        else:
            self._go_on()

    def _judge(self) -> None:
        self._call = None
        if self.silent and not self.held:
            self._stalled()
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self.held:
            self.silent = False
            self.start()
            return
        self.silent = True
        self.start()
        sent = self._clock.seconds()
        self._ping().addCallbacks(self._answered, self._lost, callbackArgs=(sent,))

    def _answered(self, _reply: object, sent: float) -> None:
        self.latency = self._clock.seconds() - sent

    def _lost(self, failure: Failure) -> None:
        # An error reply is a sign of life, the end of the connection is told
        # to those who wait for it, and the next beat judges a late answer.
        failure.trap(RedisError)
