# -*- test-case-name: tests.keeper.test_turns -*-
"""
Who waits for a unit, and what waits for its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger


class Waiters:
    """Deferreds that fire together."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def make(self) -> Deferred[None]:
        """Make one that does not wait yet.  Cancelling it takes it out."""
        return Deferred(self._cancelled)

    def add(self, waiter: Deferred[None]) -> None:
        """Have one wait from now on, unless it was cancelled."""
        if not waiter.called:
            self._waiting.append(waiter)

    def fire(self) -> None:
        """Fire all that wait now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)

    def fail(self, error: Exception) -> None:
        """Fail all that wait now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.errback(error)

    def _cancelled(self, waiter: Deferred[None]) -> None:
        # One that is not there was cancelled before its turn, or by another
        # that has just fired.
        if waiter in self._waiting:
            self._waiting.remove(waiter)


class Mailbox:
    """
    Handles one thing at a time, in order: what arrives while another is being
    handled waits for it to be complete.  A unit may answer from within the call
    that asked it, and whoever watches a keeper may call it back.

    One that raises is logged, and the others have their turn all the same.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = False

    def post(self, action: Callable[[], None]) -> None:
        """Call C{action} now, or as soon as it is its turn."""
        self._waiting.append(action)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self._handle(self._waiting.popleft())
        finally:
            self._busy = False

    def _handle(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            self._log.failure("a keeper met a defect")
