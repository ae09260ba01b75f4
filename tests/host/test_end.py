# -*- test-case-name: tests.host.test_end -*-
"""
Tests for L{sockhost.host.end}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import HostSettings, UnitConfig
from sockhost.host.end import End, verdict
from sockhost.host.exit import ExitStatus
from sockhost.interfaces import UnitLost
from tests.host.test_fakes import unit_config
from tests.host.test_units import BAD, UnitsCase

DONE = UnitLost("it has run", success=True)
LOST = UnitLost("exit code 3")


class EndTests(SynchronousTestCase):
    """The reason that a host ends for."""

    def test_first(self) -> None:
        """The first reason counts, and only that."""
        end = End()
        self.assertIsNone(end.status)
        self.assertTrue(end.come(ExitStatus.WATCHED_PID_GONE, "it is gone"))
        self.assertFalse(end.come(ExitStatus.CLEAN, "SIGTERM"))
        self.assertEqual(self.successResultOf(end.when), ExitStatus.WATCHED_PID_GONE)
        self.assertEqual(
            (end.status, end.reason), (ExitStatus.WATCHED_PID_GONE, "it is gone")
        )

    def test_not_yet(self) -> None:
        """Without a reason it does not end."""
        self.assertNoResult(End().when)


class VerdictCase(UnitsCase):
    """A host that is ready, and its units."""

    settings = HostSettings()

    def go(self, *units: UnitConfig) -> None:
        """Start what is enabled."""
        self.load(*units)
        self.units.start_enabled()

    def judge(self) -> tuple[ExitStatus, str] | None:
        """Look whether it ends."""
        return verdict(self.settings, self.units)


class ForeverTests(VerdictCase):
    """A host that nobody told to end by itself."""

    def test_goes_on(self) -> None:
        """It goes on, whatever becomes of its units."""
        self.go(unit_config("a"), unit_config("b"))
        self.unit("a").fail(LOST)
        self.unit("b").fail(DONE)
        self.assertIsNone(self.judge())


class WaitForTests(VerdictCase):
    """C{wait_for}."""

    settings = HostSettings(wait_for=("job", "task"))

    def start_both(self) -> None:
        """Start both, and a service that goes on."""
        self.go(unit_config("job"), unit_config("task"), unit_config("service"))
        self.unit("service").ready()

    def test_running(self) -> None:
        """It goes on while one of them runs."""
        self.start_both()
        self.assertIsNone(self.judge())
        self.unit("job").ready()
        self.unit("task").fail(DONE)
        self.assertIsNone(self.judge())

    def test_done(self) -> None:
        """It ends well when all are done, whatever else runs."""
        self.start_both()
        self.unit("job").fail(DONE)
        self.unit("task").fail(DONE)
        self.assertEqual(self.judge(), (ExitStatus.CLEAN, "all units are done"))

    def test_failed(self) -> None:
        """It ends badly when one has failed and none of them runs any more."""
        self.start_both()
        self.unit("job").fail(LOST)
        self.assertIsNone(self.judge())
        self.unit("task").fail(DONE)
        self.assertEqual(self.judge(), (ExitStatus.UNIT_FAILED, "job is failed"))

    def test_quarantined(self) -> None:
        """One with a bad configuration is one that failed."""
        self.settings = HostSettings(wait_for=("bad",))
        self.load(unit_config("a"), quarantined=(BAD,))
        self.assertEqual(self.judge(), (ExitStatus.UNIT_FAILED, "bad is quarantined"))

    def test_cannot_start(self) -> None:
        """One that never ran, as its requirement failed, is not done."""
        self.settings = HostSettings(wait_for=("job",))
        self.go(unit_config("database"), unit_config("job", "database"))
        self.assertIsNone(self.judge())
        self.unit("database").fail(LOST)
        found = self.judge()
        assert found is not None
        self.assertEqual(found[0], ExitStatus.UNIT_FAILED)

    def test_not_started_yet(self) -> None:
        """One that waits for its requirement is not done."""
        self.settings = HostSettings(wait_for=("job",))
        self.go(unit_config("database"), unit_config("job", "database"))
        self.assertIsNone(self.judge())

    def test_removed(self) -> None:
        """One that a new configuration has removed is not waited for."""
        self.start_both()
        self.unit("job").fail(DONE)
        self.units.remove("job")
        self.assertIsNone(self.judge())
        self.unit("task").fail(DONE)
        self.assertEqual(self.judge(), (ExitStatus.CLEAN, "all units are done"))

    def test_all_removed(self) -> None:
        """When all of them were removed, there is no end to wait for."""
        self.start_both()
        for name in ("job", "task"):
            self.unit(name).fail(DONE)
            self.units.remove(name)
        self.assertIsNone(self.judge())


class ExitWhenDoneTests(VerdictCase):
    """C{exit_when_done}."""

    settings = HostSettings(exit_when_done=True)

    def test_running(self) -> None:
        """It goes on while anything runs or is about to."""
        self.go(unit_config("a"), unit_config("b", "a"))
        self.assertIsNone(self.judge())
        self.unit("a").fail(DONE)
        self.assertIsNone(self.judge())
        self.unit("b").ready()
        self.assertIsNone(self.judge())

    def test_done(self) -> None:
        """It ends well when all are done; what is disabled does not count."""
        self.go(unit_config("a"), unit_config("b", enabled=False))
        self.unit("a").fail(DONE)
        self.assertEqual(self.judge(), (ExitStatus.CLEAN, "all units are done"))

    def test_failed(self) -> None:
        """It ends badly when one failed, but not before the last has ended."""
        self.go(unit_config("a"), unit_config("b"))
        self.unit("a").fail(LOST)
        self.assertIsNone(self.judge())
        self.unit("b").fail(DONE)
        self.assertEqual(self.judge(), (ExitStatus.UNIT_FAILED, "a is failed"))

    def test_cannot_start(self) -> None:
        """Who waits for something that will not come is not about to run."""
        self.go(unit_config("a"), unit_config("b", "a"))
        self.unit("a").fail(LOST)
        self.assertEqual(self.judge(), (ExitStatus.UNIT_FAILED, "a is failed"))

    def test_nothing(self) -> None:
        """A host without units has nothing to do."""
        self.load()
        self.assertEqual(self.judge(), (ExitStatus.CLEAN, "all units are done"))
