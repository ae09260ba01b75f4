"""
What the kernel says of processes: who descends from whom, zombies, open
descriptors, memory.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
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
    """
    How many descriptors a process holds.  A log that is open once does not
    count: it is opened when there is something to write, and stays.
    """
    held: Counter[str] = Counter()
    for number in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            held[os.readlink(f"/proc/{pid}/fd/{number}")] += 1
    once = [path for path in held if path.endswith(".log") and held[path] == 1]
    return held.total() - len(once)


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
