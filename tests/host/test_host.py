# -*- test-case-name: tests.host.test_host -*-
"""
Tests for L{sockhost.host}: the promised life, with fakes for what is outside.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from sockhost.config import Problem
from sockhost.host.exit import ExitStatus
from sockhost.host.hooks import HostHooks
from sockhost.host.leftbehind import LeftBehind
from sockhost.host.lock import RunDirLock
from sockhost.interfaces import HostLocked, IHost, PathInUse, SockhostError
from sockhost.status import Phase, State
from tests.host.test_case import LOST, HostCase
from tests.host.test_fakes import unit_config
from tests.host.test_hooks import Lifecycle
from tests.host.test_units import BAD


class LifeTests(HostCase):
    """The order of the promised life."""

    def test_interface(self) -> None:
        """It is what the control API sees."""
        self.make()
        verifyObject(IHost, self.host)

    def test_order(self) -> None:
        """From the lock to its release, each thing in its place."""
        self.run_host(unit_config("a"), unit_config("b", "a", usable=True))
        self.ready("a", "b")
        self.signal("SIGTERM")
        self.stopped("b", "a")
        self.assertEqual(
            self.journal,
            [
                "locked",
                "control starts",
                "startup",
                "start a",
                "start b",
                "ready",
                "wait",
                "stopping: SIGTERM",
                "stop b",
                "stop a",
                "shutdown",
                "control stops",
                "released",
                "closed",
            ],
        )
        self.assert_ended(ExitStatus.CLEAN)

    def test_making(self) -> None:
        """A host that is only made has touched nothing."""
        self.make(unit_config("a"))
        self.assertEqual(self.journal, [])
        self.assertFalse(self.run_dir.exists())
        self.assertEqual(self.host.phase, Phase.STARTING)

    def test_acquired_before(self) -> None:
        """A lock that was taken before is not taken again."""
        self.make()
        self.host.acquire()
        self.begin()
        self.assertEqual(self.journal.count("locked"), 1)
        self.signal("SIGTERM")
        self.assert_ended(ExitStatus.CLEAN)

    def test_locked(self) -> None:
        """A second host ends with 73 and has touched nothing."""

        def refuse(_lock: RunDirLock) -> None:
            raise HostLocked("/run/sockhost.pid", 17)

        self.patch(RunDirLock, "acquire", refuse)
        with capturedLogs() as logs:
            self.run_host(unit_config("a"))
        self.assertEqual(self.successResultOf(self.ended), ExitStatus.LOCKED)
        self.assertTrue(self.journal[0].startswith("failed: a host already runs here"))
        self.assertNotIn("control starts", self.journal)
        self.assertEqual((self.table, self.run_dir.exists()), ({}, False))
        self.assertIn("process 17", str(formatEvent(logs[0])))

    def test_untrusted(self) -> None:
        """So does one whose run directory is not to be trusted, with 70."""
        self.run_dir.mkdir()
        self.run_dir.chmod(0o777)
        self.run_host(unit_config("a"))
        self.assertEqual(self.successResultOf(self.ended), ExitStatus.STARTUP_FAILED)
        self.assertIn("is not safe to use", self.journal[0])
        self.assertEqual(list(self.run_dir.iterdir()), [])

    def test_unlisten_first(self) -> None:
        """Listeners go before anything is stopped."""
        self.run_host(unit_config("a", usable=True), unit_config("b", "a", usable=True))
        self.ready("a", "b")
        self.signal("SIGTERM")
        self.assertEqual(self.unit("a").calls, ["start", "unlisten"])
        self.assertEqual(self.unit("b").calls, ["start", "unlisten", "stop"])

    def test_pid_file_last(self) -> None:
        """The pid file is there until everything else is gone."""
        self.control.stopping = Deferred()
        self.run_host()
        self.signal("SIGTERM")
        self.assertNoResult(self.ended)
        self.assertTrue((self.run_dir / "sockhost.pid").exists())
        self.control.stopping.callback(None)
        self.assert_ended(ExitStatus.CLEAN)

    def test_phases(self) -> None:
        """The status says what the host is doing."""
        self.run_host(unit_config("a"))
        self.assertEqual(self.host.status().phase, Phase.STARTING)
        self.ready("a")
        self.assertEqual(self.host.status().phase, Phase.READY)
        self.signal("SIGINT")
        self.assertEqual(self.host.status().phase, Phase.STOPPING)
        self.stopped("a")
        self.assert_ended(ExitStatus.CLEAN)

    def test_events(self) -> None:
        """Whoever is subscribed is told of all this."""
        self.run_host(unit_config("a"))
        self.ready("a")
        self.signal("SIGQUIT")
        self.stopped("a")
        told = [(one.event, one.unit, one.fields.get("state")) for one in self.events]
        self.assertEqual(
            told,
            [
                ("state", "a", "starting"),
                ("state", "a", "up"),
                ("ready", None, None),
                ("stopping", None, None),
                ("state", "a", "stopping"),
                ("state", "a", "down"),
            ],
        )
        self.assertEqual(self.events[3].fields, {"reason": "SIGQUIT"})

    def test_cancelled(self) -> None:
        """Cancelling the life is like shutting down, without hearing of the end."""
        self.run_host(unit_config("a"))
        self.ready("a")
        self.ended.cancel()
        self.failureResultOf(self.ended, CancelledError)
        self.assertIn("stop a", self.journal)
        self.stopped("a")
        self.assertEqual(self.journal[-2:], ["released", "closed"])
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_defect(self) -> None:
        """A defect ends the host with 70 and a traceback, and nothing is left."""

        def break_it(_hooks: HostHooks) -> Any:
            raise RuntimeError("a defect")

        self.patch(HostHooks, "startup", break_it)
        self.run_host(unit_config("a"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIn("failed: a defect", self.journal)
        self.assertEqual(self.successResultOf(self.ended), ExitStatus.STARTUP_FAILED)
        self.assertFalse((self.run_dir / "sockhost.pid").exists())
        self.assertEqual(set(self.table.values()), {"before"})

    def test_defect_with_units(self) -> None:
        """A defect after units were started has them stopped, in order."""

        def break_it(_hooks: HostHooks, _finish: object) -> None:
            raise RuntimeError("a defect")

        self.make(unit_config("a", usable=True), unit_config("b", "a"))
        self.patch(HostHooks, "wait", break_it)
        self.begin()
        self.ready("a", "b")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.stopped("b", "a")
        self.assertEqual(self.journal[-6:-4], ["stop b", "stop a"])
        self.assert_ended(ExitStatus.STARTUP_FAILED)

    def test_defect_at_once(self) -> None:
        """So does one in the turn in which they are started."""

        def break_it(_hooks: HostHooks, _finish: object) -> None:
            raise RuntimeError("a defect")

        self.make(unit_config("a", enabled=False))
        self.patch(HostHooks, "wait", break_it)
        self.begin()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIn("stopping: a defect", self.journal)
        self.assertIn("shutdown", self.journal)
        self.assert_ended(ExitStatus.STARTUP_FAILED)


class ReadyTests(HostCase):
    """When ready is told."""

    def test_all_decided(self) -> None:
        """Ready is told when every unit is up or was given up on, once."""
        self.run_host(unit_config("a"), unit_config("b"), unit_config("c", "b"))
        self.ready("a")
        self.assertNotIn("ready", self.journal)
        self.unit("b").fail(LOST)
        self.turn()
        self.assertEqual(self.journal.count("ready"), 1)
        status = self.host.unit_status("c")
        self.assertEqual(status.state, State.DOWN)
        self.assertIn("requires b, which is failed", status.reason or "")

    def test_nothing_to_do(self) -> None:
        """A host without units is ready at once."""
        self.run_host(unit_config("a", enabled=False))
        self.assertIn("ready", self.journal)

    def test_startup_under_way(self) -> None:
        """Nobody hears of ready, and no unit starts, before C{startup} has ended."""
        Lifecycle.answers["startup"] = starting = Deferred[None]()
        self.run_host(unit_config("a"), quarantined=(BAD,))
        self.assertEqual(self.journal, ["locked", "control starts", "startup"])
        starting.callback(None)
        self.turn()
        self.assertEqual(self.journal[3:], ["start a"])
        self.ready("a")
        self.assertIn("ready", self.journal)

    def test_started_by_hand(self) -> None:
        """A unit that is started by hand meanwhile does not make the host ready."""
        Lifecycle.answers["startup"] = Deferred[None]()
        self.run_host(unit_config("a"))
        self.host.start("a", "ann").addErrback(lambda _: None)
        self.turn()
        self.assertNotIn("ready", self.journal)

    def test_asked_for_during_startup(self) -> None:
        """Whoever wants a unit up waits for C{startup} as well."""
        Lifecycle.answers["startup"] = starting = Deferred[None]()
        self.run_host(unit_config("a"), unit_config("b", enabled=False))
        withdrawn = self.host.restart("b", "ann")
        asked = self.host.start("b", "ann")
        withdrawn.cancel()
        self.failureResultOf(withdrawn, CancelledError)
        self.assertEqual(self.journal[3:], [])
        starting.callback(None)
        self.turn()
        self.assertEqual(self.journal[3:], ["start a", "start b"])
        self.ready("a", "b")
        self.successResultOf(asked)

    def test_stopped_during_startup(self) -> None:
        """A unit that was told to stop meanwhile stays down, and so does what
        requires it; the host is ready without them."""
        Lifecycle.answers["startup"] = starting = Deferred[None]()
        self.run_host(unit_config("a"), unit_config("b", "a"))
        self.successResultOf(self.host.stop("a", "ann"))
        starting.callback(None)
        self.turn()
        self.assertEqual(self.journal[3:], ["ready", "wait"])
        reason = self.host.unit_status("b").reason
        self.assertEqual(reason, "requires a, which was told to stay down")

    def test_stop_during_startup(self) -> None:
        """Who waits for C{startup} is told when the host stops instead."""
        Lifecycle.answers["startup"] = Deferred[None]()
        self.run_host(unit_config("a"))
        asked = self.host.start("a", "ann")
        self.signal("SIGTERM")
        self.failureResultOf(asked, SockhostError)
        self.assert_ended(ExitStatus.CLEAN)

    def test_reconfigured_while_starting(self) -> None:
        """A new configuration does not make systemd believe that it is ready."""
        self.run_host(unit_config("a"))
        self.next.append(self.first)
        self.signal("SIGUSR1")
        self.assertIn("read again", self.journal)
        self.assertNotIn("systemd ready", self.journal)

    def test_reconfigured_during_startup(self) -> None:
        """Units of a new configuration wait for C{startup} as well."""
        Lifecycle.answers["startup"] = starting = Deferred[None]()
        self.run_host()
        self.next.append(self.config(unit_config("a")))
        self.signal("SIGUSR1")
        self.assertNotIn("start a", self.journal)
        starting.callback(None)
        self.turn()
        self.assertIn("start a", self.journal)

    def test_left_behind(self) -> None:
        """No unit starts before what a killed host left of others is gone."""
        self.make(unit_config("a"))
        gone: Deferred[None] = Deferred()
        self.patch(LeftBehind, "gone", lambda _: gone)
        self.begin()
        self.assertEqual(self.journal[2:], ["startup"])
        gone.callback(None)
        self.assertEqual(self.journal[3:], ["start a"])

    def test_startup_fails(self) -> None:
        """A failed start is status 70; no unit starts and no C{shutdown} is called."""
        Lifecycle.answers["startup"] = ValueError("no database")
        self.run_host(unit_config("a"))
        self.flushLoggedErrors(ValueError)
        self.assertEqual(
            self.journal,
            [
                "locked",
                "control starts",
                "startup",
                "failed: the startup hook failed: no database",
                "stopping: the startup hook failed: no database",
                "control stops",
                "released",
                "closed",
            ],
        )
        self.assert_ended(ExitStatus.STARTUP_FAILED)

    def test_no_control_socket(self) -> None:
        """A host that cannot be steered does not start."""
        for error in (PathInUse("somebody listens"), OSError(13, "Permission denied")):
            self.journal.clear()
            self.control.error = error
            self.run_host(unit_config("a"))
            self.assertNotIn("startup", self.journal)
            self.assertIn(f"failed: no control socket: {error}", self.journal)
            self.assert_ended(ExitStatus.STARTUP_FAILED)

    def test_no_control_socket_and_news(self) -> None:
        """A look at the units that was planned is not left behind."""
        self.control.error = PathInUse("somebody listens")
        self.make(quarantined=(BAD,))
        self.begin()
        self.assert_ended(ExitStatus.STARTUP_FAILED)

    def test_no_log_directory(self) -> None:
        """A log directory that cannot be made is an error, and no defect."""
        (self.directory / "file").write_text("")
        self.run_host(host={"log_dir": str(self.directory / "file" / "log")})
        self.assertEqual(self.successResultOf(self.ended), ExitStatus.STARTUP_FAILED)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertTrue(any("failed: " in line for line in self.journal))
        self.assertEqual(self.journal[-2:], ["released", "closed"])

    def test_problems(self) -> None:
        """What is wrong with the configuration is logged and shown."""
        problem = Problem("a.toml", "unit.bad.x", 1, "no")
        with capturedLogs() as logs:
            self.run_host(quarantined=(BAD,), problems=(problem,))
        self.assertEqual(self.host.status().problems, (str(problem),))
        self.assertIn(str(problem), [formatEvent(one) for one in logs])
        self.assertEqual(self.host.unit_status("bad").state, State.QUARANTINED)
