"""
The hub on real descriptors, on every reactor that can have it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.interfaces import IClient
from sockhost.sockets.bound import bind_unix
from sockhost.sockets.hub import Hub
from sockhost.sockets.hublistener import HubListener
from sockhost.sockets.limits import Limits
from sockhost.sockets.server import FrameServer
from sockhost.sockets.wire import HEADER, pack

ROOT = str(Path(__file__).resolve().parents[2])
REACTORS = ("epoll", "select", "asyncio", "sockhost")


class ReactorTests(TestCase):
    """Nothing that a reactor does suffers from a hub that is busy."""

    timeout = 90

    async def check(self, reactor: str) -> None:
        """Run L{_hub_host} on a reactor."""
        directory = tempfile.mkdtemp(prefix="hub-")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "s")
        command = [sys.executable, "-m", "tests.functional._hub_host", reactor, path]

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=80,
                check=False,
            )

        done = await deferToThread(run)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            json.loads(done.stdout.splitlines()[-1]),
            {
                "driven": reactor == "sockhost",
                "reset": True,
                "process": "hi\n",
                "thread": True,
                "other": True,
                "right": 1200,
                "ticks": True,
                "shutdown": True,
            },
            done.stderr,
        )

    async def test_epoll(self) -> None:
        """The epoll reactor."""
        await self.check("epoll")

    async def test_select(self) -> None:
        """The select reactor."""
        await self.check("select")

    async def test_asyncio(self) -> None:
        """The asyncio reactor."""
        await self.check("asyncio")

    async def test_sockhost(self) -> None:
        """Our own."""
        await self.check("sockhost")


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

    def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
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


ENDS = ("close", "wr", "both")
KINDS = b"abcdlncx"
FRAMES = st.lists(
    st.tuples(st.sampled_from(KINDS.replace(b"d", b"")), st.integers(0, 300)),
    max_size=200,
)


class FuzzTests(SynchronousTestCase):
    """Whatever comes, in whatever pieces."""

    def setUp(self) -> None:
        """Listen, with a bystander."""
        self.live = LiveHub(Answering())
        self.addCleanup(self.live.close)
        self.bystander = self.live.client()
        self.addCleanup(self.bystander.close)

    def tell(self, client: socket.socket, data: bytes, cuts: random.Random) -> bytes:
        """Send bytes in pieces; get what comes back until there is no more."""
        got, sent, quiet = b"", 0, 0
        while quiet < 3:
            quiet += 1
            if sent < len(data):
                piece = data[sent : sent + cuts.choice((1, 3, 4, 5, 17, 1000, 70000))]
                try:
                    sent += client.send(piece)
                except BlockingIOError:
                    pass
                except OSError:
                    sent = len(data)
                quiet = 0
            if quiet > 1 or cuts.random() < 0.5:
                self.live.handler.answer()
            self.live.turn()
            try:
                some = client.recv(cuts.choice((10, 65536, 1 << 20)))
            except BlockingIOError:
                continue
            except OSError:
                break
            if not some:
                break
            got += some
            quiet = 0
            self.live.handler.answer()
        return got

    def check_bystander(self) -> None:
        """The bystander is served."""
        self.bystander.send(pack(b"still here"))
        self.live.until(lambda: self.peeked() == pack(b"still here"))
        self.bystander.recv(100)

    def peeked(self) -> bytes:
        """What there is for the bystander."""
        try:
            return self.bystander.recv(100, socket.MSG_PEEK)
        except BlockingIOError:
            return b""

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(
        st.binary(max_size=400), st.integers(), st.sampled_from(["close", "wr", "both"])
    )
    def test_any_bytes(self, data: bytes, seed: int, end: str) -> None:
        """Any bytes in any pieces with any end leave nothing behind."""
        cuts = random.Random(seed)
        client = self.live.client()
        self.tell(client, data, cuts)
        if end == "wr":
            client.shutdown(socket.SHUT_WR)
        elif end == "both":
            client.shutdown(socket.SHUT_RDWR)
        self.check_bystander()
        client.close()
        self.live.handler.answer()
        self.live.until(lambda: self.live.handler.here == 1)
        self.assertEqual(self.live.server.status()["buffered"], 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(FRAMES, st.integers(), st.integers(0, 3))
    def test_any_frames(
        self, frames: list[tuple[int, int]], seed: int, repeat: int
    ) -> None:
        """Every frame is answered once, however it was cut and is answered."""
        cuts = random.Random(seed)
        payloads = [bytes([kind]) + cuts.randbytes(size) for kind, size in frames]
        payloads += [payloads[0]] * (80 * repeat) if payloads else []
        payloads += [b"x" + cuts.randbytes(70_000)] * cuts.randrange(2)
        client = self.live.client()
        got = self.tell(client, b"".join(map(pack, payloads)), cuts)
        client.close()
        self.assertEqual(sorted(split(got)), sorted(payloads))
        self.live.until(lambda: self.live.handler.here == 1)
        self.assertEqual(self.live.server.status()["buffered"], 0)

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=150), st.integers())
    def test_dropped(self, kinds: list[int], seed: int) -> None:
        """Who is dropped has got what was answered before, and no more."""
        payloads = [bytes([kind]) * 4 for kind in kinds]
        client = self.live.client()
        cuts = random.Random(seed)
        got = split(self.tell(client, b"".join(map(pack, payloads)), cuts))
        client.close()
        before = payloads
        if b"d" * 4 in payloads:
            before = payloads[: payloads.index(b"d" * 4)]
            now = [each for each in before if each[:1] not in b"l"]
            self.assertEqual([each for each in got if each[:1] not in b"l"], now)
        else:
            self.assertEqual(sorted(got), sorted(before))
        self.live.handler.answer()
        self.live.until(lambda: self.live.handler.here == 1)


def split(data: bytes) -> list[bytes]:
    """Cut frames, in the plainest way."""
    frames = []
    while data:
        (length,) = HEADER.unpack_from(data)
        frames.append(data[4:length])
        data = data[length:]
    return frames


class HostileTests(SynchronousTestCase):
    """Clients that want memory."""

    def live(self, handler: Any, limits: Limits | None = None) -> LiveHub:
        """Listen until the test ends."""
        live = LiveHub(handler, limits)
        self.addCleanup(live.close)
        return live

    def flood(self, live: LiveHub, frame: bytes) -> int:
        """Send as much as goes, read nothing; say how much went."""
        client = live.client()
        self.addCleanup(client.close)
        sent = quiet = 0
        while quiet < 20 and sent < 64 << 20:
            quiet += 1
            try:
                # A torn frame would be no frame: the rest of each goes first.
                sent += client.send(frame[sent % len(frame) :])
                quiet = 0
            except BlockingIOError:
                pass
            live.turn()
        return sent

    def test_slow_reader(self) -> None:
        """A client that reads nothing is not read from, and costs no turn."""

        class Echo:
            def received(self, client: IClient, frame: bytes) -> bytes:
                return frame

        for size in (12, 1000, 65532, 500_000):
            live = self.live(Echo())
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sent = self.flood(live, pack(b"x" * size))
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self.assertLess(sent, 4 << 20)
            self.assertLess(after - before, 4096)
            self.assertEqual(cast(Any, live.hub._epoll).poll(0), [])

    def test_never_answered(self) -> None:
        """Requests that are never answered are few, and have few bytes."""

        class Never:
            def __init__(self) -> None:
                self.got = 0

            def received(self, client: IClient, frame: bytes) -> Deferred[bytes]:
                self.got += 1
                return Deferred()

        live = self.live(Never(), Limits(max_in_flight=100))
        self.flood(live, pack(b"x" * 12))
        self.assertEqual(live.handler.got, 100)
        live = self.live(Never(), Limits(max_in_flight_bytes=500_000))
        self.flood(live, pack(b"x" * 99_996))
        self.assertEqual(live.handler.got, 6)

    def test_lone_headers(self) -> None:
        """A header commits no memory for what it announces."""
        live = self.live(Answering())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        clients = [live.client() for _ in range(60)]
        for client in clients:
            self.addCleanup(client.close)
            client.send(HEADER.pack(16 << 20) + b"x")
        live.until(lambda: live.server.counters.bytes_in == 300)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.assertLess(after - before, 4096)

    def test_in_total(self) -> None:
        """All together make the process hold no more than they may."""
        live = self.live(Answering(), Limits(max_buffered=1 << 20, max_frame=1 << 19))
        clients = [live.client() for _ in range(8)]
        for client in clients:
            self.addCleanup(client.close)
            client.send(HEADER.pack(1 << 19) + b"x" * 200_000)
        live.until(lambda: live.handler.here <= 5)
        status = live.server.status()
        self.assertLessEqual(cast(int, status["buffered"]), 1 << 20)

    def test_reactor_ends(self) -> None:
        """When the reactor gives the hub up, everybody is disconnected once."""
        live = self.live(Answering())
        clients = [live.client() for _ in range(3)]
        for client in clients:
            self.addCleanup(client.close)
            client.send(pack(b"l"))
        live.until(lambda: len(live.handler.later) == 3)
        live.hub.connectionLost(Failure(RuntimeError("over")))
        self.assertEqual(live.handler.here, 0)
        self.assertEqual(live.hub.fileno(), -1)
