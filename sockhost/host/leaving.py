# -*- test-case-name: tests.test_tap -*-
"""
Leaving a process that does not become a host, with a sentence on stderr.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from sockhost.host.exit import ExitStatus
from sockhost.interfaces import HostLocked, SockhostError


def leave(status: ExitStatus, message: str) -> NoReturn:
    """
    Say on stderr why there is no host.

    @raise SystemExit: always.
    """
    sys.stderr.write(f"sockhost: {message}\n")
    sys.stderr.flush()
    raise SystemExit(int(status))


def leave_unlocked(error: SockhostError | OSError) -> NoReturn:
    """
    Say why the run directory cannot be had.

    @raise SystemExit: always: 73 if another host has it, else 70.
    """
    if isinstance(error, HostLocked):
        leave(ExitStatus.LOCKED, str(error))
    if isinstance(error, SockhostError):
        leave(ExitStatus.STARTUP_FAILED, str(error))
    leave(ExitStatus.STARTUP_FAILED, f"cannot lock the run directory: {error}")
