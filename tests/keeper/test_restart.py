"""
Tests for L{sockhost.keeper.restart}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import RestartPolicy
from sockhost.interfaces import UnitLost
from sockhost.keeper.restart import Finish, GiveUp, RestartHistory, Retry

GONE = UnitLost("it is gone")
ENDED = UnitLost("it ended well", success=True)


def history(**policy: object) -> RestartHistory:
    """A history without chance."""
    settings: dict[str, object] = {"jitter": 0.0} | policy
    return RestartHistory(RestartPolicy(**settings), chance=lambda: 1.0)  # type: ignore[arg-type]


class DelayTests(SynchronousTestCase):
    """How long the keeper waits."""

    def delays(self, count: int, **policy: object) -> list[float]:
        """The waits after losses that follow each other quickly."""
        judged = history(budget=0, **policy)
        verdicts = [judged.judge(now, GONE, 1.0) for now in range(count)]
        return [v.delay for v in verdicts if isinstance(v, Retry)]

    def test_first_at_once_then_doubling(self) -> None:
        """The first retry is made at once, the next after 0.1 s, then doubling."""
        self.assertEqual(self.delays(5), [0.0, 0.1, 0.2, 0.4, 0.8])

    def test_never_longer_than_the_maximum(self) -> None:
        """No wait is longer than C{backoff_max}, however many there were."""
        self.assertEqual(self.delays(2000)[-1], 60.0)

    def test_jitter_lengthens(self) -> None:
        """Chance lengthens a wait by up to the fraction C{jitter}."""
        [first, second] = self.delays(2, jitter=0.5)
        self.assertEqual((first, second), (0.0, 0.15000000000000002))

    def test_healthy_resets(self) -> None:
        """After C{healthy_after} seconds up, the next retry is made at once."""
        judged = history()
        for now in range(3):
            judged.judge(now, GONE, 1.0)
        self.assertEqual(judged.judge(100, GONE, 60.0), Retry(0.0))

    def test_almost_healthy_does_not_reset(self) -> None:
        """A shorter time up does not count as healthy."""
        judged = history()
        judged.judge(0, GONE, 1.0)
        self.assertEqual(judged.judge(100, GONE, 59.9), Retry(0.1))

    @given(st.integers(1, 300), st.floats(0.001, 10), st.floats(10, 100))
    def test_waits_never_shrink(self, count: int, base: float, top: float) -> None:
        """Without chance, no wait is shorter than the one before it."""
        waits = self.delays(count, backoff=base, backoff_max=top)
        self.assertEqual(waits, sorted(waits))


class BudgetTests(SynchronousTestCase):
    """When the keeper gives up."""

    def test_spent(self) -> None:
        """One loss more than the budget within the window is given up on."""
        judged = history(budget=2, budget_window=10.0)
        judged.judge(0, GONE, None)
        judged.judge(1, GONE, None)
        self.assertEqual(
            judged.judge(2, GONE, None),
            GiveUp(
                "gave up after 2 restarts within 10 s; the last time: it is gone",
            ),
        )

    def test_the_window_slides(self) -> None:
        """Restarts that are as old as the window do not count any more."""
        judged = history(budget=2, budget_window=10.0)
        judged.judge(0, GONE, None)
        judged.judge(6, GONE, None)
        self.assertIsInstance(judged.judge(10, GONE, None), Retry)
        self.assertIsInstance(judged.judge(11, GONE, None), GiveUp)

    def test_no_budget_is_no_limit(self) -> None:
        """C{budget = 0} never gives up."""
        judged = history(budget=0)
        verdicts = [judged.judge(0, GONE, None) for _ in range(500)]
        self.assertTrue(all(isinstance(v, Retry) for v in verdicts))

    def test_forget(self) -> None:
        """After somebody has looked at it, everything counts anew."""
        judged = history(budget=1)
        judged.judge(0, GONE, None)
        judged.forget()
        self.assertEqual(judged.judge(0, GONE, None), Retry(0.0))


class PolicyTests(SynchronousTestCase):
    """What C{restart} means."""

    def test_always(self) -> None:
        """C{always} starts again even what ended well."""
        self.assertEqual(history().judge(0, ENDED, 1.0), Retry(0.0))

    def test_always_one_shot(self) -> None:
        """What ends well instead of coming up is finished under any policy."""
        self.assertEqual(history().judge(0, ENDED, None), Finish())

    def test_on_failure(self) -> None:
        """C{on-failure} starts again only what did not end well."""
        judged = history(restart="on-failure")
        self.assertEqual(judged.judge(0, ENDED, 1.0), Finish())
        self.assertEqual(judged.judge(0, GONE, 1.0), Retry(0.0))

    def test_never(self) -> None:
        """C{never} leaves it, and says which of the two it is."""
        judged = history(restart="never")
        self.assertEqual(judged.judge(0, ENDED, 1.0), Finish())
        self.assertEqual(
            judged.judge(0, GONE, 1.0), GiveUp("it is gone; restart = never")
        )


class ClockTests(SynchronousTestCase):
    """A clock that somebody sets."""

    def test_set_back(self) -> None:
        """Losses before the clock was set back are forgotten in their time."""
        judged = history(budget=2, budget_window=100.0)
        for now in (5000, 5010):
            self.assertIsInstance(judged.judge(now, GONE, None), Retry)
        self.assertIsInstance(judged.judge(20, GONE, None), GiveUp)
        self.assertIsInstance(judged.judge(115, GONE, None), Retry)
        self.assertIsInstance(judged.judge(119, GONE, None), GiveUp)

    def test_set_back_while_up(self) -> None:
        """A time up that seems to be less than none is no healthy one."""
        judged = history()
        judged.judge(5000, GONE, 1.0)
        self.assertEqual(judged.judge(20, GONE, -4980.0), Retry(0.1))

    def test_set_forward(self) -> None:
        """No loss counts longer than it would have."""
        judged = history(budget=1, budget_window=100.0)
        judged.judge(0, GONE, None)
        self.assertIsInstance(judged.judge(9000, GONE, None), Retry)
