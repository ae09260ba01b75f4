"""
A socket unit with real workers, for the functional tests of them.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.config import RestartPolicy, UnitConfig
from sockhost.processes.child import live_pids
from sockhost.processes.orphans import become_subreaper, reap_all_orphans
from sockhost.sockets.blocking import BlockingClient
from sockhost.workers.pool import WorkerSocketUnit
from tests.workers.hosts import socket_unit

reactor: Any = _reactor


HANDLER = """
import os
{top}

class Handler:
    def __init__(self, host):
        self.host = host
    def startup(self):
        {startup}
    def shutdown(self):
        print("shutdown of", os.getpid())
    def received(self, client, frame):
        {received}
"""


def handler(
    top: str = "",
    startup: str = 'print("startup of", os.getpid())',
    received: str = "return str(os.getpid()).encode()",
) -> str:
    """Make the source of a module with a handler."""
    return HANDLER.format(top=top, startup=startup, received=received)


def alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descriptors(pid: int) -> list[str]:
    """List what the descriptors of a process lead to, without the numbers."""
    # What an earlier test left to the collector may go at any time.
    gc.collect()
    directory, links = f"/proc/{pid}/fd", []
    for name in os.listdir(directory):
        # The one that lists this directory is closed by now.
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"{directory}/{name}").split(":")[0])
    return sorted(links)


def title(pid: int) -> str:
    """Get the title of a process."""
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().rstrip("\0")


def inherit_orphans(case: TestCase) -> None:
    """Get the workers of dead prototypes, as a host does, until a test ends."""

    def no_more() -> None:
        become_subreaper(False)
        reap_all_orphans(live_pids)

    become_subreaper()
    case.addCleanup(no_more)


class WorkerCase(TestCase):
    """
    A unit with real workers.
    """

    timeout = 100

    def setUp(self) -> None:
        """Make a directory, and a module name that was never imported."""
        inherit_orphans(self)
        # A path in the directory of trial may be too long for a Unix socket.
        self.directory = tempfile.mkdtemp(prefix="sockhost-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.losses: list[Failure] = []
        self.units: list[WorkerSocketUnit] = []
        self.write(handler())

    def tearDown(self) -> Deferred[None]:  # type: ignore[override]
        """Stop what runs, and see that nothing is left."""
        return Deferred.fromCoroutine(self._tear_down())

    async def _tear_down(self) -> None:
        for unit in self.units:
            status: Any = unit.status()
            pids = [status["prototype"]["pid"]]
            pids += [worker["pid"] for worker in status["workers"]]
            await unit.stop()
            self.assertEqual([pid for pid in pids if pid and alive(pid)], [])
        self.assertFalse(os.path.exists(self.path("kv.sock")))

    def path(self, name: str) -> str:
        """Make a path in the directory of this test."""
        return os.path.join(self.directory, name)

    def write(self, source: str) -> None:
        """Write the module of the handler."""
        with open(self.path("plugged.py"), "w") as file:
            file.write(source)

    def log(self) -> str:
        """Read what the workers have written."""
        with open(self.path("kv.log")) as file:
            return file.read()

    def make(
        self, workers: int = 2, start_timeout: float = 60.0, **keys: Any
    ) -> WorkerSocketUnit:
        """Make a unit, to be stopped at the end."""
        host, config = socket_unit(
            reactor,
            self.directory,
            handler="plugged:Handler",
            workers=workers,
            **keys,
        )
        host.units["kv"] = UnitConfig(
            name="kv",
            kind="socket",
            own=config,
            table={},
            policy=RestartPolicy(start_timeout=start_timeout),
        )
        self.unit = WorkerSocketUnit("kv", config, host)
        self.units.append(self.unit)
        return self.unit

    async def up(self, workers: int = 2, **keys: Any) -> WorkerSocketUnit:
        """Make a unit and start it."""
        unit = self.make(workers, **keys)
        await unit.start(self.losses.append)
        return unit

    def workers(self) -> dict[int, int]:
        """Get the process ids of the workers that are up, by their places."""
        status: Any = self.unit.status()
        return {
            worker["index"]: worker["pid"]
            for worker in status["workers"]
            if worker["state"] == "up"
        }

    def prototype(self) -> Any:
        """Get the process id of the prototype, or C{None}."""
        status: Any = self.unit.status()
        return status["prototype"]["pid"]

    async def ask(self, question: bytes = b"?") -> bytes:
        """Connect, ask, and get the answer."""
        return await deferToThread(self._ask, question)

    def _ask(self, question: bytes) -> bytes:
        with BlockingClient(self.path("kv.sock"), timeout=30) as client:
            return client.request(question)

    async def until(self, condition: Callable[[], bool], seconds: float = 40) -> None:
        """Wait for something to come true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail(f"not so after {seconds} s; {self.unit.status()}")
            await deferLater(reactor, 0.01)
