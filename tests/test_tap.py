# -*- test-case-name: tests.test_tap -*-
"""
Tests for L{sockhost.tap}.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost import tap
from sockhost.host.exit import ExitStatus
from sockhost.host.lock import run_dir_lock
from sockhost.host.notify import DaemonPipe
from sockhost.host.signals import TooEarly
from sockhost.interfaces import ConfigError, HostLocked, INotifier, StartupFailed
from sockhost.status import Event
from sockhost.tap import HostService, Options, SettleMemory, Start, makeService
from tests.host.test_fakes import FakeReactor, temporary


class TapCase(SynchronousTestCase):
    """What is said on stderr, and with which status a process leaves."""

    def setUp(self) -> None:
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)
        for signum in (signal.SIGUSR1, signal.SIGHUP):
            before = signal.signal(signum, signal.SIG_DFL)
            self.addCleanup(signal.signal, signum, before)

    def leaves(self, what: Any, *args: Any) -> tuple[int, str]:
        """Have something leave the process, with a message."""
        with self.assertRaises(SystemExit) as raised:
            what(*args)
        said, self.stderr = self.stderr.getvalue(), io.StringIO()
        self.patch(sys, "stderr", self.stderr)
        return int(raised.exception.code or 0), said


class OptionsTests(TapCase):
    """The command line of C{twistd sockhost}."""

    def parse(self, *words: str) -> Options:
        """Read a command line."""
        options = Options()
        options.parseOptions(words)
        return options

    def test_all(self) -> None:
        """Every option arrives as what it stands for."""
        options = self.parse(
            *("--config", "a.toml", "--run-dir", "run", "--strict"),
            *("--startup-fd", "2", "--watch-pid", "17"),
        )
        self.assertEqual(
            options.start(),
            Start(
                config="a.toml",
                run_dir="run",
                strict=True,
                startup_fd=2,
                watch_pid=17,
            ),
        )

    def test_defaults(self) -> None:
        """All but the file may be left out."""
        self.assertEqual(self.parse("-c", "a.toml").start(), Start(config="a.toml"))

    def test_wrong(self) -> None:
        """A wrong command line is status 64 and says what is wrong."""
        for words, said in (
            ((), "--config FILE is needed"),
            (("-c", "a", "--startup-fd", "x"), "'x' is not the number of a descriptor"),
            (("-c", "a", "--startup-fd", "-1"), "'-1' is not the number of"),
            (("-c", "a", "--startup-fd", "99999"), "descriptor 99999 is not open"),
            (("-c", "a", "--watch-pid", "0"), "'0' is not a process id"),
            (("-c", "a", "--no-such-option"), "no-such-option"),
            (("-c", "a", "word"), "Wrong number of arguments"),
        ):
            code, text = self.leaves(self.parse, *words)
            self.assertEqual(code, ExitStatus.USAGE, words)
            self.assertIn(said, text)

    def test_pid_file(self) -> None:
        """Twistd's own pid file is done without, unless it is asked for."""
        for given, kept in (("twistd.pid", ""), ("/run/my.pid", "/run/my.pid")):
            options = Options()
            options.parent = parent = {"pidfile": given}  # type: ignore[assignment]
            options.parseOptions(["-c", "a.toml"])
            self.assertEqual(parent["pidfile"], kept)

    def test_statuses(self) -> None:
        """The help names every exit status of a host."""
        for status in ExitStatus:
            self.assertIn(f" {int(status)} ", Options.longdesc)


class MakeServiceTests(TapCase):
    """From a command line to a service."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = temporary(self)
        self.config = self.directory / "sockhost.toml"

    def options(self, text: str, *more: str) -> Options:
        """Read a command line for a configuration."""
        self.config.write_text(text)
        options = Options()
        options.parseOptions(["-c", str(self.config), *more])
        return options

    def test_bad(self) -> None:
        """A bad configuration is status 78, with each problem on stderr."""
        options = self.options("[host]\nrun_dri = 'x'\nname = 3\n")
        code, said = self.leaves(makeService, options)
        self.assertEqual(code, ExitStatus.CONFIG)
        for word in ("sockhost: ", str(self.config), "run_dri", "host.name"):
            self.assertIn(word, said)

    def test_absent(self) -> None:
        """A file that is not there is a bad configuration."""
        options = self.options("")
        self.config.unlink()
        code, said = self.leaves(makeService, options)
        self.assertEqual(code, ExitStatus.CONFIG)
        self.assertIn(str(self.config), said)

    def test_bad_unit(self) -> None:
        """A bad unit is one only where strictness was asked for."""
        text = "[unit.a]\nkind = 'no such kind'\n"
        self.assertIsInstance(makeService(self.options(text)), HostService)
        code, _ = self.leaves(makeService, self.options(text, "--strict"))
        self.assertEqual(code, ExitStatus.CONFIG)

    def test_nothing_yet(self) -> None:
        """Making the service opens and starts nothing."""
        service = makeService(self.options(""))
        verifyObject(IService, service)
        self.assertIsNone(service.status)
        self.assertEqual(os.listdir(self.directory), ["sockhost.toml"])

    def test_early_signals(self) -> None:
        """A signal for a host that is only being made does not end the process."""
        makeService(self.options(""))
        for signum in (signal.SIGUSR1, signal.SIGHUP):
            self.assertIsInstance(signal.getsignal(signum), TooEarly)

    def test_make_host(self) -> None:
        """What the host starts cannot speak to systemd in its place."""
        self.config.write_text(f"[host]\nrun_dir = '{self.directory}/run'\n")
        self.patch(os, "environ", {**os.environ, "NOTIFY_SOCKET": "/run/notify"})
        start = Start(config=str(self.config), run_dir=str(self.directory / "other"))
        reactor: Any = FakeReactor()
        host = start.make_host(reactor, start.read(), DaemonPipe())
        self.assertEqual(host.run_dir, str(self.directory / "other"))
        self.assertNotIn("NOTIFY_SOCKET", os.environ)

    def test_read_again(self) -> None:
        """A host that runs takes no file with a bad unit in it."""
        self.config.write_text("[unit.a]\nkind = 'no such kind'\n")
        start = Start(config=str(self.config))
        self.assertEqual(len(start.read().quarantined), 1)
        with self.assertRaises(ConfigError):
            start.read_again()

    def test_rehearsed(self) -> None:
        """Units are made in advance for those only who ask to know all before."""
        made: list[Any] = []

        def rehearse(config: Any, *_more: Any) -> tuple[Any, ...]:
            made.append(config)
            return ()

        self.patch(tap, "rehearse", rehearse)
        self.config.write_text("[unit.a]\nkind = 'tap'\ntap = 'web'\n")
        start = Start(config=str(self.config))
        start.read()
        start.read_again()
        self.assertEqual(made, [])
        Start(config=str(self.config), strict=True).read()
        self.config.write_text("[host]\nstrict = true\n")
        start.read()
        self.assertEqual(len(made), 2)

    def test_clash(self) -> None:
        """Two sockets in one place are seen without making units."""
        table = "kind = 'socket'\npath = 'a.sock'\nhandler = 'a:B'\n"
        self.config.write_text(f"[unit.a]\n{table}[unit.b]\n{table}")
        with self.assertRaises(ConfigError) as raised:
            Start(config=str(self.config)).read_again()
        self.assertIn("unit a is there", str(raised.exception))

    def test_run_dir(self) -> None:
        """A run directory that others hold or can write is refused at once."""
        run_dir = self.directory / "run"
        options = self.options(f"[host]\nrun_dir = '{run_dir}'\n")
        lock = run_dir_lock(str(run_dir))
        lock.acquire()
        self.addCleanup(lock.release)
        code, said = self.leaves(makeService, options)
        self.assertEqual(code, ExitStatus.LOCKED)
        self.assertIn(f"process {os.getpid()}", said)
        run_dir.chmod(0o777)
        code, said = self.leaves(makeService, options)
        self.assertEqual(code, ExitStatus.STARTUP_FAILED)
        self.assertIn(f"{run_dir} is not safe to use", said)

    def test_other_user(self) -> None:
        """What another user or root will find there is for them to see."""
        run_dir = self.directory / "run"
        run_dir.mkdir()
        run_dir.chmod(0o777)
        options = self.options(f"[host]\nrun_dir = '{run_dir}'\n")
        for word, value in (("uid", 0), ("gid", 0), ("chroot", "/")):
            options.parent = {word: value}  # type: ignore[assignment]
            self.assertIsInstance(makeService(options), HostService)


class SettleMemoryTests(SynchronousTestCase):
    """What becomes of the objects of a host that is ready."""

    def test_ready(self) -> None:
        """They are collected once and then left alone, and not before."""
        calls: list[str] = []
        settle = SettleMemory(
            lambda: calls.append("collect"), lambda: calls.append("freeze")
        )
        verifyObject(INotifier, settle)
        settle.notify(Event(at=1.0, event="state", unit="kv"))
        self.assertEqual(calls, [])
        settle.notify(Event(at=2.0, event="ready"))
        self.assertEqual(calls, ["collect", "freeze"])


class FakeHost:
    """
    A host that ends when the test says so.

    @ivar locked: raised by C{acquire}.
    """

    def __init__(self, parent: DaemonPipe) -> None:
        self.parent = parent
        self.calls: list[str] = []
        self.locked: Exception | None = None
        self.ended: Deferred[ExitStatus] = Deferred()

    def acquire(self) -> None:
        self.calls.append("acquire")
        if self.locked is not None:
            raise self.locked

    def run(self) -> Deferred[ExitStatus]:
        self.calls.append("run")
        return self.ended

    def shutdown(self, asked_by: str) -> None:
        self.calls.append(f"shutdown: {asked_by}")


class FakeRunning(FakeReactor):
    """A reactor that can be run and stopped, once."""

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self.stopped = 0
        self.waiting: list[Any] = []

    def callWhenRunning(self, what: Any) -> None:
        self.waiting.append(what)

    def run(self) -> None:
        """Begin."""
        self.running = True
        for what in self.waiting:
            what()

    def stop(self) -> None:
        """Stop, which takes as long as somebody has something to do."""
        if self.stopped:
            raise ReactorNotRunning("Can't stop reactor that isn't running.")
        self.stopped += 1


class HostServiceTests(TapCase):
    """A host under C{twistd}."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = FakeRunning()
        self.hosts: list[FakeHost] = []
        self.locked: Exception | None = None
        self.left: list[int] = []
        self.patch(tap, "leave_with", self.left.append)
        self.twistd: dict[str, Any] = {}
        self.service = HostService(self.make_host, self.reactor, self.twistd)

    def make_host(self, parent: DaemonPipe) -> Any:
        """Make a host that the test turns by hand."""
        host = FakeHost(parent)
        host.locked = self.locked
        self.hosts.append(host)
        return host

    def run_it(self) -> FakeHost:
        """Have the host run."""
        self.service.startService()
        self.reactor.run()
        return self.hosts[0]

    def test_start(self) -> None:
        """The lock is taken at once; the host lives when the reactor runs."""
        self.assertEqual(self.hosts, [])
        self.service.startService()
        self.assertEqual(self.hosts[0].calls, ["acquire"])
        self.reactor.run()
        self.assertEqual(self.hosts[0].calls, ["acquire", "run"])
        self.assertTrue(self.service.running)

    def test_status_pipe(self) -> None:
        """The pipe to the waiting parent is the host's from now on."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.twistd["statusPipe"] = writer
        self.service.startService()
        self.assertEqual(self.twistd, {})
        os.set_blocking(reader, False)
        with self.assertRaises(BlockingIOError):
            os.read(reader, 100)
        self.hosts[0].parent.ready()
        self.assertEqual(os.read(reader, 100), b"0")

    def test_locked(self) -> None:
        """A second host leaves with 73, and tells stderr and the parent who."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.twistd["statusPipe"] = writer
        self.locked = HostLocked("/run/sockhost.pid", 17)
        code, said = self.leaves(self.service.startService)
        self.assertEqual(code, ExitStatus.LOCKED)
        self.assertIn("process 17", said)
        self.assertIn(
            b"1 a host already runs here: process 17 holds", os.read(reader, 100)
        )
        self.assertEqual(self.reactor.waiting, [])

    def test_cannot_lock(self) -> None:
        """A run directory that cannot be used is status 70, and told as well."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.twistd["statusPipe"] = writer
        self.locked = PermissionError(13, "Permission denied", "/run/sockhost.pid")
        code, said = self.leaves(self.service.startService)
        self.assertEqual(code, ExitStatus.STARTUP_FAILED)
        self.assertIn("/run/sockhost.pid", said)
        self.assertIn(b"1 ", os.read(reader, 100))

    def test_untrusted(self) -> None:
        """So is one that is not to be trusted."""
        self.locked = StartupFailed("/run is not safe to use")
        code, said = self.leaves(self.service.startService)
        self.assertEqual(code, ExitStatus.STARTUP_FAILED)
        self.assertEqual(said, "sockhost: /run is not safe to use\n")

    def test_ends(self) -> None:
        """The end of the host is the end of the reactor, with its status."""
        host = self.run_it()
        host.ended.callback(ExitStatus.UNIT_FAILED)
        self.assertEqual(self.service.status, ExitStatus.UNIT_FAILED)
        self.assertEqual((self.reactor.stopped, self.left), (1, [75]))
        self.assertIsNone(self.service.stopService())
        self.assertEqual(host.calls, ["acquire", "run"])

    def test_stop(self) -> None:
        """A reactor that something else stops waits for the host."""
        host = self.run_it()
        self.reactor.stop()
        stopping = self.service.stopService()
        assert stopping is not None
        self.assertEqual(host.calls[-1], "shutdown: the reactor stops")
        self.assertNoResult(stopping)
        host.ended.callback(ExitStatus.CLEAN)
        self.successResultOf(stopping)
        self.assertEqual((self.reactor.stopped, self.left), (1, [0]))
        self.successResultOf(host.ended)

    def test_stop_before_start(self) -> None:
        """A service that was never started has nothing to stop."""
        self.assertIsNone(self.service.stopService())
