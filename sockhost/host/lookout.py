# -*- test-case-name: tests.host.test_host -*-
"""
Looking at the units after each change: whether the host is ready, and whether
they give it a reason to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from sockhost.config import HostSettings
from sockhost.host.end import verdict
from sockhost.host.exit import ExitStatus
from sockhost.host.units import Units


@define(eq=False)
class Lookout:
    """
    Looks once for all changes of one turn of the reactor.

    @ivar ready: called when all wanted units have come up or been given up on.
    @ivar finish: called when the host is to end, and why.
    """

    _reactor: IReactorTime
    _settings: HostSettings
    _units: Units
    _ready: Callable[[], None]
    _finish: Callable[[ExitStatus, str], None]
    _undecided: set[str] | None = field(default=None, init=False)
    _is_ready: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)
    _looking: IDelayedCall | None = field(default=None, init=False)
    log = Logger()

    def begin(self, wanted: Iterable[str]) -> None:
        """The units are started, of which these are wanted; look now."""
        self._undecided = set(wanted)
        self._look()

    def changed(self) -> None:
        """A unit has changed; look soon."""
        if self._looking is None and not self._over:
            self._looking = self._reactor.callLater(0, self._look_later)

    def end(self) -> None:
        """Look no more."""
        self._over = True
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()

    def _look_later(self) -> None:
        self._looking = None
        try:
            self._look()
        except Exception as error:
            self.log.failure("the host met a defect")
            self._finish(ExitStatus.STARTUP_FAILED, str(error))

    def _look(self) -> None:
        # Before the units are started, nothing is decided.
        if self._over or self._undecided is None:
            return
        decided, keepers = self._units.order.decided, self._units.keepers
        self._undecided = {
            n for n in self._undecided if n in keepers and not decided(n)
        }
        if not self._is_ready and not self._undecided:
            self._is_ready = True
            self._ready()
        if self._is_ready:
            found = verdict(self._settings, self._units)
            if found is not None:
                self._finish(*found)
