# -*- test-case-name: tests.workers.test_worker_host -*-
"""
The host as a handler in a worker sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.config import UnitConfig, structure
from sockhost.interfaces import (
    GoalChanged,
    IUnitHost,
    IUnitKind,
    IUsableUnit,
    NoSuchUnit,
    SockhostError,
    UnitFailed,
)
from sockhost.keeper import Keeper
from sockhost.status import Event
from sockhost.workers.spec import UsedUnit, WorkerSpec

PATIENCE = 5.0
"""Seconds that a worker waits for the units that its handler uses."""


@implementer(IUnitHost)
class WorkerHost:
    """
    Stands in for the host in a worker: makes the units that the handler uses
    again here, each under its own keeper, and passes events on.

    @ivar reactor: the worker's.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        spec: WorkerSpec,
        publish: Callable[[Event], object],
    ) -> None:
        """
        @param publish: sends an event to the host.
        """
        self.reactor = reactor
        self.run_dir = spec.run_dir
        self.log_dir = spec.log_dir
        self.config_dir = spec.config_dir
        self.log_level = spec.log_level
        self._used = {used.name: used for used in spec.uses}
        self._publish = publish
        self._keepers: dict[str, Keeper] = {}

    def start_units(self) -> Deferred[None]:
        """
        Make and start the units that the handler uses.

        @return: fires when they are up, or have had L{PATIENCE} for that.
            Fails with L{SockhostError} if one cannot be made.  Cancelling
            ends the waiting.
        """
        return Deferred.fromCoroutine(self._start_units())

    def stop_units(self) -> Deferred[None]:
        """
        Stop the units that were started.

        @return: fires when nothing of them is left, or with what could not be
            ended logged.
        """
        return Deferred.fromCoroutine(self._stop_units())

    def use(self, name: str) -> Any:
        """Get what a unit offers to handlers."""
        keeper = self._keepers.get(name)
        unit = keeper.unit if keeper is not None else None
        if unit is None or not IUsableUnit.providedBy(unit):
            raise NoSuchUnit(name, sorted(self._keepers))
        return unit.client()

    def publish(self, event: Event) -> None:
        """Tell the host's notifiers of an event."""
        try:
            self._publish(event)
        except Exception:
            self._log.failure("the event {event} was not sent", event=event.event)

    def child_kind(self, name: str) -> IUnitKind:
        """Get one of the kinds that are used here."""
        for used in self._used.values():
            if used.kind == name:
                return _load_kind(used.factory)
        raise SockhostError(f"there is no kind {name!r} in a worker")

    def unit_config(self, name: str) -> UnitConfig:
        """Get the configuration of one of the units that are used here."""
        used = self._used.get(name)
        if used is None:
            raise NoSuchUnit(name, sorted(self._used))
        kind = _load_kind(used.factory)
        return UnitConfig(
            name=used.name,
            kind=used.kind,
            own=structure(kind.config_class, used.table),
            table=used.table,
            uses=used.uses,
            policy=used.policy,
        )

    async def _start_units(self) -> None:
        for name, used in self._used.items():
            self._keepers[name] = self._make_keeper(used)
        await self._wait_for_units()

    def _make_keeper(self, used: UsedUnit) -> Keeper:
        config = self.unit_config(used.name)
        unit = _load_kind(used.factory).make(used.name, config.own, self)
        return Keeper(used.name, unit, used.policy, self.reactor, kind=used.kind)

    async def _wait_for_units(self) -> None:
        waiting = [
            keeper.start().addErrback(self._not_up, name)
            for name, keeper in self._keepers.items()
        ]
        # Cancelling takes the waiters out of the keepers, which go on trying.
        late = self.reactor.callLater(PATIENCE, _cancel_all, waiting)
        try:
            await gatherResults(waiting)
        finally:
            if late.active():
                late.cancel()

    def _not_up(self, failure: Failure, name: str) -> None:
        late = failure.trap(UnitFailed, GoalChanged, CancelledError) is CancelledError
        self._log.warn(
            "{name} is not up{reason}; the handler starts without it",
            name=name,
            reason=" yet" if late else f": {failure.getErrorMessage()}",
        )

    async def _stop_units(self) -> None:
        for name, keeper in reversed(list(self._keepers.items())):
            try:
                await keeper.stop()
            except SockhostError:
                self._log.failure("{name} could not be stopped", name=name)


def _load_kind(factory: str) -> IUnitKind:
    module, _, name = factory.partition(":")
    kind: IUnitKind = getattr(import_module(module), name)()
    return kind


def _cancel_all(waiting: list[Deferred[None]]) -> None:
    for each in waiting:
        each.cancel()
