"""
A host whose handlers and hooks take time, for the rows of C{sock_daemon}'s contract.
"""

from __future__ import annotations

import os
import socket

from tests.functional.hosts import Running, pause
from tests.functional.sock_daemon import SockDaemonCase

HOOKS = '''

class Slowly(Sync):
    """Takes its time to reconfigure."""

    async def reconfigure(self):
        note("reconfigure begins")
        await deferLater(reactor, 0.5)
        note("reconfigure ends")


class Counting(Sync):
    """Reconfigures at once."""

    def reconfigure(self):
        note("reconfigure")


class Lingering(Sync):
    """Takes its time to shut down."""

    async def shutdown(self):
        super().shutdown()
        await deferLater(reactor, 0.5)
'''

HANDLERS = '''

class Timed:
    """Answers requests that say so after a while."""

    def __init__(self, host):
        self.reactor = host.reactor

    def connected(self, client):
        note("connected", client.pid)

    async def received(self, client, frame):
        from twisted.internet.task import deferLater
        if frame.startswith(b"run"):
            try:
                await deferLater(self.reactor, 0.5)
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
