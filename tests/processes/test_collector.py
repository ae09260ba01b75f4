"""
Tests for L{sockhost.processes.collector}.
"""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from sockhost.processes.collector import YOUNG, settle_in


class SettleInTests(SynchronousTestCase):
    """A process that is ready to serve."""

    def setUp(self) -> None:
        """Leave the collector as it was."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)

    def test_seldom(self) -> None:
        """The young are looked through less often than Python would."""
        gc.set_threshold(700, 11, 12)
        settle_in()
        self.assertEqual(gc.get_threshold(), (YOUNG, 11, 12))

    def test_asked_for(self) -> None:
        """Who has asked for fewer looks, or for none, keeps to that."""
        for young in (0, YOUNG + 1):
            gc.set_threshold(young, 10, 10)
            settle_in()
            self.assertEqual(gc.get_threshold(), (young, 10, 10))

    def test_loaded(self) -> None:
        """What is there already is not looked through any more."""
        before = gc.get_freeze_count()
        settle_in()
        self.assertGreater(gc.get_freeze_count(), before)
