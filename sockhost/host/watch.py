# -*- test-case-name: tests.host.test_watch -*-
"""
Watching a process that the host is to live no longer than.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorFDSet,
    IReactorTime,
    IReadDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

FIRST_CHECK = 1.0
CHECK_EVERY = 5.0


class IWatchReactor(IReactorTime, IReactorFDSet):
    """What watching needs of the reactor."""


@implementer(IReadDescriptor)
class PidWatch:
    """
    Calls back when a process has ended.

    A pidfd says so at once and cannot mistake another process for it.  Where
    the system gives none, the process is looked for after 1 second and then
    every 5.  A zombie counts as ended with a pidfd only.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IWatchReactor,
        pid: int,
        gone: Callable[[], None],
        pidfd_open: Callable[[int], int] = os.pidfd_open,
        kill: Callable[[int, int], None] = os.kill,
    ) -> None:
        self._reactor = reactor
        self._pid = pid
        self._gone = gone
        self._pidfd_open = pidfd_open
        self._kill = kill
        self._fd: int | None = None
        self._check: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to watch.  A process that does not, or cannot, exist has ended."""
        try:
            self._fd = self._pidfd_open(self._pid)
        except (ProcessLookupError, OverflowError):
            self._end()
        except OSError as error:
            self.log.info(
                "no pidfd for process {pid} ({error}); looking for it instead",
                pid=self._pid,
                error=str(error),
            )
            self._check = self._reactor.callLater(FIRST_CHECK, self._look)
        else:
            self._reactor.addReader(self)

    def stop(self) -> None:
        """Watch no longer."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        if self._fd is not None:
            self._reactor.removeReader(self)
            fd, self._fd = self._fd, None
            os.close(fd)

    def _look(self) -> None:
        self._check = None
        try:
            self._kill(self._pid, 0)
        except ProcessLookupError:
            self._end()
            return
        except PermissionError:
            # It exists, and is somebody else's.
            pass
        self._check = self._reactor.callLater(CHECK_EVERY, self._look)

    def _end(self) -> None:
        self.stop()
        self.log.warn("process {pid} is gone", pid=self._pid)
        self._gone()

    # -- IReadDescriptor ----------------------------------------------------

    def fileno(self) -> int:
        return -1 if self._fd is None else self._fd

    def logPrefix(self) -> str:
        return "pid watch"

    def doRead(self) -> None:
        self._end()

    def connectionLost(self, reason: Failure) -> None:
        self.stop()
