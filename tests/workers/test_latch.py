"""
Tests for L{sockhost.workers.latch}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.workers.latch import Latch, time_limit


class LatchTests(SynchronousTestCase):
    """
    Tests for L{Latch}.
    """

    def test_close_fires_all(self) -> None:
        """All that wait are told, and so are those that come later."""
        latch = Latch()
        waiting = [latch.wait(), latch.wait()]
        self.assertNoResult(waiting[0])
        latch.close()
        latch.close()
        for each in (*waiting, latch.wait()):
            self.assertIsNone(self.successResultOf(each))
        self.assertTrue(latch.closed)

    def test_cancel(self) -> None:
        """One that is cancelled does not wait any more; the others do."""
        latch = Latch()
        one, other = latch.wait(), latch.wait()
        one.addErrback(lambda failure: None)
        one.cancel()
        latch.close()
        self.assertIsNone(self.successResultOf(other))


class TimeLimitTests(SynchronousTestCase):
    """
    Tests for L{time_limit}.
    """

    def test_in_time(self) -> None:
        """A block that ends in time leaves nothing behind."""
        clock = Clock()
        with time_limit(clock, 3.0, self.fail):
            clock.advance(2.9)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """A block that takes too long is told of."""
        clock, calls = Clock(), list[str]()
        with time_limit(clock, 3.0, calls.append, "late"):
            clock.advance(3.0)
        self.assertEqual(calls, ["late"])

    def test_no_limit(self) -> None:
        """Without a limit nothing is scheduled."""
        clock = Clock()
        with time_limit(clock, None, self.fail):
            self.assertEqual(clock.getDelayedCalls(), [])
