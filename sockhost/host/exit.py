# -*- test-case-name: tests.host.test_exit -*-
"""
The exit statuses of a host, and how to leave the process with one.
"""

from __future__ import annotations

import atexit
import os
import sys
from enum import IntEnum


class ExitStatus(IntEnum):
    """
    Why a host ended.  The numbers are those of C{sysexits.h}.

    @cvar CLEAN: it was told to stop, or has nothing more to do.
    @cvar WAIT_FAILED: the C{wait} hook failed.
    @cvar USAGE: the command line is wrong.
    @cvar WATCHED_PID_GONE: the process of C{--watch-pid} has ended.
    @cvar STARTUP_FAILED: the C{startup} hook failed, or the run directory, the
        log directory or the control socket could not be made.
    @cvar LOCKED: another host holds the run directory.
    @cvar UNIT_FAILED: a unit of C{wait_for} failed.
    @cvar CONFIG: the configuration is bad.
    """

    CLEAN = 0
    WAIT_FAILED = 1
    USAGE = 64
    WATCHED_PID_GONE = 69
    STARTUP_FAILED = 70
    LOCKED = 73
    UNIT_FAILED = 75
    CONFIG = 78


def leave_with(status: int) -> None:
    """
    Have this process exit with C{status} when it next exits by itself.

    C{twistd} returns to the interpreter after the reactor has stopped, and the
    interpreter exits with 0; nothing that is raised meanwhile gets through
    (U{twisted#11335<https://github.com/twisted/twisted/issues/11335>}).  What is
    left is the last thing that an interpreter does: its exit functions.  The
    one registered last runs first, so this one runs all the others itself, and
    then leaves.
    """
    if status:
        atexit.register(_leave, status)


def _leave(status: int) -> None:
    atexit.unregister(_leave)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    os._exit(status)


def _flush(stream: object) -> None:
    try:
        stream.flush()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        # There is none, whoever read it is gone, or it was closed: there is
        # nobody to tell.
        return
