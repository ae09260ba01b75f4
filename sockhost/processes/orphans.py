# -*- test-case-name: tests.processes.test_orphans -*-
"""
Burying grandchildren: processes whose own parent died, and which the kernel
gave to this host because it is a subreaper (or process 1).

A child that somebody in this process waits for must never be reaped here: its
exit status would be lost to them.  So none is reaped that is registered by a
spawner of ours or by Twisted, and none that is in the session of this process,
where the children of other libraries are.  A child that a foreign library put
in a session of its own cannot be told from an orphan.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Container, Iterable
from types import FrameType
from typing import Any

from attrs import define
from twisted.internet import process as twisted_process
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorFromThreads,
    IReactorTime,
)
from twisted.logger import Logger

from sockhost.processes.child import live_pids
from sockhost.processes.procfs import child_pids, read_stat

_PR_SET_CHILD_SUBREAPER = 36
_PEEK = os.WEXITED | os.WNOHANG | os.WNOWAIT


class IOrphanReactor(IReactorFromThreads, IReactorTime):
    """What burying orphans needs of a reactor."""


def become_subreaper(enabled: bool = True) -> None:
    """
    Have the kernel give this process its descendants whose parents die.

    @raise OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(enabled), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def reap_orphans(known: Container[int]) -> list[tuple[int, int]]:
    """
    Reap the orphans that have ended, as far as the first child that ended and
    is not ours to reap.

    @param known: the children that somebody waits for.
    @return: process id and wait status of each that was reaped.
    """
    reaped: list[tuple[int, int]] = []
    while (pid := _first_zombie()) is not None and is_orphan(pid, known):
        reaped.append(os.waitpid(pid, 0))
    return reaped


def reap_all_orphans(known: Container[int]) -> list[tuple[int, int]]:
    """
    Reap every orphan that has ended, wherever it stands among the children.
    Costs a look at each child, so L{reap_orphans} is tried first.
    """
    return [
        result
        for result in map(_reap_if_ended, _orphans(child_pids(), known))
        if result is not None
    ]


def is_orphan(pid: int, known: Container[int]) -> bool:
    """Say whether a child is nobody's, so that it may be reaped here."""
    if pid in known or pid in twisted_process.reapProcessHandlers:
        return False
    stat = read_stat(pid)
    return stat is not None and stat.session != os.getsid(0)


def _orphans(pids: Iterable[int], known: Container[int]) -> list[int]:
    return [pid for pid in pids if is_orphan(pid, known)]


def _first_zombie() -> int | None:
    try:
        result = os.waitid(os.P_ALL, 0, _PEEK)
    except ChildProcessError:
        return None
    return None if result is None else result.si_pid


def _reap_if_ended(pid: int) -> tuple[int, int] | None:
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return (found, status) if found else None


@define(eq=False)
class OrphanReaper:
    """
    Reaps orphans as they end, between L{install} and L{uninstall}.

    @ivar blocked_delay: seconds after which all children are looked through if
        one that is not ours to reap stood in the way.
    """

    _log = Logger()

    _reactor: IOrphanReactor
    blocked_delay: float = 0.1
    _previous: Callable[[int, FrameType | None], Any] | int | None = None
    _installed: bool = False
    _later: IDelayedCall | None = None

    def install(self) -> None:
        """
        Begin.  Call it in the main thread, when the reactor has installed its
        own signal handlers; the handler that is there is called as before.
        """
        self._previous = signal.signal(signal.SIGCHLD, self._child_ended)
        signal.siginterrupt(signal.SIGCHLD, False)
        self._installed = True
        self.sweep()

    def uninstall(self) -> None:
        """End it, and restore the handler that was there, if ours still is."""
        if not self._installed:
            return
        self._installed = False
        if signal.getsignal(signal.SIGCHLD) == self._child_ended:
            signal.signal(signal.SIGCHLD, self._previous or signal.SIG_DFL)
            signal.siginterrupt(signal.SIGCHLD, False)
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def sweep(self) -> None:
        """Reap what can be reaped now."""
        if not self._installed:
            return
        self._note(reap_orphans(live_pids))
        if self._later is None and _first_zombie() is not None:
            self._later = self._reactor.callLater(self.blocked_delay, self._sweep_all)

    def _sweep_all(self) -> None:
        self._later = None
        self._note(reap_all_orphans(live_pids))

    def _child_ended(self, signum: int, frame: FrameType | None) -> None:
        if callable(self._previous):
            self._previous(signum, frame)
        self._reactor.callFromThread(self.sweep)

    def _note(self, reaped: list[tuple[int, int]]) -> None:
        for pid, status in reaped:
            self._log.debug("orphan {pid} ended ({status})", pid=pid, status=status)
