"""
Transports, handlers and sockets that a test turns by hand.
"""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.server import FrameServer
from sockhost.sockets.wire import pack


class Wire(StringTransport):
    """
    A transport whose kernel takes bytes when L{take} is called.

    @ivar writes: what each C{write} was given.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reading = True
        self.aborted = False

    def write(self, data: bytes) -> None:
        """Note it."""
        self.writes.append(data)
        super().write(data)

    def pauseProducing(self) -> None:
        """Stop reading."""
        self.reading = False

    def resumeProducing(self) -> None:
        """Go on reading."""
        self.reading = True

    def abortConnection(self) -> None:
        """Note that it was asked for."""
        self.aborted = True

    def take(self) -> None:
        """The kernel has taken everything that was written."""
        assert self.producer is not None
        self.producer.resumeProducing()


@define(eq=False)
class Scripted:
    """
    A handler that does what the test says and notes what it was told.

    @ivar answer: makes the answer to a frame.
    @ivar greet: what C{connected} returns.
    @ivar part: what C{disconnected} returns.
    """

    answer: Callable[[IClient, bytes], object] = lambda _, frame: frame
    greet: Callable[[IClient], object] = lambda _: None
    part: Callable[[IClient], object] = lambda _: None
    clients: list[IClient] = field(factory=list)
    frames: list[bytes] = field(factory=list)
    gone: list[tuple[IClient, Disconnected]] = field(factory=list)

    def connected(self, client: IClient) -> object:
        """Note the client."""
        self.clients.append(client)
        return self.greet(client)

    def received(self, client: IClient, frame: bytes) -> object:
        """Note the frame and answer it."""
        self.frames.append(frame)
        return self.answer(client, frame)

    def disconnected(self, client: IClient, reason: Disconnected) -> object:
        """Note the reason."""
        self.gone.append((client, reason))
        return self.part(client)


@define(eq=False)
class Later:
    """Answers that come when the test says so: C{later[0].callback(b"x")}."""

    made: list[Deferred[Any]] = field(factory=list)
    cancelled: list[Deferred[Any]] = field(factory=list)

    def __call__(self, *_: object) -> Deferred[Any]:
        made: Deferred[Any] = Deferred(self.cancelled.append)
        self.made.append(made)
        return made

    def __getitem__(self, number: int) -> Deferred[Any]:
        return self.made[number]


@define(eq=False)
class Connection:
    """A client's end of a connection in memory."""

    protocol: Protocol
    wire: Wire

    def send(self, *payloads: bytes) -> None:
        """Send frames, all in one piece."""
        self.protocol.dataReceived(b"".join(pack(each) for each in payloads))

    def lose(self, error: Exception | None = None) -> None:
        """The connection ends."""
        self.protocol.connectionLost(Failure(error or ConnectionDone()))


@define(eq=False)
class Served:
    """A server in memory."""

    handler: Any = field(factory=Scripted)
    limits: Limits = field(factory=Limits)
    clock: MemoryReactorClock = field(factory=MemoryReactorClock)
    server: FrameServer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = FrameServer(self.clock, self.handler, self.limits, "kv")

    def connect(self) -> Connection:
        """Connect a client."""
        protocol = self.server.buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None
        wire = Wire()
        protocol.makeConnection(wire)
        return Connection(protocol, wire)


@define(eq=False)
class FakeSocket:
    """
    A listening socket whose C{accept} gives what the test put into C{waiting}:
    connected sockets, or error numbers.  When it is empty nobody waits.
    """

    waiting: list[Any] = field(factory=list)
    closed: bool = False
    # The hub's epoll is a real one, and refuses what is no descriptor.
    _fd: int = field(factory=lambda: os.eventfd(0), init=False)

    def accept(self) -> tuple[Any, str]:
        """Give the next one."""
        found = self.waiting.pop(0) if self.waiting else errno.EAGAIN
        if isinstance(found, int):
            raise OSError(found, os.strerror(found))
        return found, ""

    def fileno(self) -> int:
        """A descriptor on which nothing ever happens."""
        return -1 if self.closed else self._fd

    def listen(self, backlog: int) -> None:
        """Listen."""

    def close(self) -> None:
        """Note it."""
        if not self.closed:
            self.closed = True
            os.close(self._fd)

    def __del__(self) -> None:
        self.close()


@define(eq=False)
class FakeConnected:
    """A socket that was accepted."""

    number: int = 70
    closed: bool = False

    def setblocking(self, blocking: bool) -> None:
        """Nothing blocks here."""

    def fileno(self) -> int:
        """Something that looks like a descriptor."""
        return self.number

    def __enter__(self) -> FakeConnected:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


@define(eq=False)
class Hooked(Scripted):
    """
    A handler with hooks.

    @ivar on: what a hook does; it does nothing if it is not in here.
    @ivar called: the hooks that were called, in order.
    """

    on: dict[str, Callable[[], object]] = field(factory=dict)
    called: list[str] = field(factory=list)

    def _hook(self, name: str) -> object:
        self.called.append(name)
        return self.on.get(name, lambda: None)()

    def startup(self) -> object:
        """Note it."""
        return self._hook("startup")

    def reconfigure(self) -> object:
        """Note it."""
        return self._hook("reconfigure")

    def shutdown(self) -> object:
        """Note it."""
        return self._hook("shutdown")


def fill_gaps(case: SynchronousTestCase) -> None:
    """Have the descriptors that are made next get numbers in a row."""
    gc.collect()
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    while (number := os.dup(0)) < highest:
        case.addCleanup(os.close, number)
    os.close(number)
