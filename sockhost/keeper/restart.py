# -*- test-case-name: tests.keeper.test_restart -*-
"""
Whether and how soon to start again what was lost: a L{RestartPolicy
<sockhost.config.RestartPolicy>} together with what happened so far.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from attrs import define, field, frozen

from sockhost.config import RestartPolicy
from sockhost.interfaces import UnitLost


@frozen
class Retry:
    """
    Start again.

    @ivar delay: seconds to wait before that.
    """

    delay: float


@frozen
class GiveUp:
    """
    Leave it until somebody says C{start}.

    @ivar reason: what to tell that person.
    """

    reason: str


@frozen
class Finish:
    """It has ended as it is meant to."""


Verdict = Retry | GiveUp | Finish


@define
class RestartHistory:
    """
    The losses of one unit, judged by its policy.

    @ivar chance: gives a number from 0 to 1 for the jitter.
    """

    policy: RestartPolicy
    chance: Callable[[], float] = random.random
    _restarts: deque[float] = field(factory=deque, init=False)
    _in_a_row: int = field(default=0, init=False)

    def judge(self, now: float, loss: BaseException, up_for: float | None) -> Verdict:
        """
        Decide after a loss.

        @param now: seconds, of any clock.  One that is set back costs at most
            the time until then, and the losses before it count on.
        @param up_for: how long it was up, or C{None} if it did not come up.
        """
        success = isinstance(loss, UnitLost) and loss.success
        if success and (up_for is None or self.policy.restart != "always"):
            return Finish()
        if self.policy.restart == "never":
            return GiveUp(f"{loss}; restart = never")
        return self._again(now, loss, up_for)

    def forget(self) -> None:
        """Begin anew, as somebody has looked at it."""
        self._restarts.clear()
        self._in_a_row = 0

    def _again(self, now: float, loss: BaseException, up_for: float | None) -> Verdict:
        if up_for is not None and up_for >= self.policy.healthy_after:
            self._in_a_row = 0
        if self._spent(now):
            return GiveUp(
                f"gave up after {self.policy.budget} restarts within "
                f"{self.policy.budget_window:g} s; the last time: {loss}"
            )
        self._restarts.append(now)
        self._in_a_row += 1
        return Retry(self._delay())

    def _spent(self, now: float) -> bool:
        set_back = self._restarts[-1] - now if self._restarts else 0.0
        if set_back > 0:
            # They would else lie in the future, and count until that is past.
            self._restarts = deque(at - set_back for at in self._restarts)
        while self._restarts and self._restarts[0] <= now - self.policy.budget_window:
            self._restarts.popleft()
        return 0 < self.policy.budget <= len(self._restarts)

    def _delay(self) -> float:
        if self._in_a_row == 1:
            return 0.0
        # Beyond 2**60 the float is far above any backoff_max; more would overflow.
        doublings = min(self._in_a_row - 2, 60)
        wait = min(self.policy.backoff * 2.0**doublings, self.policy.backoff_max)
        return wait * (1 + self.policy.jitter * self.chance())
