# -*- test-case-name: tests.processes.test_procfs -*-
"""
What /proc says of processes and of their groups.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

_PROC = Path("/proc")


@frozen
class ProcessStat:
    """
    The part of C{/proc/PID/stat} that is used here.

    @ivar state: one letter; C{"Z"} is a zombie.
    @ivar start_time: clock ticks from boot to its start: with the boot's id and
        the pid it names one process for ever.
    """

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_time: int

    @property
    def lives(self) -> bool:
        """Whether it still runs: it is neither a zombie nor dead."""
        return self.state not in "ZXx"


def parse_stat(text: str) -> ProcessStat:
    """
    Parse the text of C{/proc/PID/stat}.

    @raise ValueError: it is none.
    """
    # The second field is the command in parentheses, and may itself contain
    # blanks and parentheses: only the last ")" is sure to end it.
    head, _, tail = text.rpartition(")")
    pid = head.split(" ", 1)[0]
    fields = tail.split()
    if len(fields) < 20:
        raise ValueError("not the text of /proc/PID/stat")
    return ProcessStat(
        pid=int(pid),
        state=fields[0],
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        start_time=int(fields[19]),
    )


def read_stat(pid: int) -> ProcessStat | None:
    """Describe a process, or return C{None} if there is none of this number."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text(errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def processes() -> Iterator[ProcessStat]:
    """Describe each process of the system, zombies too."""
    for name in os.listdir(_PROC):
        if name.isdigit():
            stat = read_stat(int(name))
            if stat is not None:
                yield stat


def group_members(group: int) -> list[ProcessStat]:
    """List the processes of a group that live."""
    return [stat for stat in processes() if stat.group == group and stat.lives]


def group_lives(group: int) -> bool:
    """
    Say whether a process of a group lives.

    C{killpg} alone cannot tell: it succeeds for zombies that nobody reaps, of
    which there are many where process 1 is not an init.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(group_members(group))


def boot_id() -> str:
    """The random name of this boot of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def environment_value(pid: int, name: str) -> str | None:
    """
    Look up a variable in the environment that a process was started with.

    @return: C{None} if it is not set, or may not be read.
    """
    try:
        block = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    prefix = os.fsencode(name) + b"="
    for entry in block.split(b"\0"):
        if entry.startswith(prefix):
            return os.fsdecode(entry[len(prefix) :])
    return None


def child_pids() -> list[int]:
    """List the children of this process, zombies too."""
    # Not every kernel is built with /proc/PID/task/TID/children.
    ours = os.getpid()
    return [stat.pid for stat in processes() if stat.parent == ours]
