# -*- test-case-name: tests.processes.test_child -*-
"""
The calls to the kernel that a child is made of, in one place so that tests can
stand in for the kernel.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from resource import struct_rusage
from typing import Any, Protocol

from sockhost.processes.procfs import group_lives


class Process(Protocol):
    """What is used of a L{subprocess.Popen}."""

    pid: int
    returncode: int | None


class System(Protocol):
    """The kernel, as the spawner sees it.  Every method raises L{OSError}."""

    def popen(self, argv: Sequence[str], **options: Any) -> Process:
        """Execute a program as L{subprocess.Popen} does."""

    def watch(self, pid: int) -> int:
        """Make a descriptor that becomes readable when the process ends."""

    def reap(self, pid: int) -> tuple[int, struct_rusage] | None:
        """Take the wait status of a process that ended; C{None} if it has not."""

    def discard(self, pid: int) -> None:
        """Kill a process that nothing watches, and wait for its end."""

    def signal(self, pidfd: int, signum: int) -> None:
        """Send a signal to the very process that a descriptor stands for."""

    def signal_group(self, group: int, signum: int) -> None:
        """Send a signal to each process of a group."""

    def exists(self, pid: int) -> bool:
        """Say whether a process has this number, be it a zombie."""

    def group_lives(self, group: int) -> bool:
        """Say whether a process of the group runs, zombies not counted."""


class Linux:
    """The real kernel."""

    def popen(self, argv: Sequence[str], **options: Any) -> Process:
        """Execute a program, by vfork as long as no user or hook is given."""
        return subprocess.Popen(argv, **options)

    def watch(self, pid: int) -> int:
        """Open a pidfd; it is close-on-exec by itself."""
        return os.pidfd_open(pid)

    def reap(self, pid: int) -> tuple[int, struct_rusage] | None:
        """Wait without blocking, for the resource usage besides the status."""
        found, status, usage = os.wait4(pid, os.WNOHANG)
        return (status, usage) if found else None

    def discard(self, pid: int) -> None:
        """Kill and reap."""
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def signal(self, pidfd: int, signum: int) -> None:
        """Signal through the pidfd, which no other process can inherit."""
        signal.pidfd_send_signal(pidfd, signum)

    def signal_group(self, group: int, signum: int) -> None:
        """Signal the group."""
        os.killpg(group, signum)

    def exists(self, pid: int) -> bool:
        """Probe the number."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def group_lives(self, group: int) -> bool:
        """Look through /proc."""
        return group_lives(group)


_linux_is_a_system: System = Linux()
