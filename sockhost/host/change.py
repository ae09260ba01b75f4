# -*- test-case-name: tests.host.test_change -*-
"""
Bringing a new configuration to units that run: only what changed is touched.

What the new configuration needs is made before anything is touched, so that one
with a unit that cannot be made is refused whole.  Nothing else is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import NOTHING, define, evolve, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.config import (
    Changes,
    Config,
    HostSettings,
    Problem,
    UnitConfig,
    changes,
)
from sockhost.host.order import stop_in_reverse
from sockhost.host.rehearsal import served_problems
from sockhost.host.units import Units
from sockhost.interfaces import (
    ConfigError,
    GoalChanged,
    IUnit,
    SockhostError,
    UnitFailed,
)
from sockhost.status import State

Found = Mapping[str, Sequence[str]]


class ChangeInterrupted(SockhostError):
    """The host stops while a new configuration is brought to its units."""


@define(eq=False)
class Change:
    """
    One step from one configuration to the next.

    @ivar asked_by: who wants it, for the record.
    """

    units: Units
    old: Config
    new: Config
    asked_by: str
    _made: dict[str, IUnit] = field(factory=dict, init=False)
    _mended: set[str] = field(factory=set, init=False)
    _removed: list[str] = field(factory=list, init=False)
    log = Logger()

    async def apply(self) -> Found:
        """
        Remove, add and change units.  What becomes of the changed ones is
        seen in their status; the removed ones are gone when this returns.

        @raise ConfigError: a unit cannot be made; nothing was changed.
        @raise ChangeInterrupted: the host stops.
        """
        found = changes(self.old, self.new)
        self._prepare(found)
        await stop_in_reverse(self.units.configs, found.removed, self._remove)
        if self.units.ending:
            raise _interrupted(found, self._removed)
        self._reorder()
        for name in found.added:
            self._add(name)
        for name in found.changed:
            self._change(name)
        self._reorder()
        self._start(found)
        return {
            "added": list(found.added),
            "removed": list(found.removed),
            "changed": list(found.changed),
            "unchanged": list(found.unchanged),
        }

    def _prepare(self, found: Changes) -> None:
        problems: list[Problem] = []
        for name in (*found.added, *found.changed):
            unit = self._wanted(name)
            if self._stays(unit):
                continue
            try:
                self._made[name] = self.units.make(unit)
            except Exception as error:
                problems.append(self._blame_maker(unit, error))
            directory = self.units.host.config_dir
            problems += served_problems(unit, directory, running=True)
        if problems:
            raise ConfigError(problems)

    def _stays(self, unit: UnitConfig) -> bool:
        before = self.old.unit(unit.name)
        if before is None or not _same_unit(before, unit):
            return False
        # One that could not be made is tried again.
        return self.units.keepers[unit.name].unit is not None

    def _blame_maker(self, unit: UnitConfig, error: Exception) -> Problem:
        # A kind may be anybody's, and what it raises is the finding.
        said = str(error)
        if not isinstance(error, SockhostError):
            said = repr(error)
            self.log.failure("{unit} cannot be made", unit=unit.name)
        text = f"cannot be made: {said}"
        return Problem(unit.source, f"unit.{unit.name}", NOTHING, text)

    def _remove(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._remove_now(name))

    async def _remove_now(self, name: str) -> None:
        while not await self._end(name):
            self.log.warn("{unit} was started while it is removed", unit=name)
        if not self.units.ending:
            self.units.remove(name)
            self._removed.append(name)

    async def _end(self, name: str) -> bool:
        # Forgotten while it runs, nobody would ever stop it.
        try:
            await self.units.stop(name, self.asked_by)
        except GoalChanged:
            return False
        except UnitFailed as error:
            self.log.error("{unit} is removed all the same: {e}", unit=name, e=error)
        return True

    def _reorder(self) -> None:
        # The order of the dict is the start order, which the new file decides.
        known = dict(self.units.configs)
        self.units.configs.clear()
        for unit in self.new.units:
            if unit.name in known:
                self.units.configs[unit.name] = known[unit.name]

    def _add(self, name: str) -> None:
        self.units.add(self._wanted(name), self._made[name])

    def _change(self, name: str) -> None:
        unit = self._wanted(name)
        before = self.old.unit(name)
        self.units.configs[name] = unit
        keeper = self.units.keepers[name]
        keeper.describe(unit)
        keeper.kind = unit.kind
        mended = keeper.state is State.QUARANTINED
        # One that is mended is started in its turn, with those that are added.
        if mended or (before is not None and before.enabled and not unit.enabled):
            self._stop(name)
        if before is not None and not mended and _same_unit(before, unit):
            keeper.take_policy(unit.policy)
            return
        self.log.info("{unit} has a new configuration", unit=name)
        reloading = keeper.reload(
            unit.own,
            lambda: self._made[name],
            unit.policy,
            self.asked_by,
            in_place=before is not None and _may_reload(before, unit),
            held=lambda: self._has_to_wait(name),
        )
        reloading.addCallback(self._renew_users, name)
        if mended:
            self._mended.add(name)
        reloading.addErrback(self._tell_changed, name)

    def _has_to_wait(self, name: str) -> bool:
        # What it requires may be new, or about to be started again as well.
        order = self.units.order
        if order.missing(name) is None:
            return False
        order.put_off(name)
        return True

    def _stop(self, name: str) -> None:
        stopping = Deferred.fromCoroutine(self.units.stop(name, self.asked_by))
        stopping.addErrback(self._tell, name)

    def _start(self, found: Changes) -> None:
        fresh = {*found.added, *self._mended}
        for name in found.changed:
            before, after = self.old.unit(name), self.new.unit(name)
            if after is not None and (before is None or not before.enabled):
                fresh.add(name)
        self.units.order.want(n for n in fresh if self._wanted(n).enabled)

    def _renew_users(self, in_place: bool, name: str) -> None:
        if not in_place:
            self.units.renew_users(name, self.asked_by)

    def _tell_changed(self, failure: Failure, name: str) -> None:
        if failure.check(UnitFailed, GoalChanged):
            self._tell(failure, name)
        else:
            self.log.failure(
                "{unit} did not take its new configuration", failure, unit=name
            )

    def _tell(self, failure: Failure, name: str) -> None:
        reason = failure.getErrorMessage()
        self.log.warn("{unit}: {reason}", unit=name, reason=reason)

    def _wanted(self, name: str) -> UnitConfig:
        unit = self.new.unit(name)
        if unit is None:
            raise SockhostError(f"{name} is not in the new configuration")
        return unit


def _same_unit(before: UnitConfig, after: UnitConfig) -> bool:
    return before.own == after.own and _may_reload(before, after)


def _may_reload(before: UnitConfig, after: UnitConfig) -> bool:
    # A unit knows its kind and the names that it may use from its making.
    return before.kind == after.kind and before.uses == after.uses


def check_fixed(now: HostSettings, then: HostSettings) -> None:
    """
    Refuse changes that a host cannot make while it runs: units have these
    paths by placeholders, and cannot move without the host.

    @raise SockhostError: there is such a change.
    """
    for key in ("run_dir", "log_dir", "control"):
        before, after = getattr(now, key), getattr(then, key)
        if before != after:
            raise SockhostError(
                f"host.{key} is to change from {before} to {after}, for which the "
                "host has to be restarted"
            )


async def reconfigure(
    units: Units, now: Config, read_again: Callable[[], Config], asked_by: str
) -> tuple[Config, Found]:
    """
    Read the configuration of a host again, and bring it to its units.

    @return: what holds from now on, and what was done.
    @raise SockhostError: it was not done, or not all of it; which was logged.
    """
    log = Change.log
    try:
        new = read_again()
        check_fixed(now.host, new.host)
        found = await Change(units, now, new, asked_by).apply()
    except ChangeInterrupted as error:
        log.warn("{reason}", reason=str(error))
        raise
    except SockhostError as error:
        log.error("nothing is changed: {reason}", reason=str(error))
        raise
    if new.host != now.host:
        log.warn("[host] has changed: that takes effect at the next start")
    log.info("reconfigured: {changes}", changes=summary(found))
    return evolve(new, host=now.host), found


def _interrupted(found: Changes, removed: Sequence[str]) -> ChangeInterrupted:
    left = [name for name in reversed(found.removed) if name not in removed]
    return ChangeInterrupted(
        "the host is shutting down in the middle of a change; done: "
        f"{_listed(removed=removed)}; not done: "
        f"{_listed(removed=left, added=found.added, changed=found.changed)}"
    )


def _listed(**words: Iterable[str]) -> str:
    return summary({word: list(names) for word, names in words.items()}) or "nothing"


def summary(found: Found) -> str:
    """Say in a line what a reconfiguration did."""
    return "; ".join(
        f"{word}: {', '.join(names)}" for word, names in found.items() if names
    )
