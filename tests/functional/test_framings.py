"""
Every way to cut a stream into frames, ours and that of a stranger, on sockets in
a hub and on sockets of Twisted's transports.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import twisted.plugins
from attrs import define, field
from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from sockhost.interfaces import Disconnected, IClient, ICodec
from sockhost.sockets.codecs import codec_names, find_codec
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.unit import SocketUnit
from tests.functional.test_sockets import ROOT, short_directory, until

reactor: Any = _reactor
MAX_FRAME = 100_000

STRANGER = """
from attrs import define, field
from twisted.plugin import IPlugin
from zope.interface import implementer

from sockhost.interfaces import FrameError, ICodec, ICodecKind


@implementer(ICodec)
@define
class Semicolons:
    max_frame: int
    error: FrameError | None = None
    _held: bytes = b""

    @property
    def buffered(self):
        return len(self._held)

    def feed(self, data):
        if self.error is not None:
            return []
        *frames, self._held = (self._held + data).split(b";")
        for number, frame in enumerate(frames):
            if b"!" in frame:
                self.error = FrameError("it shouts")
                return frames[:number]
        return frames

    def encode(self, payload):
        return payload + b";"


@implementer(IPlugin, ICodecKind)
class Kind:
    name = "semicolons"

    def make(self, max_frame):
        return Semicolons(max_frame)


kind = Kind()
"""

BAD = {
    "length32": b"\x03\0\0\0",
    "length32be-exclusive": b"\xff\xff\xff\xff",
    "netstring": b"no number:",
    "line": b"x" * (MAX_FRAME + 1),
    "semicolons": b"hear!;",
}
"""What is no frame, by the framing."""


class Echo:
    """Echoes frames, a moment later if they say so, and notes who has gone."""

    made: Echo

    def __init__(self, host: object) -> None:
        Echo.made = self
        self.gone: list[Disconnected] = []

    async def received(self, client: IClient, frame: bytes) -> bytes:
        """Answer."""
        if frame.startswith(b"later"):
            await deferLater(reactor, 0.02)
        return frame

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Note it."""
        self.gone.append(reason)


@define(eq=False)
class Peer:
    """A client of such a socket, which blocks."""

    path: str
    codec: ICodec
    line: socket.socket = field(factory=lambda: socket.socket(socket.AF_UNIX))

    def __attrs_post_init__(self) -> None:
        self.line.settimeout(20)
        self.line.connect(self.path)

    def frames(self, count: int) -> list[bytes]:
        """Read so many frames."""
        got: list[bytes] = []
        while len(got) < count:
            data = self.line.recv(65536)
            assert data, f"only {got} came"
            got += self.codec.feed(data)
        return got

    def rest(self) -> list[bytes]:
        """Read all frames up to the end of the connection."""
        got: list[bytes] = []
        # Who is cut off with something unread is told by a reset.
        with contextlib.suppress(ConnectionResetError):
            while data := self.line.recv(65536):
                got += self.codec.feed(data)
        return got

    def send_slowly(self, data: bytes) -> None:
        """Send bytes in pieces of odd sizes."""
        for piece in pieces(data):
            self.line.sendall(piece)
            time.sleep(0.0005)


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut at odd places: single bytes first, then ever more of them."""
    start, size = 0, 1
    while start < len(data):
        yield data[start : start + size]
        start += size
        size += start > 40


class FramingCase(TestCase):
    """Sockets of one transport, with each framing."""

    timeout = 100
    transport = "hub"

    def setUp(self) -> None:
        """Have a stranger's framing installed."""
        directory = Path(short_directory(self))
        (directory / "sockhost_test_framing.py").write_text(STRANGER)
        paths = [*twisted.plugins.__path__, str(directory)]
        self.patch(twisted.plugins, "__path__", paths)
        name = "twisted.plugins.sockhost_test_framing"
        self.addCleanup(sys.modules.pop, name, None)

    async def serve(self, framing: str, **keys: Any) -> Peer:
        """Have a socket, and a client of it."""
        path = os.path.join(short_directory(self), "s")
        host: Any = SimpleNamespace(reactor=reactor, config_dir=ROOT)
        config = SocketConfig(
            path=path,
            handler=f"{__name__}:Echo",
            framing=framing,
            transport=self.transport,  # type: ignore[arg-type]
            max_frame=MAX_FRAME,
            **keys,
        )
        unit = SocketUnit("echo", config, host)
        await unit.start(lambda failure: self.fail(str(failure)))
        self.addCleanup(unit.stop)
        make = find_codec(framing)
        assert make is not None
        peer = Peer(path, make(MAX_FRAME))
        self.addCleanup(peer.line.close)
        return peer

    async def gone(self) -> str:
        """Why the handler's client has gone."""
        await until(lambda: bool(Echo.made.gone))
        (reason,) = Echo.made.gone
        return str(reason)


class HubTests(FramingCase):
    """In a hub."""

    def test_all(self) -> None:
        """There is no framing that is not tried here."""
        self.assertEqual(codec_names(), list(BAD))

    async def test_pipelined(self) -> None:
        """Many frames in one piece are answered in order."""
        for framing in BAD:
            peer = await self.serve(framing)
            asked = [b"%d" % number * (number % 70) for number in range(200)]
            asked.append(b"y" * 90_000)
            data = b"".join(map(peer.codec.encode, asked))
            sending = deferToThread(peer.line.sendall, data)
            self.assertEqual(await deferToThread(peer.frames, 201), asked, framing)
            await sending

    async def test_answered_later(self) -> None:
        """Frames whose answers take time are answered as those that take none."""
        for framing in BAD:
            peer = await self.serve(framing)
            asked = [b"later 1", b"now", b"later 2"]
            peer.line.sendall(b"".join(map(peer.codec.encode, asked)))
            got = await deferToThread(peer.frames, 3)
            self.assertEqual(got, [b"now", b"later 1", b"later 2"], framing)

    async def test_cut_anywhere(self) -> None:
        """Frames that come in pieces of any size are put together."""
        for framing in BAD:
            peer = await self.serve(framing)
            asked = [b"", b"a", b"some words", b"z" * 3000, b"", b"the last"]
            data = b"".join(map(peer.codec.encode, asked))
            await deferToThread(peer.send_slowly, data)
            self.assertEqual(await deferToThread(peer.frames, 6), asked, framing)

    async def test_error_after_good_frames(self) -> None:
        """What is no frame ends its client, who gets the earlier answers."""
        for framing, bad in BAD.items():
            peer = await self.serve(framing)
            good = b"".join(map(peer.codec.encode, (b"one", b"two")))
            after = peer.codec.encode(b"never")
            peer.line.sendall(good + bad + after)
            self.assertEqual(await deferToThread(peer.rest), [b"one", b"two"], framing)
            await self.gone()

    async def test_frame_timeout(self) -> None:
        """A frame that does not come whole ends its client; those before count."""
        for framing in BAD:
            peer = await self.serve(framing, frame_timeout=0.15)
            peer.line.sendall(peer.codec.encode(b"whole"))
            peer.line.sendall(peer.codec.encode(b"torn")[:-1])
            self.assertEqual(await deferToThread(peer.rest), [b"whole"], framing)
            self.assertIn("has not come whole in 0.15 s", await self.gone())

    async def test_idle_timeout(self) -> None:
        """A client that has its answers and does nothing more is ended."""
        for framing in BAD:
            peer = await self.serve(framing, idle_timeout=0.15)
            peer.line.sendall(peer.codec.encode(b"later"))
            self.assertEqual(await deferToThread(peer.rest), [b"later"], framing)
            self.assertIn("was idle for 0.15 s", await self.gone())

    async def test_stall_timeout(self) -> None:
        """A client that takes none of its answers is ended."""
        for framing in BAD:
            peer = await self.serve(framing, stall_timeout=0.15)
            peer.line.setblocking(False)
            frame = peer.codec.encode(b"w" * 50_000)
            sent = 0
            while not Echo.made.gone:
                # A torn frame would be no frame: the rest of each goes first.
                with contextlib.suppress(OSError):
                    sent += peer.line.send(frame[sent % len(frame) :])
                await deferLater(reactor, 0.001)
            self.assertIn("has taken nothing for 0.15 s", await self.gone())
            self.assertLess(sent, 4_000_000)


class ProtocolTests(HubTests):
    """On Twisted's transports."""

    transport = "protocol"
