"""
The rows of C{sock_daemon}'s contract about signals, the end, and the pid file; see
L{tests.functional.test_sock_daemon_rows}.
"""

from __future__ import annotations

import os
import signal
import stat

from twisted.internet.threads import deferToThread

from sockhost.sockets.wire import pack
from tests.functional.hosts import pause, state
from tests.functional.rows import RowsCase, inodes, read


class SignalTests(RowsCase):
    """Signals, and the watched process."""

    async def test_interrupt(self) -> None:
        """INT ends it as TERM does."""
        running = await self.started("Sync")
        running.signal("INT")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(self.notes()[-1], "shutdown False True")
        self.assert_nothing_left()

    async def test_burst(self) -> None:
        """
        A burst of USR1 becomes one call of the hook.  Two calls never overlap,
        as they may in C{sock_daemon}: one that comes meanwhile waits.
        """
        running = await self.started("Slowly")
        running.signal("USR1")
        await self.called("reconfigure begins", 1)
        for _ in range(50):
            running.signal("USR1")
        self.release()
        await self.called("reconfigure ends", 2)
        await pause(0.5)
        once = ["reconfigure begins", "reconfigure ends"]
        self.assertEqual(self.notes()[1:], once * 2)
        await self.stopped(running)

    async def test_burst_for_plain_function(self) -> None:
        """
        So it is for a hook that takes no time, and whatever comes, clients are
        served meanwhile.
        """
        running = await self.started("Counting")
        client = self.client()
        asked = 0
        while asked < 200:
            for _ in range(50):
                running.signal("USR1")
            self.assertEqual(await deferToThread(client.request, b"x"), b"x")
            asked += 50
        await self.stopped(running)
        self.assertLess(self.notes().count("reconfigure"), 100)

    async def test_no_hook(self) -> None:
        """Without hooks, signals are logged and harm nothing."""
        running = await self.started()
        for name in ("USR1", "HUP"):
            running.signal(name)
            await running.says(f"SIG{name} has the configuration read again")
        self.assertEqual(await deferToThread(self.client().request, b"x"), b"x")
        await self.stopped(running)

    async def test_unusable_pid(self) -> None:
        """A process id that cannot be watched is refused; C{0} was ignored."""
        self.configure()
        for pid in ("0", "-1", "x"):
            running = self.twistd("--watch-pid", pid)
            self.assertEqual(await running.ends(), 64, running.output)
        self.assertFalse(self.run_dir.exists())

    async def test_zombie(self) -> None:
        """A process that is not reaped has ended; there it was alive until then."""
        watched = self.spawn(["/bin/sh", "-c", "sleep 1000 & echo $!; exec sleep 1000"])
        while not watched.output.endswith("\n"):
            await pause(0.02)
        child = int(watched.output)
        running = await self.started(None, "Echo", "--watch-pid", str(child))
        os.kill(child, signal.SIGKILL)
        self.assertEqual(await running.ends(), 69, running.output)
        self.assertEqual(state(child), "Z")


class ShutdownTests(RowsCase):
    """The end, and the pid file."""

    async def test_order(self) -> None:
        """
        Clients are closed and sockets gone before the shutdown hook; the pid
        file goes after it.
        """
        running = await self.started("Lingering", "Timed")
        raw = self.raw()
        raw.sendall(pack(b"x"))
        await deferToThread(read, raw, 5)
        running.signal("TERM")
        self.assertEqual(await deferToThread(raw.recv, 10), b"")
        await self.called("shutdown False True", 1)
        disconnected, shutdown = self.notes()[-2:]
        self.assertTrue(disconnected.startswith("disconnected:"))
        self.assertEqual(shutdown, "shutdown False True")
        self.assertTrue(self.pid_file.exists())
        self.release()
        self.assertEqual(await running.ends(), 0, running.output)
        self.assert_nothing_left()

    async def test_pending_replies(self) -> None:
        """Without C{drain} nobody waits for what is not answered yet."""
        running = await self.started(None, "Timed")
        raw = self.raw()
        raw.sendall(pack(b"run"))
        while (await self.unit("kv"))["details"]["in_flight"] != 1:
            await pause(0.02)
        running.signal("TERM")
        # It would be answered when another one says so, and none does.
        self.assertEqual(await deferToThread(raw.recv, 10), b"")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertNotIn("completed", self.notes())

    async def test_pid_file(self) -> None:
        """
        The lock decides, not what the file says: a stale one that names another
        process is taken over, and what was longer is cut.
        """
        self.run_dir.mkdir()
        self.pid_file.write_text(f"{os.getpid()}\nand something longer\n")
        running = await self.started()
        found = self.pid_file.stat()
        self.assertTrue(stat.S_ISREG(found.st_mode))
        self.assertEqual(found.st_mode & 0o777 & ~0o644, 0)
        self.assertEqual(self.pid_file.read_text(), f"{running.pid}\n")
        held = [each for each in inodes(running.pid).values() if "sockhost.pid" in each]
        self.assertEqual(len(held), 1)
        await self.stopped(running)
        self.assert_nothing_left()

    async def test_replaced_pid_file(self) -> None:
        """A file that has taken the place of ours stays; there it is removed."""
        running = await self.started()
        self.pid_file.unlink()
        self.pid_file.write_text("somebody else's\n")
        await self.stopped(running)
        self.assertEqual(self.pid_file.read_text(), "somebody else's\n")
