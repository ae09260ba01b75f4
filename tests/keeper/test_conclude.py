"""
Tests for L{sockhost.keeper}: the time in which all units are about to stop.
"""

from __future__ import annotations

from sockhost.interfaces import GoalChanged
from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit
from tests.keeper.case import ENDED, GONE, KeeperCase


class ConcludeTests(KeeperCase):
    """Nothing is started any more."""

    def conclude(self, state: str) -> None:
        """Bring the keeper into a state, and have nothing start any more."""
        self.setUp()
        self.bring(state)
        self.keeper.conclude("SIGTERM")

    def test_up(self) -> None:
        """What is up stays up until it is told to stop."""
        self.conclude("up")
        self.assert_is(Goal.UP, State.UP)
        self.assertEqual((self.unit.calls, self.states), ([], []))
        stopping = self.keeper.stop("SIGTERM")
        self.unit.stopped()
        self.successResultOf(stopping)

    def test_lost(self) -> None:
        """What is lost before that is down, whatever the policy says."""
        for loss in (GONE, ENDED):
            self.conclude("up")
            self.unit.lose(loss)
            self.clock.advance(1000)
            self.assert_is(Goal.DOWN, State.DOWN)
            self.assertEqual(self.unit.calls, [])
            self.successResultOf(self.keeper.stop())
            ended = self.keeper.status().last_exit
            assert ended is not None
            self.assertEqual(ended.reason, str(loss))

    def test_on_its_way(self) -> None:
        """What is not up yet, or not again, is stopped at once."""
        for state in ("starting", "restarting", "recovering"):
            self.conclude(state)
            self.assert_is(Goal.DOWN, State.STOPPING)
            self.unit.stopped()
            self.assert_is(Goal.DOWN, State.DOWN)
            self.assertNotIn("start", self.unit.calls)

    def test_waiting(self) -> None:
        """There is no next try, and nothing is waited for."""
        self.conclude("backoff")
        self.assert_is(Goal.DOWN, State.DOWN)
        self.setUp()
        self.keeper.hold("waits for valkey")
        self.keeper.conclude()
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertIsNone(self.keeper.reason)

    def test_over(self) -> None:
        """What has come to its end is left as it is."""
        for state in ("down", "stopping", "failed", "stuck", "done"):
            self.conclude(state)
            self.assertEqual((self.unit.calls, self.states), ([], []))

    def test_nobody_starts_it(self) -> None:
        """Whoever wants it up is told that it will not be, in every state."""
        for state in ("down", "up", "failed", "stuck", "done", "backoff", "starting"):
            for ask in ("start", "restart"):
                self.conclude(state)
                waiting = getattr(self.keeper, ask)()
                self.failureResultOf(waiting, GoalChanged)
                self.keeper.hold("waits for valkey")
                self.keeper.resume()
                self.assertNotIn("start", self.unit.calls)

    def test_new_configuration(self) -> None:
        """A new unit that was to take its place is not started any more."""
        self.conclude("up")
        successor = MemoryUnit()
        waiting = self.keeper.reload("new", lambda: successor, held=self.fail)
        self.failureResultOf(waiting, GoalChanged)
        self.assertEqual(self.unit.calls, ["reload"])
        self.assertEqual(successor.calls, [])
