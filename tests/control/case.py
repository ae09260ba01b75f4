"""
A test case with a control API, which reads the record of who did what.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.control.wire import MemoryControl


class APITestCase(SynchronousTestCase):
    """Has an API, and reads the record of who did what."""

    def setUp(self) -> None:
        """Make an API and listen to the log."""
        self.control = MemoryControl()
        self.host = self.control.host
        self.events: list[Any] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def record(self) -> list[tuple[str, str, str]]:
        """What was written down: verb, target, outcome."""
        return [
            (event["verb"], event["target"], event["outcome"])
            for event in self.events
            if "outcome" in event
        ]

    def assert_nothing_left(self) -> None:
        """No timer, no subscription, no stream."""
        self.assertEqual(self.control.clock.getDelayedCalls(), [])
        self.assertEqual(self.host.notifiers, [])
        self.assertEqual(self.control.api._streams, set())
