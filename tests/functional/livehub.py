"""
A hub on real sockets that a test turns, and the clients of it, in one thread.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockhost.interfaces import IClient
from sockhost.sockets.bound import bind_unix
from sockhost.sockets.hub import Hub
from sockhost.sockets.hublistener import HubListener
from sockhost.sockets.limits import Limits
from sockhost.sockets.server import FrameServer
from sockhost.sockets.wire import HEADER


class TurnedClock(Clock):
    """A reactor that watches nothing: the test turns the hub."""

    def addReader(self, reader: object) -> None:
        """Nothing to do."""

    def removeReader(self, reader: object) -> None:
        """Nothing to do."""


class Answering:
    """
    Answers in the way that the first byte of a frame says.

    @ivar later: what is not answered yet.
    @ivar here: how many clients are.
    """

    def __init__(self) -> None:
        self.later: list[tuple[Deferred[bytes], bytes]] = []
        self.here = 0

    def connected(self, client: IClient) -> None:
        """Count."""
        self.here += 1

    def received(self, client: IClient, frame: bytes) -> object:
        """Echo, in one of many ways."""
        kind = frame[:1]
        if kind == b"l":
            answer: Deferred[bytes] = Deferred()
            self.later.append((answer, frame))
            return answer
        if kind == b"c":
            return self._soon(frame)
        if kind == b"n":
            client.send(frame).addErrback(lambda _: None)
            return None
        if kind == b"d":
            client.drop("it asked for it")
        return frame

    async def _soon(self, frame: bytes) -> bytes:
        return frame

    def disconnected(self, client: IClient, reason: object) -> None:
        """Count."""
        self.here -= 1

    def answer(self) -> None:
        """Answer what is not answered."""
        later, self.later = self.later, []
        for answer, frame in later:
            answer.callback(frame)


class LiveHub:
    """A hub with a real socket, and the clients of it, in one thread."""

    def __init__(self, handler: Any, limits: Limits | None = None) -> None:
        self.directory = tempfile.mkdtemp(prefix="hub-")
        self.path = os.path.join(self.directory, "s")
        self.clock = TurnedClock()
        self.handler = handler
        self.server = FrameServer(self.clock, handler, limits)
        self.listener = HubListener(self.clock, bind_unix(self.path), self.server)
        self.listener.start()
        self.hub: Hub = self.listener._hub

    def client(self) -> socket.socket:
        """Connect."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        client.setblocking(False)
        return client

    def turn(self) -> None:
        """Let the hub and the reactor do what there is to do."""
        self.hub.turn()
        self.clock.advance(0)

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Turn until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            self.turn()
            assert time.monotonic() < end, "it did not come about in time"

    def close(self) -> None:
        """End, and see that nothing is left."""
        self.listener.stop()
        gone = self.server.drain(0)
        self.clock.advance(0)
        self.until(lambda: gone.called)
        assert self.hub.fileno() == -1
        shutil.rmtree(self.directory)


def split(data: bytes) -> list[bytes]:
    """Cut frames, in the plainest way."""
    frames = []
    while data:
        (length,) = HEADER.unpack_from(data)
        frames.append(data[4:length])
        data = data[length:]
    return frames


__all__ = ["Answering", "LiveHub", "TurnedClock", "split"]
