"""
Clients that do anything in any order, on a server in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from attrs import define, field
from twisted.internet.error import ConnectionLost

from sockhost.interfaces import Disconnected
from sockhost.sockets.frameprotocol import FinishingFrameProtocol
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Connection, Later, Scripted, Served

LIMITS = (
    Limits(half_close="finish"),
    Limits(half_close="finish", max_in_flight=2, high_water=20, max_buffered=500),
    Limits(half_close="drop", max_in_flight=1, max_frame=64, max_buffered=200),
    Limits(half_close="finish", idle_timeout=4, frame_timeout=2, stall_timeout=3),
)


class _NoMore(Exception):
    """There are no more bytes."""


@define(eq=False)
class _World:
    """A server, its clients, and what the bytes make of them."""

    _bytes: Iterator[int]
    _later: Later = field(factory=Later)
    _open: list[Connection] = field(factory=list)
    _half_closed: list[Connection] = field(factory=list)
    served: Served = field(init=False)

    def __attrs_post_init__(self) -> None:
        limits = LIMITS[self._next() % len(LIMITS)]
        self.served = Served(Scripted(answer=self._answer), limits)

    def run(self) -> None:
        """Do what the bytes say."""
        actions: list[Callable[[], None]] = [
            *(self.connect, self.send, self.send_several, self.send_raw),
            *(self.lose, self.half_close, self.take, self.answer, self.fail),
            *(self.push, self.drop, self.wait, self.change_limits),
        ]
        try:
            while True:
                actions[self._next() % len(actions)]()
        except _NoMore:
            return

    def connect(self) -> None:
        """One more client."""
        if len(self._open) < 8:
            self._open.append(self.served.connect())

    def send(self) -> None:
        """A frame, whose first byte says how it is answered."""
        self._arrives(pack(self._payload()))

    def send_several(self) -> None:
        """Frames at once."""
        self._arrives(b"".join(pack(self._payload()) for _ in range(5)))

    def send_raw(self) -> None:
        """Any bytes."""
        self._arrives(bytes(self._next() for _ in range(self._next() % 7)))

    def lose(self) -> None:
        """A client goes, somehow."""
        error = ConnectionLost() if self._next() % 2 else None
        connection = self._pick()
        if connection is not None:
            self._open.remove(connection)
            connection.lose(error)

    def half_close(self) -> None:
        """A client sends no more."""
        connection = self._pick()
        finishing = FinishingFrameProtocol
        if connection is None or not isinstance(connection.protocol, finishing):
            return
        if connection.wire.reading and connection not in self._half_closed:
            self._half_closed.append(connection)
            connection.protocol.readConnectionLost()

    def take(self) -> None:
        """The kernel takes what was written."""
        connection = self._pick()
        if connection is not None and connection.wire.producer is not None:
            connection.wire.take()

    def answer(self) -> None:
        """An answer comes."""
        self._settle(lambda made: made.callback(b"later" * (self._next() % 9)))

    def fail(self) -> None:
        """An answer fails."""
        self._settle(lambda made: made.errback(ValueError("made up")))

    def push(self) -> None:
        """The handler sends something by itself."""
        client = self._client()
        if client is not None:
            sent = client.send(b"p" * (self._next() % 50))
            sent.addErrback(lambda failure: failure.trap(Disconnected))

    def drop(self) -> None:
        """The handler drops a client."""
        client = self._client()
        if client is not None:
            client.drop("made up")

    def wait(self) -> None:
        """Time passes."""
        self.served.clock.advance(self._next() % 5)

    def change_limits(self) -> None:
        """Other limits are configured."""
        self.served.server.limits = LIMITS[self._next() % len(LIMITS)]

    def end(self) -> None:
        """Everybody goes."""
        while self._open:
            self._open.pop().lose()
        for made in self._later.made:
            made.addErrback(lambda _: None)

    def _answer(self, _: object, frame: bytes) -> object:
        how = frame[:1]
        if how == b"L":
            return self._later()
        if how == b"N":
            return None
        if how == b"E":
            raise ValueError("made up")
        if how == b"A":
            return self._soon(frame)
        return frame

    async def _soon(self, frame: bytes) -> bytes:
        return frame

    def _payload(self) -> bytes:
        byte = self._next()
        return (b"L", b"L", b"N", b"A", b"B", b"E")[byte % 6] + b"." * (byte // 6)

    def _arrives(self, data: bytes) -> None:
        connection = self._pick()
        # A paused transport brings at most what it had read before.
        if connection is not None and connection not in self._half_closed:
            connection.protocol.dataReceived(data)

    def _settle(self, how: Callable[[Any], None]) -> None:
        waiting = [each for each in self._later.made if not each.called]
        if waiting:
            how(waiting[self._next() % len(waiting)])

    def _pick(self) -> Connection | None:
        self._reap()
        return self._open[self._next() % len(self._open)] if self._open else None

    def _reap(self) -> None:
        # What was aborted, or closed with nothing left to send, is lost soon.
        for connection in list(self._open):
            if connection.wire.aborted or connection.wire.disconnecting:
                self._open.remove(connection)
                connection.lose()

    def _client(self) -> Any:
        clients = self.served.handler.clients
        return clients[self._next() % len(clients)] if clients else None

    def _next(self) -> int:
        for byte in self._bytes:
            return byte
        raise _NoMore


def check_session(data: bytes) -> None:
    """
    Have clients do what the bytes say.

    @raise AssertionError: a client was not told of as it should be, or
        something is left of it.
    """
    try:
        world = _World(iter(data))
    except _NoMore:
        return
    world.run()
    world.end()
    served, handler = world.served, cast(Scripted, world.served.handler)
    told = [client.id for client, _ in handler.gone]
    assert sorted(told) == sorted(client.id for client in handler.clients)
    assert not any(client.connected for client in handler.clients)
    status = served.server.status()
    left = {name: status[name] for name in ("clients", "in_flight", "buffered")}
    assert not any(left.values()), left
    assert not served.clock.getDelayedCalls()
    bystander = served.connect()
    bystander.send(b"B")
    assert bystander.wire.writes == [pack(b"B")], "a bystander is not served"
    bystander.lose()
