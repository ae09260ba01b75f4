# -*- test-case-name: tests.host.test_mending -*-
"""
Tests for L{sockhost.host.change}: units that did not run before, those who use
what is new, and the order of all.
"""

from __future__ import annotations

from attrs import evolve

from sockhost.config import UnitConfig
from sockhost.interfaces import ConfigError
from sockhost.status import Goal, State
from tests.host.test_change import ChangeCase
from tests.host.test_fakes import MemoryConfig, unit_config
from tests.host.test_units import BAD


class MendedTests(ChangeCase):
    """A unit whose table was bad and is good now."""

    def setUp(self) -> None:
        super().setUp()
        self.run_units(unit_config("a", enabled=False), quarantined=(BAD,))

    def test_started(self) -> None:
        """It is made and started."""
        found = self.successResultOf(
            self.change_to(unit_config("a", enabled=False), unit_config("bad"))
        )
        self.assertEqual(found["changed"], ["bad"])
        self.assertEqual(self.kind.journal, ["start bad"])
        self.unit("bad").ready()
        self.assertEqual(self.state("bad"), State.UP)

    def test_in_order(self) -> None:
        """It is not started before what it requires."""
        self.successResultOf(
            self.change_to(unit_config("a", enabled=False), unit_config("bad", "a"))
        )
        self.assertEqual(self.kind.journal, ["start a"])
        self.unit("a").ready()
        self.assertEqual(self.kind.journal, ["start a", "start bad"])

    def test_disabled(self) -> None:
        """If it is disabled, it stays down."""
        self.successResultOf(
            self.change_to(
                unit_config("a", enabled=False), unit_config("bad", enabled=False)
            )
        )
        self.assertEqual((self.kind.journal, self.state("bad")), ([], State.DOWN))


class UnmadeTests(ChangeCase):
    """A unit whose table is good, but that could not be made."""

    def setUp(self) -> None:
        super().setUp()
        self.kind.breaks.add("a")
        self.run_units(unit_config("a"))
        self.flushLoggedErrors(RuntimeError)

    def test_still_not(self) -> None:
        """Whatever is new about it, it is tried, and said if it fails again."""
        changing = self.change_to(unit_config("a", description="new"))
        failure = self.failureResultOf(changing, ConfigError)
        self.assertIn("unit.a: cannot be made: RuntimeError", str(failure.value))
        self.assertEqual(self.state("a"), State.QUARANTINED)
        self.flushLoggedErrors(RuntimeError)

    def test_mended(self) -> None:
        """It is made and started when it can be."""
        self.kind.breaks.clear()
        changing = self.change_to(unit_config("a", description="new"))
        self.assertEqual(self.successResultOf(changing)["changed"], ["a"])
        self.unit("a").ready()
        self.assertEqual(self.state("a"), State.UP)


class UsersTests(ChangeCase):
    """Those whose handlers hold the client of a unit."""

    def setUp(self) -> None:
        super().setUp()
        self.store = unit_config("store", usable=True)
        self.kv = unit_config("kv", uses=("store",))
        self.run_units(self.store, self.kv)

    def changed_store(self) -> UnitConfig:
        """Another configuration of the store."""
        return evolve(self.store, own=MemoryConfig(value=2, usable=True))

    def test_anew(self) -> None:
        """They are restarted when the unit was made anew and is up."""
        old = self.unit("store")
        self.successResultOf(self.change_to(self.changed_store(), self.kv))
        old.stopped()
        self.assertNotIn("stop kv", self.kind.journal)
        self.unit("store").ready()
        self.assertEqual(self.kind.journal[-1], "stop kv")
        self.unit("kv").stopped()
        self.assertEqual(self.kind.journal[-1], "start kv")

    def test_in_place(self) -> None:
        """They go on when the unit does."""
        self.unit("store").takes_reload = True
        self.successResultOf(self.change_to(self.changed_store(), self.kv))
        self.assertEqual(self.kind.journal, [])

    def test_down(self) -> None:
        """One that is meant to be down is not started by that."""
        self.units.keepers["kv"].stop("ann")
        self.unit("kv").stopped()
        old = self.unit("store")
        self.successResultOf(self.change_to(self.changed_store(), self.kv))
        self.kind.journal.clear()
        old.stopped()
        self.unit("store").ready()
        self.assertEqual(self.kind.journal, ["start store"])
        self.assertEqual(self.goal("kv"), Goal.DOWN)


class OrderAfterwardsTests(ChangeCase):
    """The order of the units after a change."""

    def test_shown(self) -> None:
        """The status is in the order of the new configuration."""
        self.run_units(unit_config("b"), unit_config("c"))
        self.successResultOf(
            self.change_to(unit_config("c"), unit_config("a"), unit_config("b"))
        )
        self.assertEqual([one.name for one in self.units.status()], ["c", "a", "b"])

    def test_stop(self) -> None:
        """A unit stops before the new one that it requires now."""
        self.run_units(unit_config("b"))
        self.successResultOf(self.change_to(unit_config("a"), unit_config("b", "a")))
        self.unit("a").ready()
        self.kind.journal.clear()
        self.units.stop_all("SIGTERM")
        self.assertEqual(self.kind.journal, ["stop b"])
        self.unit("b").stopped()
        self.assertEqual(self.kind.journal, ["stop b", "stop a"])
