# -*- test-case-name: tests.keeper -*-
"""
The keeper: the one place that keeps a unit at its goal.

A unit has a I{goal} (C{up} or C{down}), which people and the host set, and an
I{actual state}, which is what became of it.  The machine below moves the one
towards the other.  Nothing else in sockhost starts something again, waits
before it does, or gives up.

Three rules make the transitions safe to read one by one:

    - Whatever a unit says belongs to one I{attempt} to run it.  An attempt
      that was ended is deaf, so that news of it can never be taken for news
      of the next.
    - While C{unit.stop()} is under way, nothing is started.  A goal that
      changes meanwhile only changes which state follows.
    - When C{unit.stop()} has failed, it has to succeed before anything is
      started or said to be down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from sockhost.config import RestartPolicy, UnitConfig
from sockhost.interfaces import GoalChanged, IUnit, IUsableUnit
from sockhost.keeper.core import Core
from sockhost.keeper.machine import KeeperMachine
from sockhost.keeper.restart import RestartHistory
from sockhost.keeper.turns import Waiters
from sockhost.keeper.view import unit_status
from sockhost.status import Goal, State, UnitStatus

__all__ = ["Keeper"]

_LASTING = (State.UP, State.DONE, State.FAILED, State.QUARANTINED)


class Keeper:
    """
    Keeps one unit at its goal.  The goal of a new keeper is C{down}.

    @ivar name: the unit's name.
    @ivar kind: the unit's kind, for the status.
    """

    def __init__(
        self,
        name: str,
        unit: IUnit | None,
        policy: RestartPolicy,
        clock: IReactorTime,
        on_change: Callable[[Keeper], None] | None = None,
        kind: str = "",
        wall: Callable[[], float] = time.time,
    ) -> None:
        """
        @param unit: what to keep; C{None} for a unit whose configuration is
            bad, to be followed by L{quarantine}.
        @param clock: for the waits.
        @param on_change: called after every change of the state, the goal or
            the reason, from within the change: it may call the keeper, which
            acts when the change is complete.
        @param wall: gives the time of day for the status.
        """
        self.name = name
        self.kind = kind
        self._config: UnitConfig | None = None
        self._reloads = 0
        self._core = Core(
            name=name,
            unit=unit,
            history=RestartHistory(policy),
            clock=clock,
            wall=wall,
            on_change=lambda: on_change(self) if on_change is not None else None,
        )
        self._machine = KeeperMachine(self._core)

    # -- what is ------------------------------------------------------------

    @property
    def unit(self) -> IUnit | None:
        """The unit that is kept now."""
        return self._core.unit

    @property
    def goal(self) -> Goal:
        """What the unit is meant to be."""
        return self._core.goal

    @property
    def state(self) -> State:
        """What the unit is."""
        return self._core.state

    @property
    def reason(self) -> str | None:
        """Why the state is not the goal, or C{None}."""
        return self._core.reason

    @property
    def restarts(self) -> int:
        """How often the unit was started again without being asked for."""
        return self._core.restarts

    @property
    def settled(self) -> bool:
        """
        Whether the unit will stay as it is until something happens to it:
        it is up, done, down, or was given up on.
        """
        return self.state not in (State.STARTING, State.STOPPING, State.BACKOFF)

    def status(self) -> UnitStatus:
        """Describe the unit, now."""
        return unit_status(self._core, self.kind, self._config)

    def describe(self, config: UnitConfig) -> None:
        """Take what the status says of dependencies from a configuration."""
        self._config = config

    # -- what is to be ------------------------------------------------------

    def start(self) -> Deferred[None]:
        """
        Set the goal to C{up}.  A keeper that waits to try again tries now, and
        one that gave up begins anew.  What could not be stopped is stopped
        before.

        @return: fires when the unit is up, or done.  Fails with L{UnitFailed}
            when the keeper gives up or what is left cannot be ended, and with
            L{GoalChanged} on L{stop}.  Cancelling only detaches the caller.
        """
        return self._ask(self._core.when_up, lambda: self._begin(self._machine.start))

    def stop(self, asked_by: str | None = None) -> Deferred[None]:
        """
        Set the goal to C{down}.  What could not be stopped is told to stop
        again.

        @param asked_by: who wants it, for the record of the exit.
        @return: fires when nothing of the unit is left.  Fails with
            L{UnitFailed} if something is and cannot be ended, and with
            L{GoalChanged} on L{start}.  Cancelling only detaches the caller.
        """
        return self._ask(
            self._core.when_down, lambda: self._asked(asked_by, self._machine.stop)
        )

    def restart(self, asked_by: str | None = None) -> Deferred[None]:
        """
        Set the goal to C{up}, and take the unit down before if it is not.
        Fires and fails like L{start}, for the unit that runs I{after} this.
        """
        return self._ask(
            self._core.when_up,
            lambda: self._begin(lambda: self._asked(asked_by, self._restart)),
        )

    def hold(self, reason: str) -> None:
        """
        Set the goal of a unit that is down to C{up} without starting it,
        because something else has to be there first.  In any other state this
        changes nothing.

        @param reason: what is waited for.
        """
        self._core.hold_reason = reason
        self._post(self._hold)

    def park(self, reason: str) -> None:
        """
        Make a keeper that waits for its next try wait for L{resume} instead,
        because something else has to be there first.  Those who wait for the
        unit go on waiting.  In any other state this changes nothing.

        @param reason: what is waited for.
        """
        self._core.park_reason = reason
        self._post(lambda: self._if(State.BACKOFF, self._machine.park))

    def resume(self) -> None:
        """
        Make the next try of a unit that was parked.  What went wrong before
        still counts.  A unit that is not to be up, or not down, is left as it is.
        """
        self._post(self._resume)

    def conclude(self, asked_by: str | None = None) -> None:
        """
        Start nothing any more, whatever happens, as everything is about to
        stop.  A unit that is up goes on until L{stop}, and is down when it is
        lost before; one that is not up yet, or not again, is stopped.  Who
        wants it up from now on fails with L{GoalChanged}.

        @param asked_by: who wants it, for the record of the exit.
        """
        self._post(lambda: self._conclude(asked_by))

    def quarantine(self, reason: str) -> None:
        """
        Mark a keeper without a unit as having a bad configuration.

        @param reason: what is wrong with it.
        """
        self._core.quarantine_reason = reason
        self._post(self._machine.quarantine)

    def abort(self) -> None:
        """
        Cut short the grace of a stop that is under way, be it that its turn
        has not come yet.
        """
        self._post(lambda: self._if(State.STOPPING, self._abort))

    def take_policy(self, policy: RestartPolicy | None) -> None:
        """Judge by another policy from now on; C{None} for the same."""
        if policy is not None:
            self._core.history.policy = policy

    def reload(
        self,
        config: Any,
        make: Callable[[], IUnit],
        policy: RestartPolicy | None = None,
        asked_by: str | None = None,
        in_place: bool = True,
        held: Callable[[], bool] = lambda: False,
    ) -> Deferred[bool]:
        """
        Bring a new configuration to the unit.  A unit that is up, and a usable
        one in any state that lasts, is asked to take it.  Otherwise, and if it
        will not, a new unit takes its place as soon as nothing of it is left,
        and is started if the goal is C{up}; save where L{hold} or L{park} has
        it wait.

        @param config: for L{IUnit.reload<sockhost.interfaces.IUnit>}.
        @param make: makes the new unit, if one is needed.  What it raises
            fails the Deferred, and the old unit goes on.
        @param policy: the restart policy that goes with it.
        @param in_place: whether the unit that is there can be asked at all.
        @param held: called when a new unit is to be started; C{True} leaves it
            down, for L{hold} or L{start} to go on with.
        @return: fires with C{True} when the unit took it, and with C{False}
            when a new unit is up, or at once if it is not to be started now.
            Fails like L{start}, with the failure of the unit's C{reload}, and
            with L{GoalChanged} if a newer configuration came while the unit
            was asked.  Cancelling ends the asking, later only the waiting.
        """
        self._reloads += 1
        unit = self._core.unit if in_place else None
        return Deferred.fromCoroutine(
            self._reload(
                unit,
                config,
                policy,
                lambda: self._succeed(make(), policy, asked_by, held),
            )
        )

    async def _reload(
        self,
        unit: IUnit | None,
        config: Any,
        policy: RestartPolicy | None,
        anew: Callable[[], Deferred[None]],
    ) -> bool:
        number = self._reloads
        if unit is not None and self._may_ask(unit):
            taken = await maybeDeferred(unit.reload, config)
            if number != self._reloads:
                raise GoalChanged(f"{self.name} was given a newer configuration")
            if taken and unit is self._core.unit:
                await self._go_on(policy)
                return True
        await anew()
        return False

    async def _go_on(self, policy: RestartPolicy | None) -> None:
        self.take_policy(policy)
        # One of an earlier configuration, that waits for the end of this one.
        self._core.successor = None
        if self.goal is Goal.UP and self.state not in (State.UP, State.DOWN):
            await self.start()

    def _succeed(
        self,
        unit: IUnit,
        policy: RestartPolicy | None,
        asked_by: str | None,
        held: Callable[[], bool],
    ) -> Deferred[None]:
        waiting = self._core.when_up.make()

        def turn() -> None:
            self._core.successor = unit
            self.take_policy(policy)
            if self.goal is Goal.DOWN or self.state is State.DOWN:
                self._machine.renew()
                if not waiting.called:
                    waiting.callback(None)
            elif not self._core.final and held():
                self._asked(asked_by, self._machine.stop)
                self._machine.renew()
                self._core.when_up.add(waiting)
            else:
                self._core.when_up.add(waiting)
                self._begin(lambda: self._asked(asked_by, self._machine.restart))

        self._post(turn)
        return waiting

    def _may_ask(self, unit: IUnit) -> bool:
        # Others hold the client of a usable unit, which a new unit would replace.
        if IUsableUnit.providedBy(unit):
            return self.settled or self.state is State.BACKOFF
        return self.state is State.UP

    # -- its turn -----------------------------------------------------------

    def _ask(self, waiters: Waiters, action: Callable[[], None]) -> Deferred[None]:
        waiting = waiters.make()

        def turn() -> None:
            # Not before its turn: what was asked for earlier may still abandon
            # all that wait.
            waiters.add(waiting)
            action()

        self._post(turn)
        return waiting

    def _if(self, state: State, action: Callable[[], None]) -> None:
        if self.state is state:
            action()

    def _asked(self, asked_by: str | None, action: Callable[[], None]) -> None:
        # The end that is under way is owed to who asked for it first.
        if self.state is not State.STOPPING or self.goal is Goal.UP:
            self._core.asked_by = asked_by
        action()

    def _begin(self, action: Callable[[], None]) -> None:
        if self._core.final:
            text = f"{self.name} is not started any more: all are to stop"
            self._core.when_up.fail(GoalChanged(text))
        else:
            action()

    def _conclude(self, asked_by: str | None) -> None:
        self._core.final = True
        if self.goal is Goal.UP and self.state not in _LASTING:
            self._asked(asked_by, self._machine.stop)

    def _hold(self) -> None:
        if self.state is State.DOWN and not self._core.final:
            self._machine.hold()

    def _restart(self) -> None:
        if self.state is State.QUARANTINED and self._core.successor is None:
            self._machine.start()
        else:
            self._machine.restart()

    def _resume(self) -> None:
        if self.state is State.DOWN and self.goal is Goal.UP:
            self._machine.resume()

    def _abort(self) -> None:
        assert self._core.unit is not None
        try:
            self._core.unit.abort()
        except Exception:
            # Its stop goes on, and so do those of the others.
            self._core.log.failure("aborting {unit} failed", unit=self.name)

    def _post(self, action: Callable[[], None]) -> None:
        self._core.mailbox.post(action)
