"""
A host with a socket, and with hooks and a handler that note what becomes of them:
what the tests for C{sock_daemon}'s contract have in common.
"""

from __future__ import annotations

from sockhost.sockets.blocking import BlockingClient
from tests.functional.hosts import HostCase, Running, pause

HOOKS = '''
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import succeed
from twisted.internet.task import deferLater

HERE = Path(__file__).parent
SOCKET = HERE / "run" / "kv.sock"


def note(*words):
    with open(HERE / "notes", "a") as notes:
        print(*words, file=notes, flush=True)


class Sync:
    """The hooks of sock_daemon, by plain functions."""

    reconfigured = reopened = 0

    def startup(self):
        note("startup", SOCKET.exists(), os.getpid())

    def reconfigure(self):
        self.reconfigured += 1
        if self.reconfigured == 1:
            note("reconfigure fails")
            raise RuntimeError("reconfigure one")
        note("reconfigure")

    def reopen_logs(self):
        self.reopened += 1
        if self.reopened == 1:
            note("reopen_logs fails")
            raise RuntimeError("reopen one")
        note("reopen_logs")

    def shutdown(self):
        note("shutdown", SOCKET.exists(), (HERE / "run" / "sockhost.pid").exists())


class Async(Sync):
    """The same, by coroutines."""

    async def startup(self):
        await deferLater(reactor, 0.01)
        super().startup()

    async def reconfigure(self):
        await deferLater(reactor, 0.01)
        super().reconfigure()

    async def reopen_logs(self):
        await deferLater(reactor, 0.01)
        super().reopen_logs()

    async def shutdown(self):
        await deferLater(reactor, 0.01)
        super().shutdown()


class StartupFails(Sync):
    def startup(self):
        raise RuntimeError("startup one")


class StartupFailsLater(Sync):
    async def startup(self):
        await deferLater(reactor, 0.01)
        raise RuntimeError("startup two")


class Waits(Sync):
    """Is done at once."""

    def wait(self):
        note("wait", SOCKET.is_socket())
        return succeed(None)


class WaitsAWhile(Sync):
    """Is done after two seconds; it was ten, which shows no more."""

    async def wait(self):
        note("wait")
        await deferLater(reactor, 2)
'''

HANDLERS = '''
import struct
from pathlib import Path

from sockhost.interfaces import Refused

HERE = Path(__file__).parent


def note(*words):
    with open(HERE / "notes", "a") as notes:
        print(*words, file=notes, flush=True)


class Echo:
    def __init__(self, host):
        pass

    def received(self, client, frame):
        return frame


class Ten:
    """Accepts ten clients and tells each its number."""

    def __init__(self, host):
        self.accepted = self.count = 0

    def connected(self, client):
        if self.accepted == 10:
            raise Refused("ten are enough")
        self.accepted += 1
        self.count += 1
        client.data = self.accepted

    def received(self, client, frame):
        assert frame == struct.pack("=I", 0xBABA)
        return struct.pack("=I", client.data)

    def disconnected(self, client, reason):
        self.count -= 1
        note("disconnected", self.count)


class Answers:
    """Answers one request, and sees that the answer was taken."""

    def __init__(self, host):
        pass

    async def received(self, client, frame):
        assert frame == struct.pack("=I", 0xAABBCCDD)
        await client.send(struct.pack("=I", 0xFFEEDDCC))
        note("written")
'''


def configuration(lifecycle: str | None = None, handler: str = "Echo") -> str:
    """A host with one socket."""
    host = "" if lifecycle is None else f'lifecycle = "hooks:{lifecycle}"'
    return f"""
[host]
{host}
[unit.kv]
kind = "socket"
path = "{{run_dir}}/kv.sock"
handler = "handlers:{handler}"
"""


class SockDaemonCase(HostCase):
    """A host with a socket and hooks that note what they are called for."""

    def setUp(self) -> None:
        super().setUp()
        self.write("hooks.py", HOOKS)
        self.write("handlers.py", HANDLERS)
        self.socket = self.run_dir / "kv.sock"
        self.pid_file = self.run_dir / "sockhost.pid"

    def configure(self, lifecycle: str | None = None, handler: str = "Echo") -> None:
        """Write the configuration."""
        self.write("sockhost.toml", configuration(lifecycle, handler))

    async def started(
        self, lifecycle: str | None = None, handler: str = "Echo", *args: str
    ) -> Running:
        """Start a host, and wait until it is ready."""
        self.configure(lifecycle, handler)
        running = self.twistd(*args)
        await running.says("ready; steer it")
        return running

    def notes(self) -> list[str]:
        """What the hooks and handlers have noted."""
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    async def noted(self, *last: str) -> None:
        """Wait until these are the last notes."""
        while tuple(self.notes()[-len(last) :]) != last:
            await pause(0.02)

    def client(self) -> BlockingClient:
        """Connect a client that is closed after the test."""
        client = BlockingClient(str(self.socket), timeout=20)
        self.addCleanup(client.close)
        return client

    def assert_nothing_left(self) -> None:
        """Neither the socket nor the pid file is there."""
        self.assertFalse(self.socket.exists())
        self.assertFalse(self.pid_file.exists())
