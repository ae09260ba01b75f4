"""
A bad line to a Redis server: it holds data up, breaks, loses replies, and does
not connect, all as it is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure


@define(eq=False)
class _Lane:
    """One direction of one connection: everything in order, nothing at once."""

    reactor: Any
    delay: Callable[[], float]
    deliver: Callable[[bytes], object]
    _due: float = 0.0
    _held: deque[bytes] = field(factory=deque)
    _calls: list[IDelayedCall] = field(factory=list)

    def put(self, data: bytes) -> None:
        """Hold data up, behind what is held up already."""
        now = self.reactor.seconds()
        self._due = max(self._due, now + self.delay())
        if self._due <= now and not self._held:
            self.deliver(data)
            return
        # The order is that of the data: calls for one moment have none.
        self._held.append(data)
        self._calls.append(self.reactor.callLater(self._due - now, self._arrived))

    def _arrived(self) -> None:
        self._calls = [call for call in self._calls if call.active()]
        self.deliver(self._held.popleft())

    def end(self) -> None:
        """Lose what is held up."""
        for call in self._calls:
            if call.active():
                call.cancel()
        self._calls.clear()


class _Side(Protocol):
    """One end of a line.  What it hears goes to C{heard}."""

    def __init__(self) -> None:
        self.heard: Callable[[bytes], object] | None = None
        self.ended: Callable[[], object] | None = None
        self._early: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        if self.heard is None:
            self._early.append(data)
        else:
            self.heard(data)

    def begin(self, heard: Callable[[bytes], object]) -> None:
        """From now on hand on what is heard."""
        self.heard = heard
        for data in self._early:
            heard(data)
        self._early.clear()

    def say(self, data: bytes) -> None:
        """Say something to the end of the line."""
        if self.transport is not None and self.connected:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.ended is not None:
            self.ended()

    def cut(self) -> None:
        """Break it."""
        if self.connected:
            transport: Any = self.transport
            transport.abortConnection()


class RedisProxy:
    """
    Listens on a Unix socket and hands on to another.

    @ivar delay: says how many seconds to hold up the next piece of data.
    @ivar swallow: says of the next piece of what the server says whether it is
        lost.
    @ivar cuts: how many connections were broken.
    @ivar server: the path that the next connections are led to.
    """

    def __init__(self, reactor: Any, path: str, server: str) -> None:
        self._reactor = reactor
        self.server = server
        self.delay: Callable[[], float] = lambda: 0.0
        self.swallow: Callable[[], bool] = lambda: False
        self.cuts = 0
        self._lines: set[_Side] = set()
        factory = Factory.forProtocol(self._accept)
        factory.noisy = False
        self._port = reactor.listenUNIX(path, factory)

    def _accept(self) -> _Side:
        side = _Side()
        Deferred.fromCoroutine(self._connect(side))
        return side

    async def _connect(self, near: _Side) -> None:
        factory = Factory.forProtocol(_Side)
        factory.noisy = False
        try:
            far: Any = await UNIXClientEndpoint(self._reactor, self.server).connect(
                factory
            )
        except Exception:
            near.cut()
            return
        self._join(near, far)

    def _join(self, near: _Side, far: _Side) -> None:
        there = _Lane(self._reactor, lambda: self.delay(), far.say)
        back = _Lane(self._reactor, lambda: self.delay(), near.say)

        def end() -> None:
            self._lines.discard(near)
            there.end()
            back.end()
            near.cut()
            far.cut()

        def back_unless_lost(data: bytes) -> None:
            if not self.swallow():
                back.put(data)

        near.ended = far.ended = end
        if not near.connected:
            far.cut()
            return
        self._lines.add(near)
        near.begin(there.put)
        far.begin(back_unless_lost)

    def cut_all(self) -> None:
        """Break every connection."""
        for near in list(self._lines):
            self.cuts += 1
            near.cut()

    def stop(self) -> Any:
        """
        End.

        @return: a Deferred that fires when nothing listens any more.
        """
        self.cut_all()
        return self._port.stopListening()
