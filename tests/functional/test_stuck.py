# -*- test-case-name: tests.functional.test_stuck -*-
"""A real program that cannot be ended for a while, under its keeper."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from sockhost.config import RestartPolicy
from sockhost.interfaces import UnitFailed, UnitStuck
from sockhost.keeper import Keeper
from sockhost.processes import Spawner
from sockhost.processes.leftovers import Leftovers
from sockhost.processes.procfs import group_members
from sockhost.processes.system import Linux
from sockhost.status import Goal, State
from sockhost.supervise import execution
from sockhost.supervise.process import ProcessConfig, ProcessKind
from tests.functional.test_supervise import SuperviseCase

reactor: Any = global_reactor


class Shielding(Linux):
    """A kernel that does not let groups be signalled, as those of other users."""

    shields = False

    def signal_group(self, group: int, signum: int) -> None:
        """Signal the group, or not."""
        if self.shields:
            raise PermissionError
        super().signal_group(group, signum)


class StuckTests(SuperviseCase):
    """A program that becomes another user's, so to say."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.patch(execution, "_DYING", 0.1)
        self.system = Shielding()
        config = ProcessConfig(argv=("/bin/sleep", "60"), grace=0.1)
        kind = ProcessKind(spawner=lambda reactor: Spawner(reactor, self.system))
        self.running = kind.make("web", config, self.host)
        self.keeper = Keeper("web", self.running, RestartPolicy(), reactor)
        self.addCleanup(self.release)

    async def release(self) -> None:
        """Leave nothing behind."""
        self.system.shields = False
        await self._end(self.running)

    def pid(self) -> int:
        """The number of the program."""
        pid = self.running.status()["pid"]
        assert isinstance(pid, int)
        return pid

    async def refused(self, asked: Deferred[None]) -> str:  # type: ignore[override]
        """What is asked for is not had."""
        try:
            await asked
        except UnitFailed as error:
            return str(error)
        raise AssertionError("it was had")

    async def test_stop(self) -> None:
        """It is down when it has ended, however often that takes a stop."""
        await self.keeper.start()
        pid, self.system.shields = self.pid(), True
        for _ in range(2):
            said = await self.refused(self.keeper.stop())
            self.assertIn(f"process group {pid} does not end", said)
            self.assertEqual(self.keeper.state, State.FAILED)
            self.assertIsNotNone(Leftovers(self.host.run_dir).read("web"))
        self.system.shields = False
        await self.keeper.stop()
        self.assertEqual(self.keeper.state, State.DOWN)
        self.assertEqual(group_members(pid), [])
        self.assertIsNone(Leftovers(self.host.run_dir).read("web"))
        self.assertEqual(self.descriptors(), self.before)
        self.flushLoggedErrors(UnitStuck)

    async def test_start(self) -> None:
        """Nothing is started beside it."""
        await self.keeper.start()
        pid, self.system.shields = self.pid(), True
        await self.refused(self.keeper.restart())
        await self.refused(self.keeper.start())
        self.assertEqual((self.keeper.goal, self.pid()), (Goal.UP, pid))
        self.system.shields = False
        await self.keeper.start()
        self.assertNotEqual(self.pid(), pid)
        self.assertEqual(group_members(pid), [])
        await self.keeper.stop()
        self.flushLoggedErrors(UnitStuck)

    async def test_ends_by_itself(self) -> None:
        """If it has ended meanwhile, a start is what it always is."""
        await self.keeper.start()
        pid, self.system.shields = self.pid(), True
        await self.refused(self.keeper.stop())
        self.system.shields = False
        self.system.signal_group(pid, 9)
        while self.running.status()["pid"] is not None:
            await deferLater(reactor, 0.01)
        self.assertEqual(self.keeper.state, State.FAILED)
        await self.keeper.start()
        self.assertNotEqual(self.pid(), pid)
        await self.keeper.stop()
        self.flushLoggedErrors(UnitStuck)
