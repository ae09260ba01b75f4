# -*- test-case-name: tests.workers.test_log -*-
"""
Tests for L{sockhost.workers.log}.
"""

from __future__ import annotations

import io

from twisted.logger import ILogObserver, Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.workers.log import WorkerLog


class WorkerLogTests(SynchronousTestCase):
    """What a worker writes of what it logs."""

    def setUp(self) -> None:
        self.stream = io.StringIO()

    def said(self, level: str = "info") -> list[str]:
        """Log something of each kind, and read it without the times."""
        written = WorkerLog(self.stream, "kv worker 1", level)
        verifyObject(ILogObserver, written)
        log = Logger("my.handler", observer=written)
        log.debug("small talk")
        log.info("{what} happened", what="it")
        log.error("help")
        written.label = "kv worker 2"
        try:
            raise ZeroDivisionError("told in full")
        except ZeroDivisionError:
            log.failure("it broke")
        written({"log_text": "from elsewhere"})
        lines = self.stream.getvalue().splitlines()
        return [line.partition(" ")[2] for line in lines if "[" in line]

    def test_labelled(self) -> None:
        """Each event has the name of the process, and what is less is left out."""
        self.assertEqual(
            self.said()[:3],
            [
                "[kv worker 1 my.handler#info] it happened",
                "[kv worker 1 my.handler#error] help",
                "[kv worker 2 my.handler#critical] it broke",
            ],
        )
        self.assertIn("ZeroDivisionError: told in full", self.stream.getvalue())

    def test_level(self) -> None:
        """How much is written is chosen."""
        self.assertIn("#debug] small talk", self.said("debug")[0])
        self.stream.truncate(0)
        self.assertIn("#error] help", self.said("error")[0])
