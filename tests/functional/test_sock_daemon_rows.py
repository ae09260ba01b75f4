"""
What the C interface of C{sock_daemon} promises, held against a host: one test for
each row of its contract, named for the row.  What another module tests already is
named in L{ELSEWHERE}, and the rows about signals and the end are in
L{tests.functional.test_sock_daemon_end}.

Where a host does it otherwise on purpose, the test's sentence says so.
"""

from __future__ import annotations

import errno
import os
import socket
from importlib import import_module

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.wire import pack
from tests.functional.hosts import descendants, pause, state
from tests.functional.rows import RowsCase, inodes, read

ELSEWHERE = {
    "setup": "test_host.ExitStatusTests.test_configuration",
    "startup_fd": "test_host.ReadyTests.test_startup_fd",
    "startup_fd_failed": "test_host.ReadyTests.test_failed_start_tells_nothing",
    "startup_fd_stopped": "test_host.ReadyTests.test_stopped_while_starting",
    "fork": "test_sock_daemon.SockDaemonTests.test_9",
    "create_session": "test_sock_daemon.SockDaemonTests.test_8",
    "startup_fails": "test_sock_daemon.SockDaemonTests.test_1a",
    "startup_fails_later": "test_sock_daemon.SockDaemonTests.test_1b",
    "no_socket_during_startup": "test_sock_daemon.SockDaemonTests.test_1c",
    "stale_socket": "test_stale_sockets.StaleTests.test_stale_replaced",
    "mode": "test_bound_sockets.BindTests.test_mode_before_listening",
    "listener_close_on_exec": "test_upstream_defects.ClientsTests.test_up_11",
    "credentials": "test_sockets.ServingTests.test_credentials",
    "refused": "test_sock_daemon.SockDaemonTests.test_5",
    "read_fails": "test_upstream_defects.ClientsTests.test_up_7",
    "write_completion": "test_sock_daemon.SockDaemonTests.test_6",
    "hook_fails": "test_sock_daemon.SockDaemonTests.test_2a",
    "hook_fails_later": "test_sock_daemon.SockDaemonTests.test_2b",
    "reopen_logs": "test_host_signals.SignalTests.test_hang_up",
    "no_such_pid": "test_host.ExitStatusTests.test_watched_pid_while_starting",
    "wait_result": "test_host.ExitStatusTests.test_wait_hook",
    "drain": "test_sockets.ServingTests.test_drain",
    "pid_file_fork": "test_sock_comm.PidFileTests.test_pidfile_3",
    "pid_file_killed": "test_sock_comm.PidFileTests.test_pidfile_4",
    "pending_fail_on_loss": "test_upstream_defects.ClientsTests.test_up_12",
}
"""Rows, and their tests in other modules of this package."""


def closes_on_exec(pid: int, number: str) -> bool:
    """Whether a descriptor of a process is closed in the children that it spawns."""
    with open(f"/proc/{pid}/fdinfo/{number}") as info:
        (flags,) = (line.split()[1] for line in info if line.startswith("flags:"))
    return bool(int(flags, 8) & os.O_CLOEXEC)


class ElsewhereTests(SynchronousTestCase):
    """The rows that other modules test."""

    def test_exist(self) -> None:
        """Their tests are there, and have a sentence."""
        for row, name in ELSEWHERE.items():
            module, case, method = name.split(".")
            found = getattr(import_module(f"tests.functional.{module}"), case)
            self.assertTrue(getattr(found, method).__doc__, row)


class StartTests(RowsCase):
    """Setting up, starting, and the descriptors of it."""

    async def test_sockets_before_wait(self) -> None:
        """Sockets can be connected to when C{wait} is called."""
        hook = "\n\nclass Connects(Sync):\n    async def wait(self):\n"
        hook += "        import socket\n        line = socket.socket(socket.AF_UNIX)\n"
        hook += "        line.connect(str(SOCKET))\n        note('connected')\n"
        path = self.directory / "hooks.py"
        path.write_text(path.read_text() + hook)
        self.configure("Connects")
        running = self.twistd()
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertIn("connected", self.notes())

    async def test_startup_fd_close_on_exec(self) -> None:
        """Children do not have the descriptor that tells that all is ready."""
        more = '[unit.child]\nkind = "process"\nargv = ["/bin/sleep", "1000"]\n'
        self.configure()
        path = self.directory / "sockhost.toml"
        path.write_text(path.read_text() + more)
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        pipe = f"pipe:[{os.fstat(writing).st_ino}]"
        running = self.twistd("--startup-fd", "9", fds={9: writing})
        os.close(writing)
        await running.says("ready; steer it")
        self.assertEqual(inodes(running.pid)["9"], pipe)
        [child] = descendants(running.pid)
        self.assertNotIn(pipe, inodes(child).values())
        await self.stopped(running)

    async def test_second_instance(self) -> None:
        """
        A second host is refused before it does anything, and here it says why
        and who is in its way; C{sock_daemon} says nothing.
        """
        first = await self.started("Sync")
        inode = self.socket.stat().st_ino
        second = self.twistd()
        self.assertEqual(await second.ends(), 73, second.output)
        self.assertIn(f"process {first.pid} holds", second.output)
        self.assertEqual(len(self.notes()), 1)
        self.assertEqual(self.socket.stat().st_ino, inode)
        self.assertEqual(await deferToThread(self.client().request, b"x"), b"x")
        await self.stopped(first)

    async def test_path_length(self) -> None:
        """A path may have 107 bytes; with 108 the unit says what is wrong."""
        for length, expected in ((107, "up"), (108, "quarantined")):
            name = "x" * (length - len(str(self.directory)) - 1)
            path = self.directory / name
            text = '[unit.kv]\nkind = "socket"\nhandler = "handlers:Echo"\n'
            self.write("sockhost.toml", f'{text}path = "{path}"\n')
            running = self.twistd()
            await running.says("ready; steer it")
            unit = await self.unit("kv")
            self.assertEqual(unit["state"], expected)
            if expected == "up":
                with BlockingClient(str(path), timeout=20) as client:
                    answer = await deferToThread(client.request, b"x")
                self.assertEqual(answer, b"x")
            else:
                self.assertIn("107 bytes", unit["reason"])
            await self.stopped(running)

    async def test_full_backlog(self) -> None:
        """A client that does not wait is told when the backlog is full."""
        self.configure()
        path = self.directory / "sockhost.toml"
        path.write_text(path.read_text() + "backlog = 2\n")
        running = self.twistd()
        await running.says("ready; steer it")
        running.signal("STOP")
        while state(running.pid) != "T":
            await pause(0.01)
        found = 0
        for _ in range(10):
            raw = socket.socket(socket.AF_UNIX)
            self.addCleanup(raw.close)
            raw.setblocking(False)
            found = raw.connect_ex(str(self.socket))
            if found:
                break
        self.assertEqual(found, errno.EAGAIN)
        running.signal("CONT")
        await self.stopped(running)


class ClientTests(RowsCase):
    """Clients and their requests."""

    async def test_close_on_exec(self) -> None:
        """A child that is spawned while clients are connected has none of them."""
        more = '[unit.child]\nkind = "process"\nargv = ["/bin/sleep", "1000"]\n'
        for transport in ("hub", "protocol"):
            self.configure()
            path = self.directory / "sockhost.toml"
            text = path.read_text() + f'transport = "{transport}"\n'
            path.write_text(text + more + "enabled = false\n")
            running = self.twistd()
            await running.says("ready; steer it")
            before = set(inodes(running.pid).values())
            clients = [self.client() for _ in range(5)]
            for client in clients:
                self.assertEqual(await deferToThread(client.request, b"x"), b"x")
            accepted = {
                number
                for number, each in inodes(running.pid).items()
                if each not in before
            }
            self.assertEqual(len(accepted), 5)
            self.assertTrue(all(closes_on_exec(running.pid, n) for n in accepted))
            await self.ask("POST", "/units/child/start")
            child = (await self.until("child", state="up"))["details"]["pid"]
            theirs = {each for each in inodes(child).values() if each != "/dev/null"}
            ours = set(inodes(running.pid).values())
            # What the child writes is read by the host, from the other end.
            shared = {each for each in theirs & ours if not each.startswith("pipe:")}
            self.assertEqual(shared, set())
            self.assertEqual([each for each in theirs if "socket:" in each], [])
            for client in clients:
                client.close()
            await self.stopped(running)

    async def test_replies_out_of_order(self) -> None:
        """Requests of one client do not wait for each other: 2 and 3, then 1."""
        running = await self.started(None, "Timed")
        raw = self.raw()
        asked = [b"run 1", b"status 2", b"nothing 3"]
        raw.sendall(b"".join(map(pack, asked)))
        quick = pack(asked[1]) + pack(asked[2])
        self.assertEqual(await deferToThread(read, raw, len(quick)), quick)
        # The first one is held until somebody says otherwise.
        raw.sendall(pack(b"release"))
        last = pack(asked[0]) + pack(b"release")
        got = await deferToThread(read, raw, len(last))
        self.assertIn(got, (last, pack(b"release") + pack(asked[0])))
        await self.stopped(running)

    async def test_replies_in_order(self) -> None:
        """Those that are answered at once are answered in order."""
        running = await self.started()
        raw = self.raw()
        asked = b"".join(pack(b"%d" % number) for number in range(50))
        raw.sendall(asked)
        self.assertEqual(await deferToThread(read, raw, len(asked)), asked)
        await self.stopped(running)

    async def test_cancelled_with_their_client(self) -> None:
        """What a client has asked for is cancelled when it goes."""
        running = await self.started(None, "Timed")
        raw = self.raw()
        raw.sendall(pack(b"run"))
        while (await self.unit("kv"))["details"]["in_flight"] != 1:
            await pause(0.02)
        raw.close()
        await self.called("cancelled", 1)
        other = self.raw()
        other.sendall(pack(b"release"))
        await deferToThread(read, other, len(pack(b"release")))
        self.assertNotIn("completed", self.notes())
        await self.stopped(running)

    async def test_disconnected_once(self) -> None:
        """
        C{disconnected} is called exactly once for each accepted client, with a
        reason, whoever ended the connection; C{sock_daemon} calls it only for
        those who go by themselves.
        """
        running = await self.started(None, "Timed")
        goes, bad, stays = self.raw(), self.raw(), self.raw()
        for raw in (goes, bad, stays):
            raw.sendall(pack(b"x"))
            await deferToThread(read, raw, 5)
        goes.close()
        bad.sendall(b"\x03\0\0\0")
        self.assertEqual(await deferToThread(bad.recv, 10), b"")
        while len(self.reasons()) < 2:
            await pause(0.02)
        await self.stopped(running)
        self.assertEqual(len(self.reasons()), 3)
        self.assertTrue(all(self.reasons()))
        self.assertEqual(self.notes().count(f"connected {os.getpid()}"), 3)

    def reasons(self) -> list[str]:
        """What C{disconnected} was told."""
        told = [note for note in self.notes() if note.startswith("disconnected:")]
        return [note.partition(": ")[2] for note in told]
