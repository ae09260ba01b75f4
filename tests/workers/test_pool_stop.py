# -*- test-case-name: tests.workers.test_pool_stop -*-
"""
Tests for L{sockhost.workers.pool}: what is left of a start that is stopped.
"""

from __future__ import annotations

import gc

from twisted.internet.defer import CancelledError, Deferred

from tests.workers.test_pool import PoolCase


class StopTests(PoolCase):
    """A stop in the last moment of a start."""

    def test_stop_while_workers_begin_to_accept(self) -> None:
        """None of those that were told to accept leaves an error to be logged."""
        starting = self.start()
        for part in self.parts():
            part.serving = Deferred()
            part.starting.callback(None)
        self.successResultOf(self.unit.stop())
        self.failureResultOf(starting, CancelledError)
        for part in self.workers:
            part.serving = None
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])
