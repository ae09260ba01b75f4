# -*- test-case-name: tests.host.test_change -*-
"""
Tests for L{sockhost.host.change}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from sockhost.config import Config, RestartPolicy, UnitConfig
from sockhost.host.change import Change
from sockhost.interfaces import ConfigError, GoalChanged, SockhostError
from sockhost.keeper import Keeper
from sockhost.sockets.settings import SocketConfig
from sockhost.status import Goal, State
from tests.host.test_fakes import MemoryConfig, MemoryKind, config, unit_config
from tests.host.test_units import UnitsCase


class Refusing:
    """A kind that refuses."""

    name = "odd"

    def make(self, _name: str, _config: object, _host: object) -> None:
        """Refuse."""
        raise SockhostError("no such tap")


class ChangeCase(UnitsCase):
    """Units that run, and a new configuration."""

    def setUp(self) -> None:
        super().setUp()
        self.other = MemoryKind(name="other")
        kinds: Any = self.units.kinds
        kinds["other"] = self.other
        self.now = config()

    def run_units(self, *units: UnitConfig, **more: Any) -> None:
        """Load a configuration, and have all that it enables up."""
        self.now = config(*units, **more)
        self.units.load(self.now)
        self.units.start_enabled()
        for one in units:
            if one.enabled and one.name in self.kind.made:
                self.unit(one.name).ready()
        self.kind.journal.clear()

    def change_to(self, *units: UnitConfig) -> Deferred[Mapping[str, Sequence[str]]]:
        """Bring a new configuration."""
        before, self.now = self.now, config(*units)
        return self.apply(before, self.now)

    def apply(
        self, before: Config, after: Config
    ) -> Deferred[Mapping[str, Sequence[str]]]:
        """Apply a step."""
        change = Change(self.units, before, after, "ann")
        return Deferred.fromCoroutine(change.apply())

    def goal(self, name: str) -> Goal:
        """Say what a unit is meant to be."""
        return self.units.keepers[name].goal


class ChangeTests(ChangeCase):
    """What becomes of which unit."""

    def test_nothing(self) -> None:
        """The same configuration touches nobody."""
        self.run_units(unit_config("a"), unit_config("b", "a"))
        found = self.successResultOf(
            self.change_to(unit_config("a"), unit_config("b", "a"))
        )
        self.assertEqual(
            found,
            {"added": [], "removed": [], "changed": [], "unchanged": ["a", "b"]},
        )
        self.assertEqual(self.kind.journal, [])

    def test_added(self) -> None:
        """A new unit is made and started, in its place."""
        self.run_units(unit_config("a"))
        found = self.successResultOf(
            self.change_to(unit_config("a"), unit_config("b", "c"), unit_config("c"))
        )
        self.assertEqual(found["added"], ["b", "c"])
        self.assertEqual(self.kind.journal, ["start c"])
        self.unit("c").ready()
        self.assertEqual(self.kind.journal, ["start c", "start b"])

    def test_added_disabled(self) -> None:
        """A new unit that is disabled is made and not started."""
        self.run_units()
        self.successResultOf(self.change_to(unit_config("a", enabled=False)))
        self.assertEqual((self.state("a"), self.kind.journal), (State.DOWN, []))

    def test_cannot_be_made(self) -> None:
        """Where a unit cannot be made nothing is changed, and all of it is told."""
        self.run_units(unit_config("a"), unit_config("b"))
        old = self.unit("a")
        self.kind.breaks |= {"a", "c"}
        changing = self.change_to(
            unit_config("a", value=2), unit_config("c", source="/c.toml")
        )
        failure = self.failureResultOf(changing, ConfigError)
        said = [str(problem) for problem in failure.value.problems]
        self.assertIn("/c.toml: unit.c: cannot be made: RuntimeError", said[0])
        self.assertIn("unit.a: cannot be made: RuntimeError", said[1])
        self.assertEqual(list(self.units.keepers), ["a", "b"])
        self.assertIs(self.units.keeper("a").unit, old)
        self.assertEqual((self.state("a"), self.kind.journal), (State.UP, []))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_cannot_be_served(self) -> None:
        """Where a socket's handler or users are not there, nothing is changed."""
        kinds: Any = self.units.kinds
        kinds["socket"] = MemoryKind(name="socket")
        self.run_units(unit_config("a"))
        own = SocketConfig(
            path="k.sock", handler="sockhost_no_such_module:Kv", owner="no-such-user"
        )
        changing = self.change_to(
            unit_config("a", value=2),
            unit_config("kv", kind="socket", own=own, source="/kv.toml"),
        )
        failure = self.failureResultOf(changing, ConfigError)
        said = [str(problem) for problem in failure.value.problems]
        self.assertIn("/kv.toml: unit.kv.handler = ", said[0])
        self.assertIn('unit.kv.owner = "no-such-user": there is no user', said[1])
        self.assertEqual((self.kind.journal, list(self.units.keepers)), ([], ["a"]))
        self.flushLoggedErrors(ModuleNotFoundError)

    def test_same_socket(self) -> None:
        """A socket that stays as it is, is not looked at again."""
        kinds: Any = self.units.kinds
        kinds["socket"] = self.kind
        own = SocketConfig(path="k.sock", handler="sockhost_no_such_module:Kv")
        kv = unit_config("kv", kind="socket", own=own)
        self.run_units(kv)
        found = self.successResultOf(self.change_to(kv, unit_config("b")))
        self.assertEqual((found["added"], found["unchanged"]), (["b"], ["kv"]))

    def test_refused_by_its_kind(self) -> None:
        """What a kind refuses on purpose needs no traceback."""
        self.run_units()
        kinds: Any = self.units.kinds
        kinds["odd"] = Refusing()
        changing = self.change_to(unit_config("a", kind="odd"))
        failure = self.failureResultOf(changing, ConfigError)
        self.assertIn("unit.a: cannot be made: no such tap", str(failure.value))

    def test_made_once(self) -> None:
        """Only what is new is made, and each once."""
        self.run_units(unit_config("a"), unit_config("b"))
        old = self.unit("b")
        same = unit_config("a", description="new")
        self.change_to(same, unit_config("b", value=2), unit_config("c"))
        old.stopped()
        made = {name: len(units) for name, units in self.kind.made.items()}
        self.assertEqual(made, {"a": 1, "b": 2, "c": 1})

    def test_asked_for_while_it_goes(self) -> None:
        """One that who hears that it is down asks for does not stay for ever."""
        self.run_units(unit_config("a"))
        keeper = self.units.keeper("a")

        def ask(changed: Keeper) -> None:
            if changed.state is State.DOWN:
                changed.start().addErrback(lambda failure: failure.trap(GoalChanged))

        self.units.changed = ask
        changing = self.change_to()
        self.unit("a").stopped()
        self.successResultOf(changing)
        self.assertEqual((keeper.goal, keeper.state), (Goal.DOWN, State.STOPPING))

    def test_removed(self) -> None:
        """A unit that is removed is stopped, and gone when the change is made."""
        self.run_units(unit_config("a"), unit_config("b"))
        changing = self.change_to(unit_config("b"))
        self.assertEqual(self.kind.journal, ["stop a"])
        self.assertNoResult(changing)
        self.unit("a").stopped()
        found = self.successResultOf(changing)
        self.assertEqual((found["removed"], found["unchanged"]), (["a"], ["b"]))
        self.assertEqual(list(self.units.keepers), ["b"])

    def test_removed_in_reverse(self) -> None:
        """Dependants are removed before what they depend on."""
        self.run_units(unit_config("a"), unit_config("b", "a"))
        changing = self.change_to()
        self.assertEqual(self.kind.journal, ["stop b"])
        self.unit("b").stopped()
        self.unit("a").stopped()
        self.successResultOf(changing)
        self.assertEqual(self.units.status(), ())

    def test_removed_side_by_side(self) -> None:
        """Those without a relation are stopped together."""
        units = [unit_config("a"), unit_config("b", "a"), unit_config("c")]
        self.run_units(*units, unit_config("d"))
        changing = self.change_to(unit_config("d"))
        self.assertEqual(self.kind.journal, ["stop c", "stop b"])
        self.unit("b").stopped()
        self.assertEqual(self.kind.journal[2:], ["stop a"])
        self.unit("a").stopped()
        self.assertEqual(list(self.units.keepers), ["c", "d"])
        self.assertNoResult(changing)
        self.unit("c").stopped()
        found = self.successResultOf(changing)
        self.assertEqual(found["removed"], ["a", "b", "c"])

    def test_removed_clings(self) -> None:
        """A unit that cannot be stopped is removed all the same, and logged."""
        self.run_units(unit_config("a"))
        changing = self.change_to()
        self.unit("a").fail_stop(RuntimeError("it clings"))
        self.successResultOf(changing)
        self.assertEqual(self.units.status(), ())
        self.flushLoggedErrors(RuntimeError)

    def test_started_while_it_is_removed(self) -> None:
        """A unit that somebody starts meanwhile is not forgotten while it runs."""
        self.run_units(unit_config("a"))
        changing = self.change_to()
        asked = Deferred.fromCoroutine(self.units.start("a"))
        self.assertNoResult(changing)
        self.unit("a").stopped()
        self.successResultOf(changing)
        self.failureResultOf(asked, GoalChanged)
        self.assertEqual(self.kind.journal, ["stop a"])
        self.assertEqual(self.units.status(), ())

    def test_changed_in_place(self) -> None:
        """A unit that takes its new configuration goes on."""
        self.run_units(unit_config("a"))
        unit = self.unit("a")
        unit.takes_reload = True
        found = self.successResultOf(self.change_to(unit_config("a", value=2)))
        self.assertEqual(found["changed"], ["a"])
        self.assertIs(self.units.keeper("a").unit, unit)
        self.assertEqual(unit.config, MemoryConfig(value=2))
        self.assertEqual(self.kind.journal, [])

    def test_changed_anew(self) -> None:
        """A unit that does not take it is made anew; nobody waits for that."""
        self.run_units(unit_config("a"))
        old = self.unit("a")
        self.successResultOf(self.change_to(unit_config("a", value=2)))
        self.assertEqual(self.kind.journal, ["stop a"])
        old.stopped()
        self.unit("a").ready()
        self.assertIs(self.units.keeper("a").unit, self.unit("a"))
        self.assertIsNot(self.unit("a"), old)
        self.assertEqual(self.state("a"), State.UP)

    def test_changed_down(self) -> None:
        """A unit that was told to stay down takes it, and stays down."""
        self.run_units(unit_config("a"))
        self.units.keepers["a"].stop("ann")
        self.unit("a").stopped()
        self.kind.journal.clear()
        self.successResultOf(self.change_to(unit_config("a", value=2)))
        self.assertIs(self.units.keeper("a").unit, self.unit("a"))
        self.assertEqual(len(self.kind.made["a"]), 2)
        self.assertEqual((self.kind.journal, self.goal("a")), ([], Goal.DOWN))

    def test_reload_fails(self) -> None:
        """A unit that fails to take it goes on with the old one."""
        self.run_units(unit_config("a"))
        self.unit("a").takes_reload = ValueError("bad luck")
        self.successResultOf(self.change_to(unit_config("a", value=2)))
        self.assertEqual((self.state("a"), self.kind.journal), (State.UP, []))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_kind(self) -> None:
        """Another kind is another unit: the old one is not asked."""
        self.run_units(unit_config("a"))
        old = self.unit("a")
        self.successResultOf(self.change_to(unit_config("a", kind="other")))
        self.assertNotIn("reload", old.calls)
        old.stopped()
        self.assertEqual(self.other.journal, ["start a"])
        self.other.made["a"][0].ready()
        status = self.units.keeper("a").status()
        self.assertEqual((status.state, status.kind), (State.UP, "other"))

    def test_policy(self) -> None:
        """A new policy is a matter of the keeper: the unit is not touched."""
        self.run_units(unit_config("a"))
        patient = RestartPolicy(restart="always", jitter=0.0)
        self.successResultOf(self.change_to(unit_config("a", policy=patient)))
        self.assertEqual(self.unit("a").calls, ["start"])
        self.unit("a").lose(ValueError("gone"))
        self.assertEqual(self.state("a"), State.BACKOFF)
        self.flushLoggedErrors(ValueError)

    def test_relations(self) -> None:
        """New relations and words do not touch the unit, and are shown."""
        self.run_units(unit_config("a"), unit_config("b"))
        self.successResultOf(
            self.change_to(unit_config("a"), unit_config("b", "a", description="new"))
        )
        self.assertEqual(self.unit("b").calls, ["start"])
        status = self.units.keeper("b").status()
        self.assertEqual((status.requires, status.description), (("a",), "new"))

    def test_changed_in_order(self) -> None:
        """A unit that is made anew is not started before what it requires now."""
        self.run_units(unit_config("b"), unit_config("u", uses=("b",)))
        old, patient = self.unit("b"), unit_config("a")
        self.successResultOf(
            self.change_to(
                patient,
                unit_config("b", "a", value=2),
                unit_config("u", uses=("b",)),
            )
        )
        self.assertEqual(sorted(self.kind.journal), ["start a", "stop b"])
        old.stopped()
        self.assertEqual((self.state("b"), self.goal("b")), (State.DOWN, Goal.UP))
        self.assertEqual(self.units.keeper("b").reason, "waits for a")
        self.unit("a").ready()
        self.unit("b").ready()
        self.assertEqual(self.state("b"), State.UP)
        # Its user has the client of the one that is no more.
        self.assertEqual(self.kind.journal[2:], ["start b", "stop u"])

    def test_changed_together(self) -> None:
        """A unit that is made anew waits for one that is made anew as well."""
        self.run_units(unit_config("a"), unit_config("b", "a"))
        olds = [self.unit(name) for name in "ab"]
        self.change_to(unit_config("a", value=2), unit_config("b", "a", value=2))
        for old in olds:
            old.stopped()
        self.assertEqual(self.kind.journal[2:], ["start a"])
        self.unit("a").ready()
        self.assertEqual(self.kind.journal[3:], ["start b"])

    def test_in_place_needs_nothing(self) -> None:
        """A unit that takes its new configuration goes on, whatever it requires."""
        self.run_units(unit_config("b"))
        self.unit("b").takes_reload = True
        self.change_to(unit_config("a"), unit_config("b", "a", value=2))
        self.assertEqual(self.kind.journal, ["start a"])
        self.assertEqual(self.state("b"), State.UP)

    def test_uses(self) -> None:
        """New C{uses} are a new unit: a unit knows them from its making."""
        self.run_units(unit_config("store", usable=True), unit_config("kv"))
        old = self.unit("kv")
        new = unit_config("kv", uses=("store",))
        self.successResultOf(self.change_to(unit_config("store", usable=True), new))
        old.stopped()
        self.unit("kv").ready()
        self.assertEqual(self.kind.views["kv"].uses, ("store",))
        self.assertIsNot(self.unit("kv"), old)

    def test_disabled(self) -> None:
        """A unit that is disabled is stopped, and stays."""
        self.run_units(unit_config("a"))
        self.successResultOf(self.change_to(unit_config("a", enabled=False)))
        self.assertEqual(self.kind.journal, ["stop a"])
        self.unit("a").stopped()
        self.assertEqual((self.state("a"), self.goal("a")), (State.DOWN, Goal.DOWN))

    def test_enabled(self) -> None:
        """A unit that is enabled is started, after what it requires."""
        self.run_units(unit_config("a"), unit_config("b", "a", enabled=False))
        self.successResultOf(self.change_to(unit_config("a"), unit_config("b", "a")))
        self.assertEqual(self.kind.journal, ["start b"])

    def test_changed_and_disabled(self) -> None:
        """A unit that is changed and disabled at once ends down."""
        self.run_units(unit_config("a"))
        old = self.unit("a")
        self.successResultOf(self.change_to(unit_config("a", value=2, enabled=False)))
        old.stopped()
        self.assertEqual((self.state("a"), self.goal("a")), (State.DOWN, Goal.DOWN))
        self.assertNotIn("start a", self.kind.journal)

    def test_stopped_by_hand(self) -> None:
        """What somebody stopped by hand stays stopped."""
        self.run_units(unit_config("a"), unit_config("b"))
        self.units.keepers["a"].stop("ann")
        self.unit("a").stopped()
        self.kind.journal.clear()
        self.successResultOf(
            self.change_to(unit_config("a", description="new"), unit_config("b"))
        )
        self.assertEqual((self.kind.journal, self.goal("a")), ([], Goal.DOWN))
