"""
Clients that do anything in any order, on a live hub.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

from attrs import define, field

from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import pack
from tests.functional.livehub import Answering, LiveHub, split

GENTLE = (
    Limits(half_close="drop"),
    Limits(half_close="finish"),
    Limits(half_close="finish", max_in_flight=2, high_water=1000),
)
"""Limits that nobody who behaves well comes up against."""

LIMITS = (
    *GENTLE,
    Limits(half_close="drop", max_frame=64, max_buffered=300, max_in_flight=1),
    Limits(half_close="finish", idle_timeout=4, frame_timeout=2, stall_timeout=3),
)


class _NoMore(Exception):
    """There are no more bytes."""


@define(eq=False)
class _Client:
    """
    A client of the hub.

    @ivar asked: what it wants to be answered.
    @ivar unsent: what the kernel has not taken.
    @ivar good: whether it behaves well, and so must have every answer.
    @ivar ends: whether it sends no more.
    """

    line: socket.socket
    good: bool
    asked: list[bytes] = field(factory=list)
    unsent: bytes = b""
    got: bytes = b""
    ends: bool = False

    def send(self, most: int) -> None:
        """Send some of what is to be sent."""
        if self.ends:
            return
        try:
            sent = self.line.send(self.unsent[:most])
        except BlockingIOError:
            return
        except OSError:
            assert not self.good, "one who behaves well was cut off"
            sent = len(self.unsent)
        self.unsent = self.unsent[sent:]

    def read(self, most: int) -> None:
        """Read some of what there is."""
        try:
            self.got += self.line.recv(most)
        except BlockingIOError:
            return
        except OSError:
            assert not self.good, "one who behaves well was cut off"

    def answered(self) -> bool:
        """Whether it has got as much as it must get."""
        return len(self.got) >= sum(len(pack(each)) for each in self.asked)


@define(eq=False)
class _World:
    """A hub, its clients, and what the bytes make of them."""

    _bytes: Iterator[int]
    _limits: Limits
    _clients: list[_Client] = field(factory=list)
    _handler: Answering = field(factory=Answering)
    _live: LiveHub = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._live = LiveHub(self._handler, self._limits)

    def run(self) -> None:
        """Do what the bytes say."""
        actions: list[Callable[[], None]] = [
            *(self.connect, self.ask, self.ask_much, self.send, self.send, self.read),
            *(self.turn, self.turn, self.answer, self.wait, self.send_raw),
            *(self.stop_sending, self.stop_reading, self.go, self.be_dropped),
        ]
        try:
            while True:
                actions[self._next() % len(actions)]()
        except _NoMore:
            return

    def connect(self) -> None:
        """One more client."""
        if len(self._clients) < 6:
            good = self._limits in GENTLE
            self._clients.append(_Client(self._live.client(), good))

    def ask(self) -> None:
        """A frame, whose first byte says how it is answered."""
        byte = self._next()
        self._asks(b"alcn"[byte % 4 : byte % 4 + 1] + b"." * (byte // 4), 1)

    def ask_much(self) -> None:
        """Many large frames at once."""
        self._asks(b"al"[self._next() % 2 :][:1] * 30_000, 10)

    def _asks(self, payload: bytes, times: int) -> None:
        client = self._pick()
        if client is not None and not client.ends:
            client.asked += [payload] * times
            client.unsent += pack(payload) * times

    def send(self) -> None:
        """Some of what is to be sent goes."""
        client = self._pick()
        if client is not None:
            client.send(1 + self._next() ** 2)

    def read(self) -> None:
        """Some of what there is is read."""
        client = self._pick()
        if client is not None:
            client.read(1 + self._next() ** 2)

    def turn(self) -> None:
        """The hub does what there is to do."""
        self._live.turn()

    def answer(self) -> None:
        """What is to be answered later is answered."""
        self._handler.answer()

    def wait(self) -> None:
        """Time passes."""
        self._live.clock.advance(self._next() % 5)

    def send_raw(self) -> None:
        """Any bytes."""
        self._misbehaves(bytes(self._next() for _ in range(self._next() % 7)))

    def be_dropped(self) -> None:
        """A frame that the handler drops its client for."""
        self._misbehaves(pack(b"d"))

    def _misbehaves(self, data: bytes) -> None:
        client = self._pick()
        if client is not None:
            client.good = False
            client.unsent += data

    def stop_sending(self) -> None:
        """A client closes the side that it sends on, perhaps within a frame."""
        client = self._pick()
        if client is not None and not client.ends:
            finishes = self._limits.half_close == "finish"
            client.good = client.good and finishes and not client.unsent
            self._shut(client, socket.SHUT_WR)
            client.ends = True

    def stop_reading(self) -> None:
        """A client closes the side that it reads on."""
        client = self._pick()
        if client is not None:
            client.good = False
            self._shut(client, socket.SHUT_RD)

    def _shut(self, client: _Client, how: int) -> None:
        try:
            client.line.shutdown(how)
        except OSError:
            # The server has closed it.
            assert not client.good, "one who behaves well was cut off"

    def go(self) -> None:
        """A client closes its connection."""
        client = self._pick()
        if client is not None:
            self._clients.remove(client)
            client.line.close()

    def finish(self) -> None:
        """Who behaves well gets the rest; then everybody goes."""
        bystander = _Client(self._live.client(), good=True)
        bystander.asked.append(b"still here")
        bystander.unsent += pack(b"still here")
        self._clients.append(bystander)
        good = [client for client in self._clients if client.good]
        self._live.until(lambda: self._served(good))
        for client in good:
            assert sorted(split(client.got)) == sorted(client.asked)
        while self._clients:
            self._clients.pop().line.close()
        self._live.until(lambda: self._answered() and self._handler.here == 0)
        status = self._live.server.status()
        left = {name: status[name] for name in ("clients", "in_flight", "buffered")}
        assert not any(left.values()), left

    def close(self) -> None:
        """End, whatever has failed."""
        for client in self._clients:
            client.line.close()
        self._live.close()

    def _served(self, clients: list[_Client]) -> bool:
        for client in clients:
            client.send(1 << 20)
            client.read(1 << 20)
        return self._answered() and all(client.answered() for client in clients)

    def _answered(self) -> bool:
        self._handler.answer()
        return True

    def _pick(self) -> _Client | None:
        return (
            self._clients[self._next() % len(self._clients)] if self._clients else None
        )

    def _next(self) -> int:
        for byte in self._bytes:
            return byte
        raise _NoMore


def check_hub(data: bytes) -> None:
    """
    Have clients of a hub do what the bytes say.

    @param data: the first byte chooses the limits.
    @raise AssertionError: who behaved well has not got what it should have, or
        something is left of somebody.
    """
    if not data:
        return
    world = _World(iter(data[1:]), LIMITS[data[0] % len(LIMITS)])
    try:
        world.run()
        world.finish()
    finally:
        world.close()
