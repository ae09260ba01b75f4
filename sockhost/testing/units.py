# -*- test-case-name: tests.testing.test_units -*-
"""
A unit that a test turns by hand, and the host that units think they live in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import (
    IUnit,
    IUnitHost,
    IUnitKind,
    NoSuchUnit,
    SockhostError,
    UnitLost,
)
from sockhost.status import Event


@implementer(IUnit)
class MemoryUnit:
    """
    An L{IUnit} that does what a test tells it, when it tells it.

    @ivar calls: the names of the methods that were called, in order.
    @ivar takes_reload: what C{reload} answers; an exception makes it fail.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.takes_reload: bool | Exception = False
        self.config: object = None
        self._starting: Deferred[None] | None = None
        self._stopping: list[Deferred[UnitLost | None]] = []
        self._lost: Callable[[Failure], None] | None = None

    # -- IUnit --------------------------------------------------------------

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        self.calls.append("start")
        self._lost = lost
        self._starting = Deferred()
        return self._starting

    def stop(self) -> Deferred[UnitLost | None]:
        self.calls.append("stop")
        stopping: Deferred[UnitLost | None] = Deferred()
        self._stopping.append(stopping)
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.errback(CancelledError())
        return stopping

    def abort(self) -> None:
        self.calls.append("abort")

    def reload(self, config: Any) -> Deferred[bool]:
        self.calls.append("reload")
        if isinstance(self.takes_reload, Exception):
            failed: Deferred[bool] = Deferred()
            failed.errback(self.takes_reload)
            return failed
        if self.takes_reload:
            self.config = config
        return succeed(self.takes_reload)

    def status(self) -> Mapping[str, object]:
        return {"calls": len(self.calls)}

    # -- the test's hand ----------------------------------------------------

    def ready(self) -> None:
        """Fire the Deferred of the C{start} under way."""
        assert self._starting is not None, "no start is under way"
        starting, self._starting = self._starting, None
        starting.callback(None)

    def fail(self, error: Exception) -> None:
        """Fail the Deferred of the C{start} under way."""
        assert self._starting is not None, "no start is under way"
        starting, self._starting = self._starting, None
        starting.errback(error)

    def lose(self, error: Exception) -> None:
        """Tell the keeper that the unit was lost."""
        assert self._lost is not None, "the unit was never started"
        self._lost(Failure(error))

    def stopped(self, how: UnitLost | None = None) -> None:
        """Fire the Deferreds of the C{stop}s under way."""
        for stopping in self._take_stopping():
            stopping.callback(how)

    def fail_stop(self, error: Exception) -> None:
        """Fail the Deferreds of the C{stop}s under way."""
        for stopping in self._take_stopping():
            stopping.errback(error)

    def _take_stopping(self) -> list[Deferred[UnitLost | None]]:
        assert self._stopping, "no stop is under way"
        stopping, self._stopping = self._stopping, []
        return stopping


@implementer(IUnitHost)
@define(eq=False)
class MemoryUnitHost:
    """
    An L{IUnitHost} without a host, for the tests of kinds and handlers.

    @ivar reactor: a L{Clock<twisted.internet.task.Clock>}, unless the test
        gives a better one.
    @ivar clients: what L{use} returns, by name.
    @ivar kinds: what L{child_kind} returns, by name.
    @ivar events: what was published, in order.
    """

    directory: str
    reactor: Any = field(factory=Clock)
    clients: dict[str, Any] = field(factory=dict)
    kinds: dict[str, IUnitKind] = field(factory=dict)
    configs: dict[str, Any] = field(factory=dict)
    events: list[Event] = field(factory=list)
    run_dir: str = field(init=False)
    log_dir: str = field(init=False)
    config_dir: str = field(init=False)
    log_level: str = "info"

    def __attrs_post_init__(self) -> None:
        base = Path(self.directory).resolve()
        self.config_dir = str(base)
        self.run_dir = str(base / "run")
        self.log_dir = str(base / "run" / "log")
        Path(self.log_dir).mkdir(parents=True, exist_ok=True)

    def use(self, name: str) -> Any:
        try:
            return self.clients[name]
        except KeyError:
            raise NoSuchUnit(name, sorted(self.clients)) from None

    def publish(self, event: Event) -> None:
        self.events.append(event)

    def child_kind(self, name: str) -> IUnitKind:
        try:
            return self.kinds[name]
        except KeyError:
            raise SockhostError(f"there is no kind {name!r}") from None

    def unit_config(self, name: str) -> Any:
        try:
            return self.configs[name]
        except KeyError:
            raise NoSuchUnit(name, sorted(self.configs)) from None
