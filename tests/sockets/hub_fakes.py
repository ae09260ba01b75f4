"""
A socket in a hub, whose kernel takes bytes when a test says so.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Any
from unittest import TestResult as Result
from unittest import mock

from attrs import define, field
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.sockets import hubclients, hubconnection, hubwriter
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.hub import Hub, IHubReactor
from sockhost.sockets.hubclients import HubClients
from sockhost.sockets.hubconnection import HubConnection
from sockhost.sockets.hubwriter import ABORTED, CLOSING, GONE, OPEN
from sockhost.sockets.limits import Limits
from sockhost.sockets.server import FrameServer
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Scripted


@implementer(IHubReactor)
class DrivenClock(MemoryReactorClock):
    """A reactor that leaves it to the test to turn the hub."""

    def drive(self, hub: Hub) -> None:
        """The test does."""

    def release(self, hub: Hub) -> None:
        """There is nothing to forget."""


class Written(list[bytes]):
    """
    What was written.  A hub joins what others write piece by piece, so only the
    bytes are compared.
    """

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, list)
        return b"".join(self) == b"".join(other)

    __hash__ = None


@define(eq=False)
class HubWire:
    """
    The kernel's side of one connection.

    @ivar inbox: what it has for the server to read.
    @ivar error: what reading fails with when that is empty; the end of the
        connection if it is C{None}.
    @ivar ended: whether nothing more comes.
    @ivar outbox: what it has taken from the server.
    @ivar willing: whether it takes anything now.
    @ivar broken: whether writing fails.
    """

    connection: HubConnection
    inbox: bytes = b""
    error: OSError | None = None
    ended: bool = False
    outbox: bytes = b""
    willing: bool = False
    broken: bool = False

    @property
    def writes(self) -> Written:
        """What the server wants to have written, taken or not."""
        if self.connection.corked is not None:
            self.connection.flush()
        return Written([self.outbox, *map(bytes, self.connection.queue or ())])

    @property
    def reading(self) -> bool:
        """Whether the server wants to read."""
        self.pump()
        return self.connection.fd >= 0 and self.connection.reading

    @property
    def disconnecting(self) -> bool:
        """Whether the server closes the connection at the end of this turn."""
        self.pump()
        state, owed = self.connection.state, self.connection.queued
        return state in (GONE, ABORTED) or (state == CLOSING and not owed)

    @property
    def aborted(self) -> bool:
        """Whether the server cuts the connection off."""
        return self.connection.state == ABORTED

    def take(self) -> None:
        """Take everything."""
        self.willing = True
        if self.connection.corked is not None:
            self.connection.flush()
        if self.connection.events & EPOLLOUT:
            self.connection.event(EPOLLOUT)
        self.willing = False
        self.pump()

    def pump(self) -> None:
        """Let the server read as much as it wants to."""
        while self.connection.state == OPEN and self.connection.reading:
            if self.inbox:
                self.connection.event(EPOLLIN)
            elif self.ended:
                self.connection.event(EPOLLIN | EPOLLHUP)
            else:
                return

    def read(self, most: int) -> bytes:
        """What C{read} does."""
        if self.inbox:
            data, self.inbox = self.inbox[:most], self.inbox[most:]
            return data
        if self.error is not None:
            raise self.error
        if not self.ended:
            raise BlockingIOError
        return b""

    def write(self, data: bytes) -> int:
        """What C{write} does."""
        if self.broken:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if not self.willing:
            raise BlockingIOError
        self.outbox += data
        return len(data)


_wires: dict[int, HubWire] = {}


def _read(fd: int, most: int) -> bytes:
    return _wires[fd].read(most)


def _write(fd: int, data: bytes) -> int:
    return _wires[fd].write(data)


def _unread(fd: int) -> int:
    return len(_wires[fd].inbox)


def _writev(fd: int, pieces: Any) -> int:
    return _wires[fd].write(b"".join(pieces))


@define(eq=False)
class HubConnected:
    """A client's end of a connection in memory; see L{Connection}."""

    connection: HubConnection
    wire: HubWire
    hub: Hub

    @property
    def protocol(self) -> HubConnected:
        """What is told of bytes."""
        return self

    def send(self, *payloads: bytes) -> None:
        """Send frames, all in one piece."""
        self.dataReceived(b"".join(pack(each) for each in payloads))

    def dataReceived(self, data: bytes) -> None:
        """Send bytes."""
        self.wire.inbox += data
        self.wire.pump()

    def readConnectionLost(self) -> None:
        """Send no more."""
        self.wire.ended = True
        self.wire.pump()

    def lose(self, error: Exception | None = None) -> None:
        """The connection ends, with all that was not given to the handler."""
        self.hub.settle()
        if error is not None and not isinstance(error, ConnectionDone):
            self.wire.error = ConnectionResetError(104, "lost")
        self.readConnectionLost()
        self.hub.settle()
        if self.connection.fd >= 0:
            self.connection.event(EPOLLHUP | EPOLLERR)
        if self.connection.fd >= 0:
            self.connection.shut(Failure(error or ConnectionDone()))


@define(eq=False)
class HubServed:
    """A server in a hub; see L{Served<tests.sockets.fakes.Served>}."""

    handler: Any = field(factory=Scripted)
    limits: Limits = field(factory=Limits)
    clock: DrivenClock = field(factory=DrivenClock)
    server: FrameServer = field(init=False)
    hub: Hub = field(init=False)
    clients: HubClients = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = FrameServer(self.clock, self.handler, self.limits, "kv")
        self.hub = Hub(self.clock)
        self.clients = HubClients(self.hub, self.server)
        self.server.attend(self.clients)

    def connect(self) -> HubConnected:
        """Connect a client."""
        if not self.clients.fits(self.server.limits):
            self.clients = HubClients(self.hub, self.server)
            self.server.attend(self.clients)
        ours, theirs = socket.socketpair()
        theirs.close()
        fd = ours.detach()
        peer = PeerCredentials(os.getpid(), os.geteuid(), os.getegid())
        connection = HubConnection(self.clients, fd, peer)
        wire = _wires[fd] = HubWire(connection)
        self.hub.watch(fd, connection, EPOLLIN)
        self.clients.begin(connection)
        return HubConnected(connection, wire, self.hub)


class HubTestCase(SynchronousTestCase):
    """A test whose hubs have the kernel of this module."""

    def run(self, result: Result | None = None) -> Result | None:
        """Run it."""
        with ExitStack() as patches:
            for module in (hubconnection, hubwriter):
                for name, fake in _KERNEL.items():
                    if hasattr(module, name):
                        patches.enter_context(mock.patch.object(module, name, fake))
            # All is told to the server, as by a client on a transport.
            patches.enter_context(mock.patch.object(hubclients, "UNTOLD", 1))
            try:
                super().run(result)
                return result
            finally:
                for wire in _wires.values():
                    if wire.connection.fd >= 0:
                        os.close(wire.connection.fd)
                _wires.clear()


_KERNEL = {"read": _read, "write": _write, "writev": _writev, "unread": _unread}
