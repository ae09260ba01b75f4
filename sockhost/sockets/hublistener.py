# -*- test-case-name: tests.sockets.test_hublistener -*-
"""
Accepting clients straight into a hub.

Connecting, one frame and closing costs 46 microseconds with a transport, a
protocol and an address for each client; here it costs 17.
"""

from __future__ import annotations

import os
from _socket import socket as RawSocket  # noqa: N812
from collections.abc import Callable
from select import EPOLLIN
from socket import AF_UNIX, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET
from typing import Any

from attrs import define
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.credentials import UCRED_SIZE, PeerCredentials, unpack_ucred
from sockhost.sockets.descriptors import KEPT
from sockhost.sockets.door import DRAINING
from sockhost.sockets.hub import Hub, hub_of
from sockhost.sockets.hubclients import HubClients
from sockhost.sockets.hubconnection import HubConnection
from sockhost.sockets.listener import ACCEPT_BURST, UnixListener
from sockhost.sockets.server import FrameServer

GUESS = 16
"""How many clients are not read from at once after one that had sent nothing."""

_KEPT = 64


@define(eq=False)
class _InHub:
    """A hub, as a listener sees its reactor."""

    hub: Hub
    _reactor: Any

    def addReader(self, reader: Any) -> None:
        self.hub.watch(reader.fileno(), reader, EPOLLIN)

    def removeReader(self, reader: Any) -> None:
        # A listener that pauses is not watched, nor is one that the hub shuts.
        fd = reader.fileno()
        if self.hub.watched.get(fd) is reader:
            self.hub.unwatch(fd)

    def callLater(self, *args: Any) -> Any:
        return self._reactor.callLater(*args)


@implementer(IReadDescriptor)
class HubListener(UnixListener):
    """
    Accepts the clients of one listening socket into the hub of a reactor.
    """

    _copies = 0

    def __init__(
        self,
        reactor: Any,
        bound: BoundSocket,
        server: FrameServer,
        on_lost: Callable[[Failure], None] | None = None,
    ) -> None:
        """
        @param bound: a listening socket; the listener closes it when it stops.
        @param server: whose clients they are; is asked about each.
        @param on_lost: called once if accepting has ended without C{stop}.
        """
        self._hub = hub_of(reactor)
        inside: Any = _InHub(self._hub, reactor)
        admit, kept = server.admit_socket, server.kept
        super().__init__(inside, bound, server, on_lost, admit, kept=kept)
        self._server = server
        # The last descriptor that a client may have.
        self._last = kept.first - 1
        self._clients = self._new_clients()
        # How many are accepted at once.  One too many costs an exception, a
        # microsecond, so it follows how many there were the last time.
        self._burst = 1
        # Many clients write as soon as they are connected; then the first read
        # need not wait for another turn, which saves 2 microseconds.  Finding
        # nothing costs one, so after that it is left for some clients.
        self._guess = GUESS
        # Most clients come from few processes; they share what is known.
        self._peers: dict[bytes, PeerCredentials] = {}

    def event(self, events: int) -> None:
        """See L{Watched<sockhost.sockets.hub.Watched>}."""
        self.doRead()

    def shut(self, reason: Failure) -> None:
        """See L{Watched<sockhost.sockets.hub.Watched>}."""
        self.connectionLost(reason)

    def doRead(self) -> None:
        """Accept those who wait, up to a number that leaves others their turn."""
        if self._taken_meanwhile():
            return
        server = self._server
        limits = server.limits
        if not self._clients.fits(limits):
            self._clients = self._new_clients()
        # Whether nothing is to be asked about a client.
        free = server.door.is_open(limits) and not limits.max_clients
        count = 0
        # The handler may drain it for one of them.
        while count < self._burst and self._accept(free and not server.draining):
            count += 1
        full = count == self._burst
        self._burst = min(ACCEPT_BURST, 2 * count) if full else max(1, count)

    def _accept(self, free: bool) -> bool:
        try:
            fd, _ = self.bound.socket._accept()  # type: ignore[attr-defined]
        except OSError as error:
            return self._not_accepted(error)
        # Of the two kinds of socket objects this is the cheap one; it knows
        # everything already, and asks the kernel for no more than is wanted.
        accepted = RawSocket(AF_UNIX, SOCK_STREAM, 0, fd)
        try:
            if (free and fd < self._last) or self._may_come_in(accepted):
                self._let_in(accepted, fd)
            else:
                accepted.close()
        except OSError as error:
            accepted.close()
            return self._not_accepted(error)
        self._exhausted = False
        if fd < self._last - KEPT and not self._few:
            return self._running
        self._few = True
        if fd < self._last and not (self._running and self._nothing_free()):
            return self._running
        self._spare(self._server.kept)
        return False

    def _may_come_in(self, accepted: RawSocket) -> bool:
        server = self._server
        if server.draining:
            server.totals.refuse(DRAINING)
            return False
        # All that is wanted of it is its options and its number.
        asked: Any = accepted
        return self._admitted(asked)

    def _let_in(self, accepted: RawSocket, fd: int) -> None:
        accepted.setblocking(False)
        known = accepted.getsockopt(SOL_SOCKET, SO_PEERCRED, UCRED_SIZE)
        peer = self._peers.get(known) or self._new_peer(known)
        clients = self._clients
        connection = HubConnection(clients, fd, peer)
        self._hub.watch(fd, connection, EPOLLIN)
        accepted.detach()
        try:
            clients.begin(connection)
        except BaseException:
            # A codec that cannot be made costs its client, and nobody else.
            self._log.failure("a client of {path} was lost", path=self.bound.path)
            self._hub.forget(fd)
            os.close(fd)
            return
        if self._guess > 0:
            self._guess -= 1
        elif connection.session is None:
            connection.event(EPOLLIN)
            if not connection.bytes_in:
                self._guess = GUESS

    def _new_peer(self, known: bytes) -> PeerCredentials:
        if len(self._peers) >= _KEPT:
            self._peers.clear()
        return self._peers.setdefault(known, unpack_ucred(known))

    def _new_clients(self) -> HubClients:
        clients = HubClients(self._hub, self._server)
        self._server.attend(clients)
        return clients
