"""
Clients of a framed socket that behave well and badly, at random.  They speak
the protocol by themselves, and share no code with what they try.

The handler that they talk to echoes each frame, after a while if it begins with
C{later}.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

HEADER = struct.Struct("=I")
MAY_BE_CUT = frozenset({"stall", "reset", "flood", "garbage", "announce"})
"""The behaviours for which the server may end a connection; the others are good."""

PATIENCE = 60.0
"""Seconds in which a client that behaves well must have its answer."""


class Echo:
    """The handler that the clients talk to."""

    def __init__(self, host: Any) -> None:
        self._reactor = host.reactor

    def received(self, _: object, frame: bytes) -> object:
        """Echo it, after a while if it says so."""
        if frame.startswith(b"later"):
            return self._later(frame)
        return frame

    def _later(self, frame: bytes) -> Deferred[bytes]:
        return deferLater(self._reactor, 0.05, lambda: frame)


def packed(payload: bytes) -> bytes:
    """One frame."""
    return HEADER.pack(len(payload) + HEADER.size) + payload


class Wrong(Exception):
    """An answer is not what it should be; the text says how."""


@define(eq=False)
class Crowd:
    """
    Many clients at once, each of which does one thing after the other.

    @ivar done: how often each thing was done.
    @ivar cut: how often the server ended a connection that it may end.
    @ivar problems: what must not happen and did, a sentence each.
    """

    path: str
    size: int
    seed: int = 0
    done: Counter[str] = field(factory=Counter)
    cut: int = 0
    problems: list[str] = field(factory=list)
    _over: bool = False

    async def run(self, seconds: float) -> None:
        """Behave for a while, and go."""
        clients = [asyncio.ensure_future(self._one(n)) for n in range(self.size)]
        await asyncio.sleep(seconds)
        self._over = True
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _one(self, number: int) -> None:
        chance = random.Random(self.seed * 1_000_003 + number)
        await asyncio.sleep(chance.random() * 2)
        while not self._over:
            name, behave = chance.choice(BEHAVIOURS)
            await self._do(name, behave, chance)
            self.done[name] += 1
            await asyncio.sleep(chance.random() * 1.5)

    async def _do(self, name: str, behave: Behaviour, chance: random.Random) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            try:
                await self._connect(connection)
                await asyncio.wait_for(behave(Line(connection), chance), PATIENCE)
            except ConnectionError as error:
                self._was_cut(name, error)
            except TimeoutError:
                self.problems.append(f"{name} was not over after {PATIENCE:g} s")
            except Wrong as error:
                self.problems.append(f"{name}: {error}")

    def _was_cut(self, name: str, error: ConnectionError) -> None:
        if name in MAY_BE_CUT:
            self.cut += 1
        else:
            self.problems.append(f"{name} was cut: {error}")

    async def _connect(self, connection: socket.socket) -> None:
        while True:
            try:
                connection.connect(self.path)
            except BlockingIOError:
                # The backlog is full; a Unix socket cannot be waited for then.
                await asyncio.sleep(0.02)
            else:
                return


@define(eq=False)
class Line:
    """A connection, as clients see it."""

    connection: socket.socket
    _read: bytearray = field(factory=bytearray)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await asyncio.get_running_loop().sock_sendall(self.connection, data)

    async def frame(self) -> bytes:
        """Read one frame."""
        (length,) = HEADER.unpack(await self._exactly(HEADER.size))
        return await self._exactly(length - HEADER.size)

    async def rest(self) -> bytes:
        """Read until the server closes the connection."""
        while data := await self._some():
            self._read += data
        return bytes(self._read)

    async def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            data = await self._some()
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._read += data
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    async def _some(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.connection, 65536)


Behaviour = Callable[[Line, random.Random], Awaitable[None]]


def _payload(chance: random.Random) -> bytes:
    size = chance.choice((0, 1, 12, 100, 1000, 4000, 70_000))
    start = b"later" if chance.random() < 0.2 else b"%d" % chance.getrandbits(32)
    return (start + b"." * size)[: max(size, 5)]


async def ask(line: Line, chance: random.Random) -> None:
    """Ask, wait for the answer, and ask again."""
    for _ in range(chance.randint(1, 10)):
        payload = _payload(chance)
        await line.send(packed(payload))
        if await line.frame() != payload:
            raise Wrong("an answer is not the echo of the request")


async def pipeline(line: Line, chance: random.Random) -> None:
    """Ask many things at once, and wait for all answers."""
    asked = [_payload(chance)[:4000] for _ in range(chance.randint(10, 200))]
    await line.send(b"".join(map(packed, asked)))
    answers = [await line.frame() for _ in asked]
    if sorted(answers) != sorted(asked):
        raise Wrong("the answers are not the echoes of the requests")


async def dribble(line: Line, chance: random.Random) -> None:
    """Send a frame in small pieces."""
    data = packed(b"dribble" * 10)
    # On a busy machine sleep is long, and a frame must be whole in some seconds.
    hurry = asyncio.get_running_loop().time() + 1.5
    for start in range(0, len(data), 7):
        await line.send(data[start : start + 7])
        if asyncio.get_running_loop().time() < hurry:
            await asyncio.sleep(chance.random() * 0.05)
    if await line.frame() != data[HEADER.size :]:
        raise Wrong("an answer is not the echo of the request")


async def stall(line: Line, chance: random.Random) -> None:
    """Ask for much, read nothing for a while, and go."""
    data = packed(b"x" * 30_000) * 40
    sending = asyncio.ensure_future(line.send(data))
    try:
        await asyncio.sleep(1 + chance.random() * 3)
    finally:
        await _ended(sending)


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def reset(line: Line, chance: random.Random) -> None:
    """Go in the middle of a frame, with answers not read."""
    await line.send(packed(b"unread") * chance.randint(1, 50))
    await line.send(packed(b"torn" * 100)[: chance.randint(1, 300)])


async def half_close(line: Line, chance: random.Random) -> None:
    """Send no more, and read what comes to the end."""
    payloads = [b"%d" % number for number in range(chance.randint(1, 20))]
    await line.send(b"".join(map(packed, payloads)))
    line.connection.shutdown(socket.SHUT_WR)
    if await line.rest() != b"".join(map(packed, payloads)):
        raise Wrong("not all was answered before the connection was closed")


async def flood(line: Line, chance: random.Random) -> None:
    """Send as much as the server takes for a while, and read it all."""

    async def drain() -> None:
        while await line._some():
            pass

    reading = asyncio.ensure_future(drain())
    end = asyncio.get_running_loop().time() + 0.5 + chance.random()
    data = packed(b"flood" * 50) * 50
    try:
        while asyncio.get_running_loop().time() < end:
            await line.send(data)
            await asyncio.sleep(0)
    finally:
        await _ended(reading)


async def garbage(line: Line, chance: random.Random) -> None:
    """Send what is no frame; the server must hang up."""
    bad = chance.choice((b"\0\0\0\0", b"\3\0\0\0", b"\xff\xff\xff\xff" + b"x" * 100))
    await line.send(packed(b"first") + bad)
    if await line.rest() != packed(b"first"):
        raise Wrong("what is no frame was answered")


async def announce(line: Line, chance: random.Random) -> None:
    """Announce much, send little of it, and wait for the end."""
    await line.send(HEADER.pack(8_000_000) + b"x" * chance.randint(0, 100_000))
    await line.rest()


async def idle(line: Line, chance: random.Random) -> None:
    """Do nothing for a while."""
    await asyncio.sleep(chance.random() * 5)


BEHAVIOURS: list[tuple[str, Behaviour]] = [
    (each.__name__, each)
    for each in (
        *(ask, ask, ask, pipeline, dribble, stall, reset),
        *(half_close, flood, garbage, announce, idle),
    )
]
