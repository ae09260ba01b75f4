# -*- test-case-name: tests.host.test_units -*-
"""
The units of a host: made from their configurations, each with its keeper, and
what each of them may know of the host.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.config import Config, Quarantined, RestartPolicy, UnitConfig
from sockhost.host.order import StartOrder, stop_in_reverse
from sockhost.interfaces import (
    GoalChanged,
    IClientsUnit,
    IListeningUnit,
    IUnit,
    IUnitHost,
    IUnitKind,
    IUsableUnit,
    NoClients,
    NoSuchClient,
    NoSuchUnit,
    SockhostError,
    UnitFailed,
)
from sockhost.keeper import Keeper
from sockhost.status import Event, Goal, State, UnitStatus

_RUNNING = (State.STARTING, State.UP)
_THERE = (State.UP, State.DONE)


@implementer(IUnitHost)
@define(eq=False)
class UnitView:
    """
    The host as one unit sees it.

    @ivar uses: the units that its handler may use.
    """

    _host: IUnitHost
    name: str
    uses: tuple[str, ...]

    @property
    def reactor(self) -> Any:
        return self._host.reactor

    @property
    def run_dir(self) -> str:
        return str(self._host.run_dir)

    @property
    def log_dir(self) -> str:
        return str(self._host.log_dir)

    @property
    def config_dir(self) -> str:
        return str(self._host.config_dir)

    @property
    def log_level(self) -> str:
        return str(self._host.log_level)

    def use(self, name: str) -> Any:
        if name not in self.uses:
            raise NoSuchUnit(name, [f"{n} (in uses)" for n in self.uses])
        return self._host.use(name)

    def publish(self, event: Event) -> None:
        self._host.publish(event)

    def child_kind(self, name: str) -> IUnitKind:
        return self._host.child_kind(name)

    def unit_config(self, name: str) -> Any:
        return self._host.unit_config(name)


@define(eq=False)
class Units:
    """
    All units of a host.

    @ivar host: for the units.
    @ivar changed: called after each change of a keeper.
    @ivar configs: the configurations of the good units, by name, each after
        those that it depends on.
    @ivar keepers: by name; those of quarantined units last.
    @ivar ending: set when all are being stopped, so that nothing may be
        started any more.
    """

    host: IUnitHost
    kinds: Mapping[str, IUnitKind]
    clock: IReactorTime
    changed: Callable[[Keeper], None]
    configs: dict[str, UnitConfig] = field(factory=dict)
    keepers: dict[str, Keeper] = field(factory=dict)
    order: StartOrder = field(init=False)
    ending: bool = field(default=False, init=False)
    _hurry: bool = field(default=False, init=False)
    _stops: Counter[str] = field(factory=Counter, init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.order = StartOrder(self.keepers, self.configs)

    # -- making -------------------------------------------------------------

    def load(self, config: Config) -> None:
        """Make all units of a configuration.  None is started."""
        for unit in config.units:
            self.add(unit)
        for quarantined in config.quarantined:
            self.add_quarantined(quarantined)

    def add(self, config: UnitConfig, made: IUnit | None = None) -> Keeper:
        """
        Make a unit.  One that cannot be made is quarantined, with the reason
        logged.

        @param made: the unit, if it was made already.
        """
        self.configs[config.name] = config
        try:
            unit = made or self.make(config)
        except Exception as error:
            self._blame_maker(config.name, error)
            keeper = self._keep(config.name, config.kind, None, config.policy)
            keeper.describe(config)
            keeper.quarantine(f"cannot be made: {error}")
            return keeper
        keeper = self._keep(config.name, config.kind, unit, config.policy)
        keeper.describe(config)
        return keeper

    def _blame_maker(self, name: str, error: Exception) -> None:
        if isinstance(error, SockhostError):
            self.log.error("{unit} cannot be made: {e}", unit=name, e=str(error))
        else:
            self.log.failure("{unit} cannot be made", unit=name)

    def add_quarantined(self, quarantined: Quarantined) -> None:
        """Show a unit whose table is bad."""
        keeper = self._keep(quarantined.name, quarantined.kind, None, RestartPolicy())
        keeper.quarantine("; ".join(str(problem) for problem in quarantined.problems))

    def make(self, config: UnitConfig) -> IUnit:
        """
        Make the unit that a configuration describes.

        @raise Exception: whatever the kind raises.
        """
        kind = self.kinds[config.kind]
        view = UnitView(self.host, config.name, config.uses)
        try:
            return kind.make(config.name, config.own, view)
        except SystemExit as error:
            # It may end itself, but not the host.
            self.log.failure("making {unit} failed", unit=config.name)
            raise SockhostError(f"the kind {config.kind} raised {error!r}") from error

    def remove(self, name: str) -> None:
        """Forget a unit that is down."""
        self.order.forget(name)
        self.configs.pop(name, None)
        # Who was told that it is down may have asked for it: nobody could end it.
        self.keepers.pop(name).conclude()

    def _keep(
        self, name: str, kind: str, unit: IUnit | None, policy: RestartPolicy
    ) -> Keeper:
        keeper = Keeper(name, unit, policy, self.clock, self._change, kind)
        self.keepers[name] = keeper
        return keeper

    def _change(self, keeper: Keeper) -> None:
        self.changed(keeper)
        if keeper.name in self.keepers:
            self.order.note(keeper.name)
        self.order.advance()

    # -- looking up ---------------------------------------------------------

    def keeper(self, name: str) -> Keeper:
        """
        Get the keeper of a unit.

        @raise NoSuchUnit: there is no such unit.
        """
        try:
            return self.keepers[name]
        except KeyError:
            raise NoSuchUnit(name, list(self.keepers)) from None

    def status(self) -> tuple[UnitStatus, ...]:
        """Describe all, in start order."""
        names = [*self.configs, *(n for n in self.keepers if n not in self.configs)]
        return tuple(self.keepers[name].status() for name in names)

    def client(self, name: str) -> object:
        """
        Get what a unit offers to handlers.

        @raise NoSuchUnit: there is no such unit, or it offers nothing.
        """
        unit = self.keeper(name).unit
        if not IUsableUnit.providedBy(unit):
            usable = [
                n for n, k in self.keepers.items() if IUsableUnit.providedBy(k.unit)
            ]
            raise NoSuchUnit(name, [f"{n} (usable)" for n in usable])
        return IUsableUnit(unit).client()

    def users_of(self, name: str) -> list[str]:
        """Name the units whose handlers use a unit."""
        return [n for n, config in self.configs.items() if name in config.uses]

    # -- starting and stopping ----------------------------------------------

    def start_enabled(self) -> list[str]:
        """
        Start all that the configuration enables, each as soon as it may, save
        what was told to stop before.

        @return: the names of those that are wanted now.
        """
        enabled = [name for name, config in self.configs.items() if config.enabled]
        return self.order.want(enabled, but=self._stops.keys())

    async def start(self, name: str) -> None:
        """Start a unit, after what it requires.  Fails as L{Keeper.start} does."""
        keeper = await self._prepare(name)
        await keeper.start()

    async def stop(self, name: str, asked_by: str) -> None:
        """Stop a unit.  Fails as L{Keeper.stop} does."""
        keeper = self.keeper(name)
        self._stops[name] += 1
        self.order.forget(name)
        await keeper.stop(asked_by)

    async def restart(self, name: str, asked_by: str) -> None:
        """Restart a unit.  Fails as L{Keeper.restart} does."""
        keeper = await self._prepare(name)
        await keeper.restart(asked_by)

    async def _prepare(self, name: str) -> Keeper:
        # While what it requires comes up, it may be stopped or removed.
        self.keeper(name)
        stops = self._stops[name]
        await self._start_needed(name)
        if self._stops[name] != stops:
            raise GoalChanged(f"{name} was told to stop")
        self.order.forget(name)
        return self.keeper(name)

    async def _start_needed(self, name: str) -> None:
        for needed in self.order.closure([name]):
            if needed == name or self.keeper(needed).state in _THERE:
                continue
            await self.start(needed)
            if self.ending:
                raise GoalChanged(f"{name} was told to stop")

    async def reload(self, name: str, asked_by: str) -> bool:
        """Give a unit its configuration again.  Fails as L{Keeper.reload} does."""
        keeper = self.keeper(name)
        config = self.configs.get(name)
        if config is None:
            raise UnitFailed(f"{name}: {keeper.reason}")
        in_place = await keeper.reload(
            config.own, lambda: self.make(config), config.policy, asked_by
        )
        if not in_place:
            self.renew_users(name, asked_by)
        return in_place

    def renew_users(self, name: str, asked_by: str) -> None:
        """
        Restart those that run and whose handlers hold the client of a unit
        that is no more.
        """
        for user in self.users_of(name):
            keeper = self.keepers[user]
            if keeper.goal is Goal.UP and keeper.state in _RUNNING and not self.ending:
                keeper.restart(asked_by).addErrback(self._tell, user)

    def _tell(self, failure: Failure, name: str) -> None:
        reason = failure.getErrorMessage()
        self.log.warn("{unit}: {reason}", unit=name, reason=reason)

    async def clients(self, name: str) -> Sequence[Mapping[str, object]]:
        """
        Describe the clients of a unit.

        @raise NoClients: it is of a kind that has none.
        """
        return await self._with_clients(name).clients()

    async def kick(self, name: str, client: str) -> None:
        """
        Drop a client of a unit.

        @raise NoSuchClient: there is none of that id.
        @raise NoClients: the unit is of a kind that has none.
        """
        if not await self._with_clients(name).kick(client):
            raise NoSuchClient(name, client)

    def _with_clients(self, name: str) -> IClientsUnit:
        unit = self.keeper(name).unit
        if not IClientsUnit.providedBy(unit):
            raise NoClients(name)
        return IClientsUnit(unit)

    def unlisten(self) -> None:
        """Have all units accept nobody any more."""
        for name, keeper in self.keepers.items():
            if IListeningUnit.providedBy(keeper.unit):
                try:
                    IListeningUnit(keeper.unit).unlisten()
                except Exception:
                    self.log.failure("{unit} did not stop listening", unit=name)

    def conclude(self, asked_by: str) -> None:
        """
        Start nothing any more.  What is up stays so until its turn to stop,
        and all that is not is stopped at once.
        """
        self.ending = True
        self.order.end()
        for keeper in self.keepers.values():
            keeper.conclude(asked_by)

    def stop_all(self, asked_by: str) -> Deferred[None]:
        """
        Stop all, in reverse order.

        @return: fires when all are down, or could not be stopped.
        """
        self.conclude(asked_by)
        names = [*(n for n in self.keepers if n not in self.configs), *self.configs]

        async def stop(name: str) -> None:
            stopping = self.keepers[name].stop(asked_by)
            if self._hurry:
                self.keepers[name].abort()
            try:
                await stopping
            except UnitFailed as error:
                self.log.error("{reason}", reason=str(error))
            except GoalChanged:
                # Nobody may start anything while the host stops.
                self.log.error("{unit} was started in a stop", unit=name)

        return stop_in_reverse(
            self.configs, names, lambda name: Deferred.fromCoroutine(stop(name))
        )

    def hurry(self) -> None:
        """Cut short the grace of all stops, now and to come."""
        self._hurry = True
        for keeper in self.keepers.values():
            keeper.abort()

    def hooked(self, interface: Any) -> Iterable[tuple[str, Any]]:
        """Go through the units that provide an interface, with their names."""
        for name, keeper in list(self.keepers.items()):
            if interface.providedBy(keeper.unit):
                yield name, keeper.unit


def state_event(keeper: Keeper) -> Event:
    """Make the event that tells how a unit is now."""
    status = keeper.status()
    fields = {
        "goal": status.goal.value,
        "state": status.state.value,
        "reason": status.reason,
        "next_try": status.next_try,
        "restarts": status.restarts,
    }
    return Event(at=time.time(), event="state", unit=keeper.name, fields=fields)
