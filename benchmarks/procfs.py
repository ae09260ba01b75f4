"""
What the kernel says of processes: who descends from whom, zombies, open
descriptors, memory.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from attrs import frozen


@frozen
class Process:
    """One line of the process table."""

    pid: int
    parent: int
    state: str
    name: str


def processes() -> Iterator[Process]:
    """Every process that can be seen."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError):
                yield _parse(Path(f"/proc/{entry}/stat").read_text())


def _parse(stat: str) -> Process:
    # The name may hold blanks and brackets of its own.
    head, _, tail = stat.rpartition(")")
    pid, _, name = head.partition(" (")
    state, parent, *_ = tail.split()
    return Process(int(pid), int(parent), state, name)


def descendants(pid: int) -> list[Process]:
    """The processes below one, zombies among them."""
    children = defaultdict(list)
    for process in processes():
        children[process.parent].append(process)
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += [process.pid for process in below]
    return found


def descriptors(pid: int) -> int:
    """How many descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid: int) -> int:
    """
    The bytes of memory that a process uses, what it shares with others counted
    in parts (PSS); 0 when it is gone.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
