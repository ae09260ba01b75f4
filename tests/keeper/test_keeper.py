"""
Tests for L{sockhost.keeper.keeper}: what people want, in every state.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import (
    GoalChanged,
    IUnit,
    ProcessLost,
    UnitLost,
)
from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit
from tests.keeper.case import ENDED, GONE, KeeperCase


class StartTests(KeeperCase):
    """C{start} in every state."""

    def test_down(self) -> None:
        """A unit that is down is started, and its start waited for."""
        waiting = self.keeper.start()
        self.assert_is(Goal.UP, State.STARTING)
        self.assertNoResult(waiting)
        self.unit.ready()
        self.assert_is(Goal.UP, State.UP)
        self.assertIsNone(self.successResultOf(waiting))

    def test_starting(self) -> None:
        """One more start of a starting unit waits with the first."""
        self.bring("starting")
        waiting = self.keeper.start()
        self.assertEqual(self.unit.calls, [])
        self.unit.ready()
        self.successResultOf(waiting)

    def test_up(self) -> None:
        """A unit that is up stays so."""
        self.bring("up")
        self.successResultOf(self.keeper.start())
        self.assertEqual(self.unit.calls, [])

    def test_stopping(self) -> None:
        """A unit that is stopping is started when nothing of it is left."""
        self.bring("stopping")
        waiting = self.keeper.start()
        self.assert_is(Goal.UP, State.STOPPING)
        self.assertEqual(self.unit.calls, [])
        self.unit.stopped()
        self.assert_is(Goal.UP, State.STARTING)
        self.unit.ready()
        self.successResultOf(waiting)

    def test_stopping_releases_who_waits_for_the_stop(self) -> None:
        """Whoever waited for a stop that was abandoned is told."""
        self.bring("up")
        stopping = self.keeper.stop()
        self.ignore(self.keeper.start())
        self.failureResultOf(stopping, GoalChanged)

    def test_restarting(self) -> None:
        """A restart under way brings the unit up anyway."""
        self.bring("restarting")
        waiting = self.keeper.start()
        self.unit.stopped()
        self.unit.ready()
        self.successResultOf(waiting)
        self.assertEqual(self.unit.calls, ["start"])

    def test_recovering(self) -> None:
        """A unit that was too late is tried again without a wait."""
        self.bring("recovering")
        self.ignore(self.keeper.start())
        self.unit.stopped()
        self.assert_is(Goal.UP, State.STARTING)

    def test_backoff(self) -> None:
        """The wait for the next try is cut short."""
        self.bring("backoff")
        self.ignore(self.keeper.start())
        self.assert_is(Goal.UP, State.STARTING)
        self.assertEqual(self.unit.calls, ["start"])

    def test_failed(self) -> None:
        """A unit that was given up on is tried, and everything counts anew."""
        self.bring("failed")
        waiting = self.keeper.start()
        self.ignore(waiting)
        self.unit.fail(GONE)
        self.assert_is(Goal.UP, State.BACKOFF)
        self.assertEqual(self.keeper.status().next_try, self.clock.seconds())

    def test_done(self) -> None:
        """A one-shot runs once more."""
        self.bring("done")
        waiting = self.keeper.start()
        self.unit.fail(ENDED)
        self.successResultOf(waiting)
        self.assert_is(Goal.UP, State.DONE)

    def test_start_raises(self) -> None:
        """A start that raises is a start that failed, and is logged once."""

        @implementer(IUnit)
        class Raising(MemoryUnit):
            def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
                raise ZeroDivisionError("a defect")

        self.keeper = self.make(Raising())
        self.ignore(self.keeper.start())
        self.assert_is(Goal.UP, State.BACKOFF)
        self.assertEqual(self.keeper.reason, "ZeroDivisionError: a defect")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cancelled(self) -> None:
        """Cancelling detaches the caller and leaves the unit alone."""
        waiting = self.keeper.start()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.unit.ready()
        self.assert_is(Goal.UP, State.UP)

    def test_answers_from_within(self) -> None:
        """A unit that is ready, and stopped, within the call is as good as any."""

        @implementer(IUnit)
        class Prompt(MemoryUnit):
            def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
                return succeed(None)

            def stop(self) -> Deferred[UnitLost | None]:
                return succeed(None)

        self.keeper = self.make(Prompt())
        self.successResultOf(self.keeper.start())
        self.successResultOf(self.keeper.restart())
        self.successResultOf(self.keeper.stop())
        self.assertEqual(
            [state for _, state in self.states],
            [
                State.STARTING,
                State.UP,
                State.STOPPING,
                State.STARTING,
                State.UP,
                State.STOPPING,
                State.DOWN,
            ],
        )


class StopTests(KeeperCase):
    """C{stop} in every state."""

    def test_down(self) -> None:
        """A unit that is down is down."""
        self.successResultOf(self.keeper.stop())
        self.assertEqual(self.unit.calls, [])

    def test_starting(self) -> None:
        """A start under way is ended, and those who wait for it are told."""
        starting = self.keeper.start()
        waiting = self.keeper.stop()
        self.failureResultOf(starting, GoalChanged)
        self.assert_is(Goal.DOWN, State.STOPPING)
        self.assertNoResult(waiting)
        self.unit.stopped()
        self.successResultOf(waiting)
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_up(self) -> None:
        """A unit that is up is down when its stop has fired, not before."""
        self.bring("up")
        waiting = self.keeper.stop("cli uid 0")
        self.assertNoResult(waiting)
        self.unit.stopped()
        self.successResultOf(waiting)
        self.assert_is(Goal.DOWN, State.DOWN)
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual((ended.asked_by, ended.reason), ("cli uid 0", "stopped"))

    def test_stopping(self) -> None:
        """Everybody who asks waits for the same stop."""
        self.bring("up")
        first, second = self.keeper.stop(), self.keeper.stop()
        self.assertEqual(self.unit.calls, ["stop"])
        self.unit.stopped()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_restarting(self) -> None:
        """A restart becomes a stop."""
        self.bring("restarting")
        waiting = self.keeper.stop()
        self.unit.stopped()
        self.successResultOf(waiting)
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertEqual(self.unit.calls, [])

    def test_recovering(self) -> None:
        """The stop of a unit that was too late is the last thing it does."""
        self.bring("recovering")
        waiting = self.keeper.stop()
        self.unit.stopped()
        self.successResultOf(waiting)
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_backoff(self) -> None:
        """There is no next try."""
        self.bring("backoff")
        self.successResultOf(self.keeper.stop())
        self.assert_is(Goal.DOWN, State.DOWN)
        self.clock.advance(100)
        self.assertEqual(self.unit.calls, [])

    def test_failed(self) -> None:
        """A unit that was given up on is down, and the reason is gone."""
        self.bring("failed")
        self.successResultOf(self.keeper.stop())
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertIsNone(self.keeper.reason)

    def test_done(self) -> None:
        """A one-shot that is done is down."""
        self.bring("done")
        self.successResultOf(self.keeper.stop())
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_abort(self) -> None:
        """The grace of a stop is cut short, and only of a stop."""
        self.bring("up")
        self.keeper.abort()
        self.ignore(self.keeper.stop())
        self.keeper.abort()
        self.assertEqual(self.unit.calls, ["stop", "abort"])

    def test_abort_is_broken(self) -> None:
        """A unit that cannot cut its grace short stops as it would have."""

        def broken() -> None:
            raise RuntimeError("broken")

        self.bring("stopping")
        self.patch(self.unit, "abort", broken)
        self.keeper.abort()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.unit.stopped()
        self.assertEqual(self.keeper.state, State.DOWN)

    def test_how_it_ended(self) -> None:
        """What the unit says of its end is recorded with who asked for it."""
        self.bring("up")
        self.ignore(self.keeper.stop("uid 7"))
        self.unit.stopped(ProcessLost("ended by SIGTERM", None, signal.SIGTERM))
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual(
            (ended.code, ended.signal, ended.asked_by), (None, "SIGTERM", "uid 7")
        )

    def test_start_never_fires(self) -> None:
        """A unit whose start says nothing any more is down when its stop says so."""

        @implementer(IUnit)
        class Silent(MemoryUnit):
            def stop(self) -> Deferred[UnitLost | None]:
                self._starting = None
                return super().stop()

        self.unit = Silent()
        self.keeper = self.make(self.unit)
        self.ignore(self.keeper.start())
        waiting = self.keeper.stop()
        self.assert_is(Goal.DOWN, State.STOPPING)
        self.unit.stopped()
        self.successResultOf(waiting)

    def test_asked_first(self) -> None:
        """The end is owed to who asked for it first."""
        self.bring("up")
        self.ignore(self.keeper.stop("uid 7"))
        self.ignore(self.keeper.stop("the host"))
        self.unit.stopped()
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual(ended.asked_by, "uid 7")

    def test_cancelled(self) -> None:
        """Cancelling detaches the caller: the unit stops all the same."""
        self.bring("up")
        for waiting in (self.keeper.restart(), self.keeper.stop()):
            waiting.cancel()
            self.failureResultOf(waiting)
        self.unit.stopped()
        self.assert_is(Goal.DOWN, State.DOWN)


class RestartTests(KeeperCase):
    """C{restart} in every state."""

    def test_running(self) -> None:
        """What runs, or is about to, is stopped first."""
        for state in ("starting", "up"):
            self.setUp()
            self.bring(state)
            waiting = self.keeper.restart()
            self.assert_is(Goal.UP, State.STOPPING)
            self.assertNoResult(waiting)
            self.unit.stopped()
            self.unit.ready()
            self.successResultOf(waiting)
            self.assertEqual(self.unit.calls, ["stop", "start"])

    def test_not_running(self) -> None:
        """What does not run is started."""
        for state in ("down", "backoff", "failed", "done"):
            self.setUp()
            self.bring(state)
            waiting = self.keeper.restart()
            self.unit.ready()
            self.successResultOf(waiting)
            self.assertEqual(self.unit.calls, ["start"])

    def test_stopping(self) -> None:
        """A stop under way is what a restart begins with."""
        for state in ("stopping", "restarting", "recovering"):
            self.setUp()
            self.bring(state)
            waiting = self.keeper.restart()
            self.unit.stopped()
            self.unit.ready()
            self.successResultOf(waiting)
            self.assertEqual(self.unit.calls, ["start"])

    def test_not_counted(self) -> None:
        """A restart that was asked for is no restart of the keeper."""
        self.bring("up")
        self.ignore(self.keeper.restart())
        self.unit.stopped()
        self.unit.ready()
        self.assertEqual(self.keeper.restarts, 0)
