"""
The other side of a connection, turned by hand.
"""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from sockhost.redis._plain import PlainReader

# What is sent with each HELLO: the name of the library, and its version.
INTRODUCED = b"+OK\r\n+OK\r\n"
HELLO = b"%1\r\n$7\r\nversion\r\n$5\r\n9.1.2\r\n" + INTRODUCED


class Wire(StringTransport):
    """
    A transport that ends like a real one: a turn of the reactor after it was
    told to.

    @ivar aborted: whether C{abortConnection} was called.
    @ivar writes: how many times something was written.
    """

    def __init__(self, clock: IReactorTime, protocol: Protocol) -> None:
        super().__init__()
        self._clock = clock
        self._protocol = protocol
        self.aborted = False
        self.writes = 0
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        """Keep what is written, and count."""
        self.writes += 1
        super().write(data)

    def loseConnection(self) -> None:
        """Close cleanly."""
        if not self.disconnecting:
            super().loseConnection()
            self._clock.callLater(0, self.lose, Failure(ConnectionDone()))

    def abortConnection(self) -> None:
        """Close at once."""
        self.aborted = True
        self._clock.callLater(0, self.lose, Failure(ConnectionLost()))

    def lose(self, reason: Failure | None = None) -> None:
        """The connection has ended."""
        self._protocol.connectionLost(reason or Failure(ConnectionLost()))

    def send(self, data: bytes) -> None:
        """The server sends bytes."""
        self._protocol.dataReceived(data)

    def sent(self) -> list[list[bytes]]:
        """What commands the server has got since the last call."""
        commands = PlainReader().feed(self.value())
        self.clear()
        return commands


@define
class FakeServer:
    """
    What is behind the connections that a reactor is told to make to a Unix
    socket.
    """

    reactor: MemoryReactorClock

    @property
    def attempts(self) -> int:
        """How often a connection was tried."""
        return len(self.reactor.unixClients)

    def accept(self) -> Wire:
        """Let the last attempt succeed."""
        factory: Any = self.reactor.unixClients[-1][1]
        return Wire(self.reactor, factory.buildProtocol(None))

    def greet(self) -> Wire:
        """Let the last attempt succeed, and answer its C{HELLO}."""
        wire = self.accept()
        wire.clear()
        wire.send(HELLO)
        return wire

    def refuse(self, error: Exception) -> None:
        """Let the last attempt fail."""
        factory: Any = self.reactor.unixClients[-1][1]
        factory.clientConnectionFailed(None, Failure(error))
