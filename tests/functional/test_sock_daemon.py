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
import socket
import stat

from twisted.internet.threads import deferToThread

from sockhost.sockets.blocking import BlockingClient
from tests.functional.hosts import TWISTD, HostCase, Running, gone, pause

HOOKS = '''
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import succeed
from twisted.internet.task import deferLater

HERE = Path(__file__).parent
SOCKET = HERE / "run" / "kv.sock"


def note(*words):
    with open(HERE / "notes", "a") as notes:
        print(*words, file=notes, flush=True)


class Sync:
    """The hooks of sock_daemon, by plain functions."""

    reconfigured = reopened = 0

    def startup(self):
        note("startup", SOCKET.exists(), os.getpid())

    def reconfigure(self):
        self.reconfigured += 1
        if self.reconfigured == 1:
            note("reconfigure fails")
            raise RuntimeError("reconfigure one")
        note("reconfigure")

    def reopen_logs(self):
        self.reopened += 1
        if self.reopened == 1:
            note("reopen_logs fails")
            raise RuntimeError("reopen one")
        note("reopen_logs")

    def shutdown(self):
        note("shutdown", SOCKET.exists(), (HERE / "run" / "sockhost.pid").exists())


class Async(Sync):
    """The same, by coroutines."""

    async def startup(self):
        await deferLater(reactor, 0.01)
        super().startup()

    async def reconfigure(self):
        await deferLater(reactor, 0.01)
        super().reconfigure()

    async def reopen_logs(self):
        await deferLater(reactor, 0.01)
        super().reopen_logs()

    async def shutdown(self):
        await deferLater(reactor, 0.01)
        super().shutdown()


class StartupFails(Sync):
    def startup(self):
        raise RuntimeError("startup one")


class StartupFailsLater(Sync):
    async def startup(self):
        await deferLater(reactor, 0.01)
        raise RuntimeError("startup two")


class Waits(Sync):
    """Is done at once."""

    def wait(self):
        note("wait", SOCKET.is_socket())
        return succeed(None)


class WaitsAWhile(Sync):
    """Is done after two seconds; it was ten, which shows no more."""

    async def wait(self):
        note("wait")
        await deferLater(reactor, 2)
'''

HANDLERS = '''
import struct
from pathlib import Path

from sockhost.interfaces import Refused

HERE = Path(__file__).parent


def note(*words):
    with open(HERE / "notes", "a") as notes:
        print(*words, file=notes, flush=True)


class Echo:
    def __init__(self, host):
        pass

    def received(self, client, frame):
        return frame


class Ten:
    """Accepts ten clients and tells each its number."""

    def __init__(self, host):
        self.accepted = self.count = 0

    def connected(self, client):
        if self.accepted == 10:
            raise Refused("ten are enough")
        self.accepted += 1
        self.count += 1
        client.data = self.accepted

    def received(self, client, frame):
        assert frame == struct.pack("=I", 0xBABA)
        return struct.pack("=I", client.data)

    def disconnected(self, client, reason):
        self.count -= 1
        note("disconnected", self.count)


class Answers:
    """Answers one request, and sees that the answer was taken."""

    def __init__(self, host):
        pass

    async def received(self, client, frame):
        assert frame == struct.pack("=I", 0xAABBCCDD)
        await client.send(struct.pack("=I", 0xFFEEDDCC))
        note("written")
'''


def configuration(lifecycle: str | None = None, handler: str = "Echo") -> str:
    """A host with one socket."""
    host = "" if lifecycle is None else f'lifecycle = "hooks:{lifecycle}"'
    return f"""
[host]
{host}
[unit.kv]
kind = "socket"
path = "{{run_dir}}/kv.sock"
handler = "handlers:{handler}"
"""


class SockDaemonCase(HostCase):
    """A host with a socket and hooks that note what they are called for."""

    def setUp(self) -> None:
        super().setUp()
        self.write("hooks.py", HOOKS)
        self.write("handlers.py", HANDLERS)
        self.socket = self.run_dir / "kv.sock"
        self.pid_file = self.run_dir / "sockhost.pid"

    def configure(self, lifecycle: str | None = None, handler: str = "Echo") -> None:
        """Write the configuration."""
        self.write("sockhost.toml", configuration(lifecycle, handler))

    async def started(
        self, lifecycle: str | None = None, handler: str = "Echo", *args: str
    ) -> Running:
        """Start a host, and wait until it is ready."""
        self.configure(lifecycle, handler)
        running = self.twistd(*args)
        await running.says("ready; steer it")
        return running

    def notes(self) -> list[str]:
        """What the hooks and handlers have noted."""
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    async def noted(self, *last: str) -> None:
        """Wait until these are the last notes."""
        while tuple(self.notes()[-len(last) :]) != last:
            await pause(0.02)

    def client(self) -> BlockingClient:
        """Connect a client that is closed after the test."""
        client = BlockingClient(str(self.socket), timeout=20)
        self.addCleanup(client.close)
        return client

    def assert_nothing_left(self) -> None:
        """Neither the socket nor the pid file is there."""
        self.assertFalse(self.socket.exists())
        self.assertFalse(self.pid_file.exists())


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
        """Without hooks, the end of the watched process ends it: 69 for ESRCH."""
        watched = self.spawn(["/bin/sleep", "1.5"])
        pid = watched.pid
        running = await self.started(None, "Echo", "--watch-pid", str(pid))
        self.assertEqual(await running.ends(), 69, running.output)
        self.assertIn(f"process {pid} is gone", running.output)
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
        Ten clients are accepted and numbered, ninety are refused without a
        word; C{disconnected} is called for the ten alone.
        """
        running = await self.started(None, "Ten")
        clients, refused = [], 0
        for number in range(1, 101):
            raw = socket.socket(socket.AF_UNIX)
            self.addCleanup(raw.close)
            raw.settimeout(20)
            await deferToThread(raw.connect, str(self.socket))
            answer = await deferToThread(self.ask_number, raw)
            if number <= 10:
                self.assertEqual(answer, b"\x08\0\0\0" + number.to_bytes(4, "little"))
                clients.append(raw)
            else:
                self.assertEqual(answer, b"")
                refused += 1
        self.assertEqual((len(clients), refused), (10, 90))
        for raw in clients:
            raw.close()
        await self.noted(*(f"disconnected {count}" for count in range(9, -1, -1)))
        self.assertEqual(len(self.notes()), 10)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(len(self.notes()), 10)

    def ask_number(self, raw: socket.socket) -> bytes:
        """Send a request; get the answer, or nothing from who refuses."""
        try:
            raw.sendall(b"\x08\0\0\0\xba\xba\0\0")
            return raw.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            return b""

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
        """In the foreground it stays in its session; as a daemon it has its own."""
        running = await self.started()
        self.assertEqual(os.getsid(running.pid), os.getsid(0))
        running.signal("TERM")
        await running.ends()
        pid = await self.daemon()
        self.assertNotEqual(os.getsid(pid), os.getsid(0))
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


__all__ = ["SockDaemonCase", "SockDaemonTests"]
