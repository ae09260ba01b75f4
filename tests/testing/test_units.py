"""
Tests for L{sockhost.testing.units}, beyond the contracts.
"""

from __future__ import annotations

import os

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import NoSuchUnit, UnitLost
from sockhost.status import Event
from sockhost.testing.units import MemoryUnit, MemoryUnitHost


class MemoryUnitTests(SynchronousTestCase):
    """Tests for L{MemoryUnit}."""

    def setUp(self) -> None:
        """Make a unit."""
        self.unit = MemoryUnit()
        self.lost: list[Failure] = []

    def test_hands(self) -> None:
        """Nothing happens until the test says so."""
        starting = self.unit.start(self.lost.append)
        self.assertNoResult(starting)
        self.unit.ready()
        self.assertIsNone(self.successResultOf(starting))
        how = UnitLost("killed")
        stopping = self.unit.stop()
        self.unit.stopped(how)
        self.assertIs(self.successResultOf(stopping), how)
        self.assertEqual(self.unit.calls, ["start", "stop"])

    def test_failures(self) -> None:
        """A start and a stop can be made to fail."""
        starting = self.unit.start(self.lost.append)
        self.unit.fail(OSError("no"))
        self.failureResultOf(starting, OSError)
        both = [self.unit.stop(), self.unit.stop()]
        self.unit.fail_stop(OSError("still there"))
        for each in both:
            self.failureResultOf(each, OSError)

    def test_overtaken(self) -> None:
        """A stop cancels the start under way."""
        starting = self.unit.start(self.lost.append)
        self.unit.stop()
        self.failureResultOf(starting, CancelledError)

    def test_reload(self) -> None:
        """What a reload comes to is for the test to say."""
        self.assertFalse(self.successResultOf(self.unit.reload("new")))
        self.unit.takes_reload = True
        self.assertTrue(self.successResultOf(self.unit.reload("new")))
        self.assertEqual(self.unit.config, "new")
        self.unit.takes_reload = ValueError("bad")
        self.failureResultOf(self.unit.reload("newer"), ValueError)

    def test_wrong_hand(self) -> None:
        """A hand that has nothing to do is a mistake of the test."""
        for hand in (self.unit.ready, self.unit.stopped):
            self.assertRaises(AssertionError, hand)
        self.assertRaises(AssertionError, self.unit.lose, UnitLost("x"))


class MemoryUnitHostTests(SynchronousTestCase):
    """Tests for L{MemoryUnitHost}."""

    def test_directories(self) -> None:
        """Its directories are there."""
        host = MemoryUnitHost(self.mktemp())
        for path in (host.run_dir, host.log_dir, host.config_dir):
            self.assertTrue(os.path.isdir(path), path)

    def test_events(self) -> None:
        """It keeps what is published."""
        host = MemoryUnitHost(self.mktemp())
        event = Event(at=1.0, event="strange")
        host.publish(event)
        self.assertEqual(host.events, [event])

    def test_use(self) -> None:
        """It gives what the test has put there, and names that otherwise."""
        host = MemoryUnitHost(self.mktemp())
        host.clients["store"] = store = object()
        self.assertIs(host.use("store"), store)
        error = self.assertRaises(NoSuchUnit, host.use, "stor")
        self.assertIn("store", str(error))
