# -*- test-case-name: tests.host.test_stop -*-
"""
Tests for L{sockhost.host}: every way to its end.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from sockhost.config import RestartPolicy
from sockhost.host.exit import ExitStatus
from tests.host.test_case import DONE, LOST, HostCase
from tests.host.test_fakes import unit_config
from tests.host.test_hooks import Lifecycle


class StopTests(HostCase):
    """Ways to stop."""

    def test_while_starting_up(self) -> None:
        """A stop during C{startup} cancels it; nobody ever hears of ready."""
        Lifecycle.answers["startup"] = Deferred[None]()
        self.run_host(unit_config("a"))
        self.signal("SIGTERM")
        self.assertEqual(
            self.journal[2:],
            ["startup", "stopping: SIGTERM", "control stops", "released", "closed"],
        )
        self.assert_ended(ExitStatus.CLEAN)

    def test_startup_ends_all_the_same(self) -> None:
        """A C{startup} that will not be cancelled has its C{shutdown}, no more."""
        inner: Deferred[None] = Deferred(lambda d: d.callback(None))
        Lifecycle.answers["startup"] = inner
        self.run_host(unit_config("a"))
        self.signal("SIGTERM")
        self.assertNotIn("ready", self.journal)
        self.assertNotIn("start a", self.journal)
        self.assertEqual(self.journal.count("shutdown"), 1)
        self.assert_ended(ExitStatus.CLEAN)

    def test_while_units_start(self) -> None:
        """A stop while units start stops them; nobody hears of ready."""
        self.run_host(unit_config("a"), unit_config("b", "a"))
        self.signal("SIGTERM")
        self.stopped("a")
        self.assertNotIn("ready", self.journal)
        self.assertNotIn("start b", self.journal)
        self.assert_ended(ExitStatus.CLEAN)

    def test_while_one_is_started_again(self) -> None:
        """A unit that was lost is not started again while others still stop, so
        that nothing listens when all were told to listen no more."""
        policy = RestartPolicy(backoff=0.5, jitter=0.0)
        self.run_host(
            unit_config("a", usable=True, policy=policy),
            unit_config("b", after=("a",)),
            unit_config("c", usable=True, policy=policy),
        )
        self.ready("a", "b", "c")
        for name in ("a", "c"):
            self.unit(name).lose(LOST)
            self.turn()
        self.unit("a").fail(LOST)
        self.signal("SIGTERM")
        starts = [line for line in self.journal if line.startswith("start ")]
        self.assertEqual(self.unit("c").calls[-2:], ["stop", "unlisten"])
        self.reactor.advance(10)
        self.stopped("b", "c")
        self.assertEqual([j for j in self.journal if j.startswith("start ")], starts)
        self.assert_ended(ExitStatus.CLEAN)

    def test_twice(self) -> None:
        """A second TERM hurries the units and runs C{shutdown} no second time."""
        Lifecycle.answers["shutdown"] = ending = Deferred[None]()
        self.run_host(unit_config("a"))
        self.ready("a")
        self.signal("SIGTERM")
        self.assertNotIn("abort", self.unit("a").calls)
        self.signal("SIGTERM")
        self.assertEqual(self.unit("a").calls[-1], "abort")
        self.stopped("a")
        self.assertNoResult(self.ended)
        self.assertEqual(self.journal.count("shutdown"), 1)
        ending.callback(None)
        self.assert_ended(ExitStatus.CLEAN)

    def test_shutdown_hangs(self) -> None:
        """A TERM that comes while C{shutdown} runs cuts that short."""
        Lifecycle.answers["shutdown"] = Deferred[None]()
        self.run_host(unit_config("a"))
        self.ready("a")
        self.signal("SIGTERM")
        self.stopped("a")
        self.assertNoResult(self.ended)
        self.signal("SIGTERM")
        self.assertEqual(self.journal.count("shutdown"), 1)
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
        self.assert_ended(ExitStatus.CLEAN)

    def test_reconfigure_hangs(self) -> None:
        """A C{reconfigure} that is under way is cancelled."""
        Lifecycle.answers["reconfigure"] = Deferred[None]()
        self.run_host(unit_config("a", usable=True))
        self.ready("a")
        self.next.append(self.first)
        asked = self.host.reconfigure("ann")
        self.assertNoResult(asked)
        self.signal("SIGTERM")
        self.successResultOf(asked)
        self.stopped("a")
        self.assertNotIn("hook reconfigure", self.unit("a").calls)
        self.assert_ended(ExitStatus.CLEAN)

    def test_shutdown_fails(self) -> None:
        """A C{shutdown} that fails is logged, and the end is a clean one."""
        Lifecycle.answers["shutdown"] = ValueError("too late")
        self.run_host()
        self.signal("SIGTERM")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assert_ended(ExitStatus.CLEAN)

    def test_watched_pid(self) -> None:
        """The end of the watched process is status 69."""
        self.run_host()
        assert self.around.on_gone is not None
        self.around.on_gone()
        self.turn()
        self.assert_ended(ExitStatus.WATCHED_PID_GONE)

    def test_watched_pid_during_startup(self) -> None:
        """It ends a host that starts as well, and nobody hears of ready."""
        Lifecycle.answers["startup"] = Deferred[None]()
        self.run_host(unit_config("a"))
        assert self.around.on_gone is not None
        self.around.on_gone()
        self.assertNotIn("ready", self.journal)
        self.assert_ended(ExitStatus.WATCHED_PID_GONE)

    def test_watched_pid_before(self) -> None:
        """A process that is gone from the first is not waited for by anything."""
        self.make(unit_config("a"))
        self.patch(self.around, "watch", lambda _reactor, gone: gone())
        self.begin()
        self.assertNotIn("startup", self.journal)
        self.assertNotIn("start a", self.journal)
        self.assert_ended(ExitStatus.WATCHED_PID_GONE)

    def test_wait_ends(self) -> None:
        """The end of C{wait} is a clean one."""
        Lifecycle.answers["wait"] = waiting = Deferred[None]()
        self.run_host()
        self.assertNoResult(self.ended)
        waiting.callback(None)
        self.assertIn("stopping: the wait hook has ended", self.journal)
        self.assert_ended(ExitStatus.CLEAN)

    def test_wait_ends_at_once(self) -> None:
        """A C{wait} that ends at once leaves no watch behind."""
        Lifecycle.answers["wait"] = None
        self.run_host(unit_config("a"))
        self.ready("a")
        self.stopped("a")
        self.assertIsNone(self.around.on_gone)
        self.assert_ended(ExitStatus.CLEAN)

    def test_wait_fails(self) -> None:
        """A failing C{wait} is status 1 and a traceback."""
        Lifecycle.answers["wait"] = waiting = Deferred[None]()
        self.run_host()
        waiting.errback(ValueError("lost"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assert_ended(ExitStatus.WAIT_FAILED)

    def test_wait_is_cancelled(self) -> None:
        """Any other end cancels C{wait}."""
        Lifecycle.answers["wait"] = waiting = Deferred[None]()
        self.run_host()
        self.signal("SIGTERM")
        self.assertTrue(waiting.called)
        self.assert_ended(ExitStatus.CLEAN)

    def test_called(self) -> None:
        """A stop over the control API is like one by signal."""
        self.run_host()
        self.host.shutdown("cli uid 0")
        self.turn()
        self.assertIn("stopping: cli uid 0", self.journal)
        self.assert_ended(ExitStatus.CLEAN)


class OverTests(HostCase):
    """Hosts that end by themselves."""

    def test_all_done(self) -> None:
        """C{exit_when_done}: the end of the last unit is a clean one."""
        self.run_host(unit_config("a"), unit_config("b"), host={"exit_when_done": True})
        self.unit("a").fail(DONE)
        self.ready("b")
        self.assertNoResult(self.ended)
        self.unit("b").lose(DONE)
        self.turn()
        self.assert_ended(ExitStatus.CLEAN)

    def test_one_failed(self) -> None:
        """C{wait_for}: a failure is status 75; the others are stopped."""
        self.run_host(unit_config("a"), unit_config("b"), host={"wait_for": ("a",)})
        self.ready("b")
        self.unit("a").fail(LOST)
        self.turn()
        self.assertIn("stopping: a is failed", self.journal)
        self.stopped("b")
        self.assert_ended(ExitStatus.UNIT_FAILED)

    def test_never_ran(self) -> None:
        """C{wait_for}: what could not run, as something failed, is status 75."""
        self.run_host(
            unit_config("a"), unit_config("b", "a"), host={"wait_for": ("b",)}
        )
        self.unit("a").fail(LOST)
        self.turn()
        self.assert_ended(ExitStatus.UNIT_FAILED)

    def test_ready_first(self) -> None:
        """A host whose units are done at once has been ready."""
        self.run_host(unit_config("a"), host={"wait_for": ("a",)})
        self.unit("a").fail(DONE)
        self.turn()
        self.assertIn("ready", self.journal)
        self.assert_ended(ExitStatus.CLEAN)
