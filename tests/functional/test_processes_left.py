# -*- test-case-name: tests.functional.test_processes_left -*-
"""Real processes that somebody left behind: orphans and leftovers."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutput

from sockhost.processes.leftovers import MARK, Leftovers
from sockhost.processes.orphans import OrphanReaper, become_subreaper
from sockhost.processes.procfs import group_members, read_stat
from tests.functional.test_processes import ProcessCase, until

reactor: Any = global_reactor


class OrphanTests(ProcessCase):
    """Grandchildren whose parents died."""

    def setUp(self) -> None:
        super().setUp()
        become_subreaper()
        self.addCleanup(become_subreaper, False)
        self.reaper = OrphanReaper(reactor)
        self.addCleanup(self.reaper.uninstall)

    async def install(self) -> None:
        """Install the reaper once the reactor runs and has its own handlers."""
        await deferLater(reactor, 0)
        self.reaper.install()

    async def test_orphans(self) -> None:
        """They are reaped when they end, be a foreign zombie in the way."""
        await self.install()
        foreign = subprocess.Popen(["true"])
        self.addCleanup(foreign.wait)
        recorder = await self.run_shell("(sleep 0.2; exit 5) & echo $!", drain=0.0)
        orphan = int(recorder.out[1])
        await until(lambda: read_stat(orphan) is None)
        self.assertEqual(foreign.wait(), 0)

    async def test_nobody_is_robbed(self) -> None:
        """Children of Twisted and of other libraries keep their exit status."""
        await self.install()
        foreign = subprocess.Popen(["sh", "-c", "exit 9"])
        _, ours = self.shell("exit 4")
        output = await getProcessOutput("/bin/echo", [b"twisted"], reactor=reactor)
        await ours.ended
        self.reaper.sweep()
        self.assertEqual(foreign.wait(), 9)
        self.assertEqual(output, b"twisted\n")
        self.assertEqual(ours.reason.exitCode, 4)


class LeftoverTests(ProcessCase):
    """What a killed host left behind."""

    def setUp(self) -> None:
        super().setUp()
        self.leftovers = Leftovers(os.path.abspath(self.mktemp()))

    async def test_reclaimed(self) -> None:
        """A process that was noted is ended with its group, and forgotten."""
        child, recorder = self.shell("trap '' TERM; sleep 60 & echo up; wait")
        await until(lambda: recorder.out[1])
        assert child.pid is not None
        self.leftovers.record("db", child.pid)
        self.assertEqual(len(self.leftovers.living("db")), 2)
        self.assertTrue(await self.leftovers.reclaim(reactor, "db", 0.1))
        await recorder.ended
        self.assertEqual(group_members(child.group), [])
        self.assertIsNone(self.leftovers.read("db"))

    async def test_expected(self) -> None:
        """One that was executed as its host was killed is found and ended."""
        env = {**os.environ, **self.leftovers.expect("db")}
        child, recorder = self.shell("sleep 60 & echo up; wait", env=env)
        await until(lambda: recorder.out[1])
        self.assertEqual(len(self.leftovers.living("db")), 2)
        self.assertTrue(await self.leftovers.reclaim(reactor, "db", 5.0))
        await recorder.ended
        self.assertEqual(group_members(child.group), [])
        self.assertEqual(self.leftovers.names(), [])

    async def test_leader_died(self) -> None:
        """Of a group without its leader, those with the unit's mark are ended."""
        env = {**os.environ, MARK: "db"}
        child, recorder = self.shell(
            "sleep 60 & echo up; read x", env=env, stdin="pipe"
        )
        await until(lambda: recorder.out[1])
        assert child.pid is not None
        self.leftovers.record("db", child.pid)
        child.closeStdin()
        await recorder.exited
        self.assertEqual(len(self.leftovers.living("db")), 1)
        await self.leftovers.reclaim(reactor, "db", 5.0)
        self.assertEqual(group_members(child.group), [])

    async def test_stranger(self) -> None:
        """A process that has the number now, but began later, is left alone."""
        child, recorder = self.spawn("sleep", "60")
        assert child.pid is not None
        self.leftovers.record("db", child.pid)
        path = os.path.join(self.leftovers.run_dir, "pids", "db.json")
        with open(path) as file:
            text = file.read()
        found = read_stat(child.pid)
        assert found is not None
        with open(path, "w") as file:
            file.write(text.replace(str(found.start_time), str(found.start_time - 1)))
        self.assertFalse(await self.leftovers.reclaim(reactor, "db", 5.0))
        self.assertTrue(child.signal_group(0))
        self.assertFalse(recorder.exited.called)

    async def test_cut_short(self) -> None:
        """Cancelling a reclaim kills at once and still waits for the end."""
        child, recorder = self.shell("trap '' TERM; echo up; while :; do sleep 1; done")
        await until(lambda: recorder.out[1])
        assert child.pid is not None
        self.leftovers.record("db", child.pid)
        reclaiming = self.leftovers.reclaim(reactor, "db", 60.0)
        reclaiming.cancel()
        self.assertTrue(await reclaiming)
        self.assertEqual(group_members(child.group), [])
