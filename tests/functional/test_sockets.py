"""
Framed sockets on real sockets, with real processes as clients.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.bound import adopt_unix
from sockhost.sockets.client import FrameClient, connect
from sockhost.sockets.serving import SocketServing
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.unit import SocketUnit
from sockhost.sockets.wire import HEADER, pack

reactor = cast(Any, installed_reactor)
ROOT = str(Path(__file__).resolve().parents[2])


class Echo:
    """Sends back what it gets, and notes who came and went."""

    made: Echo

    def __init__(self, host: object) -> None:
        Echo.made = self
        self.clients: list[IClient] = []
        self.gone: list[Disconnected] = []
        self.on_gone: Deferred[Disconnected] = Deferred()
        self.held: Deferred[None] = Deferred()

    def connected(self, client: IClient) -> None:
        """Note it."""
        self.clients.append(client)

    async def received(self, client: IClient, frame: bytes) -> bytes:
        """Answer; after a moment, or when the test says so, if asked to."""
        if frame == b"hold":
            await self.held
        if frame.startswith(b"wait"):
            await deferLater(reactor, 0.05)
        return frame

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Note it."""
        self.gone.append(reason)
        self.on_gone.callback(reason)
        self.on_gone = Deferred()


def short_directory(case: SynchronousTestCase) -> str:
    """Make a directory whose name leaves room for that of a socket."""
    directory = tempfile.mkdtemp(prefix="sk")
    case.addCleanup(shutil.rmtree, directory)
    return directory


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the time-out of the test is the limit."""
    while not condition():
        await deferLater(reactor, 0.005)


class ServedTestCase(TestCase):
    """A test with a socket unit that is up."""

    timeout = 100

    async def setUp(self) -> None:  # type: ignore[override]
        """Start it."""
        self.path = os.path.join(short_directory(self), "s")
        host: Any = SimpleNamespace(reactor=reactor, config_dir=ROOT)
        self.config = SocketConfig(path=self.path, handler=f"{__name__}:Echo")
        self.unit = SocketUnit("echo", self.config, host)
        await self.unit.start(lambda failure: self.fail(str(failure)))
        self.handler = Echo.made

    async def tearDown(self) -> None:  # type: ignore[override]
        """Stop it."""
        await self.unit.stop()
        self.assertFalse(os.path.exists(self.path))

    async def client(self) -> FrameClient:
        """Connect a client that is closed after the test."""
        client = await connect(reactor, self.path)
        self.addCleanup(client.close)
        return client


class ServingTests(ServedTestCase):
    """Clients of a socket unit."""

    async def test_ten_clients(self) -> None:
        """Each of ten clients gets its own answers, in any order of the others."""
        clients = [await self.client() for _ in range(10)]
        asked = [
            client.request(b"wait %d %d" % (number, turn))
            for turn in range(5)
            for number, client in enumerate(clients)
        ]
        answers = await gatherResults(asked)
        self.assertEqual(
            answers, [b"wait %d %d" % (n, turn) for turn in range(5) for n in range(10)]
        )
        self.assertEqual(self.unit.status()["clients"], 10)

    async def test_credentials(self) -> None:
        """The handler is told who connected."""
        await (await self.client()).request(b"x")
        (client,) = self.handler.clients
        self.assertEqual(
            (client.pid, client.uid, client.gid),
            (os.getpid(), os.geteuid(), os.getegid()),
        )

    async def test_groups(self) -> None:
        """The handler can ask for the client's supplementary groups."""
        # Only root can have a client with others than ours.
        others = [7, 4321] if os.geteuid() == 0 else None
        self.child(extra_groups=others)
        await until(lambda: self.unit.status()["frames_out"] == 1)
        (client,) = self.handler.clients
        self.assertEqual(sorted(client.groups), others or sorted(os.getgroups()))

    async def test_pidfd(self) -> None:
        """
        The handler can ask for a descriptor of the client's process.  It is the
        same every time, is not inherited, and is closed with the client.
        """
        child = self.child()
        await until(lambda: self.unit.status()["frames_out"] == 1)
        (client,) = self.handler.clients
        pidfd = client.pidfd
        assert pidfd is not None
        self.assertEqual(client.pidfd, pidfd)
        self.assertEqual(os.readlink(f"/proc/self/fd/{pidfd}"), "anon_inode:[pidfd]")
        info = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
        told = dict(line.split(":\t", 1) for line in info)
        self.assertEqual(int(told["Pid"]), child.pid)
        self.assertFalse(os.get_inheritable(pidfd))
        gone = self.handler.on_gone
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        await gone
        await until(lambda: self.unit.status()["clients"] == 0)
        self.assertFalse(os.path.exists(f"/proc/self/fd/{pidfd}"))
        self.assertIsNone(client.pidfd)

    async def test_big_frame(self) -> None:
        """A frame of many megabytes goes both ways whole."""
        payload = os.urandom(1024) * 8192
        self.assertEqual(await (await self.client()).request(payload), payload)

    async def test_sizes(self) -> None:
        """Many sizes go through in order, and without harm to each other."""
        client = await self.client()
        sizes = [0, 1, 100, 2048, 500, 4096, 65532, 65536, 65537, 30, 1048576, 7]
        answers = await gatherResults([client.request(b"x" * n) for n in sizes])
        self.assertEqual([len(answer) for answer in answers], sizes)

    async def test_push_is_sent(self) -> None:
        """Sending fires when the kernel has the frame."""
        client = await self.client()
        await client.request(b"x")
        got: Deferred[bytes] = Deferred()
        client.on_frame = got.callback
        await self.handler.clients[0].send(b"news" * 100_000)
        self.assertEqual(await got, b"news" * 100_000)

    def child(self, **options: Any) -> subprocess.Popen[bytes]:
        """A client that is another process, and has had one answer."""
        script = (
            "import sys, time\n"
            "from sockhost.sockets.blocking import BlockingClient\n"
            "client = BlockingClient(sys.argv[1])\n"
            "client.request(b'x')\n"
            "time.sleep(60)\n"
        )
        command = [sys.executable, "-c", script, self.path]
        child = subprocess.Popen(command, cwd=ROOT, **options)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    async def test_killed_client(self) -> None:
        """A client that is killed is gone, and the handler hears of it."""
        child = self.child()
        await until(lambda: self.unit.status()["frames_out"] == 1)
        self.assertEqual(self.handler.clients[0].pid, child.pid)
        gone = self.handler.on_gone
        child.send_signal(signal.SIGKILL)
        await gone
        await until(lambda: self.unit.status()["clients"] == 0)

    async def test_bad_frame(self) -> None:
        """A client that sends no frame is closed after its earlier answers."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.settimeout(10)
        raw.connect(self.path)
        raw.sendall(pack(b"good") + HEADER.pack(3) + pack(b"never"))

        def read() -> bytes:
            got = b""
            while data := raw.recv(100):
                got += data
            return got

        self.assertEqual(await deferToThread(read), pack(b"good"))

    async def test_slow_reader(self) -> None:
        """A client that does not read costs no more than a little memory."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.connect(self.path)
        raw.setblocking(False)
        frame = pack(b"x" * 65532)
        await until(lambda: bool(self.handler.clients))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        accepted, quiet = 0, 0
        while quiet < 20:
            try:
                # Torn frames would be no frames: the rest of each goes first.
                accepted += raw.send(frame[accepted % len(frame) :])
                quiet = 0
            except BlockingIOError:
                quiet += 1
            await deferLater(reactor, 0.005)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.assertLess(accepted, 4_000_000)
        self.assertLess(after - before, 16_384)

        def read_all() -> int:
            raw.settimeout(5)
            whole = accepted - accepted % len(frame)
            got = 0
            while got < whole:
                got += len(raw.recv(1 << 20))
            return got

        read = await deferToThread(read_all)
        self.assertEqual(read, accepted - accepted % len(frame))

    async def test_drain(self) -> None:
        """Requests in flight are answered when the unit stops with time to drain."""
        client = await self.client()
        await client.request(b"hello")
        await self.unit.reload(
            SocketConfig(path=self.path, handler=f"{__name__}:Echo", drain=5.0)
        )
        answer = client.request(b"wait")
        await until(lambda: self.unit.status()["in_flight"] == 1)
        stopping = self.unit.stop()
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual(await answer, b"wait")
        await stopping

    async def test_shared_listener(self) -> None:
        """Two listeners may accept on one socket; each client is served once."""
        bound = self.unit._bound
        assert bound is not None
        host: Any = SimpleNamespace(reactor=reactor, config_dir=ROOT)
        other = SocketServing(reactor, Echo(host))
        await other.prepare()
        other.listen(adopt_unix(os.dup(bound.fileno())))
        clients = [await self.client() for _ in range(20)]
        answers = await gatherResults([client.request(b"x") for client in clients])
        self.assertEqual(answers, [b"x"] * 20)
        here, there = self.unit.status()["accepted"], other.status()["accepted"]
        assert isinstance(here, int)
        assert isinstance(there, int)
        self.assertEqual(here + there, 20)
        await other.close()
        self.assertTrue(os.path.exists(self.path))


EXHAUSTED = """
import os, resource, sys
from types import SimpleNamespace
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner, textFileLogObserver
from sockhost.sockets.client import connect
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.unit import SocketUnit

def use_up():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
    try:
        while True:
            yield os.dup(0)
    except OSError:
        return

async def main(reactor):
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    host = SimpleNamespace(reactor=reactor, config_dir=".")
    handler = "tests.functional.test_sockets:Echo"
    unit = SocketUnit("echo", SocketConfig(path=sys.argv[1], handler=handler), host)
    await unit.start(print)
    early = await connect(reactor, sys.argv[1])
    await early.request(b"x")
    used = list(use_up())
    # One is left, for the client's end.
    os.close(used.pop())
    late = await connect(reactor, sys.argv[1])
    answer = late.request(b"late")
    before = os.times()
    await task.deferLater(reactor, 1.2)
    after = os.times()
    assert not answer.called
    assert await early.request(b"y") == b"y"
    for fd in used:
        os.close(fd)
    assert await answer == b"late"
    spent = after.user + after.system - before.user - before.system
    assert spent < 0.6, spent
    await early.close()
    await late.close()
    await unit.stop()
    print("finished")

task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""


class ExhaustedTests(TestCase):
    """A process without free descriptors."""

    timeout = 100

    async def test_no_descriptors(self) -> None:
        """Clients wait until there are descriptors; it is logged once."""
        path = os.path.join(short_directory(self), "s")

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", EXHAUSTED, path],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=50,
                check=False,
            )

        done = await deferToThread(run)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("finished", done.stdout)
        self.assertEqual(done.stdout.count("accepts no clients for now"), 1)
