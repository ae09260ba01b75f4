"""
What a unit leaves in the system, and waiting until something is there.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.processes.child import live_pids
from sockhost.processes.orphans import reap_all_orphans
from sockhost.testing.units import MemoryUnitHost

reactor: Any = _reactor


def short_directory(case: TestCase) -> Path:
    """Make a directory whose name is short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="sockhost-"))
    case.addCleanup(shutil.rmtree, directory, ignore_errors=True)
    return directory


def system_host(case: TestCase) -> MemoryUnitHost:
    """A host for one unit, with the real reactor."""
    return MemoryUnitHost(str(short_directory(case)), reactor=reactor)


def traces(directory: str) -> Callable[[], object]:
    """Look at what a unit could leave: descriptors, processes, files."""

    def look() -> object:
        found = [path for path in Path(directory).rglob("*") if path.is_socket()]
        pids = Path(directory, "pids")
        notes = sorted(pids.iterdir()) if pids.exists() else []
        reap_all_orphans(live_pids)
        return descriptors(), children(), found, notes

    return look


def without_collector(case: SynchronousTestCase) -> None:
    """
    Have the collector of garbage close nothing during a test that counts what is
    open: neither what earlier tests have left to it, nor what this one leaks.
    """
    gc.collect()
    gc.disable()
    case.addCleanup(gc.enable)


def descriptors() -> list[str]:
    """What the descriptors of this process lead to, without the numbers."""
    # An exception may still hold the frame in which a socket was made.
    gc.collect()
    links = []
    for name in os.listdir("/proc/self/fd"):
        # The one that lists this directory is closed by now.
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{name}").split(":")[0])
    return sorted(links)


def children() -> list[str]:
    """The processes that this one has started, zombies among them."""
    me = os.getpid()
    found = []
    for task in Path(f"/proc/{me}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += (task / "children").read_text().split()
    return sorted(found)


def can_connect(path: str) -> bool:
    """Say whether somebody listens."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
        return True


async def until(wanted: Callable[[], bool]) -> None:
    """Wait until something is the case."""
    while not wanted():
        await deferLater(reactor, 0.01)


async def grown(log: str) -> None:
    """Wait until a file has grown."""

    def size() -> int:
        return os.path.getsize(log) if os.path.exists(log) else 0

    before = size()
    await until(lambda: size() > before)


def import_apart(case: TestCase) -> None:
    """Let what the test imports be forgotten."""
    paths, modules = list(sys.path), set(sys.modules)

    def forget() -> None:
        sys.path[:] = paths
        for name in set(sys.modules) - modules:
            if name.startswith("contract_handler"):
                del sys.modules[name]

    case.addCleanup(forget)
