# -*- test-case-name: tests.functional.test_supervise -*-
"""Units made of real processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.interfaces import NotReady, ProcessLost, SpawnError, UnitLost
from sockhost.processes import Spawner
from sockhost.processes.child import live_pids
from sockhost.processes.leftovers import Leftovers
from sockhost.processes.output import tail
from sockhost.processes.procfs import group_members
from sockhost.status import Event
from sockhost.supervise.cron import CronConfig, CronKind
from sockhost.supervise.events import CommandNotifier
from sockhost.supervise.notify import NotifySocket
from sockhost.supervise.process import ProcessConfig, ProcessKind, ProcessUnit
from sockhost.supervise.ready import Ready
from sockhost.testing.units import MemoryUnitHost
from tests.functional.traces import without_collector

reactor: Any = global_reactor

NOTIFIER = """
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"STATUS=warming up")
time.sleep(0.05)
s.send(b"READY=1\\nSTATUS=serving")
time.sleep(60)
"""
LISTENER = """
import socket, sys, time
time.sleep(0.1)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
time.sleep(60)
"""


def _value(failure: Failure) -> BaseException:
    assert failure.value is not None
    return failure.value


class SuperviseCase(TestCase):
    """Has a host, and leaves nothing behind."""

    timeout = 100

    async def setUp(self) -> None:  # type: ignore[override]
        without_collector(self)
        await deferLater(reactor, 0)  # so that the reactor has its own descriptors
        directory = tempfile.mkdtemp(prefix="sockhost-")  # short, for sockets
        self.host = MemoryUnitHost(directory, reactor=reactor)
        self.addCleanup(self._remove, directory)
        self.before = self.descriptors()
        self.lost: Deferred[BaseException] = Deferred()

    def unit(self, *argv: str, **options: Any) -> ProcessUnit:
        """Make a unit that is stopped in the end."""
        config = ProcessConfig(argv=argv, **options)
        unit = ProcessKind().make("web", config, self.host)
        self.addCleanup(self._end, unit)
        return unit

    def shell(self, script: str, **options: Any) -> ProcessUnit:
        """Make a unit of a shell script."""
        return self.unit("/bin/sh", "-c", script, **options)

    def start(self, unit: ProcessUnit) -> Deferred[None]:
        """Start a unit."""
        return unit.start(lambda failure: self.lost.callback(_value(failure)))

    async def refused(self, unit: ProcessUnit, kind: type[Exception]) -> Any:
        """Start a unit that cannot be started."""
        try:
            await self.start(unit)
        except kind as error:
            return error
        raise AssertionError("it was started")

    def log(self) -> bytes:
        """What the unit has written."""
        return tail(os.path.join(self.host.log_dir, "web.log"), 1000)

    def descriptors(self) -> int:
        """Count the open descriptors of this process."""
        return len(os.listdir("/proc/self/fd"))

    async def until_log(self, text: bytes) -> None:
        """Wait until the unit has written something."""
        while text not in self.log():
            await deferLater(reactor, 0.01)

    async def _end(self, unit: ProcessUnit) -> None:
        stopping = unit.stop()
        unit.abort()
        await stopping
        self.assertEqual(live_pids, set())
        self.assertIsNone(Leftovers(self.host.run_dir).read("web"))

    def _remove(self, directory: str) -> None:
        shutil.rmtree(directory)


class ProcessTests(SuperviseCase):
    """The kind C{process}."""

    async def test_up_and_down(self) -> None:
        """A program is up when it is executed, and gone after a stop."""
        unit = self.shell("echo hello; exec sleep 60")
        await self.start(unit)
        pid = unit.status()["pid"]
        assert isinstance(pid, int)
        await self.until_log(b"hello\n")
        how = await unit.stop()
        assert isinstance(how, ProcessLost)
        self.assertEqual((how.code, how.signal), (None, signal.SIGTERM))
        self.assertEqual(group_members(pid), [])
        self.assertIsNone(unit.status()["pid"])

    async def test_killed(self) -> None:
        """A program that is killed is lost, with its grandchildren and output."""
        unit = self.shell("sleep 60 & echo up; wait")
        await self.start(unit)
        await self.until_log(b"up")
        pid = unit.status()["pid"]
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)
        loss = await self.lost
        assert isinstance(loss, ProcessLost)
        self.assertEqual((str(loss), loss.signal), ("ended by SIGKILL", 9))
        self.assertEqual(group_members(pid), [])
        self.assertEqual(self.descriptors(), self.before)

    async def test_restarts(self) -> None:
        """It can be started again and again, and nothing grows."""
        unit = self.shell("exec sleep 60")
        for _ in range(20):
            self.lost = Deferred()
            await self.start(unit)
            pid = unit.status()["pid"]
            assert isinstance(pid, int)
            os.kill(pid, signal.SIGKILL)
            await self.lost
        self.assertEqual(self.descriptors(), self.before)

    async def test_daemon_does_not_delay(self) -> None:
        """A daemon that keeps the output open does not delay the loss."""
        unit = self.shell("setsid sleep 20 & echo $!; exit 3")
        await self.start(unit)
        began = reactor.seconds()
        loss = await self.lost
        self.assertLess(reactor.seconds() - began, 15)
        assert isinstance(loss, ProcessLost)
        self.assertEqual(loss.code, 3)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self.log()), signal.SIGKILL)

    async def test_stubborn(self) -> None:
        """What ignores the signal, and its children, are killed after the grace."""
        script = (
            "trap '' TERM; sh -c \"trap '' TERM; sleep 60\" & echo up; wait; sleep 60"
        )
        unit = self.shell(script, grace=0.1)
        await self.start(unit)
        await self.until_log(b"up")
        pid = unit.status()["pid"]
        assert isinstance(pid, int)
        how = await unit.stop()
        assert isinstance(how, ProcessLost)
        self.assertEqual(how.signal, signal.SIGKILL)
        self.assertEqual(group_members(pid), [])

    async def test_straggler(self) -> None:
        """A grandchild that ignores the signal does not outlive its parent long."""
        unit = self.shell("sh -c \"trap '' TERM; echo up; sleep 60\" & wait")
        await self.start(unit)
        await self.until_log(b"up")
        pid = unit.status()["pid"]
        assert isinstance(pid, int)
        await unit.stop()
        self.assertEqual(group_members(pid), [])

    async def test_abort(self) -> None:
        """An abort cuts the grace."""
        unit = self.shell("trap '' TERM; echo up; while :; do sleep 1; done", grace=60)
        await self.start(unit)
        await self.until_log(b"up")
        stopping = unit.stop()
        unit.abort()
        self.assertIsInstance(await stopping, ProcessLost)

    async def test_no_program(self) -> None:
        """A program that is not there fails the start with errno and path."""
        unit = self.unit("/no/such/program")
        error = await self.refused(unit, SpawnError)
        self.assertEqual((error.errno, error.path), (2, "/no/such/program"))

    async def test_oneshot(self) -> None:
        """A one-shot ends as it is meant to when it succeeds."""
        unit = self.shell("exit 0", oneshot=True)
        error = await self.refused(unit, UnitLost)
        self.assertTrue(error.success)

    async def test_oneshot_that_fails(self) -> None:
        """A one-shot that fails has not ended as it is meant to."""
        unit = self.shell("exit 4", oneshot=True)
        error = await self.refused(unit, ProcessLost)
        self.assertEqual((error.success, error.code), (False, 4))

    async def test_environment(self) -> None:
        """The unit's name and variables are in the environment."""
        unit = self.shell("echo $SOCKHOST_UNIT $A; exec sleep 60", env={"A": "1"})
        await self.start(unit)
        await self.until_log(b"web 1\n")
        self.assertEqual(self.log(), b"web 1\n")

    async def test_killed_host(self) -> None:
        """What a killed host left of the unit is ended before it starts again."""
        former = self.shell("sleep 60 & echo up; wait")
        await self.start(former)
        await self.until_log(b"up")
        pid = former.status()["pid"]
        assert isinstance(pid, int)
        left = Leftovers(self.host.run_dir)
        self.assertEqual(len(left.living("web")), 2)
        unit = self.shell("exec sleep 60", stop_signal="KILL")
        await unit.start(lambda _: None)
        self.assertEqual(group_members(pid), [])
        self.assertEqual(
            Leftovers(self.host.run_dir).living("web"), [unit.status()["pid"]]
        )
        await self.lost


class ReadyTests(SuperviseCase):
    """When a program is ready."""

    async def test_connect(self) -> None:
        """It is ready when it accepts a connection."""
        path = os.path.join(self.host.run_dir, "s")
        ready = Ready(connect=f"unix:{path}", interval=0.01)
        unit = self.unit(sys.executable, "-c", LISTENER, path, ready=ready)
        await self.start(unit)
        self.assertTrue(os.path.exists(path))

    async def test_connect_tcp(self) -> None:
        """It is ready when it accepts a connection by TCP."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            port = listening.getsockname()[1]
            unit = self.shell("sleep 60", ready=Ready(connect=f"tcp:127.0.0.1:{port}"))
            await self.start(unit)
            self.assertIsNotNone(unit.status()["pid"])

    async def test_notify_place(self) -> None:
        """Every user can get to the socket, whatever the umask, and what stands
        in its place is not given away."""
        self.addCleanup(os.umask, os.umask(0o077))
        path = os.path.join(self.host.run_dir, "notify", "web")
        notify = NotifySocket(reactor, path)
        notify.open()
        self.addCleanup(notify.close)
        mode = os.stat(os.path.dirname(path)).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o711)
        given: list[dict[str, bool]] = []
        self.patch(os, "chown", lambda *_args, **how: given.append(how))
        notify.close()
        notify.open(1000)
        self.assertEqual(given, [{"follow_symlinks": False}])

    async def test_notify(self) -> None:
        """It is ready when it says so, and may say how it is besides."""
        unit = self.unit(sys.executable, "-c", NOTIFIER, ready=Ready(notify=True))
        await self.start(unit)
        self.assertEqual(unit.status()["notified"], "serving")
        await unit.stop()
        self.assertEqual(os.listdir(os.path.join(self.host.run_dir, "notify")), [])
        self.assertEqual(self.descriptors(), self.before)

    async def test_delay(self) -> None:
        """It is ready when it has run for a while."""
        unit = self.shell("sleep 60", ready=Ready(delay=0.1))
        began = reactor.seconds()
        await self.start(unit)
        self.assertGreaterEqual(reactor.seconds() - began, 0.09)

    async def test_exit_before(self) -> None:
        """A program that ends before it is ready fails the start at once."""
        ready = Ready(connect="unix:/nowhere", timeout=20)
        unit = self.shell("exit 5", ready=ready)
        error = await self.refused(unit, ProcessLost)
        self.assertEqual(error.code, 5)
        self.assertEqual(str(error), "exited with code 5 before it was ready")

    async def test_never(self) -> None:
        """A program that is not ready in time is stopped."""
        unit = self.shell("exec sleep 60", ready=Ready(connect="unix:/no", timeout=0.1))
        await self.refused(unit, NotReady)
        self.assertEqual(live_pids, set())

    async def test_stop_meanwhile(self) -> None:
        """A stop during the start ends both."""
        unit = self.shell("exec sleep 60", ready=Ready(connect="unix:/nowhere"))
        starting = self.assertFailure(self.start(unit), CancelledError)
        await deferLater(reactor, 0.02)
        await unit.stop()
        await starting
        self.assertEqual(self.descriptors(), self.before)


class CronTests(SuperviseCase):
    """The kind C{cron}."""

    async def test_run(self) -> None:
        """The program is run when its time has come, and its output kept."""
        now = [1_800_000_000.0 - 0.05]  # a full hour
        config = CronConfig(
            argv=("/bin/sh", "-c", "echo run; exit 2"), schedule="0 * * * *"
        )
        began = reactor.seconds()
        wall = lambda: now[0] + reactor.seconds() - began  # noqa: E731
        unit = CronKind(wall=wall).make("web", config, self.host)
        self.addCleanup(unit.stop)
        await unit.start(lambda _: None)
        while not any(event.event == "run-ended" for event in self.host.events):
            await deferLater(reactor, 0.01)
        self.assertEqual(self.log(), b"run\n")
        self.assertEqual(unit.status()["last_exit"], "exited with code 2")
        self.assertEqual(self.descriptors(), self.before)


class CommandNotifierTests(SuperviseCase):
    """Commands that are told of events."""

    async def test_command(self) -> None:
        """The command gets the event as JSON."""
        path = os.path.join(self.host.run_dir, "told")
        notifier = CommandNotifier(
            reactor=reactor,
            spawner=Spawner(reactor),
            argv=("/bin/sh", "-c", f"cat > {path}.new; mv {path}.new {path}"),
        )
        notifier.notify(Event(at=1.0, event="exit", unit="web", fields={"code": 3}))
        while not os.path.exists(path) or live_pids:
            await deferLater(reactor, 0.01)
        with open(path) as file:
            told = json.load(file)
        self.assertEqual(
            told, {"at": 1.0, "event": "exit", "unit": "web", "fields": {"code": 3}}
        )
