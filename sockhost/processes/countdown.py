# -*- test-case-name: tests.processes.test_countdown -*-
"""
Waiting for something that is looked at again and again.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

#: Seconds that count at most between two looks.
_MOST = 1.0


@define(eq=False)
class Countdown:
    """
    Some seconds, which go by while somebody looks.

    The clock of a reactor is the time of day, which may be set.  Between two
    looks at most a second counts and never less than none, so that a wait is
    neither over at once nor without end because of that.

    @ivar left: the seconds that are left.
    """

    _clock: IReactorTime
    left: float
    _before: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._before = self._clock.seconds()

    def over(self) -> bool:
        """Look whether they are over."""
        now = self._clock.seconds()
        passed, self._before = now - self._before, now
        self.left -= min(max(passed, 0.0), _MOST)
        return self.left <= 0
