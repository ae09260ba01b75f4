"""
Tests for L{sockhost.keeper}: new configurations, in every state.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    IUnit,
    IUsableUnit,
    UnitFailed,
)
from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit
from tests.keeper.case import GONE, KeeperCase


class ReloadTests(KeeperCase):
    """C{reload} in every state."""

    def setUp(self) -> None:
        super().setUp()
        self.successor = MemoryUnit()

    def reload(self) -> Deferred[bool]:
        """Bring a new configuration."""
        waiting = self.keeper.reload("new", lambda: self.successor)
        self.ignore(waiting)
        return waiting

    def test_taken(self) -> None:
        """A unit that is up and takes it goes on."""
        self.bring("up")
        self.unit.takes_reload = True
        self.assertTrue(self.successResultOf(self.reload()))
        self.assertEqual((self.unit.config, self.unit.calls), ("new", ["reload"]))
        self.assert_is(Goal.UP, State.UP)

    def test_not_taken(self) -> None:
        """A unit that will not take it is stopped, and another one started."""
        self.bring("up")
        waiting = self.reload()
        self.assertEqual(self.unit.calls, ["reload", "stop"])
        self.unit.stopped()
        self.assertIs(self.keeper.unit, self.successor)
        self.successor.ready()
        self.assertFalse(self.successResultOf(waiting))
        self.assert_is(Goal.UP, State.UP)

    def test_fails(self) -> None:
        """A unit that fails to take it goes on with the old one."""
        self.bring("up")
        self.unit.takes_reload = ValueError("no")
        self.failureResultOf(self.keeper.reload("new", MemoryUnit), ValueError)
        self.assert_is(Goal.UP, State.UP)
        self.assertIs(self.keeper.unit, self.unit)

    def test_cannot_be_made(self) -> None:
        """When no new unit can be made, the old one goes on."""
        self.bring("up")

        def make() -> IUnit:
            raise ValueError("no")

        self.failureResultOf(self.keeper.reload("new", make), ValueError)
        self.assert_is(Goal.UP, State.UP)

    def test_goal_up(self) -> None:
        """In all other states with the goal up, the new unit is started."""
        for state in ("starting", "restarting", "recovering"):
            self.setUp()
            self.bring(state)
            waiting = self.reload()
            self.unit.stopped()
            self.successor.ready()
            self.assertFalse(self.successResultOf(waiting))
            self.assertIs(self.keeper.unit, self.successor)
        for state in ("backoff", "failed", "done"):
            self.setUp()
            self.bring(state)
            waiting = self.reload()
            self.successor.ready()
            self.assertFalse(self.successResultOf(waiting))
            self.assertIs(self.keeper.unit, self.successor)

    def test_goal_down(self) -> None:
        """With the goal down, the new unit takes the place and stays down."""
        self.assertFalse(self.successResultOf(self.reload()))
        self.assertIs(self.keeper.unit, self.successor)
        self.assertEqual(self.successor.calls, [])

    def test_stopping(self) -> None:
        """The new unit takes the place when nothing of the old one is left."""
        self.bring("stopping")
        self.assertFalse(self.successResultOf(self.reload()))
        self.assertIs(self.keeper.unit, self.unit)
        self.unit.stopped()
        self.assertIs(self.keeper.unit, self.successor)
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_policy(self) -> None:
        """A new policy counts from now on."""
        policy = RestartPolicy(restart="never")
        self.successResultOf(self.keeper.reload("new", lambda: self.unit, policy))
        self.bring("starting")
        self.unit.fail(GONE)
        self.assert_is(Goal.UP, State.FAILED)


@implementer(IUsableUnit)
class UsableUnit(MemoryUnit):
    """A unit whose client others hold."""

    def client(self) -> object:
        return self


class UsableReloadTests(KeeperCase):
    """C{reload} of a unit whose client others hold."""

    def setUp(self) -> None:
        super().setUp()
        self.unit = UsableUnit()
        self.unit.takes_reload = True
        self.keeper = self.make(self.unit)

    def reload(self) -> Deferred[bool]:
        """Bring a new configuration, for which no new unit may be made."""
        return self.keeper.reload("new", lambda: self.fail("a new unit is made"))

    def test_down(self) -> None:
        """What is down takes it, and stays down."""
        self.assertTrue(self.successResultOf(self.reload()))
        self.assertEqual(self.unit.config, "new")
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_tried_at_once(self) -> None:
        """What waits for its next try, or was given up on, is tried with it."""
        for state in ("backoff", "failed"):
            self.setUp()
            self.bring(state)
            waiting = self.reload()
            self.assert_is(Goal.UP, State.STARTING)
            self.unit.ready()
            self.assertTrue(self.successResultOf(waiting))
            self.assertEqual(self.unit.calls, ["reload", "start"])


class QuarantineTests(KeeperCase):
    """A unit whose configuration is bad."""

    def setUp(self) -> None:
        super().setUp()
        self.keeper = self.make(None)
        self.keeper.quarantine("path: expected a string")

    def test_shown(self) -> None:
        """It is shown with its reason."""
        self.assert_is(Goal.UP, State.QUARANTINED)
        self.assertEqual(self.keeper.status().reason, "path: expected a string")

    def test_start(self) -> None:
        """It cannot be started, nor restarted."""
        for attempt in (self.keeper.start, self.keeper.restart):
            failure = self.failureResultOf(attempt(), UnitFailed)
            self.assertEqual(str(failure.value), "kv: path: expected a string")
        self.assert_is(Goal.UP, State.QUARANTINED)

    def test_stop(self) -> None:
        """It can be told to stay down."""
        self.successResultOf(self.keeper.stop())
        self.assert_is(Goal.DOWN, State.QUARANTINED)

    def test_mended(self) -> None:
        """A good configuration brings it up."""
        waiting = self.keeper.reload("new", lambda: self.unit)
        self.unit.ready()
        self.successResultOf(waiting)
        self.assert_is(Goal.UP, State.UP)

    def test_mended_with_the_goal_down(self) -> None:
        """A good configuration of a unit that is to be down makes it down."""
        self.successResultOf(self.keeper.stop())
        self.successResultOf(self.keeper.reload("new", lambda: self.unit))
        self.assert_is(Goal.DOWN, State.DOWN)
