"""
The soak of the Redis client, for a few seconds: C{python -m
benchmarks.soak_redis} is the long one.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from benchmarks.soak_redis import GROWTH_LIMIT, Outcome, Plan, soak


class SoakTests(TestCase):
    """Tests for L{soak}."""

    timeout = 120

    async def test_soak(self) -> None:
        """
        Through cuts, delays, kills, failovers and cancels no reply goes to the wrong
        caller, nothing acknowledged is lost, and nothing is left.
        """
        outcome = await soak(
            reactor, Plan(seconds=10.0, kill_every=3.0, fail_over_every=3.0)
        )
        self.assertEqual(outcome.problems, [])
        self.assertGreater(outcome.counts["done"], 500)
        for misfortune in ("maybe", "cuts", "kills", "failovers"):
            self.assertGreater(outcome.counts[misfortune], 0, misfortune)
        for work in ("messages heard", "transactions", "locks taken"):
            self.assertGreater(outcome.counts[work], 0, work)

    async def test_cluster(self) -> None:
        """The same holds with a cluster."""
        plan = Plan(seconds=10.0, kill_every=4.0, fail_over_every=3.0, cluster=True)
        outcome = await soak(reactor, plan)
        self.assertEqual(outcome.problems, [])
        self.assertGreater(outcome.counts["acknowledged by WAIT"], 500)
        self.assertGreater(outcome.counts["failovers"], 0)


class OutcomeTests(SynchronousTestCase):
    """Tests for L{Outcome}, which judges."""

    def test_good(self) -> None:
        """Nothing is wrong with a good one."""
        outcome = Outcome(memory=[1, 2, 2, 2])
        outcome.judge()
        self.assertEqual(outcome.problems, [])

    def test_bad(self) -> None:
        """Commands without an outcome and memory that grows are problems."""
        outcome = Outcome(memory=[1, 2, 3 + GROWTH_LIMIT])
        outcome.counts["issued"] = 1
        outcome.judge()
        self.assertEqual(len(outcome.problems), 2)
