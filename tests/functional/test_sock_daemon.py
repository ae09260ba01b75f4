"""
The tests that Samba has of C{sock_daemon}, held against a host.  Each is named
for its number there.

Where this differs it is meant to: a host says by its exit status what
C{sock_daemon_run} says by an C{errno}, a signal to stop is a clean end, and a
hook fails by an exception instead of a number.
"""

from __future__ import annotations

import os
import signal
import stat
import struct
import sys

from twisted.internet.threads import deferToThread

from tests.functional.hosts import TWISTD, alive, gone, kill_marked, pause, reactor
from tests.functional.sock_daemon import SockDaemonCase

CROWD = """
import os, signal, socket, struct, sys

def client(path):
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(path)
        try:
            line.sendall(struct.pack("=II", 8, 0xBABA))
            answer = line.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        print(os.getpid(), answer.hex() or "nothing", flush=True)
        os.write(writing, b".")
        while True:
            signal.pause()

reading, writing = os.pipe()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(100):
    if os.fork() == 0:
        client(sys.argv[1])
    os.read(reading, 1)
print("all here", flush=True)
while True:
    signal.pause()
"""
"""A hundred clients, each a process of its own, one after the other."""


class SockDaemonTests(SockDaemonCase):
    """C{sock_daemon_test.c}."""

    async def fails_to_start(self, lifecycle: str, why: str) -> None:
        """Start a host whose startup hook fails."""
        self.configure(lifecycle)
        running = self.twistd()
        self.assertEqual(await running.ends(), 70, running.output)
        self.assertIn(why, running.output)
        self.assertNotIn("ready; steer it", running.output)
        self.assertEqual(self.notes(), [])
        self.assert_nothing_left()

    async def test_1a(self) -> None:
        """A startup hook that fails ends the host: 70, where that had EIO."""
        await self.fails_to_start("StartupFails", "startup one")

    async def test_1b(self) -> None:
        """So does one that fails after a while."""
        await self.fails_to_start("StartupFailsLater", "startup two")

    async def test_1c(self) -> None:
        """C{startup} sees no socket, C{wait} sees one, and its end is the host's."""
        self.configure("Waits")
        running = self.twistd()
        self.assertEqual(await running.ends(), 0, running.output)
        first, *others = self.notes()
        self.assertTrue(first.startswith("startup False "))
        self.assertEqual(others, ["wait True", "shutdown False True"])
        said = [
            running.output.index(each) for each in ("ready; steer", "shutting down")
        ]
        self.assertEqual(said, sorted(said))
        self.assert_nothing_left()

    async def signals(self, lifecycle: str) -> None:
        """Go through the life of a host, hook by hook."""
        running = await self.started(lifecycle)
        self.assertTrue(stat.S_ISREG(self.pid_file.stat().st_mode))
        pid = running.pid
        self.assertEqual(self.pid_file.read_text(), f"{pid}\n")
        self.assertEqual(self.notes(), [f"startup False {pid}"])
        running.signal("USR1")
        await self.called("reconfigure fails", 1)
        await running.says("RuntimeError: reconfigure one")
        # Signals that come while a hook is under way become one.
        await pause(0.5)
        running.signal("USR1")
        await self.called("reconfigure", 1)
        # A HUP reopens the logs and reconfigures: the two are not one signal.
        running.signal("HUP")
        await self.called("reopen_logs fails", 1)
        await self.called("reconfigure", 2)
        await running.says("RuntimeError: reopen one")
        await pause(0.5)
        running.signal("HUP")
        await self.called("reopen_logs", 1)
        await self.called("reconfigure", 3)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(self.notes()[-1], "shutdown False True")
        self.assertEqual(len(self.notes()), 8)
        self.assert_nothing_left()

    async def called(self, note: str, times: int) -> None:
        """Wait until this was noted so often."""
        while self.notes().count(note) < times:
            await pause(0.02)

    async def test_2a(self) -> None:
        """
        Hooks are called for their signals, may fail, and at the end see the
        socket gone and the pid file there.
        """
        await self.signals("Sync")

    async def test_2b(self) -> None:
        """The same with hooks that take time."""
        await self.signals("Async")

    async def test_3(self) -> None:
        """
        Without hooks, the end of the watched process ends it: 69 for ESRCH, and
        at once where that looked every five seconds.
        """
        watched = self.spawn(["/bin/sleep", "1000"])
        pid = watched.pid
        running = await self.started(None, "Echo", "--watch-pid", str(pid))
        await pause(1.2)
        self.assertIsNone(running.status)
        ended = reactor.seconds()
        watched.signal("KILL")
        await running.says(f"process {pid} is gone")
        self.assertLess(reactor.seconds() - ended, 5)
        self.assertEqual(await running.ends(), 69, running.output)
        self.assert_nothing_left()

    async def test_4(self) -> None:
        """No socket is needed: the end of C{wait} ends the host well."""
        self.write("sockhost.toml", '[host]\nlifecycle = "hooks:WaitsAWhile"\n')
        running = self.twistd()
        await running.says("ready; steer it")
        await pause(0.5)
        self.assertTrue(self.pid_file.exists())
        self.assertEqual(await running.ends(), 0, running.output)
        self.assert_nothing_left()

    async def test_5(self) -> None:
        """
        Ten clients are accepted and numbered, ninety are refused without a word;
        all stay, those who are accepted connected, until they are killed.
        C{disconnected} is called for the ten alone.
        """
        running = await self.started(None, "Ten")
        crowd = self.spawn([sys.executable, "-c", CROWD, str(self.socket)])
        # They hold its output open: without them, it has an end.
        self.addCleanup(kill_marked, str(self.directory))
        await crowd.says("all here")
        told = [line.split() for line in crowd.output.splitlines()[:100]]
        answers = [answer for _, answer in told]
        ten = [struct.pack("=II", 8, number).hex() for number in range(1, 11)]
        self.assertEqual(answers, [*ten, *["nothing"] * 90])
        details = (await self.unit("kv"))["details"]
        self.assertEqual((details["clients"], details["refused"]), (10, 90))
        self.assertEqual(self.notes(), [])
        for pid, _ in told:
            os.kill(int(pid), signal.SIGKILL)
        await self.noted(*(f"disconnected {count}" for count in range(9, -1, -1)))
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(len(self.notes()), 10)

    async def test_6(self) -> None:
        """A request is answered, and the handler learns that the answer was taken."""
        running = await self.started("WaitsAWhile", "Answers")
        client = self.client()
        answer = await deferToThread(client.request, b"\xdd\xcc\xbb\xaa")
        self.assertEqual(answer, b"\xcc\xdd\xee\xff")
        await self.noted("written")
        self.assertEqual(await running.ends(), 0, running.output)

    async def test_7(self) -> None:
        """A second host is refused while the first lives: 73 for EEXIST."""
        first = await self.started("Sync")
        second = self.twistd()
        self.assertEqual(await second.ends(), 73, second.output)
        self.assertEqual(await deferToThread(self.client().request, b"x"), b"x")
        self.assertEqual(len(self.notes()), 1)
        first.signal("TERM")
        self.assertEqual(await first.ends(), 0, first.output)
        self.assertEqual(self.notes()[1:], ["shutdown False True"])
        self.assert_nothing_left()

    async def test_8(self) -> None:
        """
        In the foreground it stays in its session; as a daemon it has its own.
        It does not lead that, as C{sock_daemon} does: the leader has forked a
        second time and ended, so that no terminal can become the daemon's.
        """
        running = await self.started()
        self.assertEqual(os.getsid(running.pid), os.getsid(0))
        running.signal("TERM")
        await running.ends()
        pid = await self.daemon()
        self.assertNotIn(os.getsid(pid), (os.getsid(0), pid))
        self.assertFalse(alive(os.getsid(pid)))
        os.kill(pid, signal.SIGTERM)
        await gone([pid])

    async def daemon(self) -> int:
        """Start a host in the background; return its process id."""
        argv = ["--logfile", "host.log", "sockhost", "--config", "sockhost.toml"]
        parent = self.spawn([*TWISTD, *argv])
        self.assertEqual(await parent.ends(), 0, parent.output)
        pid = int(self.pid_file.read_text())
        self.addCleanup(self.kill, pid)
        return pid

    def kill(self, pid: int) -> None:
        """End what a failing test would leave behind."""
        if self.pid_file.exists():
            os.kill(pid, signal.SIGKILL)

    async def test_9(self) -> None:
        """
        In the foreground the process that was started is the host; a daemon is
        another one, and is ready when the first exits.
        """
        running = await self.started("Sync")
        self.assertEqual(self.pid_file.read_text(), f"{running.pid}\n")
        running.signal("TERM")
        await running.ends()
        (self.directory / "notes").unlink()
        pid = await self.daemon()
        self.assertEqual(await deferToThread(self.client().request, b"x"), b"x")
        os.kill(pid, signal.SIGTERM)
        await gone([pid])
        self.assertEqual(self.notes(), [f"startup False {pid}", "shutdown False True"])
        self.assert_nothing_left()

    async def test_10(self) -> None:
        """What a killed host left is taken over by the next, which removes it."""
        first = await self.started()
        first.signal("KILL")
        await first.ends()
        self.assertTrue(self.socket.is_socket())
        self.assertTrue(self.pid_file.exists())
        second = await self.started()
        self.assertEqual(self.pid_file.read_text(), f"{second.pid}\n")
        self.assertEqual(await deferToThread(self.client().request, b"x"), b"x")
        second.signal("TERM")
        self.assertEqual(await second.ends(), 0, second.output)
        self.assert_nothing_left()
