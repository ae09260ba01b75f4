"""
Tests for L{sockhost.keeper}: what others see of a keeper, and do to it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from sockhost.config import UnitConfig
from sockhost.interfaces import (
    GoalChanged,
)
from sockhost.keeper import Keeper
from sockhost.status import Goal, State
from sockhost.testing.units import MemoryUnit
from tests.keeper.case import GONE, KeeperCase


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

    def test_cancel_reload_before_its_turn(self) -> None:
        """So does the cancelling of a reload, which is made all the same."""
        successor = MemoryUnit()

        def ask(_: object) -> None:
            waiting = self.keeper.reload("new", lambda: successor)
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)

        self.bring("up")
        self.keeper.stop().addCallback(ask)
        self.unit.stopped()
        self.assertIs(self.keeper.unit, successor)

    def test_cancel_another(self) -> None:
        """One who waits may cancel the other's waiting."""
        self.bring("up")
        first, second = self.keeper.stop(), self.keeper.stop()
        first.addCallback(lambda _: second.cancel())
        self.unit.stopped()
        self.failureResultOf(second, CancelledError)
        self.assert_is(Goal.DOWN, State.DOWN)


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

    def test_abort_from_within(self) -> None:
        """A watcher may cut short a stop of which it is just told."""

        def watch(keeper: Keeper) -> None:
            if keeper.state is State.STOPPING:
                keeper.abort()

        self.keeper = Keeper("kv", self.unit, self.policy, self.clock, watch)
        self.bring("up")
        self.ignore(self.keeper.stop())
        self.assertEqual(self.unit.calls, ["stop", "abort"])

    def test_broken_watcher(self) -> None:
        """A watcher that raises is logged, and changes nothing."""

        def watch(keeper: Keeper) -> None:
            raise ZeroDivisionError(keeper.state)

        self.keeper = Keeper("kv", self.unit, self.policy, self.clock, watch)
        waiting = self.keeper.start()
        self.unit.fail(GONE)
        self.clock.advance(0)
        self.unit.ready()
        self.successResultOf(waiting)
        stopping = self.keeper.stop()
        self.unit.stopped()
        self.successResultOf(stopping)
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 6)

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

    def test_resume_what_was_stopped(self) -> None:
        """What was told to stay down while it was parked is not resumed."""
        self.bring("backoff")
        self.keeper.park("waits for valkey")
        self.successResultOf(self.keeper.stop())
        self.keeper.resume()
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertEqual(self.unit.calls, [])

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
        self.clock.advance(5)
        self.bring("up")
        began = self.clock.seconds()
        self.clock.advance(5)
        self.assertEqual(self.keeper.status().since, began)
        self.ignore(self.keeper.stop())
        self.assertEqual(self.keeper.status().since, began + 5)
        self.clock.advance(5)
        self.ignore(self.keeper.start())
        self.assertEqual(self.keeper.status().since, began + 5)

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
