"""
The hub on real descriptors, on every reactor that can have it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.interfaces import IClient
from sockhost.sockets.hub import Hub
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import HEADER, pack
from tests.functional.livehub import Answering, LiveHub

ROOT = str(Path(__file__).resolve().parents[2])
REACTORS = ("epoll", "select", "asyncio", "sockhost")


class ReactorTests(TestCase):
    """Nothing that a reactor does suffers from a hub that is busy."""

    timeout = 100

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


class ForkTests(SynchronousTestCase):
    """A process that a handler has forked, and that has all descriptors."""

    def setUp(self) -> None:
        """Serve a client, and fork."""
        self.live = LiveHub(Answering())
        self.addCleanup(self.live.close)
        self.addCleanup(setattr, Hub, "shared", Hub.shared)
        client = self.live.client()
        self.live.turn()
        ends, end = os.pipe()
        pid = os.fork()
        if pid == 0:
            client.close()
            os.close(end)
            os.read(ends, 1)
            os._exit(Hub.shared)
        os.close(ends)
        self.addCleanup(self.join, pid)
        self.addCleanup(os.close, end)
        client.close()
        # The child closes its copy of that end in its own time.
        self.live.until(lambda: not self.live.server.status()["clients"])

    def join(self, pid: int) -> None:
        """Wait for its end."""
        self.assertEqual(os.waitpid(pid, 0), (pid, 0))

    def test_gone(self) -> None:
        """Of a client that is gone nothing is told any more."""
        self.assertEqual(cast(Any, self.live.hub._epoll).poll(0), [])

    def test_next(self) -> None:
        """Nor to the one who has its number."""
        client = self.live.client()
        self.addCleanup(client.close)
        self.live.turn()
        self.assertEqual(self.live.server.status()["clients"], 1)
        self.assertEqual(cast(Any, self.live.hub._epoll).poll(0), [])
