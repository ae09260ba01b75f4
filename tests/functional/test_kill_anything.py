# -*- test-case-name: tests.functional.test_kill_anything -*-
"""
Whatever child of the quickstart is killed, all comes back and nothing that was
acknowledged is lost.  C{python -m benchmarks.kill} is the same for longer.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import chaos
from benchmarks.hosts import quickstart


class KillAnythingTests(SynchronousTestCase):
    """A host of the quickstart whose children are killed all the time."""

    def test_kill_anything(self) -> None:
        """
        After 10 seconds of kills, or more where there are few, every unit is up,
        nothing leaked, no reply went astray, and every acknowledged write is
        there.
        """
        with quickstart() as host:
            plan = chaos.Plan(seconds=10.0, kills=21)
            outcome = chaos.run(host, plan, lambda _passed, _what: None)
            self.assertEqual(outcome.problems, [])
            self.assertGreater(outcome.kills, 20)
            self.assertGreater(outcome.acknowledged, 0)
            self.assertEqual(host.stop(), 0)
