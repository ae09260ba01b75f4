# -*- test-case-name: tests.processes.test_leftovers -*-
"""Tests for L{sockhost.processes.leftovers}."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import SockhostError
from sockhost.processes import leftovers
from sockhost.processes.leftovers import Leftovers
from sockhost.processes.procfs import ProcessStat

PID = 2**22 + 9


class LeftoversTests(SynchronousTestCase):
    """The notes of a run directory, and what is done about them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.left = Leftovers(self.mktemp())
        self.leader: ProcessStat | None = ProcessStat(PID, "S", 1, PID, PID, 100)
        self.others: list[ProcessStat] = []
        self.marks: dict[int, str] = {}
        self.signals: list[tuple[int, int]] = []
        self.dies_of = {signal.SIGTERM, signal.SIGKILL}
        self.boot = "this boot"
        self.patch(leftovers, "read_stat", lambda pid: self.leader)
        self.patch(leftovers, "group_members", self.members)
        self.patch(leftovers, "boot_id", lambda: self.boot)
        self.patch(leftovers, "environment_value", lambda pid, _: self.marks.get(pid))
        self.patch(os, "kill", self.kill)

    def members(self, group: int) -> list[ProcessStat]:
        """List what lives of the group."""
        return [*([self.leader] if self.leader else []), *self.others]

    def kill(self, pid: int, signum: int) -> None:
        """Take a signal."""
        self.signals.append((pid, signum))
        if signum in self.dies_of:
            self.leader = None
            self.others = []

    def test_note(self) -> None:
        """A note is written, read and removed."""
        self.left.record("db", PID)
        record = self.left.read("db")
        assert record is not None
        self.assertEqual((record.pid, record.start_time), (PID, 100))
        self.left.forget("db")
        self.assertIsNone(self.left.read("db"))
        self.left.forget("db")

    def test_expected(self) -> None:
        """One that was executed and not noted any more is known by its token."""
        ((variable, token),) = self.left.expect("db").items()
        self.assertEqual(self.left.living("db"), [])
        stranger = ProcessStat(7, "S", 1, 7, 7, 50)
        helper = ProcessStat(8, "S", PID, 8, 8, 101)
        assert self.leader is not None
        found = [stranger, helper, self.leader]
        self.patch(leftovers, "processes", lambda: found)
        tokens = {7: "another", 8: token, PID: token}
        self.patch(
            leftovers,
            "environment_value",
            lambda pid, name: tokens[pid] if name == variable else None,
        )
        self.assertEqual(self.left.living("db"), [PID])
        record = self.left.read("db")
        assert record is not None
        self.assertEqual((record.pid, record.start_time), (PID, 100))
        self.left.record("db", PID)
        self.patch(leftovers, "processes", list)
        self.assertEqual(self.left.living("db"), [PID])

    def test_full_disk(self) -> None:
        """Of a note that cannot be written nothing is left, but what was before."""
        self.left.expect("web")

        def full(note: object) -> str:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(json, "dumps", full)
        for name in ("db", "web"):
            with self.assertRaises(OSError):
                self.left.record(name, PID)
        self.assertEqual(self.left.names(), ["web"])

    def test_half_written(self) -> None:
        """Of a note that was being written as the host was killed, the rest counts."""
        self.left.record("db", PID)
        with Path(self.left.run_dir, "pids", "db.json").open("a") as file:
            file.write('{"pid": 1')
        self.assertEqual(self.left.living("db"), [PID])

    def test_names(self) -> None:
        """All notes are listed, and nothing else that is there."""
        self.assertEqual(self.left.names(), [])
        for name in ("web", "db"):
            self.left.record(name, PID)
        Path(self.left.run_dir, "pids", "odd.json.new").write_text("")
        self.assertEqual(self.left.names(), ["db", "web"])

    def test_spoilt(self) -> None:
        """A note that cannot be read counts as none."""
        path = Path(self.left.run_dir, "pids", "db.json")
        path.parent.mkdir(parents=True)
        for text in ("", "{}", "[]", '{"pid":'):
            path.write_text(text)
            self.assertIsNone(self.left.read("db"))

    def test_ended(self) -> None:
        """A process that was left is asked to end, and the note removed."""
        self.left.record("db", PID)
        reclaiming = self.left.reclaim(self.clock, "db", 5.0)
        self.assertTrue(self.successResultOf(reclaiming))
        self.assertEqual(self.signals, [(PID, signal.SIGTERM)])
        self.assertIsNone(self.left.read("db"))

    def test_nothing(self) -> None:
        """Without a note nothing is done."""
        self.assertFalse(self.successResultOf(self.left.reclaim(self.clock, "db", 5.0)))
        self.assertEqual(self.signals, [])

    def test_grace(self) -> None:
        """What does not obey is killed after the grace."""
        self.dies_of = {signal.SIGKILL}
        self.left.record("db", PID)
        reclaiming = self.left.reclaim(self.clock, "db", 5.0)
        self.clock.pump([0.02] * 240)
        self.assertNoResult(reclaiming)
        self.clock.pump([0.02] * 20)
        self.assertTrue(self.successResultOf(reclaiming))
        self.assertEqual(self.signals[-1], (PID, signal.SIGKILL))

    def test_cut(self) -> None:
        """Cancelling ends the grace."""
        self.dies_of = {signal.SIGKILL}
        self.left.record("db", PID)
        reclaiming = self.left.reclaim(self.clock, "db", 5.0)
        reclaiming.cancel()
        self.assertTrue(self.successResultOf(reclaiming))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_immortal(self) -> None:
        """What survives SIGKILL fails the reclaim, which says what it is."""
        self.dies_of = set()
        self.left.record("db", PID)
        reclaiming = self.left.reclaim(self.clock, "db", 0.1)
        reclaiming.cancel()
        self.clock.pump([0.1] * 120)
        error = self.failureResultOf(reclaiming, SockhostError)
        self.assertIn(str(PID), str(error.value))
        self.assertIsNotNone(self.left.read("db"))

    def test_clock_set_back(self) -> None:
        """A clock that is set back gives no more time to what is to end."""
        self.dies_of = {signal.SIGKILL}
        self.left.record("db", PID)
        reclaiming = self.left.reclaim(self.clock, "db", 1.0)
        self.clock.rightNow -= 500
        for call in self.clock.getDelayedCalls():
            call.reset(0.02)
        self.clock.pump([0.02] * 60)
        self.assertTrue(self.successResultOf(reclaiming))

    def test_other_boot(self) -> None:
        """No process lives through a boot."""
        self.left.record("db", PID)
        self.boot = "the next boot"
        self.assertEqual(self.left.living("db"), [])

    def test_stranger(self) -> None:
        """A process that began at another time is another one."""
        self.left.record("db", PID)
        self.leader = ProcessStat(PID, "S", 1, PID, PID, 101)
        self.assertEqual(self.left.living("db"), [])

    def test_without_leader(self) -> None:
        """Of a group that lost its leader, only marked processes are ours."""
        self.left.record("db", PID)
        self.leader = None
        self.others = [ProcessStat(7, "S", 1, PID, PID, 101)]
        self.others.append(ProcessStat(8, "S", 1, PID, PID, 102))
        self.marks = {7: "db", 8: "web"}
        self.assertEqual(self.left.living("db"), [7])
