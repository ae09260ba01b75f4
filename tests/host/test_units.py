# -*- test-case-name: tests.host.test_units -*-
"""
Tests for L{sockhost.host.units}.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.config import Problem, Quarantined, UnitConfig
from sockhost.host.units import Units, UnitView
from sockhost.interfaces import (
    GoalChanged,
    IUnit,
    IUnitHost,
    NoSuchUnit,
    UnitFailed,
    UnitLost,
)
from sockhost.keeper import Keeper
from sockhost.status import Event, Goal, State
from sockhost.testing.units import MemoryUnitHost
from tests.host.test_fakes import (
    MemoryConfig,
    MemoryKind,
    config,
    temporary,
    unit_config,
)

BAD = Quarantined(
    name="bad", kind="memory", problems=(Problem("a.toml", "unit.bad.x", 1, "no"),)
)


class UnitsCase(SynchronousTestCase):
    """Units made by a fake kind."""

    def setUp(self) -> None:
        self.host = MemoryUnitHost(str(temporary(self)))
        self.kind = MemoryKind()
        self.clock = Clock()
        self.changes: list[tuple[str, State]] = []
        self.kinds: dict[str, Any] = {"memory": self.kind}
        self.units = Units(self.host, self.kinds, self.clock, self.change)

    def change(self, keeper: Keeper) -> None:
        """Remember what changed."""
        self.changes.append((keeper.name, keeper.state))

    def load(self, *units: UnitConfig, **more: Any) -> None:
        """Load a configuration."""
        self.units.load(config(*units, **more))

    def unit(self, name: str) -> Any:
        """The newest unit of a name."""
        return self.kind.made[name][-1]

    def bring_up(self, *names: str) -> None:
        """Start units by name, and have them ready."""
        for name in names:
            starting = self.units.keepers[name].start()
            self.unit(name).ready()
            self.successResultOf(starting)
        self.kind.journal.clear()

    def state(self, name: str) -> State:
        """Say what a unit is."""
        return self.units.keepers[name].state

    def run_it(self, verb: str, *args: Any) -> Deferred[Any]:
        """Do something with a unit."""
        return Deferred.fromCoroutine(getattr(self.units, verb)(*args))


class UnitViewTests(UnitsCase):
    """The host as one unit sees it."""

    def setUp(self) -> None:
        super().setUp()
        self.view = UnitView(self.host, "kv", ("store",))
        self.host.clients = {"store": "a client", "other": "not for you"}

    def test_interface(self) -> None:
        """It is all that a unit knows of a host."""
        verifyObject(IUnitHost, self.view)

    def test_use(self) -> None:
        """What stands in C{uses} can be used."""
        self.assertEqual(self.view.use("store"), "a client")

    def test_not_listed(self) -> None:
        """What does not stand there cannot, and the error says what does."""
        with self.assertRaises(NoSuchUnit) as raised:
            self.view.use("other")
        self.assertEqual(
            str(raised.exception),
            "no unit is called 'other'; units here: store (in uses)",
        )

    def test_rest(self) -> None:
        """Everything else is the host's."""
        self.assertIs(self.view.reactor, self.host.reactor)
        for name in ("run_dir", "log_dir", "config_dir", "log_level"):
            self.assertEqual(getattr(self.view, name), getattr(self.host, name))
        event = Event(at=1.0, event="word")
        self.view.publish(event)
        self.assertEqual(self.host.events, [event])
        self.host.kinds["memory"] = self.kind
        self.assertIs(self.view.child_kind("memory"), self.kind)
        self.host.configs["store"] = unit_config("store")
        self.assertEqual(self.view.unit_config("store").name, "store")

    def test_given(self) -> None:
        """A kind gets a view that knows the unit's own C{uses}."""
        self.load(unit_config("store", usable=True), unit_config("kv", uses=("store",)))
        view = self.kind.views["kv"]
        self.assertIsInstance(view, UnitView)
        self.assertEqual(view.use("store"), "a client")
        with self.assertRaises(NoSuchUnit):
            self.kind.views["store"].use("store")


class MakingTests(UnitsCase):
    """From configurations to units."""

    def test_load(self) -> None:
        """Every unit is made with its configuration, and none is started."""
        self.load(unit_config("a"), unit_config("b", "a"))
        self.assertEqual(list(self.units.keepers), ["a", "b"])
        self.assertEqual(self.unit("a").calls, [])
        self.assertEqual((self.state("a"), self.changes), (State.DOWN, []))

    def test_broken(self) -> None:
        """A unit that cannot be made is quarantined, and costs the others nothing."""
        self.kind.breaks.add("a")
        self.load(unit_config("a"), unit_config("b"))
        status = self.units.keeper("a").status()
        self.assertEqual(
            (status.state, status.reason),
            (State.QUARANTINED, "cannot be made: a is broken"),
        )
        self.assertEqual(self.state("b"), State.DOWN)
        (failure,) = self.flushLoggedErrors(RuntimeError)
        self.assertEqual(failure.getErrorMessage(), "a is broken")

    def test_exits(self) -> None:
        """A kind that exits has failed, and the host goes on."""

        def leave(*_given: object) -> IUnit:
            raise SystemExit(3)

        self.kinds["odd"] = Mock(make=leave)
        self.load(unit_config("a", kind="odd"), unit_config("b"))
        reason = self.units.keeper("a").status().reason
        self.assertEqual(reason, "cannot be made: the kind odd raised SystemExit(3)")
        self.assertEqual(self.state("b"), State.DOWN)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    def test_quarantined(self) -> None:
        """A unit whose table is bad is shown with its problems, after the good."""
        self.load(unit_config("a"), quarantined=(BAD,))
        good, bad = self.units.status()
        self.assertEqual((good.name, bad.name), ("a", "bad"))
        self.assertEqual(bad.state, State.QUARANTINED)
        self.assertEqual(bad.reason, "a.toml: unit.bad.x = 1: no")

    def test_described(self) -> None:
        """The status says what the configuration says."""
        self.load(
            unit_config("a"),
            unit_config("b", "a", description="the second", after=("a",)),
        )
        status = self.units.keeper("b").status()
        self.assertEqual(status.kind, "memory")
        self.assertEqual(status.description, "the second")
        self.assertEqual((status.requires, status.after), (("a",), ("a",)))

    def test_remove(self) -> None:
        """A unit that is removed is not known any more."""
        self.load(unit_config("a"), unit_config("b"))
        self.units.remove("a")
        self.assertEqual([one.name for one in self.units.status()], ["b"])
        with self.assertRaises(NoSuchUnit) as raised:
            self.units.keeper("a")
        self.assertIn("units here: b", str(raised.exception))

    def test_unknown_kind(self) -> None:
        """A kind that is not there any more quarantines its unit alone."""
        self.load(unit_config("a", kind="gone"), unit_config("b"))
        self.assertEqual(self.state("a"), State.QUARANTINED)
        self.flushLoggedErrors(KeyError)


class ClientTests(UnitsCase):
    """What units offer to handlers."""

    def test_client(self) -> None:
        """A usable unit's client can be had before it is up."""
        self.load(unit_config("store", usable=True))
        self.assertIs(self.units.client("store"), self.unit("store").shared)

    def test_offers_nothing(self) -> None:
        """Another unit offers nothing, and the error names those that do."""
        self.load(unit_config("a"), unit_config("store", usable=True))
        with self.assertRaises(NoSuchUnit) as raised:
            self.units.client("a")
        self.assertIn("units here: store (usable)", str(raised.exception))

    def test_users(self) -> None:
        """The users of a unit are those that list it."""
        self.load(
            unit_config("store", usable=True),
            unit_config("a", uses=("store",)),
            unit_config("b", "store"),
        )
        self.assertEqual(self.units.users_of("store"), ["a"])


class StartTests(UnitsCase):
    """Starting and stopping by name."""

    def test_enabled(self) -> None:
        """What is enabled starts, with what it requires, and nothing else."""
        self.load(
            unit_config("a", enabled=False),
            unit_config("b", "a"),
            unit_config("c", enabled=False),
        )
        self.assertEqual(sorted(self.units.start_enabled()), ["a", "b"])
        self.assertEqual(self.kind.journal, ["start a"])

    def test_start(self) -> None:
        """A unit is started after what it requires."""
        self.load(unit_config("a"), unit_config("b", "a"))
        starting = self.run_it("start", "b")
        self.assertEqual(self.kind.journal, ["start a"])
        self.unit("a").ready()
        self.assertEqual(self.kind.journal, ["start a", "start b"])
        self.assertNoResult(starting)
        self.unit("b").ready()
        self.successResultOf(starting)

    def test_start_far(self) -> None:
        """What is required at second hand comes first."""
        self.load(unit_config("a"), unit_config("b", "a"), unit_config("c", "b"))
        starting = self.run_it("start", "c")
        for name in "abc":
            self.unit(name).ready()
        self.successResultOf(starting)
        self.assertEqual(self.kind.journal, ["start a", "start b", "start c"])

    def test_requirement_fails(self) -> None:
        """Who requires what fails is told, and is not started."""
        self.load(unit_config("a"), unit_config("b", "a"))
        starting = self.run_it("start", "b")
        self.unit("a").fail(UnitLost("no port"))
        failure = self.failureResultOf(starting, UnitFailed)
        self.assertIn("no port", failure.getErrorMessage())
        self.assertEqual(self.kind.journal, ["start a"])

    def test_removed_meanwhile(self) -> None:
        """What was removed while its requirement came up is not started."""
        self.load(unit_config("a"), unit_config("b", "a"))
        asked = [self.run_it("start", "b"), self.run_it("restart", "b", "ann")]
        self.units.remove("b")
        self.unit("a").ready()
        for one in asked:
            self.failureResultOf(one, NoSuchUnit)
        self.assertEqual(self.unit("b").calls, [])

    def test_stopped_meanwhile(self) -> None:
        """Who is told to stop while a requirement comes up stays down."""
        self.load(unit_config("a"), unit_config("b", "a"))
        asked = [self.run_it("start", "b"), self.run_it("restart", "b", "ann")]
        self.successResultOf(self.run_it("stop", "b", "bob"))
        self.unit("a").ready()
        for one in asked:
            self.failureResultOf(one, GoalChanged)
        self.assertEqual((self.state("b"), self.unit("b").calls), (State.DOWN, []))

    def test_stopped_and_started_again(self) -> None:
        """The last word counts when a requirement comes up."""
        self.load(unit_config("a"), unit_config("b", "a"))
        first = self.run_it("start", "b")
        self.successResultOf(self.run_it("stop", "b", "bob"))
        self.run_it("start", "b")
        self.unit("a").ready()
        self.failureResultOf(first, GoalChanged)
        self.assertEqual(self.unit("b").calls, ["start"])

    def test_done_is_not_done_again(self) -> None:
        """A requirement that has done its work is met."""
        self.load(unit_config("a"), unit_config("b", "a"))
        first = self.run_it("start", "a")
        self.unit("a").fail(UnitLost("it has run", success=True))
        self.successResultOf(first)
        self.run_it("start", "b")
        self.run_it("restart", "b", "ann")
        self.assertEqual(self.unit("a").calls, ["start"])
        self.assertIn("start b", self.kind.journal)

    def test_stop(self) -> None:
        """A unit that is stopped is not waited to start any more."""
        self.load(unit_config("a"), unit_config("b", "a"))
        self.units.start_enabled()
        self.successResultOf(self.run_it("stop", "b", "ann"))
        self.unit("a").ready()
        self.assertEqual(self.kind.journal, ["start a"])
        self.assertEqual(self.units.keeper("b").goal, Goal.DOWN)

    def test_restart(self) -> None:
        """A restart stops and starts that unit, and records who wanted it."""
        self.load(unit_config("a"), unit_config("b", "a"))
        self.bring_up("a", "b")
        restarting = self.run_it("restart", "b", "ann")
        self.unit("b").stopped()
        self.unit("b").ready()
        self.successResultOf(restarting)
        self.assertEqual(self.kind.journal, ["stop b", "start b"])
        last_exit = self.units.keeper("b").status().last_exit
        assert last_exit is not None
        self.assertEqual(last_exit.asked_by, "ann")

    def test_unknown(self) -> None:
        """A name that is not there is an error in every verb."""
        for verb, args in (
            ("start", ()),
            ("stop", ("ann",)),
            ("restart", ("ann",)),
            ("reload", ("ann",)),
        ):
            self.failureResultOf(self.run_it(verb, "nobody", *args), NoSuchUnit)


class ReloadTests(UnitsCase):
    """Giving a unit its configuration again."""

    def test_in_place(self) -> None:
        """A unit that takes it goes on."""
        self.load(unit_config("a", value=3))
        self.bring_up("a")
        self.unit("a").takes_reload = True
        self.assertIs(self.successResultOf(self.run_it("reload", "a", "ann")), True)
        self.assertEqual(self.unit("a").config, MemoryConfig(value=3))
        self.assertEqual(len(self.kind.made["a"]), 1)

    def test_anew(self) -> None:
        """A unit that does not is made anew."""
        self.load(unit_config("a"))
        self.bring_up("a")
        old = self.unit("a")
        reloading = self.run_it("reload", "a", "ann")
        old.stopped()
        self.unit("a").ready()
        self.assertIs(self.successResultOf(reloading), False)
        self.assertIsNot(self.unit("a"), old)

    def test_users(self) -> None:
        """Those who held the client of a unit that is no more get the new one."""
        self.load(unit_config("store", usable=True), unit_config("kv", uses=("store",)))
        self.bring_up("store", "kv")
        old = self.unit("store")
        reloading = self.run_it("reload", "store", "ann")
        old.stopped()
        self.unit("store").ready()
        self.assertEqual(self.kind.journal, ["stop store", "start store", "stop kv"])
        self.unit("kv").stopped()
        self.unit("kv").ready()
        self.assertIs(self.successResultOf(reloading), False)

    def test_quarantined(self) -> None:
        """A unit whose table is bad cannot be reloaded; the error says why."""
        self.load(quarantined=(BAD,))
        failure = self.failureResultOf(self.run_it("reload", "bad", "ann"), UnitFailed)
        self.assertEqual(failure.getErrorMessage(), "bad: a.toml: unit.bad.x = 1: no")

    def test_broken_then_mended(self) -> None:
        """A unit that could not be made is made when it can be."""
        self.kind.breaks.add("a")
        self.load(unit_config("a"))
        self.flushLoggedErrors(RuntimeError)
        self.failureResultOf(self.run_it("reload", "a", "ann"), RuntimeError)
        self.kind.breaks.clear()
        reloading = self.run_it("reload", "a", "ann")
        self.unit("a").ready()
        self.successResultOf(reloading)
        self.assertEqual(self.state("a"), State.UP)
