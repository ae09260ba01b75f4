"""Tests for L{sockhost.processes.countdown}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.processes.countdown import Countdown


class CountdownTests(SynchronousTestCase):
    """Some seconds that go by."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.countdown = Countdown(self.clock, 2.0)

    def test_over(self) -> None:
        """They are over when they have gone by."""
        looks = []
        for _ in range(5):
            self.clock.advance(0.5)
            looks.append(self.countdown.over())
        self.assertEqual(looks, [False, False, False, True, True])

    def test_none(self) -> None:
        """None are over at once."""
        self.assertTrue(Countdown(self.clock, 0.0).over())

    def test_set_back(self) -> None:
        """A clock that is set back makes it no longer."""
        self.clock.advance(1.0)
        self.assertFalse(self.countdown.over())
        self.clock.rightNow = 10.0
        self.assertFalse(self.countdown.over())
        self.clock.advance(1.0)
        self.assertTrue(self.countdown.over())

    def test_set_forward(self) -> None:
        """One that is set forward makes it little shorter."""
        self.clock.advance(3600.0)
        self.assertFalse(self.countdown.over())
        self.assertEqual(self.countdown.left, 1.0)
