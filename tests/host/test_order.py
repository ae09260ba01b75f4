# -*- test-case-name: tests.host.test_order -*-
"""
Tests for L{sockhost.host.order}.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import UnitConfig
from sockhost.host.order import StartOrder, stop_in_reverse
from sockhost.interfaces import UnitLost
from sockhost.keeper import Keeper
from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit
from tests.host.test_fakes import NEVER, unit_config


class OrderCase(SynchronousTestCase):
    """Units that the test turns by hand, and the order in which they start."""

    def setUp(self) -> None:
        self.units: dict[str, MemoryUnit] = {}
        self.keepers: dict[str, Keeper] = {}
        self.configs: dict[str, UnitConfig] = {}
        self.order = StartOrder(self.keepers, self.configs)
        self.clock = Clock()
        self.changed: Callable[[Keeper], None] = lambda _: None

    def change(self, keeper: Keeper) -> None:
        """Do what the host does after each change of a keeper."""
        self.changed(keeper)
        self.order.note(keeper.name)
        self.order.advance()

    def add(self, *units: UnitConfig) -> None:
        """Add units, each after those that it depends on."""
        for one in units:
            self.configs[one.name] = one
            unit = self.units[one.name] = MemoryUnit()
            self.keepers[one.name] = Keeper(
                one.name, unit, one.policy, self.clock, self.change
            )

    def quarantine(self, name: str) -> None:
        """Add a unit whose configuration is bad."""
        keeper = Keeper(name, None, NEVER, self.clock, self.change)
        self.keepers[name] = keeper
        keeper.quarantine("its table is bad")

    def running(self) -> set[str]:
        """Name those whose start was called."""
        return {name for name, unit in self.units.items() if "start" in unit.calls}

    def reason(self, name: str) -> str | None:
        """Say why a unit is not what it is meant to be."""
        return self.keepers[name].reason

    def state(self, name: str) -> State:
        """Say what a unit is."""
        return self.keepers[name].state


class StartOrderTests(OrderCase):
    """Who may start when."""

    def test_side_by_side(self) -> None:
        """Those without a relation start at once."""
        self.add(unit_config("a"), unit_config("b"), unit_config("c"))
        self.order.want(["a", "b", "c"])
        self.assertEqual(self.running(), {"a", "b", "c"})

    def test_requires(self) -> None:
        """A requirement must be up, and the one who waits says for whom."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["b", "a"])
        self.assertEqual(self.running(), {"a"})
        self.assertEqual(self.reason("b"), "waits for a")
        self.assertEqual(self.keepers["b"].goal, Goal.UP)
        self.assertTrue(self.order.waits("b"))
        self.units["a"].ready()
        self.assertEqual(self.running(), {"a", "b"})
        self.assertFalse(self.order.waits("b"))

    def test_wanted_with(self) -> None:
        """Who is wanted brings what it requires, and nobody else."""
        self.add(unit_config("a"), unit_config("b", "a"), unit_config("c"))
        self.order.want(["b"])
        self.assertEqual(self.running(), {"a"})

    def test_done_is_there(self) -> None:
        """A requirement that has ended as it is meant to is met."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["b"])
        self.units["a"].fail(UnitLost("it has run", success=True))
        self.assertEqual(self.state("a"), State.DONE)
        self.assertEqual(self.running(), {"a", "b"})

    def test_done_stays_done(self) -> None:
        """What was done for one is not done again for the next."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["a"])
        self.units["a"].fail(UnitLost("it has run", success=True))
        self.order.want(["b"])
        self.assertEqual(self.units["a"].calls, ["start"])
        self.assertEqual(self.running(), {"a", "b"})

    def test_after_up(self) -> None:
        """C{after} waits for the other to be up, if that is started."""
        self.add(unit_config("a"), unit_config("b", after=("a",)))
        self.order.want(["a", "b"])
        self.assertEqual(self.running(), {"a"})
        self.units["a"].ready()
        self.assertEqual(self.running(), {"a", "b"})

    def test_after_failed(self) -> None:
        """C{after} is an order and no requirement: a failed one is no obstacle."""
        self.add(unit_config("a"), unit_config("b", after=("a",)))
        self.order.want(["a", "b"])
        self.units["a"].fail(UnitLost("gone"))
        self.assertEqual(self.state("a"), State.FAILED)
        self.assertEqual(self.running(), {"a", "b"})

    def test_after_absent(self) -> None:
        """C{after} does not wait for a unit that nobody wants."""
        self.add(unit_config("a"), unit_config("b", after=("a",)))
        self.order.want(["b"])
        self.assertEqual(self.running(), {"b"})

    def test_after_held(self) -> None:
        """C{after} does not wait for a unit that will not come."""
        self.add(
            unit_config("a"), unit_config("b", "a"), unit_config("c", after=("b",))
        )
        self.order.want(["b", "c"])
        self.units["a"].fail(UnitLost("gone"))
        self.assertEqual(self.running(), {"a", "c"})

    def test_uses(self) -> None:
        """C{uses} orders like C{after}."""
        self.add(unit_config("a"), unit_config("b", uses=("a",)))
        self.order.want(["a", "b"])
        self.assertEqual(self.running(), {"a"})
        self.units["a"].ready()
        self.assertEqual(self.running(), {"a", "b"})

    def test_long_chain(self) -> None:
        """A chain starts link by link."""
        names = [f"u{number}" for number in range(6)]
        self.add(unit_config("u0"))
        for before, name in pairwise(names):
            self.add(unit_config(name, before))
        self.order.want(["u5"])
        for count, name in enumerate(names, 1):
            self.assertEqual(self.running(), set(names[:count]))
            self.units[name].ready()

    def test_diamond(self) -> None:
        """Two sides of a diamond start side by side, and its end after both."""
        self.add(
            unit_config("a"),
            unit_config("b", "a"),
            unit_config("c", "a"),
            unit_config("d", "b", "c"),
        )
        self.order.want(["d"])
        self.units["a"].ready()
        self.assertEqual(self.running(), {"a", "b", "c"})
        self.units["c"].ready()
        self.assertEqual(self.running(), {"a", "b", "c"})
        self.units["b"].ready()
        self.assertEqual(self.running(), {"a", "b", "c", "d"})

    def test_forget(self) -> None:
        """Who is not wanted any more is not started."""
        self.add(unit_config("a"), unit_config("b", "a"))
        self.order.want(["b"])
        self.order.forget("b")
        self.units["a"].ready()
        self.assertEqual(self.running(), {"a"})

    def test_forgotten_by_a_watcher(self) -> None:
        """Who is told to stay down while others are started stays down."""
        self.add(unit_config("a"), unit_config("b"))

        def stop_b(keeper: Keeper) -> None:
            if keeper.name == "a" and keeper.state is State.STARTING:
                self.order.forget("b")

        self.changed = stop_b
        self.order.want(["a", "b"])
        self.assertEqual(self.running(), {"a"})

    def test_at_once(self) -> None:
        """Units that are ready from within their start are no trouble."""
        self.add(unit_config("a"), unit_config("b", "a"))

        def ready(keeper: Keeper) -> None:
            if keeper.state is State.STARTING:
                self.clock.callLater(0, self.units[keeper.name].ready)

        self.changed = ready
        self.order.want(["b"])
        self.clock.pump([0, 0, 0])
        self.assertEqual((self.state("a"), self.state("b")), (State.UP, State.UP))

    def test_unknown(self) -> None:
        """A name that is not there is passed over: a quarantined unit's, say."""
        self.add(unit_config("b", "gone", after=("gone",), uses=("gone",)))
        self.order.want(["b", "nobody"])
        self.assertEqual(self.running(), {"b"})


class ClosureTests(OrderCase):
    """What is required for something."""

    def test_closure(self) -> None:
        """All requirements, near and far, each once; no mere order."""
        self.add(
            unit_config("a"),
            unit_config("b", "a"),
            unit_config("c", "a"),
            unit_config("d", "b", "c", after=("e",), uses=("e",)),
            unit_config("e"),
        )
        found = self.order.closure(["d", "b"])
        self.assertEqual(sorted(found), ["a", "b", "c", "d"])

    def test_quarantined(self) -> None:
        """A unit without a configuration requires nothing that is known."""
        self.quarantine("a")
        self.assertEqual(self.order.closure(["a", "nobody"]), ["a"])


class StopInReverseTests(SynchronousTestCase):
    """Who stops after whom."""

    def setUp(self) -> None:
        self.stopping: dict[str, Deferred[None]] = {}

    def stop_all(self, *units: UnitConfig) -> Deferred[None]:
        """Begin to stop."""
        configs = {one.name: one for one in units}
        return stop_in_reverse(configs, configs, self.stop)

    def stop(self, name: str) -> Deferred[None]:
        """Stop one until the test says that it is down."""
        self.stopping[name] = Deferred()
        return self.stopping[name]

    def test_reverse(self) -> None:
        """What others depend on goes after them, for each way to depend."""
        for relation in ("requires", "after", "uses"):
            self.stopping.clear()
            second = unit_config("b", **{relation: ("a",)})
            stopped = self.stop_all(unit_config("a"), second)
            self.assertEqual(list(self.stopping), ["b"], relation)
            self.stopping["b"].callback(None)
            self.assertEqual(list(self.stopping), ["b", "a"], relation)
            self.assertNoResult(stopped)
            self.stopping["a"].callback(None)
            self.successResultOf(stopped)

    def test_side_by_side(self) -> None:
        """Those without a relation stop at once."""
        stopped = self.stop_all(*(unit_config(name) for name in "abc"))
        self.assertEqual(set(self.stopping), {"a", "b", "c"})
        for name in "cab":
            self.stopping[name].callback(None)
        self.successResultOf(stopped)

    def test_slow_one(self) -> None:
        """A slow unit holds up only what it depends on."""
        self.stop_all(
            unit_config("a"),
            unit_config("b"),
            unit_config("slow", "a"),
            unit_config("quick", "b"),
        )
        self.stopping["quick"].callback(None)
        self.assertEqual(set(self.stopping), {"slow", "quick", "b"})

    def test_two_dependants(self) -> None:
        """Both of two dependants are waited for."""
        self.stop_all(unit_config("a"), unit_config("b", "a"), unit_config("c", "a"))
        self.stopping["c"].callback(None)
        self.assertNotIn("a", self.stopping)
        self.stopping["b"].callback(None)
        self.assertIn("a", self.stopping)

    def test_nothing(self) -> None:
        """Nothing is stopped at once."""
        self.successResultOf(self.stop_all())
