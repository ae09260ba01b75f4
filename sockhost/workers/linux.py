# -*- test-case-name: tests.workers.test_linux -*-
"""
What Linux offers to parents and children beyond the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """
    Have the kernel kill this process as soon as its parent dies.

    @param parent: the process id that the parent must have; if it is another
        one, the parent died before the kernel was told, and this process ends
        at once.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_PDEATHSIG): {os.strerror(number)}")
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def thread_count() -> int:
    """
    Count the threads of this process, those that Python does not know of
    included.
    """
    return len(os.listdir("/proc/self/task"))
