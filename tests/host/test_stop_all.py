# -*- test-case-name: tests.host.test_stop_all -*-
"""
Tests for L{sockhost.host.units}: the end of all units.
"""

from __future__ import annotations

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    GoalChanged,
    IListeningUnit,
    SockhostError,
    UnitFailed,
    UnitLost,
)
from sockhost.status import Goal, State
from tests.host.test_fakes import unit_config
from tests.host.test_units import BAD, UnitsCase


class StopAllTests(UnitsCase):
    """The end of all units."""

    def setUp(self) -> None:
        super().setUp()
        self.load(
            unit_config("a", usable=True),
            unit_config("b", "a", usable=True),
            unit_config("c"),
            quarantined=(BAD,),
        )
        self.bring_up("a", "b", "c")

    def test_reverse(self) -> None:
        """Dependants first, and it ends when all are down."""
        stopping = self.units.stop_all("SIGTERM")
        self.assertEqual(sorted(self.kind.journal), ["stop b", "stop c"])
        self.unit("b").stopped()
        self.unit("a").stopped()
        self.assertNoResult(stopping)
        self.unit("c").stopped()
        self.successResultOf(stopping)
        last_exit = self.units.keeper("a").status().last_exit
        assert last_exit is not None
        self.assertEqual(last_exit.asked_by, "SIGTERM")

    def test_one_cannot_be_stopped(self) -> None:
        """What cannot be stopped is logged, and the others are stopped."""
        stopping = self.units.stop_all("SIGTERM")
        self.unit("b").fail_stop(RuntimeError("it clings"))
        self.assertIn("stop a", self.kind.journal)
        self.unit("a").stopped()
        self.unit("c").stopped()
        self.successResultOf(stopping)
        self.assertEqual(self.state("b"), State.FAILED)
        self.flushLoggedErrors(RuntimeError)

    def test_hurry(self) -> None:
        """Stops under way and those to come get no grace."""
        self.units.stop_all("SIGTERM")
        self.units.hurry()
        self.assertEqual(self.unit("b").calls[-1], "abort")
        self.assertNotIn("abort", self.unit("a").calls)
        self.unit("b").stopped()
        self.assertEqual(self.unit("a").calls[-2:], ["stop", "abort"])

    def test_waiting_are_not_started(self) -> None:
        """Who waited for something is not started any more."""
        self.units.add(unit_config("d", "c"))
        self.units.keepers["c"].stop("ann").addErrback(lambda _: None)
        self.unit("c").stopped()
        self.units.order.want(["d"])
        self.kind.journal.clear()
        self.units.stop_all("SIGTERM")
        self.unit("c").stopped()
        self.assertNotIn("start d", self.kind.journal)

    def test_start_under_way(self) -> None:
        """A start by hand that waits for a requirement ends with the stop."""
        self.units.add(unit_config("slow", "a"))
        self.bring_up("slow")
        self.units.add(unit_config("late", "a"))
        restarting = self.units.keepers["a"].restart("ann")
        self.unit("a").stopped()
        starting = self.run_it("start", "late")
        self.kind.journal.clear()
        stopping = self.units.stop_all("SIGTERM")
        # What is not up yet is stopped at once, and nobody waits for it.
        self.failureResultOf(starting, GoalChanged, UnitFailed, SockhostError)
        self.assertEqual(self.kind.journal[0], "stop a")
        for name in ("a", "b", "c", "slow"):
            self.unit(name).stopped()
        self.successResultOf(stopping)
        self.assertNotIn("start late", self.kind.journal)
        self.failureResultOf(restarting, GoalChanged)

    def test_lost_meanwhile(self) -> None:
        """What is lost before its turn is not started again, and neither is what
        had to wait for it."""
        for name in ("slow", "top"):
            self.units.add(unit_config(name, "a", policy=RestartPolicy()))
        self.units.add(unit_config("last", "top"))
        self.bring_up("slow", "top", "last")
        stopping = self.units.stop_all("SIGTERM")
        self.unit("a").lose(UnitLost("killed"))
        self.unit("top").lose(UnitLost("killed"))
        self.clock.advance(100)
        for name in ("a", "top"):
            keeper = self.units.keepers[name]
            self.assertEqual((keeper.goal, keeper.state), (Goal.DOWN, State.DOWN))
        for name in ("b", "c", "slow", "last"):
            self.unit(name).stopped()
        self.successResultOf(stopping)
        self.assertEqual([j for j in self.kind.journal if j.startswith("start")], [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unlisten(self) -> None:
        """All who listen stop doing so, even if one of them cannot."""
        self.unit("b").breaks.add("unlisten")
        self.units.unlisten()
        for name in "ab":
            self.assertEqual(self.unit(name).calls[-1], "unlisten")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_hooked(self) -> None:
        """Those with an interface are found, quarantined ones passed over."""
        found = list(self.units.hooked(IListeningUnit))
        self.assertEqual(found, [("a", self.unit("a")), ("b", self.unit("b"))])
