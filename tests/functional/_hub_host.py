"""
A hub on a reactor of any kind, that is busy while the reactor does everything
else that reactors do.  Prints what it has found, and ends by a signal.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.application.reactors import installReactor
from twisted.internet import defer, endpoints, protocol, task, threads, utils

from sockhost.sockets.bound import bind_unix
from sockhost.sockets.hub import IHubReactor
from sockhost.sockets.hublistener import HubListener
from sockhost.sockets.server import FrameServer
from sockhost.sockets.wire import pack

installReactor(sys.argv[1])

CLIENTS, FRAMES = 4, 300
path = sys.argv[2]
found: dict[str, Any] = {}


class Echo:
    """Sends back what it gets, half of it later."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def received(self, client: object, frame: bytes) -> object:
        """Answer now, or in another turn."""
        if len(frame) % 2:
            return frame
        return task.deferLater(self._reactor, 0, lambda: frame)


class Other(protocol.Protocol):
    """A client on an ordinary transport of the same reactor."""

    def __init__(self, got: defer.Deferred[bytes]) -> None:
        self._got = got

    def connectionMade(self) -> None:
        """Send a frame."""
        assert self.transport is not None
        self.transport.write(pack(b"other"))

    def dataReceived(self, data: bytes) -> None:
        """Its answer has come."""
        self._got.callback(data)


def load() -> int:
    """Ask and ask, and check every answer."""
    right = 0
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        for number in range(FRAMES):
            frames = b"".join(pack(b"x" * (number % 7)) for _ in range(10))
            client.sendall(frames)
            got = b""
            while len(got) < len(frames):
                got += client.recv(65536)
            right += got == frames
    return right


async def main(reactor: Any) -> None:
    """Do everything at once."""
    server = FrameServer(reactor, Echo(reactor))
    listener = HubListener(reactor, bind_unix(path), server)
    listener.start()
    loads = [threads.deferToThread(load) for _ in range(CLIENTS)]
    found["driven"] = IHubReactor.providedBy(reactor)
    ticks: list[float] = []
    ticking = task.LoopingCall(lambda: ticks.append(time.monotonic()))
    ticking.start(0.01)
    began = time.monotonic()
    late: defer.Deferred[float] = defer.Deferred()
    call = reactor.callLater(1000, lambda: late.callback(time.monotonic() - began))
    call.reset(0.1)
    found["reset"] = (await late) < 50
    found["process"] = (await utils.getProcessOutput("/bin/echo", [b"hi"])).decode()
    here = threading.main_thread()
    elsewhere = threads.deferToThread(lambda: threading.current_thread() is not here)
    found["thread"] = await elsewhere
    got: defer.Deferred[bytes] = defer.Deferred()
    await endpoints.connectProtocol(
        endpoints.UNIXClientEndpoint(reactor, path), Other(got)
    )
    found["other"] = (await got) == pack(b"other")
    found["right"] = sum(await defer.gatherResults(loads))
    ticking.stop()
    found["ticks"] = len(ticks) >= 3
    listener.stop()
    await server.drain(0)
    os.unlink(path)
    os.kill(os.getpid(), signal.SIGTERM)


def run(reactor: Any, start: Callable[[Any], Any]) -> None:
    """Run until the signal."""

    def failed(failure: Any) -> None:
        found["failure"] = failure.getTraceback()
        reactor.stop()

    def begin() -> None:
        defer.Deferred.fromCoroutine(start(reactor)).addErrback(failed)

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: found.update(shutdown=True)
    )
    reactor.run()
    print(json.dumps(found))


if __name__ == "__main__":
    from twisted.internet import reactor as installed

    run(installed, main)
