"""
Tests for L{sockhost.keeper}: what the unit and time bring.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from sockhost.config import RestartPolicy
from sockhost.interfaces import ProcessLost, UnitFailed, UnitLost, UnitStuck
from sockhost.status import Goal, State
from tests.keeper.case import ENDED, GONE, KeeperCase


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

    def test_healthy(self) -> None:
        """A unit that was up for long enough is started again at once."""
        self.policy = RestartPolicy(jitter=0.0)
        self.keeper = self.make(self.unit)
        self.bring("backoff")
        self.clock.advance(0.1)
        self.unit.ready()
        self.clock.advance(61)
        self.unit.lose(GONE)
        self.assertEqual(self.keeper.status().next_try, self.clock.seconds())

    def test_not_healthy(self) -> None:
        """The wait of one that was up for less grows."""
        self.bring("up")
        self.unit.lose(GONE)
        self.clock.advance(0)
        self.unit.ready()
        self.clock.advance(59)
        self.unit.lose(GONE)
        self.assertEqual(self.keeper.status().next_try, self.clock.seconds() + 0.1)

    def test_budget_window(self) -> None:
        """Restarts that were long ago are not counted."""
        self.bring("backoff")
        self.clock.advance(0.1)
        self.unit.ready()
        self.clock.advance(600)
        self.unit.lose(GONE)
        self.assert_is(Goal.UP, State.BACKOFF)

    def test_a_stop_while_recovering_is_recorded(self) -> None:
        """The record of the end says who wanted it, if somebody did meanwhile."""
        self.bring("recovering")
        self.ignore(self.keeper.stop("uid 7"))
        self.unit.stopped(UnitLost("ended by SIGTERM"))
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual((ended.asked_by, ended.reason), ("uid 7", "ended by SIGTERM"))

    def test_ready_just_in_time(self) -> None:
        """What came up before its time was over did so, whoever was busy."""

        def both() -> None:
            self.unit.ready()
            self.clock.advance(30)

        self.bring("starting")
        self.keeper._core.mailbox.post(both)
        self.assert_is(Goal.UP, State.UP)

    def test_stopped_just_in_time(self) -> None:
        """There is no next try after a stop, whoever was busy."""

        def both() -> None:
            self.ignore(self.keeper.stop())
            self.clock.advance(0.1)

        self.bring("backoff")
        self.keeper._core.mailbox.post(both)
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertEqual(self.unit.calls, [])

    def test_exit_code_is_recorded(self) -> None:
        """So does it know a code, where there was no signal."""
        self.bring("up")
        self.unit.lose(ProcessLost("exited with code 3", 3, None))
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertEqual((ended.code, ended.signal), (3, None))

    def test_nobody_asked_for_a_recovery(self) -> None:
        """Who asked for an earlier end is not who asked for this one."""
        self.bring("up")
        self.ignore(self.keeper.stop("uid 7"))
        self.unit.stopped()
        self.ignore(self.keeper.start())
        self.clock.advance(30)
        self.ignore(self.keeper.start())
        self.unit.stopped()
        ended = self.keeper.status().last_exit
        assert ended is not None
        self.assertIsNone(ended.asked_by)

    def test_overdue_tells_who_waits(self) -> None:
        """Who waits for a unit that is always too late is told in the end."""
        self.policy = RestartPolicy(restart="never", start_timeout=30.0)
        self.keeper = self.make(self.unit)
        waiting = self.keeper.start()
        self.clock.advance(30)
        self.assertNoResult(waiting)
        self.unit.stopped()
        self.failureResultOf(waiting, UnitFailed)


class LogTests(KeeperCase):
    """What the log tells."""

    def logged(self) -> list[tuple[str, str]]:
        """The level and the text of each message so far."""
        found = [(e["log_level"].name, formatEvent(e)) for e in self.logs]
        self.logs.clear()
        return found

    def setUp(self) -> None:
        super().setUp()
        self.logs: list[Any] = []
        observer: Any = self.logs.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def test_nothing(self) -> None:
        """Where all goes well there is nothing to tell."""
        self.bring("up")
        self.ignore(self.keeper.stop())
        self.unit.stopped()
        self.assertEqual(self.logged(), [])

    def test_given_up(self) -> None:
        """That a unit is given up on is an error."""
        self.bring("backoff")
        self.clock.advance(0.1)
        self.logged()
        self.unit.fail(GONE)
        self.assertEqual(self.logged(), [("error", f"kv: {self.keeper.reason}")])

    def test_something_is_left(self) -> None:
        """So is that something of it is left."""
        self.bring("up")
        self.unit.lose(UnitStuck("it clings"))
        self.assertEqual(self.logged(), [("error", "kv: it clings")])

    def test_late_news(self) -> None:
        """News of a unit that was let go are for those who look for them."""
        self.bring("stopping")
        self.unit.lose(GONE)
        text = "kv was lost after it was let go: it is gone"
        self.assertEqual(self.logged(), [("debug", text)])

    def test_overtaken(self) -> None:
        """That a start was overtaken by a stop is no news."""
        self.bring("starting")
        self.ignore(self.keeper.stop())
        self.assertEqual(self.logged(), [])
