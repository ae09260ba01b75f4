# -*- test-case-name: tests.host.test_running -*-
"""
Tests for L{sockhost.host}: what can be had of a host that runs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, capturedLogs, formatEvent

import sockhost
from sockhost.config import Config, Problem, UnitConfig
from sockhost.host.exit import ExitStatus
from sockhost.interfaces import (
    ConfigError,
    NoSuchUnit,
    SockhostError,
)
from sockhost.status import Event, Phase, State
from tests.host.test_case import DONE, HostCase
from tests.host.test_fakes import unit_config
from tests.host.test_hooks import Lifecycle

BROKEN = ConfigError([Problem("a.toml", "host.name", 3, "a string")])


class RunningCase(HostCase):
    """A host that is ready."""

    def setUp(self) -> None:
        super().setUp()
        self.run_host(unit_config("a"), unit_config("b", "a", usable=True))
        self.ready("a", "b")
        self.journal.clear()
        self.events.clear()

    def finish(self) -> None:
        """Have the host end."""
        self.signal("SIGTERM")
        self.stopped("b", "a")
        self.assert_ended(ExitStatus.CLEAN)


class SeenTests(RunningCase):
    """What the host says of itself, and gives."""

    def test_status(self) -> None:
        """The status says where the host is, and how its units are, in order."""
        status = self.host.status()
        self.assertEqual((status.name, status.pid), ("sockhost", os.getpid()))
        self.assertEqual(status.version, sockhost.__version__)
        self.assertEqual((status.phase, status.problems), (Phase.READY, ()))
        self.assertEqual(status.run_dir, str(self.run_dir))
        self.assertEqual(status.config, self.first.path)
        self.assertEqual([one.name for one in status.units], ["a", "b"])
        self.assertEqual(self.host.unit_status("b"), status.units[1])

    def test_paths(self) -> None:
        """Logs are in the log directory, configurations in theirs."""
        path = self.host.log_path("a")
        self.assertEqual(path, str(self.run_dir / "log" / "a.log"))
        self.assertEqual(self.host.config_dir, str(self.directory))

    def test_given(self) -> None:
        """Units get kinds, configurations and clients by name."""
        self.assertIs(self.host.child_kind("memory"), self.kind)
        self.assertEqual(self.host.unit_config("a").name, "a")
        self.assertIs(self.host.use("b"), self.unit("b").shared)

    def test_unknown(self) -> None:
        """A name that is not there is an error everywhere."""
        for look in (
            self.host.unit_status,
            self.host.log_path,
            self.host.use,
            self.host.unit_config,
        ):
            with self.assertRaises(NoSuchUnit):
                look("nobody")
        for verb in (
            self.host.start,
            self.host.stop,
            self.host.restart,
            self.host.reload,
        ):
            asked: Deferred[Any] = verb("nobody", "ann")
            self.failureResultOf(asked, NoSuchUnit)
        with self.assertRaises(SockhostError):
            self.host.child_kind("nothing")

    def test_subscription(self) -> None:
        """Who has unsubscribed hears nothing more."""
        told: list[Event] = []

        class Other:
            def notify(self, event: Event) -> None:
                told.append(event)

        other: Any = Other()
        unsubscribe = self.host.subscribe(other)
        event = Event(at=1.0, event="word")
        self.host.publish(event)
        unsubscribe()
        unsubscribe()
        self.host.publish(event)
        self.assertEqual((told, self.events), ([event], [event, event]))


class SteeredTests(RunningCase):
    """Starting and stopping by hand."""

    def test_stop_and_start(self) -> None:
        """A unit is stopped and started, and says who had it stopped."""
        stopping = self.host.stop("b", "ann")
        self.stopped("b")
        self.successResultOf(stopping)
        last_exit = self.host.unit_status("b").last_exit
        assert last_exit is not None
        self.assertEqual(last_exit.asked_by, "ann")
        starting = self.host.start("b", "ann")
        self.ready("b")
        self.successResultOf(starting)
        self.assertEqual(self.journal, ["stop b", "start b"])

    def test_restart(self) -> None:
        """A unit is restarted."""
        restarting = self.host.restart("b", "ann")
        self.stopped("b")
        self.ready("b")
        self.successResultOf(restarting)
        self.assertEqual(self.journal, ["stop b", "start b"])

    def test_reload(self) -> None:
        """A unit gets its configuration again."""
        self.unit("b").takes_reload = True
        self.assertIs(self.successResultOf(self.host.reload("b", "ann")), True)

    def test_during_shutdown(self) -> None:
        """Nothing is started any more once the host stops; stopping is legal."""
        self.signal("SIGTERM")
        for verb in (self.host.start, self.host.restart, self.host.reload):
            asked: Deferred[Any] = verb("a", "ann")
            failure = self.failureResultOf(asked, SockhostError)
            self.assertEqual(failure.getErrorMessage(), "the host is shutting down")
        self.failureResultOf(self.host.reconfigure("ann"), SockhostError)
        stopping = self.host.stop("b", "ann")
        self.stopped("b", "a")
        self.successResultOf(stopping)
        self.assert_ended(ExitStatus.CLEAN)

    def test_start_under_way(self) -> None:
        """A start that waits for something when the host stops comes to nothing."""
        self.host.restart("a", "ann").addErrback(lambda _: None)
        self.stopped("a")
        stopping = self.host.stop("b", "ann")
        self.stopped("b")
        self.successResultOf(stopping)
        starting = self.host.start("b", "ann")
        self.journal.clear()
        self.signal("SIGTERM")
        self.failureResultOf(starting, SockhostError)
        self.assertNotIn("start b", self.journal)
        self.stopped("a")
        self.assert_ended(ExitStatus.CLEAN)


class ReconfigureTests(RunningCase):
    """A new configuration."""

    def units(self, *more: UnitConfig) -> Config:
        """The same units, and more."""
        return self.config(unit_config("a"), unit_config("b", "a", usable=True), *more)

    def bring(self, *new: Config | Exception) -> None:
        """Have configurations read when the host is told to."""
        self.next.extend(new)

    def test_signal(self) -> None:
        """USR1: the new unit is started, the others are left alone."""
        self.bring(self.units(unit_config("c")))
        self.signal("SIGUSR1")
        self.assertEqual(
            self.journal,
            [
                "systemd reloading",
                "read again",
                "start c",
                "systemd ready",
                "reconfigure",
            ],
        )
        self.assertEqual(self.unit("b").calls[-1], "hook reconfigure")
        (told,) = [one for one in self.events if one.event == "reconfigured"]
        self.assertEqual(told.fields["added"], ["c"])
        self.assertEqual(told.fields["unchanged"], ["a", "b"])

    def test_asked(self) -> None:
        """Who asks is told what was changed."""
        self.bring(self.units(unit_config("c")))
        found = self.successResultOf(self.host.reconfigure("ann"))
        self.assertEqual(found["added"], ["c"])

    def test_bad_file(self) -> None:
        """A bad file changes nothing and says why; a good one does afterwards."""
        self.bring(BROKEN, self.units(unit_config("c")))
        before = self.host.status()
        with capturedLogs() as logs:
            asked = self.host.reconfigure("ann")
        failure = self.failureResultOf(asked, ConfigError)
        self.assertIn("host.name = 3", failure.getErrorMessage())
        self.assertTrue(self.says(logs, "nothing is changed: a.toml: host.name = 3"))
        self.assertEqual(self.host.status(), before)
        self.assertEqual(
            self.journal, ["systemd reloading", "read again", "systemd ready"]
        )
        self.successResultOf(self.host.reconfigure("ann"))
        self.assertIn("start c", self.journal)

    def test_bad_file_by_signal(self) -> None:
        """By signal there is nobody to tell, so that the log does."""
        self.bring(BROKEN)
        with capturedLogs() as logs:
            self.signal("SIGUSR1")
        self.assertTrue(self.says(logs, "nothing is changed: a.toml: host.name = 3"))

    def test_defect_by_signal(self) -> None:
        """An error that nobody expects is in the log with its traceback."""
        self.bring(RuntimeError("a defect"))
        self.signal("SIGUSR1")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_burst(self) -> None:
        """Requests while one is under way become one."""
        Lifecycle.answers["reconfigure"] = slow = Deferred[None]()
        self.bring(*[self.first] * 5)
        for _ in range(5):
            self.signal("SIGUSR1")
        self.assertEqual(self.journal.count("reconfigure"), 1)
        Lifecycle.answers["reconfigure"] = None
        slow.callback(None)
        self.turn()
        self.assertEqual(self.journal.count("reconfigure"), 2)
        self.assertEqual(self.journal.count("read again"), 2)

    def test_hook_fails(self) -> None:
        """A hook that fails is logged, and the change stands."""
        Lifecycle.answers["reconfigure"] = ValueError("no")
        self.bring(self.units(unit_config("c")))
        self.successResultOf(self.host.reconfigure("ann"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.unit("b").hooks[-1].errback(KeyError("no"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertIn("start c", self.journal)

    def test_unit_cannot_run_its_hook(self) -> None:
        """A unit that raises where it should fail costs the change nothing."""

        def broken(name: str) -> None:
            raise KeyError("no")

        self.patch(self.unit("b"), "run_hook", broken)
        self.bring(self.units(unit_config("c")))
        self.successResultOf(self.host.reconfigure("ann"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_host_table(self) -> None:
        """A new C{[host]} table is for the next start, and a warning until then."""
        new = evolve(self.first.host, name="other", wait_for=("a",))
        self.bring(evolve(self.first, host=new))
        with capturedLogs() as logs:
            self.successResultOf(self.host.reconfigure("ann"))
        self.assertTrue(self.says(logs, "[host] has changed"))
        self.assertEqual(self.host.status().name, "sockhost")
        self.assertEqual(self.host.status().units[0].state, State.UP)

    def test_other_run_dir(self) -> None:
        """Units cannot be moved to another run directory without the host."""
        new = evolve(self.first.host, run_dir="/elsewhere")
        self.bring(evolve(self.first, host=new))
        failure = self.failureResultOf(self.host.reconfigure("ann"), SockhostError)
        self.assertEqual(
            str(failure.value),
            f"host.run_dir is to change from {self.run_dir} to /elsewhere, for "
            "which the host has to be restarted",
        )

    def test_under_way_at_the_end(self) -> None:
        """A change that a stop overtakes starts nothing any more."""
        self.bring(self.config(unit_config("a"), unit_config("c")))
        changing = self.host.reconfigure("ann")
        self.assertEqual(self.journal[-1], "stop b")
        with capturedLogs() as logs:
            self.signal("SIGTERM")
            self.stopped("b")
        self.assertNotIn("start c", self.journal)
        self.stopped("a")
        failure = self.failureResultOf(changing, SockhostError)
        self.assert_ended(ExitStatus.CLEAN)
        self.assertEqual(
            str(failure.value),
            "the host is shutting down in the middle of a change; done: nothing; "
            "not done: removed: b; added: c",
        )
        self.assertTrue(self.says(logs, str(failure.value)))
        self.assertFalse(self.says(logs, "nothing is changed"))

    def test_removed_in_wait_for(self) -> None:
        """A unit that is waited for and was removed does not stop the host."""
        waits = evolve(self.first.host, wait_for=("b", "a"))
        self.host._config = evolve(self.first, host=waits)
        self.host._lookout._settings = waits
        self.bring(self.config(unit_config("a")))
        self.host.reconfigure("ann")
        self.stopped("b")
        self.assertNoResult(self.ended)
        self.unit("a").lose(DONE)
        self.turn()
        self.assert_ended(ExitStatus.CLEAN)

    def says(self, logs: Sequence[LogEvent], text: str) -> bool:
        """Say whether the log has a text."""
        return any(text in str(formatEvent(one)) for one in logs)


class HangUpTests(RunningCase):
    """HUP: logs, and then the configuration."""

    def test_order(self) -> None:
        """Logs are reopened before the configuration is read."""
        self.next.append(self.first)
        self.signal("SIGHUP")
        self.assertEqual(
            self.unit("b").calls[-3:],
            ["reopen_logs", "hook reopen_logs", "hook reconfigure"],
        )
        self.assertLess(
            self.journal.index("reopen_logs"), self.journal.index("read again")
        )
        self.assertLess(
            self.journal.index("reopen_logs"), self.journal.index("reconfigure")
        )

    def test_host_log(self) -> None:
        """The host's own log goes on in the file that now has its name."""
        log = self.run_dir / "log" / "host.jsonl"
        log.rename(log.with_name("moved"))
        self.next.append(self.first)
        self.signal("SIGHUP")
        self.assertIn("logs are reopened", log.read_text())

    def test_breaks(self) -> None:
        """What cannot reopen its log costs nobody else anything."""
        self.unit("b").breaks.add("reopen_logs")
        Lifecycle.answers["reopen_logs"] = ValueError("no")
        self.next.append(self.first)
        self.signal("SIGHUP")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIn("read again", self.journal)
        self.assertEqual(self.host.unit_status("b").state, State.UP)
        self.finish()
