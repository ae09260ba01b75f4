"""
Functional tests of L{sockhost.workers}: workers and prototypes that are lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from sockhost.interfaces import UnitLost
from tests.functional.worker_case import WorkerCase, alive, descriptors, handler


class LossTests(WorkerCase):
    """
    Processes that are killed.
    """

    async def test_worker_killed(self) -> None:
        """A killed worker is replaced; the others go on."""
        await self.up(2)
        before = self.workers()
        os.kill(before[1], signal.SIGKILL)
        await self.until(lambda: self.workers().get(1) not in (None, before[1]))
        self.assertEqual(self.workers()[2], before[2])
        self.assertEqual(self.losses, [])
        self.assertIn(int(await self.ask()), self.workers().values())

    async def test_worker_terminated(self) -> None:
        """A worker that is told to end runs its shutdown hook, and is replaced."""
        await self.up(1)
        before = self.workers()[1]
        os.kill(before, signal.SIGTERM)
        await self.until(lambda: self.workers().get(1) not in (None, before))
        self.assertIn(f"shutdown of {before}", self.log())

    async def test_signals_for_the_host(self) -> None:
        """Signals that are meant for the host end neither worker nor prototype."""
        await self.up(1)
        before = (self.prototype(), self.workers()[1])
        for pid in before:
            os.kill(pid, signal.SIGHUP)
            os.kill(pid, signal.SIGUSR1)
        await self.ask()
        self.assertEqual((self.prototype(), self.workers()[1]), before)

    async def test_prototype_killed(self) -> None:
        """A killed prototype takes its workers along, and all are replaced while
        the socket stays: a client that comes meanwhile is served."""
        await self.up(2)
        before = {self.prototype(), *self.workers().values()}
        inode = os.stat(self.path("kv.sock")).st_ino
        os.kill(self.prototype(), signal.SIGKILL)
        await self.until(lambda: not any(map(alive, before)))
        await self.ask()
        await self.until(lambda: len(self.workers()) == 2)
        self.assertFalse(before & {self.prototype(), *self.workers().values()})
        self.assertEqual(os.stat(self.path("kv.sock")).st_ino, inode)
        self.assertEqual(self.losses, [])

    async def test_prototype_stuck(self) -> None:
        """A prototype that does not run cannot prevent the unit from stopping."""
        unit = await self.up(1)
        os.kill(self.prototype(), signal.SIGSTOP)
        await unit.stop()
        self.assertEqual(self.workers(), {})

    async def test_grandchildren(self) -> None:
        """What a worker has started ends with the prototype's group."""
        self.write(
            handler(
                top="import subprocess",
                startup=(
                    "self.child = subprocess.Popen(['sleep', '100'],"
                    " stdout=subprocess.DEVNULL)"
                ),
                received="return str(self.child.pid).encode()",
            )
        )
        unit = await self.up(1)
        child = int(await self.ask())
        self.assertTrue(alive(child))
        await unit.stop()
        self.assertFalse(alive(child))

    async def test_no_descriptors_leak(self) -> None:
        """However many workers are replaced, the host has no more descriptors."""
        await self.up(1)
        before = descriptors(os.getpid())
        for _attempt in range(4):
            pid = self.workers()[1]
            os.kill(pid, signal.SIGKILL)
            await self.until(
                lambda old=pid: self.workers().get(1) not in (None, old)  # type: ignore[misc]
            )
        # The last one's may be open a moment longer than its successor takes.
        await self.until(lambda: len(descriptors(os.getpid())) <= len(before))
        self.assertEqual(descriptors(os.getpid()), before)

    async def test_import_fails_later(self) -> None:
        """When a new prototype cannot import any more, the unit is lost."""
        await self.up(1)
        self.write("import nowhere_at_all")
        os.kill(self.prototype(), signal.SIGKILL)
        await self.until(lambda: bool(self.losses))
        error = self.losses[0].value
        self.assertIsInstance(error, UnitLost)
        self.assertIn("nowhere_at_all", str(error))
        self.assertFalse(os.path.exists(self.path("kv.sock")))

    def test_host_killed(self) -> None:
        """When the host is killed, no worker and no prototype is left."""
        command = [sys.executable, "-m", "tests.workers.lone_host"]
        arguments = [self.directory, "plugged:Handler", "2"]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE) as host:
            assert host.stdout is not None
            status = json.loads(host.stdout.readline())
            host.kill()
        pids = [status["prototype"]["pid"]]
        pids += [worker["pid"] for worker in status["workers"]]
        self.assertEqual(len(pids), 3)
        end = time.monotonic() + 30
        while any(map(alive, pids)) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual([pid for pid in pids if alive(pid)], [])
        os.unlink(self.path("kv.sock"))
