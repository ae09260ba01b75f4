# -*- test-case-name: tests.workers.test_process -*-
"""
A worker's process as the host sees it: no child of its own, yet watched and
signalled through a pidfd, so that no other process can be taken for it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

REPORT_WAIT = 1.0
"""
Seconds that a prototype has to say how a worker ended after it ended.
"""


@frozen
class Ending:
    """
    How a worker ended.  Both are C{None} if nobody could tell.

    @ivar code: its exit code.
    @ivar signal: the number of the signal that ended it.
    """

    code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"was ended by {signal_name(self.signal)}"
        if self.code is not None:
            return f"exited with code {self.code}"
        return "ended together with its prototype"


def ending_of(result: os.waitid_result) -> Ending:
    """Make it from what C{waitid} says."""
    if result.si_code == os.CLD_EXITED:
        return Ending(code=result.si_status)
    return Ending(signal=result.si_status)


def signal_name(number: int) -> str:
    """Name a signal: C{"SIGKILL"}."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@implementer(IReadDescriptor)
class WorkerProcess:
    """
    One forked worker.  Its end is noticed by the pidfd; how it ended is what
    its prototype reports, if that comes in time.

    @ivar pid: its process id.
    """

    def __init__(
        self,
        reactor: Any,
        pid: int,
        pidfd: int,
        ended: Callable[[Ending], object],
    ) -> None:
        """
        @param pidfd: owned and closed here.
        @param ended: called once, when the process has ended and how is known
            or was waited for.
        """
        self.pid = pid
        self._reactor = reactor
        self._pidfd = pidfd
        self._ended = ended
        self._ending: Ending | None = None
        self._nobody_tells = False
        self._waiting: IDelayedCall | None = None
        reactor.addReader(self)

    def signal(self, number: int) -> None:
        """Send a signal.  One to a process that has ended has no effect."""
        if self._pidfd < 0:
            return
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            # It has ended, and the reactor is about to be told.
            return

    def reported(self, ending: Ending | None) -> None:
        """
        Hear from the prototype how the process ended.

        @param ending: C{None} if the prototype is gone and will not say.
        """
        self._ending = self._ending or ending
        self._nobody_tells = ending is None
        if self._pidfd < 0:
            self._finish()

    # -- what the reactor calls ---------------------------------------------

    def fileno(self) -> int:
        """The pidfd, or -1 when the process has ended."""
        return self._pidfd

    def logPrefix(self) -> str:
        """How the reactor names this in the log."""
        return f"worker process {self.pid}"

    def doRead(self) -> None:
        """The process has ended."""
        self._reactor.removeReader(self)
        self._ending = self._ending or _reap(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        if self._ending is not None or self._nobody_tells:
            self._finish()
        else:
            self._waiting = self._reactor.callLater(REPORT_WAIT, self._give_up)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives the descriptor up."""

    def _give_up(self) -> None:
        self._waiting = None
        self.reported(None)

    def _finish(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        ended, self._ended = self._ended, _ignore
        ended(self._ending or Ending())


def _reap(pidfd: int) -> Ending | None:
    # When its prototype is dead, a worker becomes the child of a host that is
    # a subreaper.  Otherwise it is none, and its prototype reaps it.
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    return None if result is None else ending_of(result)


def _ignore(_ending: Ending) -> None:
    pass
