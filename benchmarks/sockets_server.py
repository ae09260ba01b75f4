"""
The framed echo servers that L{benchmarks.sockets} measures.

C{python -m benchmarks.sockets_server NAME PATH [later]}
"""

from __future__ import annotations

import asyncio
import gc
import resource
import struct
import sys
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from benchmarks.hosts import ROOT
from sockhost.processes.collector import settle_in

HEADER = struct.Struct("=I")

#: Ours: the reactor that a socket unit is served on, and its C{transport}.
OURS = {
    "sockhost": ("epoll", "hub"),
    "sockhost-hub": ("sockhost", "hub"),
    "sockhost-protocol": ("epoll", "protocol"),
}


class Echo:
    """Answers at once."""

    def __init__(self, host: object) -> None:
        self.host = host

    def received(self, client: object, frame: bytes) -> bytes:
        """Send it back."""
        return frame


class Later:
    """Answers everything in a later turn of the reactor."""

    def __init__(self, host: Any) -> None:
        from twisted.internet.defer import Deferred

        self._deferred: Callable[[], Any] = Deferred
        self._reactor = host.reactor
        self._waiting: list[tuple[Any, bytes]] = []

    def received(self, client: object, frame: bytes) -> object:
        """Send it back later."""
        if not self._waiting:
            self._reactor.callLater(0, self._answer)
        answer = self._deferred()
        self._waiting.append((answer, frame))
        return answer

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for answer, frame in waiting:
            answer.callback(frame)


def sockhost(path: str, handler: str, name: str) -> None:
    """A socket unit, as a host has it."""
    from twisted.application.reactors import installReactor

    reactor_name, transport = OURS[name]
    installReactor(reactor_name)

    from twisted.internet import reactor as installed

    from sockhost.sockets.hub import IHubReactor
    from sockhost.sockets.settings import SocketConfig
    from sockhost.sockets.unit import SocketUnit

    reactor: Any = installed
    if IHubReactor.providedBy(reactor) is not (reactor_name == "sockhost"):
        # It falls back where it does not know Twisted: that is another contender.
        sys.exit(f"{name} is not served by the reactor {reactor_name}")
    host: Any = SimpleNamespace(reactor=reactor, config_dir=str(ROOT))
    config: Any = SocketConfig(
        path=path,
        handler=f"benchmarks.sockets_server:{handler}",
        transport=transport,  # type: ignore[arg-type]
        backlog=1024,
    )
    unit = SocketUnit("echo", config, host)
    failures: list[str] = []

    def failed(failure: Any) -> None:
        failures.append(failure.getTraceback())
        reactor.stop()

    reactor.callWhenRunning(lambda: unit.start(failed).addErrback(failed))
    reactor.run()
    if failures:
        sys.exit(failures[0])


class EchoProtocol(asyncio.Protocol):
    """What one writes for asyncio: a buffer, and a write for each frame."""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        """Send back what is whole."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            (length,) = HEADER.unpack_from(buffer)
            if len(buffer) < length:
                return
            frame = bytes(buffer[4:length])
            del buffer[:length]
            self._transport.write(HEADER.pack(len(frame) + 4) + frame)

    def pause_writing(self) -> None:
        """The client takes nothing: read nothing."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._transport.resume_reading()


async def echo_stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """The same with streams."""
    try:
        while True:
            (length,) = HEADER.unpack(await reader.readexactly(4))
            frame = await reader.readexactly(length - 4)
            writer.write(HEADER.pack(len(frame) + 4) + frame)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def asyncio_protocol(path: str) -> None:
    """Serve by protocols."""
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(EchoProtocol, path, backlog=1024)
    await server.serve_forever()


async def asyncio_streams(path: str) -> None:
    """Serve by streams."""
    server = await asyncio.start_unix_server(echo_stream, path, backlog=1024)
    await server.serve_forever()


def uvloop_protocol(path: str) -> None:
    """Serve by protocols on uvloop."""
    import uvloop

    uvloop.run(asyncio_protocol(path))


def servers(path: str, handler: str) -> dict[str, Callable[[], object]]:
    """Everybody, by name."""
    return {
        **{name: partial(sockhost, path, handler, name) for name in OURS},
        "asyncio-protocol": lambda: asyncio.run(asyncio_protocol(path)),
        "asyncio-streams": lambda: asyncio.run(asyncio_streams(path)),
        "uvloop-protocol": lambda: uvloop_protocol(path),
    }


def main(argv: list[str]) -> int:
    """Serve until a signal."""
    name, path, *how = argv
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # As our host does, and as any server may that has loaded what it needs.
    gc.collect()
    settle_in()
    servers(path, "Later" if how else "Echo")[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
