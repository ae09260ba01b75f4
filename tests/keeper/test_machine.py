"""
Tests for L{sockhost.keeper.machine}: the table of transitions.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import GoalChanged
from sockhost.keeper.machine import builder
from sockhost.status import Goal, State
from tests.keeper.case import GONE, KeeperCase

STATES = (
    "down",
    "starting",
    "up",
    "stopping",
    "restarting",
    "recovering",
    "backoff",
    "failed",
    "stuck",
    "done",
)
ON_THEIR_WAY = ("starting", "up", "restarting")


class MachineTests(SynchronousTestCase):
    """The table of transitions."""

    def test_what_people_want_is_possible_always(self) -> None:
        """C{start}, C{stop} and C{restart} are answered in every state."""
        automaton = builder._automaton
        table: dict[str, set[str]] = {}
        for old, symbol, _new, _outputs in automaton.allTransitions():
            table.setdefault(old.name, set()).add(symbol)
        self.assertEqual(len(table), 11)
        for name, symbols in table.items():
            self.assertLessEqual({"start", "stop", "restart"}, symbols, name)


class EveryStateTests(KeeperCase):
    """What holds in whatever state somebody asks for something."""

    def each(self, state: str, ask: str) -> Deferred[None]:
        """Ask for something in a state, when much has gone wrong before."""
        self.setUp()
        self.bring(state)
        for _ in range(2):
            self.keeper._core.history.judge(self.clock.seconds(), GONE, None)
        waiting: Deferred[None] = getattr(self.keeper, ask)()
        self.ignore(waiting)
        if self.unit._stopping:
            self.assertEqual(self.keeper.state, State.STOPPING)
            self.unit.stopped()
        return waiting

    def test_counts_anew(self) -> None:
        """Whoever starts or restarts a unit has everything count anew."""
        asked = [(state, "restart") for state in STATES if state != "restarting"]
        asked += [(state, "start") for state in STATES if state not in ON_THEIR_WAY]
        for state, ask in asked:
            self.each(state, ask=ask)
            self.assert_is(Goal.UP, State.STARTING)
            self.unit.fail(GONE)
            self.assertEqual(
                (state, ask, self.keeper.status().next_try),
                (state, ask, self.clock.seconds()),
            )

    def test_what_is_on_its_way(self) -> None:
        """One more start of what comes up anyway changes nothing."""
        for state in ("starting", "restarting"):
            self.each(state, ask="start")
            self.unit.fail(GONE)
            self.assert_is(Goal.UP, State.FAILED)

    def test_stop(self) -> None:
        """A stop leads to down from everywhere."""
        for state in STATES:
            self.assertIsNone(self.successResultOf(self.each(state, ask="stop")))
            self.assert_is(Goal.DOWN, State.DOWN)

    def test_goal_is_told(self) -> None:
        """Those who watch are told of another goal at once."""
        for state in ("stopping", "stuck"):
            for ask in ("start", "restart"):
                self.each(state, ask=ask)
                self.assertEqual(self.states[0], (Goal.UP, State.STOPPING))
        for state in ("starting", "up", "restarting", "recovering"):
            self.each(state, ask="stop")
            self.assertEqual(self.states[0], (Goal.DOWN, State.STOPPING))

    def test_waiting_is_abandoned(self) -> None:
        """Those who wait for one goal are told when it becomes the other."""
        for ask in ("start", "restart"):
            self.setUp()
            self.bring("up")
            waiting = self.keeper.stop()
            self.ignore(getattr(self.keeper, ask)())
            self.failureResultOf(waiting, GoalChanged)
        for state in ("down", "starting", "restarting", "recovering", "backoff"):
            self.setUp()
            self.bring(state)
            waiting = self.keeper.start()
            self.ignore(self.keeper.stop())
            self.failureResultOf(waiting, GoalChanged)
