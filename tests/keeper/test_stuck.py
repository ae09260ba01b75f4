"""
Tests for L{sockhost.keeper}: units of which something is left.
"""

from __future__ import annotations

from sockhost.config import RestartPolicy
from sockhost.interfaces import GoalChanged, UnitFailed, UnitStuck
from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit
from tests.keeper.case import GONE, KeeperCase

LEFT = "could not be stopped: still there"


class StopFailedTests(KeeperCase):
    """A stop that fails, in every state that has one."""

    def test_stopping(self) -> None:
        """It is shown as failed, with the reason, and logged."""
        self.bring("up")
        waiting = self.keeper.stop()
        self.unit.fail_stop(RuntimeError("still there"))
        failure = self.failureResultOf(waiting, UnitFailed)
        self.assertEqual(str(failure.value), f"kv: {LEFT}")
        self.assert_is(Goal.DOWN, State.FAILED)
        self.assertEqual(self.keeper.reason, LEFT)
        self.assertTrue(self.keeper.settled)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_restarting(self) -> None:
        """A restart starts nothing over what is left."""
        self.bring("up")
        waiting = self.keeper.restart()
        self.cling()
        self.failureResultOf(waiting, UnitFailed)
        self.assert_is(Goal.UP, State.FAILED)
        self.assertEqual(self.unit.calls, ["stop"])

    def test_recovering(self) -> None:
        """There is no next try of a unit that was too late and clings."""
        waiting = self.keeper.start()
        self.clock.advance(30)
        self.cling()
        self.failureResultOf(waiting, UnitFailed)
        self.assert_is(Goal.UP, State.FAILED)

    def test_recovering_with_another_goal(self) -> None:
        """Whoever has set the goal meanwhile is told."""
        for ask in ("start", "stop", "restart"):
            self.setUp()
            self.bring("recovering")
            waiting = getattr(self.keeper, ask)()
            self.cling()
            self.failureResultOf(waiting, UnitFailed)
            self.assertEqual(self.keeper.state, State.FAILED)
            self.assertEqual(self.unit.calls, [])

    def test_raises(self) -> None:
        """A stop that raises has failed."""

        def broken() -> None:
            raise RuntimeError

        self.bring("up")
        self.patch(self.unit, "stop", broken)
        self.failureResultOf(self.keeper.stop(), UnitFailed)
        self.assertEqual(self.keeper.reason, "could not be stopped: RuntimeError")
        self.flushLoggedErrors(RuntimeError)


class StuckTests(KeeperCase):
    """Everything that can be asked for when a stop has failed."""

    def setUp(self) -> None:
        super().setUp()
        self.bring("stuck")

    def test_stop(self) -> None:
        """It is down when the unit says so, and not before."""
        waiting = self.keeper.stop("uid 7")
        self.assert_is(Goal.DOWN, State.STOPPING)
        self.assertEqual(self.unit.calls, ["stop"])
        self.assertNoResult(waiting)
        self.unit.stopped()
        self.assertIsNone(self.successResultOf(waiting))
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertIsNone(self.keeper.reason)
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual(ended.asked_by, "uid 7")

    def test_stop_fails_again(self) -> None:
        """A stop may fail as often as it likes; each tells who asked for it."""
        for _ in range(3):
            waiting = self.keeper.stop()
            self.cling()
            self.failureResultOf(waiting, UnitFailed)
            self.assert_is(Goal.DOWN, State.FAILED)
        waiting = self.keeper.stop()
        self.unit.stopped()
        self.successResultOf(waiting)

    def test_start(self) -> None:
        """What is left is stopped before anything is started."""
        for ask in ("start", "restart"):
            self.setUp()
            waiting = getattr(self.keeper, ask)()
            self.assert_is(Goal.UP, State.STOPPING)
            self.assertEqual(self.unit.calls, ["stop"])
            self.unit.stopped()
            self.assert_is(Goal.UP, State.STARTING)
            self.assertNoResult(waiting)
            self.unit.ready()
            self.assertIsNone(self.successResultOf(waiting))
            self.assertEqual(self.unit.calls, ["stop", "start"])

    def test_start_fails_again(self) -> None:
        """If it cannot be ended, nothing is started, and who asked is told."""
        for ask in ("start", "restart"):
            self.setUp()
            waiting = getattr(self.keeper, ask)()
            self.cling()
            failure = self.failureResultOf(waiting, UnitFailed)
            self.assertEqual(str(failure.value), f"kv: {LEFT}")
            self.assert_is(Goal.UP, State.FAILED)
            self.assertEqual(self.unit.calls, ["stop"])

    def test_start_counts_anew(self) -> None:
        """Whoever says start has seen what went wrong before."""
        self.ignore(self.keeper.start())
        self.unit.stopped()
        self.unit.fail(GONE)
        self.ignore(self.keeper.start())
        self.ignore(self.keeper.restart())
        self.cling()
        self.ignore(self.keeper.start())
        self.unit.stopped()
        for _ in range(2):
            self.unit.fail(GONE)
            self.clock.advance(1)
        self.assert_is(Goal.UP, State.STARTING)

    def test_start_then_stop(self) -> None:
        """The last word counts."""
        starting = self.keeper.start()
        stopping = self.keeper.stop()
        self.failureResultOf(starting, GoalChanged)
        self.unit.stopped()
        self.successResultOf(stopping)
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertEqual(self.unit.calls, ["stop"])

    def test_abort(self) -> None:
        """The grace of the second stop can be cut short as well."""
        self.keeper.abort()
        self.ignore(self.keeper.stop())
        self.keeper.abort()
        self.assertEqual(self.unit.calls, ["stop", "abort"])
        self.unit.stopped()

    def test_left_alone(self) -> None:
        """Nothing else changes anything."""
        self.keeper.hold("waits for valkey")
        self.keeper.park("waits for valkey")
        self.keeper.resume()
        self.unit.lose(GONE)
        self.clock.advance(1000)
        self.assert_is(Goal.DOWN, State.FAILED)
        self.assertEqual((self.unit.calls, self.keeper.reason), ([], LEFT))

    def test_reload_with_the_goal_down(self) -> None:
        """A new unit waits for the end of what is left."""
        successor = MemoryUnit()
        waiting = self.keeper.reload("new", lambda: successor)
        self.assertFalse(self.successResultOf(waiting))
        self.assert_is(Goal.DOWN, State.FAILED)
        self.assertIs(self.keeper.unit, self.unit)
        self.ignore(self.keeper.start())
        self.assertEqual((self.unit.calls, successor.calls), (["stop"], []))
        self.unit.stopped()
        self.assertEqual(successor.calls, ["start"])

    def test_reload_with_the_goal_up(self) -> None:
        """A new unit is started when nothing of the old one is left."""
        successor = MemoryUnit()
        self.ignore(self.keeper.start())
        self.cling()
        self.unit.calls.clear()
        waiting = self.keeper.reload("new", lambda: successor)
        self.assertEqual((self.unit.calls, successor.calls), (["stop"], []))
        self.cling()
        self.failureResultOf(waiting, UnitFailed)
        self.assertIs(self.keeper.unit, self.unit)
        starting = self.keeper.start()
        self.unit.stopped()
        successor.ready()
        self.successResultOf(starting)
        self.assertIs(self.keeper.unit, successor)

    def test_told_when_up_again(self) -> None:
        """The end of the trouble is told like that of any other."""
        self.assertEqual(self.keeper._core.told, LEFT)
        self.ignore(self.keeper.start())
        self.unit.stopped()
        self.unit.ready()
        self.assertIsNone(self.keeper._core.told)


class StuckByItselfTests(KeeperCase):
    """A unit that says itself that something of it is left."""

    policy = RestartPolicy(jitter=0.0)
    stuck = UnitStuck("exited with code 1; process group 5 does not end")

    def test_lost(self) -> None:
        """It is not started over what is left, whatever its policy."""
        self.bring("up")
        self.unit.lose(self.stuck)
        self.assert_is(Goal.UP, State.FAILED)
        self.assertEqual(self.keeper.reason, str(self.stuck))
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual(ended.reason, str(self.stuck))
        self.clock.advance(1000)
        self.assertEqual(self.unit.calls, [])

    def test_start_fails(self) -> None:
        """So is one of which a start that failed has left something."""
        waiting = self.keeper.start()
        self.unit.fail(self.stuck)
        failure = self.failureResultOf(waiting, UnitFailed)
        self.assertEqual(str(failure.value), f"kv: {self.stuck}")
        self.assert_is(Goal.UP, State.FAILED)

    def test_stop(self) -> None:
        """It is stopped when somebody says so."""
        self.bring("up")
        self.unit.lose(self.stuck)
        waiting = self.keeper.stop()
        self.assertEqual(self.unit.calls, ["stop"])
        self.unit.stopped()
        self.successResultOf(waiting)
        self.assert_is(Goal.DOWN, State.DOWN)
