"""
What the tests of the keeper have in common.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    GoalChanged,
    IUnit,
    UnitFailed,
    UnitLost,
)
from sockhost.keeper import Keeper
from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit

GONE = UnitLost("it is gone")
ENDED = UnitLost("it ended well", success=True)


class KeeperCase(SynchronousTestCase):
    """A keeper with a unit that the test turns by hand."""

    policy = RestartPolicy(jitter=0.0, budget=2, start_timeout=30.0)

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.unit = MemoryUnit()
        self.states: list[tuple[Goal, State]] = []
        self.keeper = self.make(self.unit)

    def make(self, unit: IUnit | None) -> Keeper:
        """Make a keeper that records its changes."""
        return Keeper(
            "kv",
            unit,
            self.policy,
            self.clock,
            on_change=lambda k: self.states.append((k.goal, k.state)),
            kind="memory",
            wall=self.clock.seconds,
        )

    def bring(self, state: str) -> None:
        """Bring the keeper into a state of its machine."""
        getattr(self, f"bring_{state}")()
        self.unit.calls.clear()
        self.states.clear()

    def bring_down(self) -> None:
        pass

    def bring_starting(self) -> None:
        self.ignore(self.keeper.start())

    def bring_up(self) -> None:
        self.bring_starting()
        self.unit.ready()

    def bring_stopping(self) -> None:
        self.bring_up()
        self.ignore(self.keeper.stop())

    def bring_restarting(self) -> None:
        self.bring_up()
        self.ignore(self.keeper.restart())

    def bring_recovering(self) -> None:
        self.bring_starting()
        self.clock.advance(30)

    def bring_backoff(self) -> None:
        self.bring_up()
        self.unit.lose(GONE)
        self.clock.advance(0)
        self.unit.fail(GONE)

    def bring_failed(self) -> None:
        self.bring_backoff()
        self.clock.advance(0.1)
        self.unit.fail(GONE)

    def bring_done(self) -> None:
        self.bring_starting()
        self.unit.fail(ENDED)

    def bring_stuck(self) -> None:
        self.bring_stopping()
        self.cling()

    def cling(self) -> None:
        """Have the stop under way fail."""
        self.unit.fail_stop(RuntimeError("still there"))
        self.flushLoggedErrors(RuntimeError)

    def ignore(self, waiting: Deferred[Any]) -> None:
        """Wait for nothing."""
        waiting.addErrback(lambda failure: failure.trap(GoalChanged, UnitFailed))

    def assert_is(self, goal: Goal, state: State) -> None:
        """The keeper is so, says so, and leaves no timer where none belongs."""
        self.assertEqual((self.keeper.goal, self.keeper.state), (goal, state))
        timers = len(self.clock.getDelayedCalls())
        self.assertEqual(timers, 1 if state in (State.STARTING, State.BACKOFF) else 0)
