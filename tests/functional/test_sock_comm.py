"""
The tests that Samba has of the parts of C{sock_daemon}, held against a framed
socket of a host: C{comm_test}, C{comm_server_test}, C{pkt_read_test},
C{pkt_write_test}, C{sock_io_test} and C{pidfile_test}.  Each test is named for
the program and its number there.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from sockhost.host.lock import RunDirLock
from sockhost.interfaces import Disconnected, HostLocked, IClient
from sockhost.sockets.blocking import BlockingClient
from sockhost.testing.host import running_host
from tests.functional.hosts import pause
from tests.host.test_fakes import temporary

CONFIG = """
    [unit.comm]
    kind = "socket"
    path = "{run_dir}/comm.sock"
    handler = "tests.functional.test_sock_comm:Handler"
    max_frame = 33554432
"""

SIZES = (
    *(100, 2048, 500, 4096, 1024, 8192, 200, 16384, 300, 32768, 400, 65536),
    1048576,
)


class Handler:
    """Notes what it gets; the test says what else it does."""

    made: Handler

    def __init__(self, host: object) -> None:
        Handler.made = self
        self.client: Deferred[IClient] = Deferred()
        self.frames: list[bytes] = []
        self.gone: list[Disconnected] = []
        self.answer: Any = lambda client, frame: None
        self.first_gone: Deferred[Disconnected] = Deferred()

    def connected(self, client: IClient) -> None:
        """Note it."""
        if not self.client.called:
            self.client.callback(client)

    def received(self, client: IClient, frame: bytes) -> object:
        """Note it."""
        self.frames.append(frame)
        return self.answer(client, frame)

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Note it."""
        self.gone.append(reason)
        if not self.first_gone.called:
            self.first_gone.callback(reason)


class CommCase(TestCase):
    """A host with a socket, and a client of it."""

    timeout = 100

    async def setUp(self) -> None:  # type: ignore[override]
        """Start the host."""
        self.host = await running_host(self, CONFIG)
        self.handler = Handler.made

    def connect(self) -> socket.socket:
        """Connect a client that speaks bytes."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.settimeout(30)
        raw.connect(self.host.path("comm.sock"))
        return raw


def packet(size: int) -> bytes:
    """A frame of so many bytes on the wire."""
    return struct.pack("=I", size) + bytes(size - 4)


def packets(raw: socket.socket, count: int) -> list[int]:
    """Read so many frames; tell the length of each on the wire."""
    with raw.makefile("rb") as stream:
        lengths = []
        for _ in range(count):
            (length,) = struct.unpack("=I", stream.read(4))
            assert len(stream.read(length - 4)) == length - 4
            lengths.append(length)
    return lengths


class CommTests(CommCase):
    """C{comm_test}, C{comm_server_test} and C{comm_client_test}."""

    async def test_comm_1(self) -> None:
        """A packet is received once, and the end of the client told once."""
        raw = self.connect()
        raw.sendall(packet(8))
        raw.close()
        reason = await self.handler.first_gone
        self.assertTrue(reason.clean)
        await pause(0.05)
        self.assertEqual(self.handler.frames, [bytes(4)])
        self.assertEqual(len(self.handler.gone), 1)

    async def test_comm_2(self) -> None:
        """
        A client is dropped by the handler while it is given a packet, with ten
        more queued to it.  There, the ten are discarded and nobody is told; a
        host sends what was queued before, refuses what comes after, and tells
        the handler exactly once.
        """
        late: list[Deferred[None]] = []

        def answer(client: IClient, _: bytes) -> None:
            for number in range(10):
                client.send(b"%d" % number)
            client.drop("enough")
            late.append(client.send(b"late"))

        self.handler.answer = answer
        raw = self.connect()
        raw.sendall(packet(8))
        read = await deferToThread(lambda: packets(raw, 10))
        self.assertEqual(read, [5] * 10)
        self.assertEqual(await deferToThread(raw.recv, 10), b"")
        self.assertEqual(str(await self.handler.first_gone), "enough")
        await self.assertFailure(late[0], Disconnected)
        await pause(0.05)
        self.assertEqual(len(self.handler.gone), 1)

    async def test_comm_3(self) -> None:
        """Packets of many sizes arrive in order with their exact lengths."""
        raw = self.connect()
        await deferToThread(raw.sendall, b"".join(map(packet, SIZES)))
        raw.close()
        await self.handler.first_gone
        self.assertEqual([len(each) + 4 for each in self.handler.frames], list(SIZES))

    async def test_comm_server(self) -> None:
        """Ten clients after each other have each size echoed, in lock-step."""
        self.handler.answer = lambda _, frame: frame

        def client() -> list[int]:
            with BlockingClient(
                self.host.path("comm.sock"), timeout=30, max_frame=2**25
            ) as connection:
                return [4 + len(connection.request(bytes(size - 4))) for size in SIZES]

        for _ in range(10):
            self.assertEqual(await deferToThread(client), list(SIZES))
        while len(self.handler.gone) < 10:
            await pause(0.01)
        self.assertTrue(all(reason.clean for reason in self.handler.gone))


class PacketTests(CommCase):
    """
    C{pkt_read_test} and C{pkt_write_test}.  The largest packet goes through
    fifty times instead of a thousand, which is fifty megabytes.
    """

    COUNTS = ((100, 1000), (500, 1000), (1024, 1000), (1048576, 50))

    async def test_pkt_read(self) -> None:
        """Packets of four sizes are read back whole; then the end is clean."""
        raw = self.connect()
        for size, count in self.COUNTS:
            self.handler.frames.clear()
            await deferToThread(raw.sendall, packet(size) * count)
            while len(self.handler.frames) < count:
                await pause(0.01)
            self.assertEqual({len(each) + 4 for each in self.handler.frames}, {size})
        raw.close()
        self.assertTrue((await self.handler.first_gone).clean)

    async def test_pkt_write(self) -> None:
        """Every packet is written whole, and told so, under a slow reader."""
        raw = self.connect()
        client = await self.handler.client
        for size, count in self.COUNTS:
            sent = gatherResults([client.send(bytes(size - 4)) for _ in range(count)])
            await pause(0.05)
            read = deferToThread(packets, raw, count)
            self.assertEqual(len(await sent), count)
            self.assertEqual(await read, [size] * count)
        self.assertEqual(client.queued, 0)


class SockIOTests(CommCase):
    """C{sock_io_test}."""

    LENGTHS = [size + 4 for size in range(10, 1000, 10)]

    async def test_sock_io_1(self) -> None:
        """99 packets back to back come one by one with their lengths, then the end."""
        raw = self.connect()
        raw.sendall(b"".join(map(packet, self.LENGTHS)))
        raw.close()
        await self.handler.first_gone
        self.assertEqual([len(each) + 4 for each in self.handler.frames], self.LENGTHS)

    async def test_sock_io_2(self) -> None:
        """99 packets that are sent are read with exactly their lengths."""
        raw = self.connect()
        client = await self.handler.client
        sent = [client.send(bytes(length - 4)) for length in self.LENGTHS]
        self.assertEqual(await deferToThread(packets, raw, 99), self.LENGTHS)
        await gatherResults(sent)


class PidFileTests(TestCase):
    """C{pidfile_test}."""

    timeout = 100

    def setUp(self) -> None:
        self.path = temporary(self) / "sockhost.pid"

    def child(self, ready: bytes = b"+") -> tuple[int, int]:
        """Fork a child that takes the lock, says so, and keeps it till it is told."""
        here, there = socket.socketpair()
        pid = os.fork()
        if not pid:
            try:
                lock = RunDirLock(str(self.path))
                lock.acquire()
                there.sendall(ready)
                there.recv(1)
                lock.release()
            finally:
                os._exit(0)
        there.close()
        self.assertEqual(here.recv(1), ready)
        self.addCleanup(here.close)
        return pid, here.detach()

    def test_pidfile_1(self) -> None:
        """It is a regular file with the owner's pid, and gone when let go."""
        lock = RunDirLock(str(self.path))
        lock.acquire()
        self.assertTrue(stat.S_ISREG(self.path.stat().st_mode))
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        lock.release()
        self.assertFalse(self.path.exists())

    def test_pidfile_2(self) -> None:
        """Who comes second fails, until the first has let go."""
        pid, control = self.child()
        lock = RunDirLock(str(self.path))
        self.assertRaises(HostLocked, lock.acquire)
        os.write(control, b".")
        os.close(control)
        os.waitpid(pid, 0)
        lock.acquire()
        lock.release()

    def test_pidfile_3(self) -> None:
        """A child that was forked with it and lets it go leaves the file."""
        lock = RunDirLock(str(self.path))
        lock.acquire()
        pid = os.fork()
        if not pid:
            try:
                lock.release()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        self.assertTrue(self.path.exists())
        lock.release()
        self.assertFalse(self.path.exists())

    def test_pidfile_4(self) -> None:
        """What a killed owner has left is taken over."""
        pid, control = self.child()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(control)
        self.assertTrue(self.path.exists())
        lock = RunDirLock(str(self.path))
        lock.acquire()
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        lock.release()
