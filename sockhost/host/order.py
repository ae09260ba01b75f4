# -*- test-case-name: tests.host.test_order,tests.host.test_obstacles -*-
"""
Which unit may start when, and which stops after which.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sockhost.config import UnitConfig
from sockhost.interfaces import GoalChanged, UnitFailed
from sockhost.keeper import Keeper
from sockhost.status import Goal, State

_GIVEN_UP = (State.FAILED, State.QUARANTINED)
_THERE = (State.UP, State.DONE)


@define(eq=False)
class StartOrder:
    """
    Starts units as soon as what they depend on allows it.

    A unit waits here from the moment that it is wanted until it is started.
    Nothing is planned ahead: whenever something changed, L{advance} looks who
    may start now.  So a unit whose requirement was given up on starts by
    itself when somebody mends that.

    @ivar keepers: all keepers, by name.
    @ivar configs: the configurations of the good units, by name.
    """

    keepers: Mapping[str, Keeper]
    configs: Mapping[str, UnitConfig]
    _waiting: set[str] = field(factory=set, init=False)
    _parked: set[str] = field(factory=set, init=False)
    _advancing: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)
    log = Logger()

    def end(self) -> None:
        """Start nothing any more."""
        self._over = True
        self._waiting.clear()
        self._parked.clear()

    def want(self, names: Iterable[str], but: Container[str] = ()) -> list[str]:
        """
        Start units, after all that they require, which is wanted with them.

        @param but: those that are to stay as they are.
        @return: all that are wanted.
        """
        if self._over:
            return []
        wanted = [name for name in self.closure(names) if name not in but]
        for name in wanted:
            if self.keepers[name].state not in _THERE:
                self._waiting.add(name)
        self.advance()
        return wanted

    def put_off(self, name: str) -> None:
        """Start a unit that is about to stop when what it requires is there."""
        if not self._over:
            self._waiting.add(name)
            self.want([name])

    def forget(self, name: str) -> None:
        """Do not start this any more."""
        self._waiting.discard(name)
        self._parked.discard(name)

    def note(self, name: str) -> None:
        """
        Take note of a change of a unit.  One that was lost waits for what it
        requires, if that is not there, instead of trying in vain.  One that
        came up waits no more, whoever started it.
        """
        state = self.keepers[name].state
        if state in _THERE:
            self.forget(name)
        elif state is State.BACKOFF and not self._over:
            missing = self.missing(name)
            if missing is not None:
                self._waiting.add(name)
                self._parked.add(name)
                self.keepers[name].park(missing)

    def waits(self, name: str) -> bool:
        """Say whether this is wanted and was not started yet."""
        return name in self._waiting

    def advance(self) -> None:
        """Start all that may start now."""
        # Starting one changes its keeper, which calls back here.
        if self._advancing or self._over:
            return
        self._advancing = True
        try:
            while self._start_some():
                pass
        finally:
            self._advancing = False

    def closure(self, names: Iterable[str]) -> list[str]:
        """Name units and all that they require, directly or not."""
        found: dict[str, None] = {}
        todo = [name for name in names if name in self.keepers]
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = None
                todo.extend(self._requires(name))
        return list(found)

    def decided(self, name: str) -> bool:
        """
        Say whether a wanted unit has come up or been given up on, be it for
        the sake of what it requires.
        """
        if name in self._waiting:
            return self._obstacle(name) is not None
        return self.keepers[name].settled

    # -- one look -----------------------------------------------------------

    def _start_some(self) -> bool:
        started = False
        for name in sorted(self._waiting):
            if name not in self._waiting:
                continue  # whoever was told of another's start forgot it
            if name in self._parked and self.keepers[name].goal is Goal.DOWN:
                self.forget(name)  # it was stopped before its turn to be parked
                continue
            blocker = self._blocker(name)
            if blocker is None:
                self._waiting.discard(name)
                self._start(name)
                started = True
            elif self.keepers[name].reason != blocker:
                self.keepers[name].hold(blocker)
        return started

    def _start(self, name: str) -> None:
        if name in self._parked:
            self._parked.discard(name)
            self.keepers[name].resume()
            return
        # The keeper has logged what went wrong, and its status shows it.
        self.keepers[name].start().addErrback(
            lambda failure: failure.trap(UnitFailed, GoalChanged)
        )

    def _blocker(self, name: str) -> str | None:
        missing = self.missing(name)
        if missing is not None:
            return missing
        for other in self._follows(name):
            if not self.decided(other):
                return f"waits for {other}"
        return None

    def missing(self, name: str) -> str | None:
        """Say what a unit requires that is not there, or C{None}."""
        obstacle = self._obstacle(name)
        if obstacle is not None:
            return obstacle
        for other in self._requires(name):
            if self.keepers[other].state not in _THERE:
                return f"waits for {other}"
        return None

    def _obstacle(self, name: str) -> str | None:
        return self._look(name, {})

    def _look(self, name: str, seen: dict[str, str | None]) -> str | None:
        # There may be very many ways to one unit: each is looked at once.
        if name not in seen:
            found = (self._obstacle_in(other, seen) for other in self._requires(name))
            seen[name] = next((one for one in found if one is not None), None)
        return seen[name]

    def _obstacle_in(self, other: str, seen: dict[str, str | None]) -> str | None:
        keeper = self.keepers[other]
        if keeper.state in _GIVEN_UP:
            return f"requires {other}, which is {keeper.state}: {keeper.reason}"
        if other in self._waiting:
            deeper = self._look(other, seen)
            return None if deeper is None else f"requires {other}, which {deeper}"
        if keeper.goal is Goal.DOWN:
            return f"requires {other}, which was told to stay down"
        return None

    def _requires(self, name: str) -> list[str]:
        config = self.configs.get(name)
        return [r for r in config.requires if r in self.keepers] if config else []

    def _follows(self, name: str) -> list[str]:
        config = self.configs.get(name)
        if config is None:
            return []
        return [o for o in (*config.after, *config.uses) if o in self.keepers]


def stop_in_reverse(
    configs: Mapping[str, UnitConfig],
    names: Iterable[str],
    stop: Callable[[str], Deferred[None]],
) -> Deferred[None]:
    """
    Stop units, each when all that depend on it are down, and those without a
    relation side by side.

    @param names: all units, each after those that it depends on.
    @param stop: stops one, and never fails.
    @return: fires when all are down.
    """
    gone: dict[str, Deferred[None]] = {}

    async def stop_after(name: str, dependants: list[Deferred[None]]) -> None:
        for dependant in dependants:
            await dependant
        await stop(name)

    for name in reversed(list(names)):
        waits_for = [gone[d] for d in gone if name in _depends_on(configs.get(d))]
        gone[name] = Deferred.fromCoroutine(stop_after(name, waits_for))

    async def all_gone() -> None:
        for one in gone.values():
            await one

    return Deferred.fromCoroutine(all_gone())


def _depends_on(config: UnitConfig | None) -> tuple[str, ...]:
    if config is None:
        return ()
    return (*config.after, *config.requires, *config.uses)
