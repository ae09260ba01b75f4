# -*- test-case-name: tests.testing.test_redis -*-
"""
Connections to the server in memory: its protocol, and what stands in for the
sockets of a reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,  # noqa: A004
)
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    IReactorUNIX,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.redis.resp import Push, RespReader
from sockhost.testing.redis.replies import encode_reply
from sockhost.testing.redis.server import MemoryRedis
from sockhost.testing.redis.session import Session


class RedisServerProtocol(Protocol):
    """
    The server's side of a connection, over any transport: the bytes of RESP.
    """

    def __init__(self, server: MemoryRedis) -> None:
        self._server = server
        self._reader = RespReader()
        self._session: Session | None = None

    def connectionMade(self) -> None:
        self._session = self._server.open(self._push, self._hang_up)

    def dataReceived(self, data: bytes) -> None:
        for message in self._reader.feed(data):
            if self._session is not None:
                self._session.take(message, self._answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._server.close(session)

    def _push(self, push: Push) -> None:
        self._send(push)

    def _answer(self, reply: Any) -> None:
        session = self._session
        if session is not None and not self._server.loses(session):
            self._send(reply)

    def _send(self, value: Any) -> None:
        assert self._session is not None
        data = encode_reply(value, self._session.protocol)
        if self._server.delay:
            self._server.clock.callLater(self._server.delay, self._write, data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._session is not None and self.transport is not None:
            self.transport.write(data)

    def _hang_up(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


@implementer(IAddress)
class MemoryAddress:
    """Where a connection in memory comes from."""


@implementer(ITransport, IPushProducer)
@define(eq=False)
class MemoryTransport:
    """
    One end of a connection in memory.  What is written to it arrives at the
    other end in the next turn of the clock, or when that is read again.
    """

    _clock: IReactorTime
    _protocol: Any
    _other: MemoryTransport | None = None
    _data: list[bytes] = field(factory=list)
    _call: IDelayedCall | None = None
    disconnecting: bool = False
    connected: bool = True
    _paused: bool = False

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self.connected and not self.disconnecting:
            self._data.append(bytes(data))
            self._soon()

    def writeSequence(self, data: Any) -> None:
        """Send bytes."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """There is always room."""

    def unregisterProducer(self) -> None:
        """There was one."""

    def pauseProducing(self) -> None:
        """Read nothing: what the other end writes stays there."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Read again."""
        self._paused = False
        if self._other is not None:
            self._other._soon()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close, when all is sent."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._soon()

    def abortConnection(self) -> None:
        """Close at once."""
        self._data.clear()
        if self.connected:
            self.connected = False
            self._clock.callLater(0, self._ended, ConnectionAborted(), ConnectionLost())

    def getPeer(self) -> MemoryAddress:
        """Nowhere."""
        return MemoryAddress()

    def getHost(self) -> MemoryAddress:
        """Nowhere."""
        return MemoryAddress()

    def _soon(self) -> None:
        if self._call is None:
            self._call = self._clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._call = None
        other = self._other
        if other is not None and other._paused and other.connected:
            return
        data, self._data = b"".join(self._data), []
        if data and other is not None and other.connected:
            other._protocol.dataReceived(data)
        if self.disconnecting and self.connected and not self._data:
            self.connected = False
            self._ended(ConnectionDone(), ConnectionDone())

    def _ended(self, here: Exception, there: Exception) -> None:
        self._protocol.connectionLost(Failure(here))
        other, self._other = self._other, None
        if other is not None and other.connected:
            other.connected = False
            other._other = None
            other._protocol.connectionLost(Failure(there))


@implementer(IConnector)
@define(eq=False)
class _Connector:
    """An attempt to connect."""

    _reactor: MemoryReactor
    _factory: Any
    _call: IDelayedCall | None = None

    def connect(self) -> None:
        """Try, in the next turn."""
        self._factory.doStart()
        self._factory.startedConnecting(self)
        self._call = self._reactor.callLater(0, self._connect)

    def stopConnecting(self) -> None:
        """Give up."""
        if self._call is not None and self._call.active():
            self._call.cancel()

    def disconnect(self) -> None:
        """Give up."""
        self.stopConnecting()

    def getDestination(self) -> MemoryAddress:
        """Nowhere."""
        return MemoryAddress()

    def _connect(self) -> None:
        server = self._reactor.server
        if server.refusing:
            self._factory.clientConnectionFailed(
                self, Failure(ConnectionRefusedError())
            )
            return
        connect_in_memory(server, self._factory.buildProtocol(MemoryAddress()))


def connect_in_memory(server: MemoryRedis, protocol: Any) -> None:
    """Connect a client's protocol to the server."""
    served = RedisServerProtocol(server)
    here = MemoryTransport(server.clock, protocol)
    there = MemoryTransport(server.clock, served, here)
    here._other = there
    served.makeConnection(there)
    protocol.makeConnection(here)


@implementer(IReactorTime, IReactorUNIX)
@define(eq=False)
class MemoryReactor:
    """
    The clock of the server, with Unix sockets that all lead to the server.
    """

    server: MemoryRedis

    def seconds(self) -> float:
        """The time."""
        return self.server.clock.seconds()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        """Call something later."""
        return self.server.clock.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Any:
        """What is to be called."""
        return self.server.clock.getDelayedCalls()

    def connectUNIX(
        self,
        address: str,
        factory: Any,
        timeout: float = 30,
        checkPID: bool = False,  # noqa: N803
    ) -> Any:
        """Connect to the server."""
        connector = _Connector(self, factory)
        connector.connect()
        return connector

    def listenUNIX(
        self,
        address: str,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,  # noqa: N803
    ) -> Any:
        """Nothing listens in memory."""
        raise NotImplementedError("the server in memory is the only one there")
