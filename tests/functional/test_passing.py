"""
Descriptors and credentials beside the bytes, through real sockets.
"""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.descriptors import copy_number
from sockhost.sockets.passing import MAX_AT_ONCE, PassingTransport
from tests.functional.traces import without_collector


class Noting(Protocol):
    """
    Notes what comes, in its order.

    @ivar seen: bytes, lists of descriptors, credentials.
    """

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.lost: Deferred[None] = Deferred()
        self.waits: tuple[int, Deferred[None]] | None = None

    def dataReceived(self, data: bytes) -> None:
        """Note bytes."""
        self.seen.append(data)
        got = sum(len(each) for each in self.seen if isinstance(each, bytes))
        if self.waits is not None and got >= self.waits[0]:
            (_, waiter), self.waits = self.waits, None
            waiter.callback(None)

    def bytes_come(self, count: int) -> Deferred[None]:
        """Wait until so many bytes have come."""
        waiter: Deferred[None] = Deferred()
        self.waits = (count, waiter)
        return waiter

    def descriptors_received(self, descriptors: Sequence[int]) -> None:
        """Note descriptors."""
        self.seen.append(list(descriptors))

    def descriptors_lost(self) -> None:
        """Note it."""
        self.seen.append("lost")

    def credentials_received(self, sender: PeerCredentials) -> None:
        """Note credentials."""
        self.seen.append(sender)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self.lost.callback(None)


class PassingTests(TestCase):
    """Tests for L{PassingTransport}."""

    timeout = 100

    def setUp(self) -> None:
        """Connect both ends."""
        from twisted.internet import reactor

        without_collector(self)
        self.theirs, ours = socket.socketpair()
        self.addCleanup(self.theirs.close)
        self.theirs.settimeout(10)
        ours.setblocking(False)
        self.protocol = Noting()
        with ours:
            self.make(ours, reactor)
        self.addCleanup(self.end)

    def make(self, ours: socket.socket, reactor: Any) -> None:
        """Adopt our end."""
        factory = Factory.forProtocol(lambda: self.protocol)
        PassingTransport.adopt(reactor, ours, factory)

    @property
    def transport(self) -> PassingTransport:
        """What was made."""
        made: object = self.protocol.transport
        assert isinstance(made, PassingTransport)
        return made

    async def end(self) -> None:
        """Close everything that came and the connection."""
        for each in self.protocol.seen:
            for descriptor in each if isinstance(each, list) else ():
                os.close(descriptor)
        self.transport.loseConnection()
        if not self.protocol.lost.called:
            await self.protocol.lost

    def pipe(self) -> tuple[int, int]:
        """Make a pipe that is closed after the test."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        return reader, writer

    def receive(self, size: int = 65536) -> tuple[bytes, list[int]]:
        """Read on their side, with what comes beside."""
        data, fds, _, _ = socket.recv_fds(self.theirs, size, MAX_AT_ONCE)
        for descriptor in fds:
            self.addCleanup(os.close, descriptor)
        return data, list(fds)

    async def test_receive(self) -> None:
        """Descriptors come before their bytes, and no child inherits them."""
        _, writer = self.pipe()
        socket.send_fds(self.theirs, [b"hello"], [writer, writer])
        await self.protocol.bytes_come(5)
        descriptors, data = self.protocol.seen
        self.assertEqual(data, b"hello")
        self.assertEqual(len(descriptors), 2)
        for descriptor in descriptors:
            self.assertTrue(fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
            self.assertTrue(os.path.sameopenfile(descriptor, writer))

    async def test_receive_most(self) -> None:
        """As many come as the system can pass at once, none of them lost."""
        _, writer = self.pipe()
        socket.send_fds(self.theirs, [b"x"], [writer] * MAX_AT_ONCE)
        await self.protocol.bytes_come(1)
        self.assertEqual(len(self.protocol.seen[0]), MAX_AT_ONCE)

    async def test_receive_some(self) -> None:
        """It is told when there are not enough numbers for those that come."""
        # So that the reactor has what it opens when it starts.
        await self.turn()
        free = copy_number(self.theirs.fileno())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))
        try:
            socket.send_fds(self.theirs, [b"hello"], [self.theirs.fileno()] * 4)
            await self.protocol.bytes_come(5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(self.protocol.seen, [[free], "lost", b"hello"])

    async def test_credentials(self) -> None:
        """With C{SO_PASSCRED} the writer of the bytes is told."""
        handle: Any = self.transport.getHandle()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.theirs.send(b"hello")
        await self.protocol.bytes_come(5)
        me = PeerCredentials(os.getpid(), os.getuid(), os.getgid())
        self.assertEqual(self.protocol.seen, [me, b"hello"])

    async def test_send(self) -> None:
        """What is attached goes with the byte that it is attached to."""
        reader, writer = self.pipe()
        self.transport.write(b"before")
        self.transport.attach([writer, reader], after=2)
        self.transport.write(b"..at it")
        await self.turn()
        self.assertEqual(self.receive(8), (b"before..", []))
        data, descriptors = self.receive()
        self.assertEqual(data, b"at it")
        self.assertTrue(os.path.sameopenfile(descriptors[0], writer))
        self.assertTrue(os.path.sameopenfile(descriptors[1], reader))

    async def test_send_many(self) -> None:
        """Each of several goes with its own byte."""
        _, writer = self.pipe()
        for data in (b"one", b"two", b"three"):
            self.transport.attach([writer])
            self.transport.write(data)
        await self.turn()
        got = [self.receive() for _ in range(3)]
        self.assertEqual([data for data, _ in got], [b"one", b"two", b"three"])
        self.assertEqual([len(descriptors) for _, descriptors in got], [1, 1, 1])

    async def test_send_slowly(self) -> None:
        """It also goes when the other side takes its time."""
        _, writer = self.pipe()
        large = b"x" * 1_000_000
        self.transport.write(large)
        self.transport.attach([writer])
        self.transport.write(b"end")
        got, descriptors = 0, []
        while got < len(large) + 3:
            await self.turn()
            data, more = self.receive(1 << 20)
            if more:
                self.assertEqual(got, len(large))
            got += len(data)
            descriptors += more
        self.assertEqual(len(descriptors), 1)

    async def test_attach_keeps_copy(self) -> None:
        """What was attached may be closed at once."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.transport.attach([writer])
        os.close(writer)
        self.transport.write(b"x")
        await self.turn()
        _, (copy,) = self.receive()
        os.write(copy, b"through")
        self.assertEqual(os.read(reader, 99), b"through")

    async def test_attach_bad(self) -> None:
        """What is no descriptor, or too many of them, is refused whole."""
        _, writer = self.pipe()
        before = set(os.listdir("/proc/self/fd"))
        self.assertRaises(OSError, self.transport.attach, [writer, 1_000_000])
        self.assertRaises(
            ValueError, self.transport.attach, [writer] * (MAX_AT_ONCE + 1)
        )
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)

    async def test_unsent_closed(self) -> None:
        """What was not sent is closed with the connection."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.transport.attach([writer], after=10)
        os.close(writer)
        self.transport.abortConnection()
        await self.protocol.lost
        self.assertEqual(os.read(reader, 1), b"")

    async def test_refused(self) -> None:
        """A factory may refuse a connection."""
        from twisted.internet import reactor

        class Refusing(Factory):
            def buildProtocol(self, addr: object) -> None:
                return None

        one, other = socket.socketpair()
        with one, other:
            PassingTransport.adopt(reactor, one, Refusing())

    async def turn(self) -> None:
        """Let the reactor go around."""
        from twisted.internet import reactor

        # What has waited for the first may be called before anything is written
        # or read, and the next one only after that.
        for _ in range(2):
            await deferLater(IReactorTime(reactor), 0.005)
