"""
What stands in for the kernel, the reactor and the processes in the unit tests
of the workers.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from sockhost.interfaces import ProcessLost
from sockhost.workers.latch import Latch
from sockhost.workers.process import Ending


def loose(value: object) -> Any:
    """Have mypy take a fake for what it stands in for."""
    return value


class PortTransport(StringTransport):
    """A transport that tells its protocol at once when it is aborted."""

    protocol: Any = None

    def abortConnection(self) -> None:
        """Lose the connection."""
        super().abortConnection()
        self.protocol.connectionLost(Failure(ConnectionAborted()))


class FakeReactor(Clock):
    """
    A clock that also remembers descriptors, and connects adopted ones to
    transports in memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.adopted: list[PortTransport] = []
        self.stopped = 0
        self.refuse: OSError | None = None

    def addReader(self, reader: Any) -> None:
        """Read from it."""
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        """Do not."""
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        """Write to it."""
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        """Do not."""
        self.writers.discard(writer)

    def adoptStreamConnection(
        self,
        fileDescriptor: int,  # noqa: N803
        addressFamily: int,  # noqa: N803
        factory: IProtocolFactory,
    ) -> int:
        """Connect a protocol to a transport in memory."""
        if self.refuse is not None:
            raise self.refuse
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        transport = PortTransport()
        transport.protocol = protocol
        self.adopted.append(transport)
        protocol.makeConnection(transport)
        return fileDescriptor

    def stop(self) -> None:
        """Count."""
        self.stopped += 1


@define(eq=False)
class FakeSocket:
    """A socket that gives what it is told to, and remembers what it is given."""

    number: int = 7
    incoming: deque[Any] = field(factory=deque)
    outgoing: list[tuple[bytes, list[int]]] = field(factory=list)
    room: int = 1000
    broken: bool = False
    closed: bool = False

    def fileno(self) -> int:
        """Its number."""
        return -1 if self.closed else self.number

    def close(self) -> None:
        """Close it."""
        self.closed = True

    def setblocking(self, flag: bool) -> None:
        """Nothing here blocks."""

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    def recvmsg(self, *_sizes: int) -> Any:
        """Give the next of what was put into C{incoming}."""
        if not self.incoming:
            raise BlockingIOError
        item = self.incoming.popleft()
        if isinstance(item, Exception):
            raise item
        return item

    def sendmsg(self, buffers: Any, ancillary: Any, *_rest: object) -> int:
        """Remember a message, if there is room."""
        if self.broken:
            raise BrokenPipeError
        if self.room <= 0:
            raise BlockingIOError
        self.room -= 1
        data = b"".join(buffers)
        self.outgoing.append((data, list(ancillary[0][2]) if ancillary else []))
        return len(data)


@define(eq=False)
class FakeProcess:
    """A forked worker that remembers its signals."""

    pid: int = 500
    signals: list[int] = field(factory=list)

    def signal(self, number: int) -> None:
        """Remember a signal."""
        self.signals.append(number)


@define(eq=False)
class FakePrototype:
    """A prototype that is told by the test what to say."""

    pid: int = 400
    usable: bool = False
    ready: Deferred[None] = field(factory=Deferred)
    gone: Latch = field(factory=Latch)
    ending: ProcessLost | None = None
    released: bool = False
    killed: int = 0
    callers: list[Any] = field(factory=list)
    dies: bool = True

    def prepared(self) -> None:
        """It can fork now."""
        self.usable = True
        self.ready.callback(None)

    def fork(self, index: int, port: Any, caller: Any) -> None:
        """Remember who wants a worker."""
        port.close()
        self.callers.append(caller)

    def release(self) -> None:
        """It is let go."""
        self.usable = False
        self.released = True

    def kill(self) -> None:
        """It is killed, and dies unless it is told not to."""
        self.killed += 1
        if self.dies:
            self.end(signal=9)

    def end(self, code: int | None = None, signal: int | None = None) -> None:
        """It ends."""
        self.usable = False
        if not self.gone.closed:
            self.ending = ProcessLost(f"it {Ending(code, signal)}", code, signal)
            if not self.ready.called:
                self.ready.errback(self.ending)
            self.gone.close()


@define(eq=False)
class FakeCrew:
    """The unit that a worker belongs to."""

    prototype: Any = None
    fd: int | None = None
    waiting: list[Deferred[Any]] = field(factory=list)
    failures: list[Failure] = field(factory=list)
    events: list[Any] = field(factory=list)

    def when_ready(self) -> Deferred[Any]:
        """Give the prototype, or wait for it."""
        if self.prototype is not None:
            return succeed(self.prototype)
        waiter: Deferred[Any] = Deferred()
        self.waiting.append(waiter)
        return waiter

    def listener(self) -> int | None:
        """Give the listening descriptor."""
        return self.fd

    def publish(self, event: Any) -> None:
        """Remember an event."""
        self.events.append(event)

    def start_failed(self, failure: Failure) -> None:
        """Remember a failed start."""
        self.failures.append(failure)
