"""
Clients of a hub when there are hardly any descriptors, and the process wants some
of them itself.
"""

from __future__ import annotations

import os

from sockhost.sockets.listener import PAUSE
from tests.sockets.fakes import fill_gaps
from tests.sockets.test_hublistener import HubListenerCase


class ScarceTests(HubListenerCase):
    """Tests for L{HubListener<sockhost.sockets.hublistener.HubListener>}."""

    def test_taken_meanwhile(self) -> None:
        """What the process itself takes before the next comes is no client's."""
        self.client(), self.client()
        fill_gaps(self)
        self.leave(2)
        self.turn()
        self.check_one_waits(os.dup(0))

    def test_taken_before(self) -> None:
        """Nor is what it has taken already, where the last one is the process'."""
        self.client(), self.client()
        fill_gaps(self)
        self.leave(2)
        between, last = os.dup(0), os.dup(0)
        os.close(between)
        self.check_one_waits(last)

    def test_taken_again(self) -> None:
        """Nor is a low one that is free for a moment, however many lie between."""
        low = os.dup(0)
        for _ in range(40):
            self.addCleanup(os.close, os.dup(0))
        self.client(), self.client()
        fill_gaps(self)
        self.leave(1)
        self.turn(3)
        os.close(low)
        self.reactor.advance(PAUSE)
        self.check_one_waits(os.dup(0))

    def check_one_waits(self, taken: int) -> None:
        """One gets in, and the other one when a descriptor is closed."""
        self.turn(3)
        self.assertEqual(len(self.handler.clients), 1)
        os.close(taken)
        self.reactor.advance(PAUSE)
        self.turn(3)
        self.assertEqual(len(self.handler.clients), 2)
        self.assertEqual(self.server.counters.refused, 0)
