# -*- test-case-name: tests.supervise.test_process -*-
"""Tests for L{sockhost.supervise.process} and L{sockhost.supervise.launcher}."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    IUnit,
    IUnitKind,
    NotReady,
    ProcessLost,
    SockhostError,
    SpawnError,
    UnitLost,
)
from sockhost.supervise.process import ProcessConfig, ProcessKind, ProcessUnit
from sockhost.supervise.ready import Ready
from sockhost.testing.processes import MemorySpawner, stubborn
from sockhost.testing.units import MemoryUnitHost


class MemoryLeftovers:
    """Notes in memory, and a former process that ends when the test says so."""

    def __init__(self, run_dir: str) -> None:
        self.notes: dict[str, int] = {}
        self.reclaiming: Deferred[bool] | None = None
        self.something_is_left = False
        self.cut = False
        self.full = False

    def expect(self, name: str) -> dict[str, str]:
        if self.full:
            raise OSError("disk full")
        self.notes[name] = 0
        return {"TOKEN": name}

    def record(self, name: str, pid: int) -> None:
        if self.full:
            raise OSError("disk full")
        self.notes[name] = pid

    def forget(self, name: str) -> None:
        self.notes.pop(name, None)

    def reclaim(self, *_: object) -> Deferred[bool]:
        reclaiming: Deferred[bool] = Deferred(self._cancel)
        if not self.something_is_left:
            reclaiming.callback(False)
        self.reclaiming = reclaiming
        return reclaiming

    def _cancel(self, reclaiming: Deferred[bool]) -> None:
        self.cut = True
        reclaiming.callback(True)


class ProcessCase(SynchronousTestCase):
    """Has a host and a spawner in memory."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.host = MemoryUnitHost(self.mktemp(), reactor=self.reactor)
        self.spawner = MemorySpawner()
        self.left = MemoryLeftovers("")
        left: Any = self.left
        self.kind = ProcessKind(lambda _: self.spawner, lambda _: left)
        self.lost: list[BaseException | None] = []

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def unit(self, **options: Any) -> ProcessUnit:
        """Make a unit."""
        config = ProcessConfig(argv=("prog", "arg"), **options)
        return self.kind.make("web", config, self.host)

    def start(self, unit: ProcessUnit) -> Deferred[None]:
        """Start a unit."""
        return unit.start(self.note)

    def note(self, failure: Failure) -> None:
        """Take note of a loss."""
        self.lost.append(failure.value)

    def up(self, **options: Any) -> ProcessUnit:
        """Make a unit that is up."""
        unit = self.unit(**options)
        self.assertIsNone(self.successResultOf(self.start(unit)))
        return unit


class ProcessUnitTests(ProcessCase):
    """One program as a unit."""

    def test_interface(self) -> None:
        """Unit and kind are what they say."""
        self.assertTrue(verifyObject(IUnit, self.unit()))
        self.assertTrue(verifyObject(IUnitKind, self.kind))
        self.assertTrue(verifyObject(IPlugin, self.kind))

    def test_up(self) -> None:
        """A program is up as soon as it is executed."""
        unit = self.up()
        child = self.spawner.child
        self.assertEqual(child.spec.argv, ("prog", "arg"))
        self.assertEqual(unit.status()["pid"], child.pid)
        self.assertEqual(self.left.notes, {"web": child.pid})
        self.assertEqual((child.spec.env or {})["TOKEN"], "web")
        self.successResultOf(unit.stop())

    def test_output(self) -> None:
        """What it writes is in the log named for the unit."""
        unit = self.up()
        self.spawner.child.output(b"hello\n")
        path = os.path.join(self.host.log_dir, "web.log")
        self.assertEqual(Path(path).read_bytes(), b"hello\n")
        self.assertEqual(unit.status()["log"], path)
        os.unlink(path)
        unit.reopen_logs()
        self.spawner.child.output(b"again\n")
        self.assertEqual(Path(path).read_bytes(), b"again\n")
        self.successResultOf(unit.stop())

    def test_lost(self) -> None:
        """Its end is told once, when nothing is left."""
        unit = self.up(success=(0, 3))
        self.spawner.child.exit(3)
        (loss,) = self.lost
        assert isinstance(loss, ProcessLost)
        self.assertEqual((loss.code, loss.success), (3, True))
        self.assertEqual(self.left.notes, {})
        self.assertIsNone(unit.status()["pid"])
        self.assertIsNone(self.successResultOf(unit.stop()))

    def test_lost_with_others(self) -> None:
        """What the program started is killed before its end is told."""
        self.spawner.on_signal = None
        self.up()
        child = self.spawner.child
        child.others = True
        child.exit(1)
        self.assertEqual((child.signals, self.lost), ([signal.SIGKILL], []))
        child.others_end()
        self.reactor.advance(0.01)
        self.assertEqual(len(self.lost), 1)

    def test_stop(self) -> None:
        """A stop says how the program ended, and is no loss."""
        unit = self.up(stop_signal="INT")
        how = self.successResultOf(unit.stop())
        assert isinstance(how, ProcessLost)
        self.assertEqual((how.signal, self.lost), (signal.SIGINT, []))
        self.assertEqual(self.left.notes, {})

    def test_stop_when_down(self) -> None:
        """A unit that is down can be stopped."""
        self.assertIsNone(self.successResultOf(self.unit().stop()))

    def test_abort(self) -> None:
        """An abort cuts the grace of a stop, and does nothing else."""
        self.spawner.on_signal = stubborn
        unit = self.up(grace=60.0)
        unit.abort()
        self.assertEqual(self.spawner.child.signals, [])
        stopping = unit.stop()
        self.assertNoResult(stopping)
        unit.abort()
        self.assertIsInstance(self.successResultOf(stopping), ProcessLost)

    def test_start_again(self) -> None:
        """After a loss it is started again."""
        unit = self.up()
        self.spawner.child.kill()
        self.successResultOf(self.start(unit))
        self.assertEqual(len(self.spawner.children), 2)
        self.successResultOf(unit.stop())
        self.assertEqual(len(self.lost), 1)

    def test_refused(self) -> None:
        """A program that cannot be executed fails the start."""
        self.spawner.fail_next()
        unit = self.unit(ready=Ready(delay=1.0))
        self.failureResultOf(self.start(unit), SpawnError)
        self.assertEqual(self.left.notes, {})
        self.assertEqual(self.lost, [])

    def test_no_env_file(self) -> None:
        """A file of variables that is missing fails the start."""
        starting = self.start(self.unit(env_file="/no/file"))
        self.failureResultOf(starting, SockhostError)
        self.assertEqual(self.spawner.children, [])

    def test_no_note(self) -> None:
        """A full disk is logged, and keeps no program down."""
        self.left.full = True
        unit = self.up()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.successResultOf(unit.stop())


class ReadyTests(ProcessCase):
    """A program that takes its time."""

    def test_ready(self) -> None:
        """The start fires when it is ready."""
        unit = self.unit(ready=Ready(delay=1.0))
        starting = self.start(unit)
        self.assertNoResult(starting)
        self.reactor.advance(1.0)
        self.assertIsNone(self.successResultOf(starting))
        self.successResultOf(unit.stop())

    def test_early_end(self) -> None:
        """A program that ends before it is ready fails the start at once."""
        starting = self.start(self.unit(ready=Ready(delay=1.0)))
        self.spawner.child.exit(0)
        error = self.failureResultOf(starting, ProcessLost).value
        self.assertEqual(str(error), "exited with code 0 before it was ready")
        assert isinstance(error, ProcessLost)
        self.assertFalse(error.success)
        self.assertEqual((self.lost, self.left.notes), ([], {}))

    def test_too_late(self) -> None:
        """A program that is not ready in time is stopped, then the start fails."""
        self.spawner.on_signal = stubborn
        unit = self.unit(ready=Ready(connect="unix:/s", timeout=1.0), grace=2.0)
        starting = self.start(unit)
        self.reactor.advance(1.0)
        self.assertNoResult(starting)
        self.reactor.advance(2.0)
        self.failureResultOf(starting, NotReady)
        self.assertIsNone(self.spawner.child.pid)

    def test_stop_meanwhile(self) -> None:
        """A stop during the start cancels it."""
        unit = self.unit(ready=Ready(delay=1.0))
        starting = self.start(unit)
        self.successResultOf(unit.stop())
        self.failureResultOf(starting, CancelledError)
        self.assertIsNone(self.spawner.child.pid)

    def test_cancel(self) -> None:
        """Cancelling the start ends the program too."""
        starting = self.start(self.unit(ready=Ready(delay=1.0)))
        starting.cancel()
        self.failureResultOf(starting, CancelledError)
        self.assertIsNone(self.spawner.child.pid)

    def test_oneshot(self) -> None:
        """A one-shot has ended as it is meant to when it succeeds."""
        starting = self.start(self.unit(oneshot=True, success=(0, 9)))
        self.assertNoResult(starting)
        self.spawner.child.exit(9)
        error = self.failureResultOf(starting, UnitLost).value
        assert isinstance(error, UnitLost)
        self.assertTrue(error.success)
        self.assertEqual(self.lost, [])

    def test_stopped_oneshot(self) -> None:
        """A one-shot can be stopped."""
        unit = self.unit(oneshot=True)
        starting = self.start(unit)
        self.successResultOf(unit.stop())
        self.failureResultOf(starting, CancelledError)


class LeftoverTests(ProcessCase):
    """A former host has left the program running."""

    def setUp(self) -> None:
        super().setUp()
        self.left.something_is_left = True

    def former(self) -> Deferred[bool]:
        """The reclaim that is under way."""
        assert self.left.reclaiming is not None
        return self.left.reclaiming

    def test_first(self) -> None:
        """It is ended before the program is executed again."""
        unit = self.unit()
        starting = self.start(unit)
        self.assertEqual(self.spawner.children, [])
        self.former().callback(True)
        self.assertIsNone(self.successResultOf(starting))
        self.successResultOf(unit.stop())

    def test_stop_meanwhile(self) -> None:
        """A stop waits for its end, and nothing is executed."""
        unit = self.unit()
        starting = self.start(unit)
        stopping = unit.stop()
        self.assertNoResult(stopping)
        self.former().callback(True)
        self.assertIsNone(self.successResultOf(stopping))
        self.failureResultOf(starting, CancelledError)
        self.assertEqual(self.spawner.children, [])

    def test_abort(self) -> None:
        """An abort cuts its grace too."""
        unit = self.unit()
        starting = self.start(unit)
        stopping = unit.stop()
        unit.abort()
        self.assertTrue(self.left.cut)
        self.assertIsNone(self.successResultOf(stopping))
        self.failureResultOf(starting, CancelledError)

    def test_immortal(self) -> None:
        """If it does not end, the program is not executed a second time."""
        starting = self.start(self.unit())
        self.former().errback(SockhostError("does not end"))
        self.failureResultOf(starting, SockhostError)
        self.assertEqual(self.spawner.children, [])

    def test_cancelled_start(self) -> None:
        """Cancelling a start detaches it from the end of what was left."""
        starting = self.start(self.unit())
        starting.cancel()
        self.failureResultOf(starting, CancelledError)
        self.former().callback(True)
        self.assertEqual(self.spawner.children, [])


class ReloadTests(ProcessCase):
    """A new configuration for a program that runs."""

    def test_live(self) -> None:
        """What concerns the stop and the log is taken at once."""
        unit = self.up()
        config = evolve(unit.config, stop_signal="QUIT", grace=1.0, log_backups=9)
        self.assertTrue(self.successResultOf(unit.reload(config)))
        self.successResultOf(unit.stop())
        self.assertEqual(self.spawner.child.signals, [signal.SIGQUIT])

    def test_restart(self) -> None:
        """Anything else needs a restart, and changes nothing yet."""
        unit = self.up()
        before = unit.config
        for change in ({"argv": ("other",)}, {"env": {"A": "1"}}, {"oneshot": True}):
            config = evolve(before, **change)
            self.assertFalse(self.successResultOf(unit.reload(config)))
        self.assertIs(unit.config, before)
        self.successResultOf(unit.stop())
