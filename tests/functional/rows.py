"""
A host whose handlers and hooks take time, for the rows of C{sock_daemon}'s contract.
"""

from __future__ import annotations

import os
import socket

from tests.functional.hosts import Running, pause
from tests.functional.sock_daemon import SockDaemonCase

HOOKS = '''

async def released():
    while not (HERE / "released").exists():
        await deferLater(reactor, 0.01)


class Slowly(Sync):
    """Takes its time to reconfigure, until it is released."""

    async def reconfigure(self):
        note("reconfigure begins")
        await released()
        note("reconfigure ends")


class Counting(Sync):
    """Reconfigures at once."""

    def reconfigure(self):
        note("reconfigure")


class Lingering(Sync):
    """Takes its time to shut down, until it is released."""

    async def shutdown(self):
        super().shutdown()
        await released()
'''

HANDLERS = '''

class Timed:
    """Answers requests that say so when another one releases them."""

    def __init__(self, host):
        self.held = []

    def connected(self, client):
        note("connected", client.pid)

    async def received(self, client, frame):
        from twisted.internet.defer import Deferred
        if frame == b"release":
            held, self.held = self.held, []
            for each in held:
                each.callback(None)
        if frame.startswith(b"run"):
            self.held.append(Deferred())
            try:
                await self.held[-1]
            except BaseException:
                note("cancelled")
                raise
            note("completed")
        return frame

    def disconnected(self, client, reason):
        note("disconnected:", reason)
'''


class RowsCase(SockDaemonCase):
    """A host with handlers that take time."""

    def setUp(self) -> None:
        super().setUp()
        for name, more in (("hooks.py", HOOKS), ("handlers.py", HANDLERS)):
            path = self.directory / name
            path.write_text(path.read_text() + more)

    def raw(self) -> socket.socket:
        """Connect a client that speaks bytes."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.settimeout(20)
        raw.connect(str(self.socket))
        return raw

    def release(self) -> None:
        """Let hooks that take their time come to an end."""
        (self.directory / "released").touch()

    async def called(self, note: str, times: int) -> None:
        """Wait until this was noted so often."""
        while self.notes().count(note) < times:
            await pause(0.02)

    async def stopped(self, running: Running) -> None:
        """The host ends well."""
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)


def inodes(pid: int) -> dict[str, str]:
    """What the descriptors of a process are, sockets and all, by their names."""
    found = {}
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found[entry.name] = os.readlink(entry.path)
        except FileNotFoundError:
            continue
    return found


def read(raw: socket.socket, size: int) -> bytes:
    """Read so many bytes."""
    got = b""
    while len(got) < size:
        data = raw.recv(size - len(got))
        assert data, got
        got += data
    return got
