"""
Tests for L{sockhost.keeper}: new configurations whose unit has to wait.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit
from tests.keeper.case import KeeperCase


class HeldTests(KeeperCase):
    """A new unit that has to wait for something else."""

    def reload(self) -> Deferred[bool]:
        """Bring a new configuration, and clear what led there."""
        self.successor = MemoryUnit()
        return self.keeper.reload("new", lambda: self.successor, held=lambda: True)

    def test_left_down(self) -> None:
        """The old unit is stopped, and the new one started when it is told to."""
        for state in ("up", "starting", "restarting", "recovering", "backoff", "done"):
            self.setUp()
            self.bring(state)
            waiting = self.reload()
            if self.unit._stopping:
                self.unit.stopped()
            self.assertEqual(self.keeper.state, State.DOWN)
            self.assertIs(self.keeper.unit, self.successor)
            self.keeper.hold("waits for valkey")
            self.assert_is(Goal.UP, State.DOWN)
            self.assertNoResult(waiting)
            self.ignore(self.keeper.start())
            self.successor.ready()
            self.assertFalse(self.successResultOf(waiting))

    def test_goal_down(self) -> None:
        """What is not to be started has nothing to wait for."""
        self.bring("down")
        self.assertFalse(self.successResultOf(self.reload()))
        self.assert_is(Goal.DOWN, State.DOWN)
