"""
Real hosts in processes of their own, for functional tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.control.client import ControlClient

reactor: Any = _reactor
REPOSITORY = Path(__file__).resolve().parents[2]

TWISTD = [str(Path(sys.executable).with_name("twistd"))]
SOCKHOST = [str(Path(sys.executable).with_name("sockhost"))]


class Running(ProcessProtocol):
    """
    A process of a test.

    @ivar output: all that it wrote to stdout and stderr so far.
    @ivar status: its exit code, or minus the signal that ended it.
    """

    def __init__(self) -> None:
        self.output = ""
        self.status: int | None = None
        self._waiting: list[tuple[str, Deferred[None]]] = []
        self._ended: list[Deferred[int]] = []

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.transport is not None
        pid = self.transport.pid
        assert isinstance(pid, int), "it has ended"
        return pid

    def childDataReceived(self, _fd: int, data: bytes) -> None:
        self.output += data.decode("utf-8", "replace")
        for text, waiting in list(self._waiting):
            if text in self.output:
                self._waiting.remove((text, waiting))
                waiting.callback(None)

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.status = -ended.signal if ended.signal else ended.exitCode
        for _, waiting in self._waiting:
            waiting.errback(
                AssertionError(f"it ended with {self.status}: {self.output}")
            )
        for each in self._ended:
            each.callback(self.status)

    def says(self, text: str) -> Deferred[None]:
        """Fires when it has written C{text}; fails if it ends before."""
        waiting: Deferred[None] = Deferred()
        if text in self.output:
            waiting.callback(None)
        elif self.status is not None:
            waiting.errback(AssertionError(f"{self.status}: {self.output}"))
        else:
            self._waiting.append((text, waiting))
        return waiting

    def ends(self) -> Deferred[int]:
        """Fires with the exit status when it has ended."""
        waiting: Deferred[int] = Deferred()
        if self.status is not None:
            waiting.callback(self.status)
        else:
            self._ended.append(waiting)
        return waiting

    def signal(self, name: str) -> None:
        """Send it a signal."""
        assert self.transport is not None
        self.transport.signalProcess(signal.Signals[f"SIG{name}"])


class HostCase(TestCase):
    """
    A directory for one host.

    @ivar directory: short enough for Unix sockets; removed after the test.
    """

    timeout = 100

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sockhost-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        # Last of all: whatever a killed host left running is ended.
        self.addCleanup(kill_marked, str(self.directory))
        self.run_dir = self.directory / "run"

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        fds: Mapping[int, int] | None = None,
    ) -> Running:
        """Start a process, which is killed if the test leaves it behind."""
        running = Running()
        child_fds: dict[int, Any] = {0: "w", 1: "r", 2: "r", **(fds or {})}
        reactor.spawnProcess(
            running,
            argv[0],
            list(argv),
            env={**os.environ, MARK: str(self.directory), **(env or {})},
            path=str(self.directory),
            childFDs=child_fds,
        )
        self.addCleanup(self._end, running)
        return running

    def _end(self, running: Running) -> Deferred[int]:
        with suppress(ProcessExitedAlready):
            running.signal("KILL")
        return running.ends()

    def twistd(self, *args: str, **how: Any) -> Running:
        """Start a host under C{twistd -n}."""
        return self.spawn(
            [*TWISTD, "-n", "sockhost", "--config", "sockhost.toml", *args], **how
        )

    def sockhost_run(self, *args: str, **how: Any) -> Running:
        """Start a host by C{sockhost run}."""
        return self.spawn([*SOCKHOST, "run", "--config", "sockhost.toml", *args], **how)

    async def ask(self, method: str, path: str) -> Any:
        """Ask the host's control API."""
        client = ControlClient(str(self.run_dir / "control.sock"), 20)
        return await deferToThread(client.request, method, path)

    async def cli(self, *args: str) -> tuple[int, str]:
        """Run the command line; get its status and output."""
        running = self.spawn([*SOCKHOST, *args])
        return await running.ends(), running.output

    async def unit(self, name: str) -> dict[str, Any]:
        """Get a unit's status."""
        found: dict[str, Any] = await self.ask("GET", f"/units/{name}")
        return found

    async def until(self, name: str, **wanted: Any) -> dict[str, Any]:
        """Wait until a unit's status is as wanted."""
        while True:
            status = await self.unit(name)
            if all(status[key] == value for key, value in wanted.items()):
                return status
            await pause(0.05)


MARK = "SOCKHOST_TEST_DIRECTORY"


def kill_marked(directory: str) -> None:
    """Kill all processes that a test's processes left behind, until none is."""
    while left := marked(directory):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # A test that counts processes may be the next.
        time.sleep(0.005)


def marked(directory: str) -> list[int]:
    """Name the processes that those of a test have started."""
    wanted = f"{MARK}={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def pause(seconds: float) -> Deferred[None]:
    """Let time pass."""
    return deferLater(reactor, seconds, lambda: None)


def state(pid: int) -> str:
    """The state of a process, as the kernel abbreviates it; C{X} if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "X"
    return stat.rpartition(")")[2].split()[0]


def alive(pid: int) -> bool:
    """Say whether a process exists and is no zombie."""
    return state(pid) not in ("Z", "X")


def children(pid: int) -> list[int]:
    """Name the processes whose parent is another one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def descendants(pid: int) -> list[int]:
    """Name all processes below one."""
    below = children(pid)
    return below + [each for child in below for each in descendants(child)]


async def gone(pids: Sequence[int]) -> None:
    """Wait until none of the processes runs any more."""
    while any(alive(pid) for pid in pids):
        await pause(0.05)


__all__ = [
    "REPOSITORY",
    "HostCase",
    "Running",
    "alive",
    "children",
    "descendants",
    "gone",
    "pause",
    "state",
]
