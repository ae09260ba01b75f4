"""
Functional tests of L{sockhost.workers}: starts that fail or are given up.
"""

from __future__ import annotations

import os
import signal

from twisted.python.failure import Failure

from sockhost.interfaces import PathInUse
from sockhost.workers.pool import WorkerSocketUnit
from sockhost.workers.prototype_process import CannotImport
from tests.functional.worker_case import WorkerCase, alive, handler


class StartTests(WorkerCase):
    """
    Starts that fail, and restarts.
    """

    async def fail_to_start(self, unit: WorkerSocketUnit) -> Exception:
        """Start a unit, and get why that fails."""
        failures: list[Failure] = []
        await unit.start(self.losses.append).addErrback(failures.append)
        self.assertEqual((self.prototype(), self.workers()), (None, {}))
        error = failures[0].value
        assert isinstance(error, Exception)
        return error

    async def test_import_error(self) -> None:
        """What is wrong with a module is in the reason and in the log."""
        self.write("import nowhere_at_all")
        error = await self.fail_to_start(self.make())
        self.assertIsInstance(error, CannotImport)
        self.assertIn("No module named 'nowhere_at_all'", str(error))
        self.assertIn("Traceback", self.log())

    async def test_import_exits(self) -> None:
        """A module that ends the process when it is imported is an error."""
        self.write("import sys; sys.exit('no thanks')")
        error = await self.fail_to_start(self.make())
        self.assertIn("no thanks", str(error))

    async def test_thread_at_import(self) -> None:
        """A module that leaves a thread running is refused, and named."""
        self.write(
            handler(
                top=(
                    "import threading, time\n"
                    "threading.Thread(target=time.sleep, args=(60,), daemon=True,"
                    " name='ticker').start()"
                )
            )
        )
        error = await self.fail_to_start(self.make())
        self.assertIn("started by plugged: ticker", str(error))

    async def test_startup_fails(self) -> None:
        """A startup hook that fails in a worker fails the start."""
        self.write(handler(startup="raise ValueError('not today')"))
        error = await self.fail_to_start(self.make())
        self.assertIn("ValueError: not today", str(error))

    async def test_startup_hangs(self) -> None:
        """A startup hook that never ends fails the start in time."""
        self.write(handler(startup="import time; time.sleep(100)"))
        error = await self.fail_to_start(self.make(start_timeout=16.0))
        self.assertIn("was not ready in 8.0 s", str(error))

    async def test_import_hangs(self) -> None:
        """An import that never ends fails the start in time."""
        self.write("import time; time.sleep(100)")
        error = await self.fail_to_start(self.make(start_timeout=2.0))
        self.assertIn("importing the handler took more than 1.0 s", str(error))

    async def test_path_in_use(self) -> None:
        """A path that is no socket is left alone, and nothing runs."""
        with open(self.path("kv.sock"), "w") as file:
            file.write("mine")
        error = await self.fail_to_start(self.make())
        self.assertIsInstance(error, PathInUse)
        with open(self.path("kv.sock")) as file:
            self.assertEqual(file.read(), "mine")
        os.unlink(self.path("kv.sock"))

    async def test_stop_during_start(self) -> None:
        """A unit that is stopped while it imports is gone."""
        self.write("import time; time.sleep(100)")
        unit = self.make()
        starting = unit.start(self.losses.append)
        starting.addErrback(lambda failure: None)
        await self.until(lambda: self.prototype() is not None)
        pid = self.prototype()
        await unit.stop()
        self.assertFalse(alive(pid))

    async def test_restart_brings_new_code(self) -> None:
        """A replaced worker runs the code of the others; a unit that was stopped
        and started runs what is in the file."""
        self.write(handler(received="return b'one'"))
        unit = await self.up(1)
        self.assertEqual(await self.ask(), b"one")
        self.write(handler(received="return b'another'"))
        before = self.workers()[1]
        os.kill(before, signal.SIGKILL)
        await self.until(lambda: self.workers().get(1) not in (None, before))
        self.assertEqual(await self.ask(), b"one")
        await unit.stop()
        await unit.start(self.losses.append)
        self.assertEqual(await self.ask(), b"another")
