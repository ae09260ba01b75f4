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
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.host.exit import ExitStatus
from sockhost.host.lock import run_dir_lock
from sockhost.host.signals import TooEarly
from sockhost.host.start import Start
from sockhost.tap import HostService, Options, makeService
from tests.host.test_fakes import temporary


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
            (("-c", "a", "--watch-pid", "4294967297"), "is not a process id"),
            (("-c", "a", "--startup-fd", "4294967297"), "number of a descriptor"),
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
