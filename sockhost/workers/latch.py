# -*- test-case-name: tests.workers.test_latch -*-
"""
Something that happens once, and that many may wait for.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed


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
