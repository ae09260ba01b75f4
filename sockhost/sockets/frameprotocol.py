# -*- test-case-name: tests.sockets.test_server -*-
"""
The protocols that carry the bytes of clients between Twisted's transports and
sessions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    IHandshakeListener,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import Disconnected
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.pushed import PushedStream
from sockhost.sockets.session import Session

if TYPE_CHECKING:
    from sockhost.sockets.server import FrameServer


@implementer(IFileDescriptorReceiver, IHandshakeListener)
class FrameProtocol(Protocol):
    """Carries bytes between a transport and a L{Session}."""

    _log = Logger()

    def __init__(self, server: FrameServer) -> None:
        self._server = server
        self._session: Session | None = None

    def connectionMade(self) -> None:
        """A client has connected."""
        transport: Any = self.transport
        try:
            self._session = self._server.open_session(transport)
        except BaseException:
            # A codec that cannot be made costs its client, and nobody else.
            self._log.failure("a client of {unit} was lost", unit=self._server.name)
        if self._session is None:
            transport.abortConnection()
        else:
            self._session.begin()

    def handshakeCompleted(self) -> None:
        """TLS is there."""
        stream = self._session and self._session.client.transport
        if isinstance(stream, PushedStream):
            stream.agreed()

    def dataReceived(self, data: bytes) -> None:
        """The client sent something."""
        assert self._session is not None
        self._session.feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or we have closed the connection."""
        if self._session is not None:
            self._session.lost(_why(reason, self._session))
            self._session = None

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """A transport that is not meant to take descriptors has taken one."""
        os.close(descriptor)

    def descriptors_received(self, descriptors: Sequence[int]) -> None:
        """See L{Receiver<sockhost.sockets.passing.Receiver>}."""
        assert self._session is not None
        self._session.client.descriptors_received(descriptors)

    def descriptors_lost(self) -> None:
        """See L{Receiver<sockhost.sockets.passing.Receiver>}."""
        assert self._session is not None
        self._session.client.descriptors_lost()

    def credentials_received(self, sender: PeerCredentials) -> None:
        """See L{Receiver<sockhost.sockets.passing.Receiver>}."""
        assert self._session is not None
        self._session.client.credentials_received(sender)


@implementer(IHalfCloseableProtocol)
class FinishingFrameProtocol(FrameProtocol):
    """Lets a client that sends no more have its answers before it is closed."""

    def readConnectionLost(self) -> None:
        """The client sends no more."""
        assert self._session is not None
        self._session.half_close()

    def writeConnectionLost(self) -> None:
        """Nobody but us could have closed that side."""


def _why(reason: Failure, session: Session) -> Disconnected:
    if reason.check(ConnectionDone) is None:
        return Disconnected(f"the connection was lost: {reason.getErrorMessage()}")
    return session.farewell_reason()
