"""
A host with one socket, and ways to look at its process: what the tests for the
known defects of C{sock_daemon} have in common.
"""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from sockhost.sockets.blocking import BlockingClient
from tests.functional.hosts import HostCase, Running, pause

HANDLERS = """
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from sockhost.interfaces import Refused

HERE = Path(__file__).parent


def note(*words):
    with open(HERE / "notes", "a") as notes:
        print(*words, file=notes, flush=True)


class Echo:
    def __init__(self, host, slow=False, refuse=False):
        self.slow = slow
        self.refuse = refuse

    def connected(self, client):
        if self.refuse:
            raise Refused("nobody")

    def received(self, client, frame):
        if frame == b"raise":
            raise RuntimeError("asked to")
        if frame == b"never":
            return Deferred()
        if frame == b"empty":
            client.send(b"")
            return b""
        return frame

    async def shutdown(self):
        note("handler shutdown begins")
        if self.slow:
            await deferLater(reactor, 0.5)
        note("handler shutdown ends")


class SlowShutdown:
    async def shutdown(self):
        note("shutdown begins")
        try:
            await deferLater(reactor, 1.0)
        finally:
            note("shutdown ends")

    def wait(self):
        note("wait")
        return Deferred()


class SlowStartup(SlowShutdown):
    async def startup(self):
        note("startup begins")
        await deferLater(reactor, 60.0)
        note("startup ends")


class FailingStartup:
    def startup(self):
        raise RuntimeError("no luck")
"""


def configuration(lifecycle: str = "", keys: str = "", more: str = "") -> str:
    """A host with one socket."""
    host = f'lifecycle = "handlers:{lifecycle}"' if lifecycle else ""
    return f"""
[host]
{host}
[unit.kv]
kind = "socket"
path = "{{run_dir}}/kv.sock"
handler = "handlers:Echo"
{keys}
{more}
"""


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def descriptors_of(pid: int) -> list[str]:
    """What the descriptors of a process are."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return sorted(found)


class DefectCase(HostCase):
    """A host with one socket."""

    timeout = 100

    def setUp(self) -> None:
        super().setUp()
        self.write("handlers.py", HANDLERS)
        self.socket = self.run_dir / "kv.sock"

    async def start(self, *args: str, **parts: str) -> Running:
        """Start a host, and wait until it is ready."""
        self.write("sockhost.toml", configuration(**parts))
        running = self.twistd(*args)
        await running.says("ready; steer it")
        return running

    def raw(self) -> socket.socket:
        """Connect a client that speaks bytes."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.settimeout(30)
        raw.connect(str(self.socket))
        return raw

    async def request(self, payload: bytes) -> bytes:
        """Connect, ask, disconnect."""

        def ask() -> bytes:
            with BlockingClient(str(self.socket), timeout=30) as client:
                return client.request(payload)

        return await deferToThread(ask)

    async def served(self) -> None:
        """A new client is served."""
        self.assertEqual(await self.request(b"served?"), b"served?")

    async def stopped(self, running: Running) -> None:
        """The host ends well."""
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)

    def notes(self) -> list[str]:
        """What was noted."""
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    async def noted(self, note: str) -> None:
        """Wait for a note."""
        while note not in self.notes():
            await pause(0.02)

    @contextmanager
    def startup_pipe(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """A pipe for C{--startup-fd}: its reading end, and how to spawn with it."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        try:
            yield reading, {"fds": {9: writing}}
        finally:
            os.close(writing)


def read(raw: socket.socket, size: int) -> bytes:
    """Read so many bytes."""
    got = b""
    while len(got) < size:
        got += raw.recv(size - len(got))
    return got


def read_all(raw: socket.socket) -> bytes:
    """Read to the end."""
    got = b""
    while data := raw.recv(65536):
        got += data
    return got
