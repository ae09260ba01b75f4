"""
Tests for L{sockhost.keeper}: new configurations, in every state.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from sockhost.config import RestartPolicy
from sockhost.interfaces import GoalChanged, IUnit, IUsableUnit, UnitFailed
from sockhost.keeper import Keeper
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

    def test_raises(self) -> None:
        """A reload that raises is one that failed."""

        def broken(_config: object) -> None:
            raise ValueError("no")

        self.bring("up")
        self.patch(self.unit, "reload", broken)
        self.failureResultOf(self.keeper.reload("new", MemoryUnit), ValueError)
        self.assert_is(Goal.UP, State.UP)

    def test_not_in_place(self) -> None:
        """A unit that cannot take it is not asked."""
        self.bring("up")
        self.unit.takes_reload = True
        self.ignore(
            self.keeper.reload("new", lambda: self.successor, None, "uid 7", False)
        )
        self.assertEqual(self.unit.calls, ["stop"])
        self.unit.stopped()
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual(ended.asked_by, "uid 7")

    def test_held(self) -> None:
        """A new unit waits for what the old one waited for."""
        self.keeper.hold("waits for valkey")
        self.assertFalse(self.successResultOf(self.reload()))
        self.assertIs(self.keeper.unit, self.successor)
        self.assertEqual(self.successor.calls, [])
        self.assert_is(Goal.UP, State.DOWN)
        self.assertEqual(self.keeper.reason, "waits for valkey")

    def test_parked(self) -> None:
        """So it does after a loss, and those who wait for the unit wait on."""
        waiting = self.keeper.start()
        self.unit.fail(GONE)
        self.keeper.park("waits for valkey")
        self.assertFalse(self.successResultOf(self.reload()))
        self.assertEqual(self.successor.calls, [])
        self.keeper.resume()
        self.successor.ready()
        self.successResultOf(waiting)

    def test_asked_from_within(self) -> None:
        """What a watcher asks for before counts before."""
        waiting: list[Deferred[bool]] = []

        def watch(keeper: Keeper) -> None:
            if keeper.state is State.DOWN and not waiting:
                self.ignore(keeper.start())
                waiting.append(self.reload())

        self.keeper = Keeper("kv", self.unit, self.policy, self.clock, watch)
        self.bring("stopping")
        self.unit.stopped()
        self.assertEqual(self.unit.calls, ["start", "stop"])
        self.unit.stopped()
        self.successor.ready()
        self.assertFalse(self.successResultOf(waiting[0]))
        self.assertIs(self.keeper.unit, self.successor)


class SlowReloadTests(KeeperCase):
    """C{reload} of a unit that takes its time to answer."""

    def setUp(self) -> None:
        super().setUp()
        self.bring("up")
        self.answers: list[Deferred[bool]] = []
        self.made: list[MemoryUnit] = []
        self.patch(self.unit, "reload", self.ask)

    def ask(self, _config: object) -> Deferred[bool]:
        """Be asked."""
        self.answers.append(Deferred())
        return self.answers[-1]

    def make_one(self) -> MemoryUnit:
        """Make a new unit."""
        self.made.append(MemoryUnit())
        return self.made[-1]

    def reload(self, policy: RestartPolicy | None = None) -> Deferred[bool]:
        """Bring a new configuration."""
        return self.keeper.reload("new", self.make_one, policy)

    def test_newer(self) -> None:
        """An older configuration never takes the place of a newer one."""
        for answer in (True, False):
            self.setUp()
            old, new = self.reload(), self.reload()
            self.answers[1].callback(True)
            self.assertTrue(self.successResultOf(new))
            self.answers[0].callback(answer)
            self.failureResultOf(old, GoalChanged)
            self.assertEqual((self.made, self.unit.calls), ([], []))
            self.assert_is(Goal.UP, State.UP)

    def test_newer_needs_a_new_unit(self) -> None:
        """The older one's answer is of no interest then."""
        old, new = self.reload(), self.reload()
        self.answers[1].callback(False)
        self.answers[0].callback(True)
        self.failureResultOf(old, GoalChanged)
        self.unit.stopped()
        self.made[0].ready()
        self.assertFalse(self.successResultOf(new))
        self.assertIs(self.keeper.unit, self.made[0])

    def test_stopped_meanwhile(self) -> None:
        """A unit that was stopped meanwhile is renewed, and stays down."""
        waiting = self.reload()
        self.ignore(self.keeper.stop())
        self.unit.stopped()
        self.answers[0].callback(False)
        self.assertFalse(self.successResultOf(waiting))
        self.assertIs(self.keeper.unit, self.made[0])
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_lost_meanwhile(self) -> None:
        """A unit that was lost meanwhile and has taken it is tried with it."""
        waiting = self.reload()
        self.unit.lose(GONE)
        self.answers[0].callback(True)
        self.assert_is(Goal.UP, State.STARTING)
        self.unit.ready()
        self.assertTrue(self.successResultOf(waiting))

    def test_replaced_meanwhile(self) -> None:
        """A unit that is not there any more cannot have taken it."""
        waiting = self.reload()
        self.keeper._core.successor = other = MemoryUnit()
        self.ignore(self.keeper.restart())
        self.unit.stopped()
        other.ready()
        self.answers[0].callback(True)
        self.assertEqual(other.calls, ["start", "stop"])
        other.stopped()
        self.made[0].ready()
        self.assertFalse(self.successResultOf(waiting))

    def test_policy(self) -> None:
        """The policy is that of the configuration that was taken."""
        never = RestartPolicy(restart="never")
        self.ignore(self.reload(never))
        self.unit.lose(GONE)
        self.assert_is(Goal.UP, State.BACKOFF)
        self.answers[0].callback(True)
        self.unit.fail(GONE)
        self.assert_is(Goal.UP, State.FAILED)

    def test_cancelled_while_asked(self) -> None:
        """Cancelling while the unit is asked ends that, and changes nothing."""
        waiting = self.reload()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(self.answers[0].called)
        self.assertEqual((self.made, self.unit.calls), ([], []))

    def test_cancelled_later(self) -> None:
        """Cancelling later only detaches the caller."""
        waiting = self.reload()
        self.answers[0].callback(False)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.unit.stopped()
        self.made[0].ready()
        self.assert_is(Goal.UP, State.UP)


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

    def test_held(self) -> None:
        """What waits for another takes it, and waits on."""
        self.keeper.hold("waits for valkey")
        self.assertTrue(self.successResultOf(self.reload()))
        self.assert_is(Goal.UP, State.DOWN)

    def test_stuck(self) -> None:
        """What could not be stopped takes it, in place of what was to follow."""
        self.bring("stopping")
        older = MemoryUnit()
        self.successResultOf(self.keeper.reload("old", lambda: older))
        self.cling()
        self.assertTrue(self.successResultOf(self.reload()))
        self.assertEqual(self.unit.config, "new")
        self.assert_is(Goal.DOWN, State.FAILED)
        self.ignore(self.keeper.start())
        self.unit.stopped()
        self.assertEqual((self.unit.calls[-1], older.calls), ("start", []))


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

    def test_goal_is_told(self) -> None:
        """Those who watch it are told of its goal, and see the reason."""
        self.states.clear()
        self.successResultOf(self.keeper.stop())
        self.ignore(self.keeper.start())
        self.assertEqual(
            self.states,
            [(Goal.DOWN, State.QUARANTINED), (Goal.UP, State.QUARANTINED)],
        )
        self.assertEqual(self.keeper.reason, "path: expected a string")

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
