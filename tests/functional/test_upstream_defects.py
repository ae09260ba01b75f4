"""
The defects of C{sock_daemon} that are known, each of which must be absent here.
Each test is named for its number in the list of them.
"""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from sockhost.interfaces import Disconnected
from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.client import connect
from sockhost.sockets.wire import HEADER, pack
from tests.functional.hosts import (
    SOCKHOST,
    HostCase,
    Running,
    descendants,
    pause,
    reactor,
)

HANDLERS = """
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from sockhost.interfaces import Refused

HERE = Path(__file__).parent


def note(*words):
    with open(HERE / "notes", "a") as notes:
        print(*words, file=notes, flush=True)


class Echo:
    def __init__(self, host, slow=False, refuse=False):
        self.slow = slow
        self.refuse = refuse

    def connected(self, client):
        if self.refuse:
            raise Refused("nobody")

    def received(self, client, frame):
        if frame == b"raise":
            raise RuntimeError("asked to")
        if frame == b"never":
            return Deferred()
        if frame == b"empty":
            client.send(b"")
            return b""
        return frame

    async def shutdown(self):
        note("handler shutdown begins")
        if self.slow:
            await deferLater(reactor, 0.5)
        note("handler shutdown ends")


class SlowShutdown:
    async def shutdown(self):
        note("shutdown begins")
        await deferLater(reactor, 1.0)
        note("shutdown ends")

    def wait(self):
        note("wait")
        return Deferred()


class SlowStartup(SlowShutdown):
    async def startup(self):
        note("startup begins")
        await deferLater(reactor, 1.0)
        note("startup ends")


class FailingStartup:
    def startup(self):
        raise RuntimeError("no luck")
"""


def configuration(lifecycle: str = "", keys: str = "", more: str = "") -> str:
    """A host with one socket."""
    host = f'lifecycle = "handlers:{lifecycle}"' if lifecycle else ""
    return f"""
[host]
{host}
[unit.kv]
kind = "socket"
path = "{{run_dir}}/kv.sock"
handler = "handlers:Echo"
{keys}
{more}
"""


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def descriptors_of(pid: int) -> list[str]:
    """What the descriptors of a process are."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return sorted(found)


class DefectCase(HostCase):
    """A host with one socket."""

    timeout = 90

    def setUp(self) -> None:
        super().setUp()
        self.write("handlers.py", HANDLERS)
        self.socket = self.run_dir / "kv.sock"

    async def start(self, *args: str, **parts: str) -> Running:
        """Start a host, and wait until it is ready."""
        self.write("sockhost.toml", configuration(**parts))
        running = self.twistd(*args)
        await running.says("ready; steer it")
        return running

    def raw(self) -> socket.socket:
        """Connect a client that speaks bytes."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.settimeout(30)
        raw.connect(str(self.socket))
        return raw

    async def request(self, payload: bytes) -> bytes:
        """Connect, ask, disconnect."""

        def ask() -> bytes:
            with BlockingClient(str(self.socket), timeout=30) as client:
                return client.request(payload)

        return await deferToThread(ask)

    async def served(self) -> None:
        """A new client is served."""
        self.assertEqual(await self.request(b"served?"), b"served?")

    async def stopped(self, running: Running) -> None:
        """The host ends well."""
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)

    def notes(self) -> list[str]:
        """What was noted."""
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    async def noted(self, note: str) -> None:
        """Wait for a note."""
        while note not in self.notes():
            await pause(0.02)

    @contextmanager
    def startup_pipe(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """A pipe for C{--startup-fd}: its reading end, and how to spawn with it."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        try:
            yield reading, {"fds": {9: writing}}
        finally:
            os.close(writing)


class LifeTests(DefectCase):
    """UP-1, 2, 4, 5 and 6: from the start to the end."""

    async def test_up_1(self) -> None:
        """
        UP-1: a second host that is refused, or whose startup fails, does not
        remove the first one's socket, whether or not they share a pid file.
        """
        first = await self.start()
        inode = self.socket.stat().st_ino
        second = self.twistd()
        self.assertEqual(await second.ends(), 73, second.output)
        text = configuration(keys="budget = 1\nbackoff = 0.1")
        other = text.replace("{run_dir}", str(self.run_dir))
        self.write("other.toml", other)
        self.write("failing.toml", other.replace("[host]", FAILING))
        with_other_lock = ["--config", "other.toml", "--run-dir", "other"]
        third = self.spawn([*SOCKHOST, "run", *with_other_lock])
        await third.says("another process listens on")
        await self.stopped(third)
        failing = ["--config", "failing.toml", "--run-dir", "other"]
        fourth = self.spawn([*SOCKHOST, "run", *failing])
        self.assertEqual(await fourth.ends(), 70, fourth.output)
        self.assertEqual(self.socket.stat().st_ino, inode)
        await self.served()
        await self.stopped(first)

    async def test_up_2(self) -> None:
        """
        UP-2: while a socket cannot be bound, nobody is told that all is ready,
        and C{wait} is not called.  A host runs on when a unit of it is given up,
        but that is told with the unit, not hidden.
        """
        self.run_dir.mkdir()
        self.socket.write_text("in the way")
        self.write(
            "sockhost.toml",
            configuration("SlowShutdown", "budget = 5\nbackoff = 0.4\njitter = 0.0"),
        )
        with self.startup_pipe() as (reading, how):
            running = self.twistd("--startup-fd", "9", **how)
        os.set_blocking(reading, False)
        await running.says("is not a socket")
        await pause(0.5)
        self.assertRaises(BlockingIOError, os.read, reading, 10)
        self.assertNotIn("wait", self.notes())
        await self.until("kv", state="backoff")
        self.socket.unlink()
        await self.noted("wait")
        self.assertEqual(os.read(reading, 10), bytes(4))
        await self.served()

    async def test_up_4(self) -> None:
        """UP-4: more signals to stop do not run the shutdown hooks again."""
        running = await self.start(
            lifecycle="SlowShutdown", keys="options = { slow = true }"
        )
        running.signal("TERM")
        await self.noted("shutdown begins")
        for _ in range(3):
            running.signal("TERM")
            await pause(0.1)
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(
            self.notes(),
            [
                "wait",
                "handler shutdown begins",
                "handler shutdown ends",
                "shutdown begins",
                "shutdown ends",
            ],
        )

    async def test_up_5(self) -> None:
        """UP-5: a stop during the startup hook tells nobody of a success."""
        self.write("sockhost.toml", configuration("SlowStartup"))
        with self.startup_pipe() as (reading, how):
            running = self.twistd("--startup-fd", "9", **how)
        await self.noted("startup begins")
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(os.read(reading, 10), b"")
        self.assertNotIn("wait", self.notes())
        self.assertFalse(self.socket.exists())

    async def test_up_6(self) -> None:
        """UP-6: what is no socket is removed neither at the start nor at the end."""
        self.run_dir.mkdir()
        self.socket.write_text("precious")
        self.write("sockhost.toml", configuration(keys="budget = 1"))
        running = self.twistd()
        await running.says("is not a socket")
        await self.stopped(running)
        self.assertEqual(self.socket.read_text(), "precious")
        self.socket.unlink()
        running = await self.start()
        self.socket.unlink()
        self.socket.write_text("took its place")
        await self.stopped(running)
        self.assertEqual(self.socket.read_text(), "took its place")


FAILING = '[host]\nlifecycle = "handlers:FailingStartup"'


class ClientsTests(DefectCase):
    """UP-3, 7, 8, 9, 10 and 11: what clients and handlers may do."""

    async def test_up_3(self) -> None:
        """UP-3: clients that do not read their answers end nobody by SIGPIPE."""
        running = await self.start()
        for _ in range(30):
            raw = self.raw()
            raw.sendall(pack(b"status") * 3)
            raw.close()
        raw = self.raw()
        raw.shutdown(socket.SHUT_RD)
        raw.sendall(pack(b"status"))
        await self.served()
        self.assertIsNone(running.status)
        await self.stopped(running)

    async def test_up_7(self) -> None:
        """UP-7: a handler that fails costs one client, and nothing else."""
        running = await self.start()
        bystander = self.raw()
        raw = self.raw()
        raw.sendall(pack(b"earlier") + pack(b"raise") + pack(b"later"))
        self.assertEqual(await deferToThread(read_all, raw), pack(b"earlier"))
        bystander.sendall(pack(b"x"))
        self.assertEqual(await deferToThread(bystander.recv, 100), pack(b"x"))
        self.assertEqual(running.output.count("RuntimeError: asked to"), 1)
        await self.stopped(running)

    async def test_up_8(self) -> None:
        """UP-8: an empty payload is a frame like any other, and spins nothing."""
        running = await self.start()
        raw = self.raw()
        raw.sendall(pack(b"empty"))
        self.assertEqual(await deferToThread(read, raw, 8), pack(b"") * 2)
        before = cpu_of(running.pid)
        await pause(1.0)
        self.assertLess(cpu_of(running.pid) - before, 0.2)
        await self.served()
        await self.stopped(running)

    async def test_up_9(self) -> None:
        """
        UP-9: when descriptors run out, accepting pauses: little time is spent,
        one line is logged, and it goes on by itself.
        """
        running = await self.start()
        have = len(descriptors_of(running.pid))
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (have + 8, have + 8))
        before = cpu_of(running.pid)
        clients = [self.raw() for _ in range(40)]
        await running.says("accepts no clients for now")
        await pause(1.5)
        self.assertLess(cpu_of(running.pid) - before, 0.6)
        self.assertEqual(running.output.count("accepts no clients for now"), 1)
        for client in clients:
            client.close()
        await self.served()
        await self.stopped(running)

    async def test_up_10(self) -> None:
        """
        UP-10: requests whose answers are not read, requests that are never
        answered, and headers that announce much cost a bounded amount.
        """
        running = await self.start(keys=f"max_frame = {2**28}\nmax_buffered = {2**28}")
        await self.served()
        before = memory_of(running.pid)
        unread, unanswered = self.raw(), self.raw()
        for raw, frame in ((unread, pack(b"x" * 996)), (unanswered, pack(b"never"))):
            raw.setblocking(False)
            await self.flood(raw, frame * 1000, 64 * 1024 * 1024)
        for _ in range(20):
            self.raw().sendall(HEADER.pack(2**28))
        await self.served()
        self.assertLess(memory_of(running.pid) - before, 12 * 1024 * 1024)
        await self.stopped(running)

    async def flood(self, raw: socket.socket, data: bytes, most: int) -> None:
        """Send until nobody takes it for a while; that must come to pass."""
        sent = quiet = 0
        while quiet < 20:
            try:
                sent += raw.send(data[sent % len(data) :])
                quiet = 0
            except BlockingIOError:
                quiet += 1
                await pause(0.02)
            self.assertLess(sent, most, "it was all taken")

    async def test_up_11(self) -> None:
        """
        UP-11: clients that are refused leave nothing behind, children inherit
        none of the host's descriptors, and nobody at the other end of
        C{--startup-fd} is no reason to die.
        """
        self.write(
            "sockhost.toml",
            configuration(
                keys="options = { refuse = true }",
                more='[unit.child]\nkind = "process"\nargv = ["/bin/sleep", "1000"]',
            ),
        )
        reading, writing = os.pipe()
        os.close(reading)
        running = self.twistd("--startup-fd", "9", fds={9: writing})
        os.close(writing)
        await running.says("ready; steer it")
        [child] = descendants(running.pid)
        theirs = [each for each in descriptors_of(child) if "socket" in each]
        self.assertEqual(set(theirs) & set(descriptors_of(running.pid)), set())
        self.assertEqual([each for each in theirs if "eventpoll" in each], [])
        await deferToThread(self.refused, 300)
        before = memory_of(running.pid), len(descriptors_of(running.pid))
        await deferToThread(self.refused, 3000)
        await pause(0.2)
        after = memory_of(running.pid), len(descriptors_of(running.pid))
        self.assertLess(after[0] - before[0], 100 * 3000)
        self.assertLessEqual(after[1], before[1])
        await self.stopped(running)

    def refused(self, count: int) -> None:
        """Connect so many clients, which are all refused."""
        for _ in range(count):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.settimeout(30)
                raw.connect(str(self.socket))
                assert raw.recv(10) == b""

    async def test_up_12(self) -> None:
        """
        UP-12: the client's pending requests fail when the connection is lost, a
        cancelled one leaves no torn frame, and interrupted calls end nothing.
        """
        running = await self.start()
        client = await connect(reactor, str(self.socket))
        cancelled = client.request(b"x" * 1_000_000)
        cancelled.cancel()
        await self.assertFailure(cancelled, Exception)
        self.assertEqual(await client.request(b"whole"), b"whole")
        for _ in range(20):
            running.signal("WINCH")
        await self.served()
        pending = client.request(b"never")
        running.signal("KILL")
        await self.assertFailure(pending, Disconnected)
        await client.close()


def read(raw: socket.socket, size: int) -> bytes:
    """Read so many bytes."""
    got = b""
    while len(got) < size:
        got += raw.recv(size - len(got))
    return got


def read_all(raw: socket.socket) -> bytes:
    """Read to the end."""
    got = b""
    while data := raw.recv(65536):
        got += data
    return got
