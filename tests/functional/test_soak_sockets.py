"""
The soak of a socket, for a few seconds.  How long a bystander waits says little
on a machine that does other things too: C{python -m benchmarks.soak_sockets}
judges that, and here it is only seen that nobody holds it up for long.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.soak_sockets import Outcome, Plan, soak


class SoakTests(SynchronousTestCase):
    """Tests for L{soak}."""

    timeout = 120

    def test_soak(self) -> None:
        """
        Clients that behave in any way are served or ended; nobody who behaves
        well is harmed, and nothing is left of any of them.
        """
        outcome = soak(Plan(seconds=8, clients=100))
        problems = [each for each in outcome.problems if "p99" not in each]
        self.assertEqual(problems, [])
        self.assertGreater(len(outcome.latencies), 50)
        self.assertLess(outcome.p99, 1.0)
        self.assertGreater(min(outcome.done[name] for name in NAMES), 5)


NAMES = (
    *("ask", "pipeline", "dribble", "stall", "reset"),
    *("half_close", "flood", "garbage", "announce", "idle"),
)


class OutcomeTests(SynchronousTestCase):
    """Tests for L{Outcome}, which judges."""

    def judged(self, **facts: object) -> list[str]:
        """What is wrong with an outcome."""
        outcome = Outcome(**facts)  # type: ignore[arg-type]
        outcome.judge()
        return outcome.problems

    def test_good(self) -> None:
        """Nothing is wrong with a good one."""
        memory = [2**24] * 9
        good = self.judged(latencies=[0.001] * 9, memory=memory, descriptors=(9, 9))
        self.assertEqual(good, [])

    def test_slow(self) -> None:
        """A bystander that waits is noticed."""
        self.assertEqual(
            self.judged(latencies=[0.06] * 9), ["the bystander's p99 is 60.0 ms"]
        )

    def test_growth(self) -> None:
        """Memory that grows is noticed."""
        memory = [n * 2**24 for n in range(9)]
        self.assertEqual(self.judged(memory=memory), ["memory grew by 48.0 MiB"])

    def test_left(self) -> None:
        """Descriptors, clients and requests that are left are noticed."""
        self.assertEqual(
            self.judged(descriptors=(9, 10), status={"clients": 1, "errors": 0}),
            ["9 descriptors became 10", "clients is 1 at the end"],
        )

    def test_stalled(self) -> None:
        """Clients that had gone for long before that was noticed are noticed."""
        self.assertEqual(
            self.judged(status={"dropped": {"frame": 9, "stall_timeout": 2}}),
            ["2 clients were taken for stalled"],
        )
