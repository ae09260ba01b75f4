# -*- test-case-name: tests.host.test_end -*-
"""
The end of a host: the first reason for it counts.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred

from sockhost.config import HostSettings
from sockhost.host.exit import ExitStatus
from sockhost.host.units import Units
from sockhost.status import State

_OVER = (State.DONE, State.FAILED, State.DOWN, State.QUARANTINED)
_BAD = (State.FAILED, State.QUARANTINED)


@define(eq=False)
class End:
    """
    Fires when the host is to stop.

    @ivar status: what the host will exit with, or C{None} as long as it is
        not to stop.
    @ivar when: fires with the status.
    """

    status: ExitStatus | None = None
    reason: str = ""
    when: Deferred[ExitStatus] = field(factory=Deferred)

    def come(self, status: ExitStatus, reason: str) -> bool:
        """
        End the host, if it does not end already.

        @return: whether this was the first reason.
        """
        if self.status is not None:
            return False
        self.status, self.reason = status, reason
        self.when.callback(status)
        return True


def verdict(settings: HostSettings, units: Units) -> tuple[ExitStatus, str] | None:
    """
    Say whether the units give the host a reason to end: C{wait_for} or
    C{exit_when_done}.  Only of use once the host is ready.
    """
    if settings.wait_for:
        names = [name for name in settings.wait_for if name in units.keepers]
        if not names:
            # A new configuration has removed them, which is nobody's end.
            return None
    elif settings.exit_when_done:
        names = list(units.keepers)
    else:
        return None
    return _judge({name: _outlook(units, name) for name in names})


def _outlook(units: Units, name: str) -> State:
    if not units.order.waits(name):
        return units.keepers[name].state
    # What it requires is on its way, or was given up on.
    return State.FAILED if units.order.decided(name) else State.STARTING


def _judge(states: dict[str, State]) -> tuple[ExitStatus, str] | None:
    for name, state in states.items():
        if state in _BAD:
            if all(other in _OVER for other in states.values()):
                return ExitStatus.UNIT_FAILED, f"{name} is {state}"
        elif state not in _OVER:
            return None
    return ExitStatus.CLEAN, "all units are done"
