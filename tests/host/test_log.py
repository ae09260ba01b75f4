# -*- test-case-name: tests.host.test_log -*-
"""
Tests for L{sockhost.host.log}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.host.log import HostLog
from tests.host.test_fakes import temporary


class HostLogTests(SynchronousTestCase):
    """The host's own log file."""

    def setUp(self) -> None:
        self.path = temporary(self) / "log" / "host.jsonl"
        self.publisher = LogPublisher()
        self.host_log = HostLog(str(self.path), self.publisher)
        self.log = Logger("test", observer=self.publisher)
        self.addCleanup(self.host_log._output.close)

    def lines(self) -> list[dict[str, Any]]:
        """Read what was written."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def test_interface(self) -> None:
        """The log knows it as an observer."""
        verifyObject(ILogObserver, self.host_log)

    def test_events(self) -> None:
        """Every event is a line of JSON with its fields."""
        self.host_log.start()
        self.log.info("{unit} is {state}", unit="kv", state="up")
        self.log.warn("two\nlines of {text}", text="é")
        first, second = self.lines()
        self.assertEqual((first["unit"], first["state"]), ("kv", "up"))
        self.assertEqual(first["log_format"], "{unit} is {state}")
        self.assertEqual(second["text"], "é")

    def test_level(self) -> None:
        """What is less important than was asked for is left out."""
        self.host_log.start()
        self.log.debug("small talk")
        self.log.info("news")
        self.assertEqual([one["log_format"] for one in self.lines()], ["news"])
        self.host_log.stop()
        other = HostLog(str(self.path), self.publisher, level="debug")
        other.start()
        self.addCleanup(other.stop)
        self.log.debug("small talk")
        self.assertEqual(len(self.lines()), 2)

    def test_failure(self) -> None:
        """A failure is written too, whatever it holds."""
        self.host_log.start()
        self.log.failure("broken", Failure(ValueError(object())))
        (line,) = self.lines()
        self.assertIn("log_failure", line)

    def test_only_between(self) -> None:
        """What happens before C{start} and after C{stop} is not written."""
        self.log.info("before")
        self.host_log.start()
        self.log.info("between")
        self.host_log.stop()
        self.log.info("after")
        self.assertEqual([line["log_format"] for line in self.lines()], ["between"])

    def test_reopen(self) -> None:
        """After a rotation from outside, the file of that name gets the rest."""
        self.host_log.start()
        self.log.info("old")
        moved = self.path.rename(self.path.with_name("moved"))
        self.log.info("still old")
        self.host_log.reopen()
        self.log.info("new")
        self.assertEqual(len(moved.read_text().splitlines()), 2)
        self.assertEqual([line["log_format"] for line in self.lines()], ["new"])

    def test_unwritable(self) -> None:
        """A log that cannot be written is no reason for anything to fail."""
        blocked = temporary(self) / "blocked"
        blocked.write_text("a file where the directory should be")
        host_log = HostLog(str(blocked / "host.jsonl"), self.publisher)
        host_log.start()
        self.log.info("lost")
        host_log.stop()
        self.assertEqual(blocked.read_text(), "a file where the directory should be")
