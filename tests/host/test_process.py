# -*- test-case-name: tests.host.test_process -*-
"""
Tests for L{sockhost.host.process}.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from sockhost.host import process as process_module
from sockhost.host.process import HostProcess
from sockhost.host.signals import Signals
from sockhost.interfaces import StartupFailed
from tests.host.test_case import FakeReaper
from tests.host.test_fakes import FakeReactor, temporary


class HostProcessTests(SynchronousTestCase):
    """What a host takes over, and gives back."""

    log = Logger()

    def setUp(self) -> None:
        self.log_dir = temporary(self) / "run" / "log"
        self.reaper = FakeReaper()
        self.patch(process_module, "OrphanReaper", self.reaper)
        self.subreaper: list[bool] = []
        self.table: dict[int, Any] = {}
        self.heard: list[str] = []

    def make(self, signals: bool = True) -> HostProcess:
        """Make one, with the system's part played by hand."""
        reactor: Any = FakeReactor()
        listening = Signals(reactor, self.install) if signals else None
        return HostProcess(
            reactor, str(self.log_dir), listening, subreaper=self.subreaper.append
        )

    def install(self, signum: int, handler: Any) -> Any:
        """Stand in for L{signal.signal}."""
        before = self.table.get(signum, "before")
        self.table[signum] = handler
        return before

    def take(self, process: HostProcess) -> None:
        """Take it all over."""
        process.take({signal.SIGTERM: lambda: self.heard.append("term")})

    def test_making(self) -> None:
        """Making it takes nothing."""
        self.make()
        self.assertFalse(self.log_dir.exists())
        self.assertEqual((self.table, self.subreaper), ({}, []))
        self.assertEqual(self.reaper.installed, 0)

    def test_take(self) -> None:
        """Signals, orphans and the log are the host's."""
        process = self.make()
        self.take(process)
        self.addCleanup(process.give_back)
        self.log.info("for the log")
        self.table[signal.SIGTERM](signal.SIGTERM, None)
        self.assertEqual(self.heard, ["term"])
        self.assertEqual((self.reaper.installed, self.subreaper), (1, [True]))
        self.assertIn("for the log", (self.log_dir / "host.jsonl").read_text())
        self.assertEqual(self.log_dir.stat().st_mode & 0o027, 0)

    def test_give_back(self) -> None:
        """Everything is as it was, but for the log."""
        process = self.make()
        self.take(process)
        process.give_back()
        self.log.info("too late")
        self.assertEqual(self.table, {signal.SIGTERM: "before"})
        self.assertEqual((self.reaper.installed, self.subreaper), (0, [True, False]))
        log = self.log_dir / "host.jsonl"
        self.assertFalse(log.exists() and "too late" in log.read_text())

    def test_signals_left(self) -> None:
        """A host in somebody else's process leaves the signals to them."""
        process = self.make(signals=False)
        self.take(process)
        process.give_back()
        self.assertEqual(self.table, {})

    def test_reopen(self) -> None:
        """The log goes on in the file that now has its name."""
        process = self.make()
        self.take(process)
        self.addCleanup(process.give_back)
        self.log.info("old")
        path = self.log_dir / "host.jsonl"
        path.rename(self.log_dir / "moved")
        process.reopen_log()
        self.log.info("new")
        self.assertNotIn("old", path.read_text())
        self.assertIn("new", path.read_text())

    def test_no_directory(self) -> None:
        """Where the log directory cannot be made, nothing is taken."""
        self.log_dir.parent.write_text("a file where the directory should be")
        process = self.make()
        with self.assertRaises(StartupFailed):
            self.take(process)
        process.give_back()
        self.assertEqual((self.table, self.subreaper), ({}, []))
        self.assertEqual(self.reaper.installed, 0)
