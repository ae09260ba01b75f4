# -*- test-case-name: tests.host.test_leftbehind -*-
"""
What a host that was killed left of units that are not started any more: they
were removed, renamed, disabled, or are of another kind now.

Units that are started end what is left of them themselves.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.config import Config
from sockhost.processes.leftovers import Leftovers
from sockhost.supervise.program import ProgramConfig, stop_signal_of

GRACE = 10.0
"""Seconds for the processes of a unit that nothing is known of any more."""


@define(eq=False)
class LeftBehind:
    """
    Ends them.

    @ivar leftovers: the notes about all processes.
    """

    _reactor: Any
    _leftovers: Leftovers
    _ending: list[Deferred[Any]] = field(factory=list, init=False)
    log = Logger()

    def end(self, config: Config) -> None:
        """Begin to end what belongs to no unit that a configuration starts."""
        programs = {u.name: u for u in config.units if isinstance(u.own, ProgramConfig)}
        for name in self._leftovers.names():
            unit = programs.get(name)
            if unit is None:
                self._end(name)
            elif not unit.enabled:
                self._end(name, unit.own.grace, stop_signal_of(unit.own))

    def gone(self) -> Deferred[Any]:
        """Fires when nothing is left, or does not end, which is logged."""
        return gatherResults(self._ending)

    def hurry(self) -> None:
        """Kill what is being ended."""
        for ending in self._ending:
            ending.cancel()

    def _end(self, name: str, grace: float = GRACE, *stop_signal: int) -> None:
        ending = self._leftovers.reclaim(self._reactor, name, grace, *stop_signal)
        ending.addErrback(self._remains, name)
        self._ending.append(ending)

    def _remains(self, failure: Failure, name: str) -> None:
        reason = failure.getErrorMessage()
        self.log.error("{unit}, of a former host: {reason}", unit=name, reason=reason)
