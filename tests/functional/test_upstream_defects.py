"""
The defects of C{sock_daemon} that are known, each of which must be absent here.
Each test is named for its number in the list of them.
"""

from __future__ import annotations

import os
import resource
import socket

from twisted.internet.threads import deferToThread

from sockhost.interfaces import Disconnected
from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.client import connect
from sockhost.sockets.wire import HEADER, pack
from tests.functional.hosts import SOCKHOST, Running, pause, reactor, state
from tests.functional.upstream import (
    DefectCase,
    configuration,
    cpu_of,
    descriptors_of,
    memory_of,
    read,
    read_all,
)


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
        """
        UP-4: more signals to stop do not run the shutdown hooks again; they cut
        short the one that runs.
        """
        running = await self.start(
            lifecycle="SlowShutdown", keys="options = { slow = true }"
        )
        running.signal("TERM")
        await self.noted("shutdown begins")
        for _ in range(3):
            running.signal("TERM")
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
        await running.says("RuntimeError: asked to")
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
        more = CHILD + OTHER_SOCKET
        text = configuration(keys="options = { refuse = true }", more=more)
        self.write("sockhost.toml", text)
        reading, writing = os.pipe()
        os.close(reading)
        running = self.twistd("--startup-fd", "9", fds={9: writing})
        os.close(writing)
        await running.says("ready; steer it")
        await self.has_own_descriptors(running)
        await deferToThread(self.refused, 300)
        before = memory_of(running.pid), len(descriptors_of(running.pid))
        await deferToThread(self.refused, 3000)
        await pause(0.2)
        after = memory_of(running.pid), len(descriptors_of(running.pid))
        self.assertLess(after[0] - before[0], 100 * 3000)
        self.assertLessEqual(after[1], before[1])
        await self.stopped(running)

    async def has_own_descriptors(self, running: Running) -> None:
        """A child that starts while clients are connected has its own alone."""
        clients = [BlockingClient(str(self.run_dir / "other.sock")) for _ in range(3)]
        for client in clients:
            self.addCleanup(client.close)
            self.assertEqual(await deferToThread(client.request, b"x"), b"x")
        # There is something to inherit, of each kind.
        ours = " ".join(descriptors_of(running.pid))
        self.assertGreaterEqual(ours.count("socket:"), 6)
        self.assertIn("eventpoll", ours)
        await self.ask("POST", "/units/child/start")
        child = (await self.until("child", state="up"))["details"]["pid"]
        # Until it sleeps it may have the libraries open that it loads.
        while state(child) != "S":
            await pause(0.01)
        self.assertEqual(sorted(os.listdir(f"/proc/{child}/fd")), ["0", "1", "2"])
        theirs = descriptors_of(child)
        self.assertEqual(
            [each for each in theirs if "pipe:" not in each], ["/dev/null"]
        )

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
        await self.interrupted(running)
        pending = client.request(b"never")
        running.signal("KILL")
        await self.assertFailure(pending, Disconnected)
        await client.close()

    async def interrupted(self, running: Running) -> None:
        """Clients come, ask and go while the host gets signals that it handles."""

        def come_and_go() -> int:
            right = 0
            for number in range(300):
                with BlockingClient(str(self.socket), timeout=30) as client:
                    right += client.request(b"%d" % number) == b"%d" % number
            return right

        answers = deferToThread(come_and_go)
        while not answers.called:
            running.signal("USR1")
            await pause(0.001)
        self.assertEqual(await answers, 300)


CHILD = """
[unit.child]
kind = "process"
argv = ["/bin/sleep", "1000"]
enabled = false
"""

OTHER_SOCKET = """
[unit.other]
kind = "socket"
path = "{run_dir}/other.sock"
handler = "handlers:Echo"
"""
