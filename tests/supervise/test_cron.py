# -*- test-case-name: tests.supervise.test_cron -*-
"""Tests for L{sockhost.supervise.cron}."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.config import structure
from sockhost.interfaces import ConfigError, IUnit, IUnitKind, ProcessLost, UnitStuck
from sockhost.status import Event
from sockhost.supervise.cron import CronConfig, CronKind, CronUnit
from sockhost.testing.processes import MemorySpawner, obedient, stubborn
from sockhost.testing.units import MemoryUnitHost
from tests.supervise.test_process import MemoryLeftovers

ZONE = "America/New_York"


def at(text: str) -> float:
    """A moment in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp()


class CronCase(SynchronousTestCase):
    """Has a host, a spawner and two clocks."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.offset = at("2026-01-05 03:00")  # of the wall clock, a Monday
        self.host = MemoryUnitHost(self.mktemp(), reactor=self.clock)
        self.spawner = MemorySpawner()
        self.left = MemoryLeftovers("")
        left: Any = self.left
        self.kind = CronKind(lambda _: self.spawner, lambda _: left, self.wall)

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def wall(self) -> float:
        """The time of day."""
        return self.clock.seconds() + self.offset

    def unit(self, schedule: str = "4:00", **options: Any) -> CronUnit:
        """Make a unit."""
        config = CronConfig(argv=("prog",), schedule=schedule, timezone=ZONE, **options)
        return self.kind.make("job", config, self.host)

    def up(self, schedule: str = "4:00", **options: Any) -> CronUnit:
        """Make a unit that is up, and stop it in the end."""
        unit = self.unit(schedule, **options)
        self.assertIsNone(self.successResultOf(unit.start(self.fail)))
        return unit

    def stop(self, unit: CronUnit) -> object:
        """Stop a unit."""
        return self.successResultOf(unit.stop())

    def pass_to(self, text: str) -> None:
        """Let time pass until the wall clock shows something."""
        while self.wall() < at(text):
            self.clock.advance(min(30.0, at(text) - self.wall()))

    def events(self) -> list[str]:
        """What was published."""
        return [event.event for event in self.host.events]


class CronUnitTests(CronCase):
    """A program and its times."""

    def test_interface(self) -> None:
        """Unit and kind are what they say."""
        self.assertTrue(verifyObject(IUnit, self.unit()))
        self.assertTrue(verifyObject(IUnitKind, self.kind))
        self.assertTrue(verifyObject(IPlugin, self.kind))

    def test_waits(self) -> None:
        """It is up while it waits, and says for when."""
        unit = self.up()
        self.pass_to("2026-01-05 03:59:59")
        status = unit.status()
        self.assertEqual(status["next_run"], at("2026-01-05 04:00"))
        self.assertEqual((status["running"], self.spawner.children), (False, []))
        self.stop(unit)
        self.assertIsNone(unit.status()["next_run"])

    def test_runs(self) -> None:
        """The program is run at its time, once, and then the next day."""
        unit = self.up()
        self.pass_to("2026-01-05 04:00")
        self.assertTrue(unit.status()["running"])
        self.spawner.child.exit(0)
        self.pass_to("2026-01-06 03:59")
        self.assertEqual(len(self.spawner.children), 1)
        status = unit.status()
        self.assertEqual(status["last_run"], at("2026-01-05 04:00"))
        self.assertEqual(status["last_exit"], "succeeded")
        self.pass_to("2026-01-06 04:01")
        self.assertEqual(len(self.spawner.children), 2)
        self.stop(unit)

    def test_stopped_by_who_is_told(self) -> None:
        """Who hears of a run may stop the unit, and then there is no next one."""
        stopping: list[Deferred[Any]] = []

        class Host(MemoryUnitHost):
            def publish(self, event: Event) -> None:
                if event.event == "run-started":
                    stopping.append(unit.stop())

        self.host = Host(self.mktemp(), reactor=self.clock)
        unit = self.up()
        self.pass_to("2026-01-05 04:00")
        self.assertIsInstance(self.successResultOf(stopping[0]), ProcessLost)
        self.assertIsNone(unit.status()["next_run"])
        self.pass_to("2026-01-06 05:00")
        self.assertEqual(len(self.spawner.children), 1)

    def test_failure(self) -> None:
        """A run that fails is an event and shown, and no loss."""
        unit = self.up()
        self.pass_to("2026-01-05 04:00")
        self.spawner.child.exit(7)
        self.assertEqual(self.events(), ["run-started", "run-ended"])
        fields = self.host.events[-1].fields
        self.assertEqual((fields["code"], fields["signal"]), (7, None))
        self.assertEqual(unit.status()["last_exit"], "exited with code 7")
        self.stop(unit)

    def test_success_codes(self) -> None:
        """Which codes are no failure is configured."""
        unit = self.up(success=(0, 7))
        self.pass_to("2026-01-05 04:00")
        self.spawner.child.exit(7)
        self.assertEqual(unit.status()["last_exit"], "succeeded")
        self.stop(unit)

    def test_no_program(self) -> None:
        """A program that cannot be executed is a run that failed."""
        unit = self.up()
        self.spawner.fail_next()
        self.pass_to("2026-01-05 04:00")
        self.assertIn("cannot execute /missing", str(unit.status()["last_exit"]))
        self.assertEqual(unit.status()["next_run"], at("2026-01-06 04:00"))
        self.stop(unit)

    def test_no_overlap(self) -> None:
        """A time that comes while the program runs is passed over."""
        unit = self.up("0 * * * *")
        self.pass_to("2026-01-05 05:30")
        self.assertEqual(len(self.spawner.children), 1)
        self.assertEqual(self.events(), ["run-started", "run-skipped"])
        self.spawner.child.exit(0)
        self.pass_to("2026-01-05 06:00")
        self.assertEqual(len(self.spawner.children), 2)
        self.stop(unit)

    def test_stop(self) -> None:
        """A stop ends the program too, after its grace."""
        self.spawner.on_signal = stubborn
        unit = self.up(grace=5.0)
        self.pass_to("2026-01-05 04:00")
        stopping = unit.stop()
        self.clock.advance(4.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.2)
        self.assertIsInstance(self.successResultOf(stopping), ProcessLost)

    def test_abort(self) -> None:
        """An abort cuts the grace of a stop, and does nothing else."""
        self.spawner.on_signal = stubborn
        unit = self.up(grace=60.0)
        self.pass_to("2026-01-05 04:00")
        unit.abort()
        self.assertEqual(self.spawner.child.signals, [])
        stopping = unit.stop()
        unit.abort()
        self.assertIsInstance(self.successResultOf(stopping), ProcessLost)

    def test_immortal(self) -> None:
        """Nothing is run over what is left of a run, which is tried to be ended."""
        self.spawner.on_signal = None
        unit = self.up("0 * * * *")
        self.pass_to("2026-01-05 04:00")
        child = self.spawner.child
        child.others = True
        child.exit(0)
        self.clock.pump([0.1] * 110)
        self.assertIn("does not end", str(unit.status()["last_exit"]))
        self.pass_to("2026-01-05 05:00")
        self.assertEqual(len(self.spawner.children), 1)
        self.assertEqual(self.events()[-1], "run-skipped")
        child.others_end()
        self.clock.advance(0.01)
        self.pass_to("2026-01-05 06:00")
        self.assertEqual(len(self.spawner.children), 2)
        self.spawner.child.exit(0)
        self.stop(unit)

    def test_stop_fails(self) -> None:
        """A stop that failed may be tried again."""
        self.spawner.on_signal = None
        unit = self.up(grace=1.0)
        self.pass_to("2026-01-05 04:00")
        stopping = unit.stop()
        self.clock.advance(1.0)
        self.clock.pump([0.1] * 110)
        self.failureResultOf(stopping, UnitStuck)
        self.spawner.child.on_signal = obedient
        self.assertIsInstance(self.stop(unit), ProcessLost)
        self.assertIsNone(self.stop(unit))

    def test_never(self) -> None:
        """A schedule without times waits for nothing."""
        unit = self.up("never")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(unit.status()["next_run"])
        self.stop(unit)

    def test_leftover(self) -> None:
        """What a killed host left running is ended before anything is run."""
        self.left.something_is_left = True
        unit = self.unit()
        starting = unit.start(self.fail)
        self.assertNoResult(starting)
        stopping = unit.stop()
        self.assertNoResult(stopping)
        unit.abort()
        self.assertTrue(self.left.cut)
        self.successResultOf(stopping)
        self.successResultOf(starting)

    def test_reload(self) -> None:
        """What concerns the stop and the log is taken; a schedule is not."""
        unit = self.up()
        config = evolve(unit.config, grace=1.0)
        self.assertTrue(self.successResultOf(unit.reload(config)))
        config = evolve(config, schedule="5:00")
        self.assertFalse(self.successResultOf(unit.reload(config)))
        self.stop(unit)


class ClockTests(CronCase):
    """The wall clock is not steady."""

    def test_set_forward(self) -> None:
        """A time that is passed over by a step is made up for by one run."""
        unit = self.up("0 * * * *")
        self.offset += 2 * 3600
        self.clock.advance(60)
        self.assertEqual(len(self.spawner.children), 1)
        self.assertEqual(unit.status()["next_run"], at("2026-01-05 06:00"))
        self.stop(unit)

    def test_set_far_forward(self) -> None:
        """A wrong date that is put right runs nothing."""
        unit = self.up()
        self.offset += 400 * 86400
        self.clock.advance(60)
        self.assertEqual(self.spawner.children, [])
        next_run = unit.status()["next_run"]
        assert isinstance(next_run, float)
        self.assertTrue(0 < next_run - self.wall() <= 86400)
        self.stop(unit)

    def test_set_back(self) -> None:
        """After a step back no time comes twice."""
        unit = self.up()
        self.pass_to("2026-01-05 04:00:10")
        self.spawner.child.exit(0)
        self.offset -= 3600
        self.pass_to("2026-01-05 05:00")
        self.assertEqual(len(self.spawner.children), 1)
        self.assertEqual(unit.status()["next_run"], at("2026-01-06 04:00"))
        self.stop(unit)

    def test_set_far_back(self) -> None:
        """After a large step back the schedule begins anew."""
        unit = self.up()
        self.offset -= 30 * 86400
        self.clock.advance(60)
        self.assertEqual(unit.status()["next_run"], at("2025-12-06 04:00"))
        self.stop(unit)

    def test_clock_change(self) -> None:
        """On the day with 25 hours it is run once."""
        self.offset = at("2026-10-31 23:00")
        unit = self.up("1:30")
        self.clock.pump([30.0] * (24 * 120))
        self.spawner.child.exit(0)
        self.assertEqual(len(self.spawner.children), 1)
        self.stop(unit)


class ConfigTests(SynchronousTestCase):
    """The keys of the table."""

    def test_problems(self) -> None:
        """A wrong schedule and zone are named."""
        table = {"argv": ["prog"], "schedule": "mon", "timezone": "Nowhere/Land"}
        error = self.assertRaises(ConfigError, structure, CronConfig, table)
        keys = [problem.key for problem in error.problems]
        self.assertEqual(sorted(keys), ["schedule", "timezone"])
        self.assertIn("needs a time of day", str(error))
