# -*- test-case-name: tests.workers.test_latch -*-
"""
Waiting: for something that happens once, and not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime


class Latch:
    """
    Is open until it is closed, and then stays closed.

    @ivar closed: whether it has happened.
    """

    def __init__(self) -> None:
        self.closed = False
        self._waiting: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """
        Wait for it.

        @return: fires when it is closed, at once if it is.  Cancelling ends
            this waiting alone.
        """
        if self.closed:
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        return waiter

    def close(self) -> None:
        """It has happened.  Again: no effect."""
        self.closed = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)


@contextmanager
def time_limit(
    clock: IReactorTime,
    seconds: float | None,
    call: Callable[..., object],
    *args: object,
) -> Iterator[None]:
    """
    Call something if a block takes too long.

    @param seconds: how long is too long; C{None} for no limit.
    """
    late = None if seconds is None else clock.callLater(seconds, call, *args)
    try:
        yield
    finally:
        if late is not None and late.active():
            late.cancel()
