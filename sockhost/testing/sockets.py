# -*- test-case-name: tests.testing.test_sockets -*-
"""
A framed socket in memory: a handler, clients, and the pump between them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.test.iosim import FakeTransport, IOPump, connect

from sockhost.interfaces import IClient
from sockhost.sockets.client import FrameClient
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.limits import Limits
from sockhost.sockets.server import FrameServer

_NOBODY = 0xFFFFFFFF


def myself() -> PeerCredentials:
    """The credentials of this process, as a client."""
    return PeerCredentials(os.getpid(), os.geteuid(), os.getegid())


@define
class _Handle:
    """The socket of a transport that has none."""

    peer: PeerCredentials
    family: int = socket.AF_UNIX

    def getsockopt(self, level: int, name: int, _size: int, /) -> bytes:
        if level != socket.SOL_SOCKET or name != socket.SO_PEERCRED:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        peer = self.peer
        uid = _NOBODY if peer.uid is None else peer.uid
        gid = _NOBODY if peer.gid is None else peer.gid
        return struct.pack("=iII", peer.pid or 0, uid, gid)


class _Transport(FakeTransport):
    """The server's end, which knows its peer as a Unix socket does."""

    def __init__(self, protocol: Protocol, peer: PeerCredentials) -> None:
        super().__init__(protocol, isServer=True)
        self._handle = _Handle(peer)

    def fileno(self) -> int:
        """It has no descriptor."""
        return -1

    def getHandle(self) -> _Handle:
        """What the credentials are asked of."""
        return self._handle


@define(eq=False)
class ConnectedPair:
    """
    A client and the server that it is connected to.

    @ivar client: the client's end.
    @ivar server: all that the handler is served by.
    @ivar clock: the server's clock.
    @ivar peer: the client as its handler sees it; C{None} if the server had
        taken too many, or closed.
    """

    client: FrameClient
    server: FrameServer
    clock: Clock
    peer: IClient | None
    _pump: IOPump
    _credentials: PeerCredentials = field(factory=myself)

    def request(self, payload: bytes) -> Deferred[bytes]:
        """
        Send a frame and carry all bytes both ways.

        @return: has fired with the answer, if the handler answers at once.
        """
        answer = self.client.request(payload)
        self.flush()
        return answer

    def flush(self) -> None:
        """Carry all bytes both ways, until there are no more."""
        self._pump.flush()

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, such as half a frame."""
        transport: Any = self.client.transport
        transport.write(data)
        self.flush()

    def close(self) -> None:
        """Close the connection from the client's side."""
        self.client.close()
        self.flush()

    def another(self) -> ConnectedPair:
        """Connect one more client to the same server."""
        return _join(self.server, self.clock, self._credentials)


def connected_pair(
    handler: Any,
    clock: Clock | None = None,
    limits: Limits | None = None,
    peer: PeerCredentials | None = None,
) -> ConnectedPair:
    """
    Connect a client to a handler without a socket.

    @param handler: an L{ISocketHandler
        <sockhost.interfaces.ISocketHandler>}, made by the test.  Its C{startup}
        is not called.
    @param peer: who the client is, for the handler; by default this process.
    """
    clock = clock or Clock()
    return _join(FrameServer(clock, handler, limits), clock, peer or myself())


class _TurnedAway(Protocol):
    """What a client meets whom the server does not take."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


def _join(server: FrameServer, clock: Clock, peer: PeerCredentials) -> ConnectedPair:
    nowhere: Any = IAddress(None, None)
    before = set(map(id, server.clients))
    taken = server.buildProtocol(nowhere)
    protocol: Protocol = taken or _TurnedAway()
    client = FrameClient()
    pump = connect(
        protocol,
        _Transport(protocol, peer),
        client,
        FakeTransport(client, isServer=False),
    )
    new = [each for each in server.clients if id(each) not in before]
    pair = ConnectedPair(client, server, clock, new[0] if new else None, pump, peer)
    pair.flush()
    return pair
