"""
Tests for L{sockhost.keeper}: every state, and everything that can happen in it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.config import RestartPolicy, UnitConfig
from sockhost.interfaces import (
    GoalChanged,
    IUnit,
    IUsableUnit,
    ProcessLost,
    UnitFailed,
    UnitLost,
)
from sockhost.keeper import Keeper
from sockhost.keeper.core import Mailbox
from sockhost.keeper.machine import builder
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

    def ignore(self, waiting: Deferred[Any]) -> None:
        """Wait for nothing."""
        waiting.addErrback(lambda failure: failure.trap(GoalChanged, UnitFailed))

    def assert_is(self, goal: Goal, state: State) -> None:
        """The keeper is so, says so, and leaves no timer where none belongs."""
        self.assertEqual((self.keeper.goal, self.keeper.state), (goal, state))
        timers = len(self.clock.getDelayedCalls())
        self.assertEqual(timers, 1 if state in (State.STARTING, State.BACKOFF) else 0)


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

    def test_stop_fails(self) -> None:
        """What cannot be stopped is shown as failed, and nothing started over it."""
        self.bring("up")
        waiting = self.keeper.stop()
        self.unit.fail_stop(RuntimeError("still there"))
        self.failureResultOf(waiting, UnitFailed)
        self.assert_is(Goal.DOWN, State.FAILED)
        self.assertEqual(self.keeper.reason, "could not be stopped: still there")
        self.flushLoggedErrors(RuntimeError)

    def test_stop_fails_in_a_restart(self) -> None:
        """A restart whose stop fails is given up."""
        self.bring("up")
        waiting = self.keeper.restart()
        self.unit.fail_stop(RuntimeError("still there"))
        self.failureResultOf(waiting, UnitFailed)
        self.assert_is(Goal.UP, State.FAILED)
        self.assertEqual(self.unit.calls, ["stop"])
        self.flushLoggedErrors(RuntimeError)

    def test_stop_fails_in_a_recovery(self) -> None:
        """So is the next try of a unit that was too late."""
        self.bring("recovering")
        self.unit.fail_stop(RuntimeError("still there"))
        self.assert_is(Goal.UP, State.FAILED)
        self.flushLoggedErrors(RuntimeError)


class ReentrantTests(KeeperCase):
    """Asking from within the call that tells of an outcome."""

    def test_last_word(self) -> None:
        """What was asked for last is not abandoned by what was asked before."""
        asked: list[Deferred[None]] = []

        def ask(_: object) -> None:
            asked.extend([self.keeper.start(), self.keeper.stop()])

        self.bring("up")
        self.keeper.stop().addCallback(ask)
        self.unit.stopped()
        starting, stopping = asked
        self.failureResultOf(starting, GoalChanged)
        self.assertNoResult(stopping)
        self.unit.stopped()
        self.assertIsNone(self.successResultOf(stopping))
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_cancel_before_its_turn(self) -> None:
        """What is cancelled before its turn only detaches its caller."""

        def ask(_: object) -> None:
            waiting = self.keeper.start()
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)

        self.bring("up")
        self.keeper.stop().addCallback(ask)
        self.unit.stopped()
        self.assert_is(Goal.UP, State.STARTING)

    def test_defect(self) -> None:
        """What raises is logged, and costs those behind it nothing."""
        mailbox, handled = Mailbox(), list[str]()

        def first() -> None:
            mailbox.post(lambda: handled.append("second"))
            raise ZeroDivisionError

        mailbox.post(first)
        mailbox.post(lambda: handled.append("third"))
        self.assertEqual(handled, ["second", "third"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cancel_another(self) -> None:
        """One who waits may cancel the other's waiting."""
        self.bring("up")
        first, second = self.keeper.stop(), self.keeper.stop()
        first.addCallback(lambda _: second.cancel())
        self.unit.stopped()
        self.failureResultOf(second, CancelledError)
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


class LossTests(KeeperCase):
    """What the unit and time bring."""

    def test_lost(self) -> None:
        """A unit that is lost is started again at once, and counted."""
        self.bring("up")
        self.unit.lose(GONE)
        self.assert_is(Goal.UP, State.BACKOFF)
        self.assertEqual(self.keeper.reason, "it is gone")
        self.clock.advance(0)
        self.assert_is(Goal.UP, State.STARTING)
        self.assertEqual(self.keeper.restarts, 1)

    def test_keeps_failing(self) -> None:
        """Later tries wait, which the status shows."""
        self.bring("backoff")
        status = self.keeper.status()
        self.assertEqual(status.next_try, self.clock.seconds() + 0.1)
        self.assertEqual(self.unit.calls, [])
        self.clock.advance(0.1)
        self.assertEqual(self.unit.calls, ["start"])
        self.assertIsNone(self.keeper.status().next_try)

    def test_gives_up(self) -> None:
        """When the budget is spent, those who wait are told why."""
        waiting = self.keeper.start()
        for delay in (0, 0.1):
            self.unit.fail(GONE)
            self.clock.advance(delay)
        self.assertNoResult(waiting)
        self.unit.fail(GONE)
        reason = "gave up after 2 restarts within 600 s; the last time: it is gone"
        self.assertEqual(
            str(self.failureResultOf(waiting, UnitFailed).value), f"kv: {reason}"
        )
        self.assert_is(Goal.UP, State.FAILED)
        self.assertEqual(self.keeper.reason, reason)

    def test_gives_up_when_lost(self) -> None:
        """A unit that was up can be given up on as well."""
        self.bring("up")
        for delay in (0, 0.1):
            self.unit.lose(GONE)
            self.clock.advance(delay)
            self.unit.ready()
        self.unit.lose(GONE)
        self.assert_is(Goal.UP, State.FAILED)

    def test_done(self) -> None:
        """A one-shot that ended as it is meant to satisfies who waits for it."""
        waiting = self.keeper.start()
        self.unit.fail(ENDED)
        self.successResultOf(waiting)
        self.assert_is(Goal.UP, State.DONE)

    def test_done_when_up(self) -> None:
        """So does a unit whose policy lets it end."""
        self.policy = RestartPolicy(restart="on-failure")
        self.keeper = self.make(self.unit)
        self.bring("up")
        self.unit.lose(ENDED)
        self.assert_is(Goal.UP, State.DONE)

    def test_overdue(self) -> None:
        """A unit that is not ready in time is stopped, then tried again."""
        self.bring("starting")
        self.clock.advance(30)
        self.assert_is(Goal.UP, State.STOPPING)
        self.assertEqual(self.unit.calls, ["stop"])
        self.unit.stopped()
        self.assert_is(Goal.UP, State.BACKOFF)
        self.assertEqual(self.keeper.reason, "it was not ready in 30 s")

    def test_overdue_for_the_last_time(self) -> None:
        """The budget is spent by units that are too late as well."""
        self.bring("starting")
        for _ in range(2):
            self.clock.advance(30)
            self.unit.stopped()
            self.clock.advance(1)
        self.clock.advance(30)
        self.unit.stopped()
        self.assert_is(Goal.UP, State.FAILED)

    def test_no_deadline(self) -> None:
        """C{start_timeout = 0} lets a unit take its time."""
        self.policy = RestartPolicy(start_timeout=0)
        self.keeper = self.make(self.unit)
        self.ignore(self.keeper.start())
        self.clock.advance(1e6)
        self.assertEqual(self.keeper.state, State.STARTING)

    def test_lost_while_stopping(self) -> None:
        """News of a unit that was let go changes nothing."""
        for state in ("stopping", "restarting"):
            self.setUp()
            self.bring(state)
            self.unit.lose(GONE)
            self.assertEqual(self.keeper.state, State.STOPPING)

    def test_lost_before_ready(self) -> None:
        """A unit that breaks the contract by being lost first did not come up."""
        self.bring("starting")
        self.unit.lose(GONE)
        self.assert_is(Goal.UP, State.BACKOFF)
        self.unit.ready()
        self.assert_is(Goal.UP, State.BACKOFF)

    def test_news_of_an_earlier_run(self) -> None:
        """The loss of an earlier run is not taken for that of the present one."""
        self.bring("up")
        stale = self.unit._lost
        assert stale is not None
        self.ignore(self.keeper.restart())
        self.unit.stopped()
        self.unit.ready()
        stale(Failure(GONE))
        self.assert_is(Goal.UP, State.UP)

    def test_exit_is_recorded(self) -> None:
        """The status knows code, signal and that nobody had asked."""
        self.bring("up")
        self.unit.lose(ProcessLost("killed", None, signal.SIGKILL))
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual(
            (ended.at, ended.code, ended.signal, ended.asked_by, ended.reason),
            (self.clock.seconds(), None, "SIGKILL", None, "killed"),
        )

    def test_strange_signal(self) -> None:
        """A signal without a name is recorded by its number."""
        self.bring("up")
        self.unit.lose(ProcessLost("killed", None, 35))
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual(ended.signal, "35")


class ChangeTests(KeeperCase):
    """Those who watch a keeper."""

    def test_stop_from_within(self) -> None:
        """A watcher may stop a unit while it is being started."""

        def watch(keeper: Keeper) -> None:
            if keeper.state is State.STARTING and not self.unit.calls:
                self.ignore(keeper.stop())

        self.keeper = Keeper("kv", self.unit, self.policy, self.clock, watch)
        self.ignore(self.keeper.start())
        self.assertEqual(self.unit.calls, ["start", "stop"])
        self.unit.stopped()
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_hold(self) -> None:
        """A unit that waits for another has its goal and its reason."""
        self.keeper.hold("waits for valkey")
        status = self.keeper.status()
        self.assertEqual(
            (status.goal, status.state, status.reason),
            (Goal.UP, State.DOWN, "waits for valkey"),
        )
        self.ignore(self.keeper.start())
        self.assertIsNone(self.keeper.reason)

    def test_hold_what_runs(self) -> None:
        """A unit that runs is not held."""
        self.bring("up")
        self.keeper.hold("waits for valkey")
        self.assertIsNone(self.keeper.reason)

    def test_park(self) -> None:
        """A next try can be put off until something else is there."""
        waiting = self.keeper.start()
        self.unit.fail(GONE)
        self.keeper.park("waits for valkey")
        self.assert_is(Goal.UP, State.DOWN)
        self.assertEqual(self.keeper.reason, "waits for valkey")
        self.clock.advance(100)
        self.assertNoResult(waiting)
        self.keeper.resume()
        self.assert_is(Goal.UP, State.STARTING)
        self.assertEqual(self.keeper.restarts, 1)
        self.unit.ready()
        self.successResultOf(waiting)

    def test_parked_losses_count(self) -> None:
        """What went wrong before a unit was parked still counts."""
        self.bring("backoff")
        self.keeper.park("waits for valkey")
        self.keeper.resume()
        self.unit.fail(GONE)
        self.assert_is(Goal.UP, State.FAILED)

    def test_stop_parked(self) -> None:
        """What is parked can be told to stay down."""
        waiting = self.keeper.start()
        self.unit.fail(GONE)
        self.keeper.park("waits for valkey")
        self.successResultOf(self.keeper.stop())
        self.failureResultOf(waiting, GoalChanged)
        self.assert_is(Goal.DOWN, State.DOWN)

    def test_park_what_runs(self) -> None:
        """Only a next try can be put off, and only what is down resumed."""
        self.bring("up")
        self.keeper.park("waits for valkey")
        self.keeper.resume()
        self.assert_is(Goal.UP, State.UP)
        self.assertEqual(self.unit.calls, [])

    def test_told_once(self) -> None:
        """The log tells a loss once, and that the unit is up again."""
        with capturedLogs() as logs:
            self.ignore(self.keeper.start())
            self.unit.fail(GONE)
            self.clock.advance(0)
            self.unit.fail(GONE)
            self.clock.advance(0.1)
            self.unit.ready()
        told = [(e["log_level"].name, e["log_format"].split(":")[0]) for e in logs]
        self.assertEqual(
            told,
            [
                ("warn", "{unit} is not up"),
                ("debug", "{unit} is not up"),
                ("info", "{unit} is up again"),
            ],
        )

    def test_since(self) -> None:
        """The time in the status is that of the last change of the state."""
        self.bring("up")
        began = self.clock.seconds()
        self.clock.advance(5)
        self.assertEqual(self.keeper.status().since, began)

    def test_settled(self) -> None:
        """A keeper is settled when nothing more will happen by itself."""
        settled = {}
        for state in ("down", "starting", "up", "stopping", "backoff", "failed"):
            self.setUp()
            self.bring(state)
            settled[state] = self.keeper.settled
        self.assertEqual(
            settled,
            {
                "down": True,
                "starting": False,
                "up": True,
                "stopping": False,
                "backoff": False,
                "failed": True,
            },
        )

    def test_status(self) -> None:
        """The status has what the configuration and the unit say."""
        config = UnitConfig(
            name="kv", kind="memory", own=None, table={}, requires=("a",)
        )
        self.keeper.describe(config)
        status = self.keeper.status()
        self.assertEqual(
            (status.name, status.kind, status.requires, status.details),
            ("kv", "memory", ("a",), {"calls": 0}),
        )

    def test_status_is_broken(self) -> None:
        """What a unit cannot say of itself is logged, and hides nothing else."""

        def broken() -> Any:
            raise RuntimeError("broken")

        self.bring("up")
        self.patch(self.unit, "status", broken)
        status = self.keeper.status()
        self.assertEqual((status.state, status.details), (State.UP, {}))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


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


class MachineTests(SynchronousTestCase):
    """The table of transitions."""

    def test_what_people_want_is_possible_always(self) -> None:
        """C{start}, C{stop} and C{restart} are answered in every state."""
        automaton = builder._automaton
        table: dict[str, set[str]] = {}
        for old, symbol, _new, _outputs in automaton.allTransitions():
            table.setdefault(old.name, set()).add(symbol)
        self.assertEqual(len(table), 10)
        for name, symbols in table.items():
            self.assertLessEqual({"start", "stop", "restart"}, symbols, name)
