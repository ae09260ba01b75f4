# -*- test-case-name: tests.keeper -*-
"""
What the states of a unit share, and what they carry: the runs of the unit, and
the waits between them.  L{sockhost.keeper} says what it is all for.
"""

from __future__ import annotations

from collections.abc import Callable
from signal import Signals
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from sockhost.interfaces import (
    GoalChanged,
    IUnit,
    NotReady,
    ProcessLost,
    SockhostError,
    UnitFailed,
    UnitStuck,
)
from sockhost.keeper.restart import Finish, GiveUp, RestartHistory, Retry
from sockhost.keeper.turns import Mailbox, Waiters
from sockhost.status import Exit, Goal, State


class Inputs(Protocol):
    """
    What can happen to a unit: what people want (the public ones), and what
    the unit and time bring.
    """

    def start(self) -> None:
        """The goal is up."""

    def stop(self) -> None:
        """The goal is down."""

    def restart(self) -> None:
        """The goal is up, and what runs now is not it."""

    def renew(self) -> None:
        """A successor takes the unit's place as soon as nothing of it is left."""

    def quarantine(self) -> None:
        """There is no unit, as its configuration is bad."""

    def hold(self) -> None:
        """The goal is up, but something else has to be there first."""

    def park(self) -> None:
        """The next try is to wait until L{resume}."""

    def resume(self) -> None:
        """The next try may be made now."""

    def _ready(self, attempt: Attempt) -> None:
        """The unit is ready."""

    def _overdue(self) -> None:
        """The unit was not ready in time."""

    def _retry(self, delay: float) -> None:
        """The unit was lost, or did not come up; it is to be tried again."""

    def _give_up(self, reason: str) -> None:
        """The unit was lost, or did not come up; it is to be left."""

    def _finish(self) -> None:
        """The unit has ended as it is meant to."""

    def _cease(self) -> None:
        """The unit was lost, and is not to be started any more."""

    def _try_now(self) -> None:
        """The wait is over."""

    def _stopped(self) -> None:
        """Nothing of the unit is left."""

    def _remain(self, failure: Failure) -> None:
        """Something of the unit is left that does not end."""


@define(eq=False)
class Core:
    """
    What all states share.

    @ivar successor: the unit that takes the place of C{unit} as soon as nothing
        of that is left.
    @ivar asked_by: who wants the stop that is under way.
    @ivar final: set when nothing may be started any more.
    @ivar told: the loss that was told in the log since the unit was up.
    """

    name: str
    unit: IUnit | None
    history: RestartHistory
    clock: IReactorTime
    wall: Callable[[], float]
    on_change: Callable[[], None]
    goal: Goal = Goal.DOWN
    state: State = State.DOWN
    since: float = field(init=False)
    reason: str | None = None
    quarantine_reason: str = ""
    hold_reason: str = ""
    park_reason: str = ""
    told: str | None = None
    final: bool = False
    successor: IUnit | None = None
    restarts: int = 0
    next_try: float | None = None
    last_exit: Exit | None = None
    asked_by: str | None = None
    when_up: Waiters = field(factory=Waiters)
    when_down: Waiters = field(factory=Waiters)
    mailbox: Mailbox = field(factory=Mailbox)
    log: Logger = field(factory=lambda: Logger(namespace="sockhost.keeper"))

    def __attrs_post_init__(self) -> None:
        self.since = self.wall()

    def enter(
        self, state: State, reason: str | None = None, next_try: float | None = None
    ) -> None:
        """Show a state, and why if it is not what is wanted."""
        if state is not self.state:
            self.since = self.wall()
        self.state, self.reason, self.next_try = state, reason, next_try
        try:
            self.on_change()
        except Exception:
            # Half a transition would be worse than a watcher who knows nothing.
            self.log.failure("telling of {unit} failed", unit=self.name)

    def want(self, goal: Goal) -> None:
        """Set the goal, and release those who wait for the other one."""
        self.goal = goal
        if goal is Goal.UP:
            self.when_down.fail(GoalChanged(f"{self.name} is to be up again"))
        else:
            self.when_up.fail(GoalChanged(f"{self.name} was told to stop"))

    def leave(self, reason: str) -> None:
        """Show that something of the unit is left, and release who waits."""
        # A successor goes on waiting: its turn comes when nothing of this is left.
        self.told = reason
        self.enter(State.FAILED, reason)
        for waiters in (self.when_up, self.when_down):
            waiters.fail(UnitFailed(f"{self.name}: {reason}"))

    def succeed(self) -> None:
        """Put the successor in the place of the unit, if there is one."""
        if self.successor is not None:
            self.unit, self.successor = self.successor, None

    def record(self, loss: BaseException | None, asked_by: str | None) -> None:
        """Remember how the unit ended."""
        code = signal = None
        if isinstance(loss, ProcessLost):
            code = loss.code
            signal = _signal_name(loss.signal)
        self.last_exit = Exit(
            at=self.wall(),
            code=code,
            signal=signal,
            asked_by=asked_by,
            reason=describe(loss) if loss is not None else "stopped",
        )

    def record_stop(self, how: object) -> None:
        """Remember how the unit ended that was told to."""
        self.record(how if isinstance(how, BaseException) else None, self.asked_by)

    def end(self, machine: Inputs) -> None:
        """Have the unit stop, and tell the machine of the outcome."""
        assert self.unit is not None

        def stopped(how: object) -> None:
            self.record_stop(how)
            machine._stopped()

        self.tell(maybeDeferred(self.unit.stop), stopped, machine._remain)

    def tell(
        self,
        outcome: Deferred[Any],
        good: Callable[[Any], None],
        bad: Callable[[Failure], None],
    ) -> None:
        """Have an outcome handled when it is there and its turn has come."""
        outcome.addCallbacks(
            lambda result: self.mailbox.post(lambda: good(result)),
            lambda failure: self.mailbox.post(lambda: bad(failure)),
        )


def describe(error: BaseException) -> str:
    """Say what an exception says, and what it is if that is not our own."""
    if isinstance(error, SockhostError):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}".rstrip(".")


def _signal_name(signum: int | None) -> str | None:
    if signum is None:
        return None
    try:
        return Signals(signum).name
    except ValueError:
        return str(signum)


@define(eq=False)
class Attempt:
    """
    One run of the unit, from C{start} until it is lost or told to stop.

    @ivar over: set when nothing that the unit says of this run matters any
        more.
    """

    machine: Inputs
    core: Core
    over: bool = False
    _up_since: float | None = None
    _deadline: IDelayedCall | None = None

    def begin(self) -> None:
        """Start the unit."""
        unit, policy = self.core.unit, self.core.history.policy
        assert unit is not None
        if policy.start_timeout:
            self._deadline = self.core.clock.callLater(
                policy.start_timeout, self.core.mailbox.post, self._overdue
            )
        starting = maybeDeferred(unit.start, self._tell_lost)
        self.core.tell(starting, self._started, self._lost)

    def end(self) -> None:
        """Be deaf from now on."""
        self.over = True
        self._end_deadline()

    def _end_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _overdue(self) -> None:
        # It may have come up, or to its end, while this waited for its turn.
        if not self.over and self._up_since is None:
            self.machine._overdue()

    def _tell_lost(self, failure: Failure) -> None:
        self.core.mailbox.post(lambda: self._lost(failure))

    def _lost(self, failure: Failure) -> None:
        if self.over:
            self._late(failure)
            return
        self.end()
        judge(self.machine, self.core, failure, self._up_for())

    def _started(self, _result: object) -> None:
        if self.over:
            return
        self._up_since = self.core.clock.seconds()
        self._end_deadline()
        self.machine._ready(self)

    def _up_for(self) -> float | None:
        if self._up_since is None:
            return None
        return self.core.clock.seconds() - self._up_since

    def _late(self, failure: Failure) -> None:
        # A start that a stop overtook fails with CancelledError by contract.
        if not failure.check(CancelledError):
            self.core.log.debug(
                "{unit} was lost after it was let go: {reason}",
                unit=self.core.name,
                reason=failure.getErrorMessage(),
            )


def judge(machine: Inputs, core: Core, failure: Failure, up_for: float | None) -> None:
    """Let the policy decide what follows a loss."""
    loss = failure.value
    assert loss is not None
    if not isinstance(loss, SockhostError):
        core.log.failure("{unit} met an error of its own", failure, unit=core.name)
    core.record(loss, None)
    if isinstance(loss, UnitStuck):
        machine._remain(failure)
        return
    if core.final:
        core.log.info(
            "{unit} was lost while all stop: {reason}",
            unit=core.name,
            reason=describe(loss),
        )
        machine._cease()
        return
    verdict = core.history.judge(core.clock.seconds(), loss, up_for)
    if isinstance(verdict, Retry):
        # The same news at every try would bury all others.
        level = LogLevel.debug if describe(loss) == core.told else LogLevel.warn
        core.told = describe(loss)
        core.log.emit(
            level,
            "{unit} is not up: {reason}; next try in {delay:.1f} s",
            unit=core.name,
            reason=describe(loss),
            delay=verdict.delay,
        )
        machine._retry(verdict.delay)
    elif isinstance(verdict, GiveUp):
        core.log.error("{unit}: {reason}", unit=core.name, reason=verdict.reason)
        machine._give_up(verdict.reason)
    else:
        assert isinstance(verdict, Finish)
        machine._finish()


@define(eq=False)
class Recovery:
    """
    The stop of a unit that was not ready in time.

    @ivar superseded: set when the goal was set meanwhile, so that the outcome
        is no longer a matter of the policy.
    """

    machine: Inputs
    core: Core
    superseded: bool = False

    def begin(self) -> None:
        """Have the unit stop."""
        assert self.core.unit is not None
        stopping = maybeDeferred(self.core.unit.stop)
        self.core.tell(stopping, self._stopped, self.machine._remain)

    def _stopped(self, how: object) -> None:
        if self.superseded:
            self.core.record_stop(how)
            self.machine._stopped()
            return
        limit = self.core.history.policy.start_timeout
        late = Failure(NotReady(f"it was not ready in {limit:g} s"))
        judge(self.machine, self.core, late, None)


@define(eq=False)
class Wait:
    """
    The wait for the next try.

    @ivar over: set when the try is not to be made any more.
    """

    machine: Inputs
    core: Core
    over: bool = False
    _call: IDelayedCall | None = None

    def begin(self, delay: float) -> None:
        """Wait for so many seconds."""
        self._call = self.core.clock.callLater(
            delay, self.core.mailbox.post, self._passed
        )

    def end(self) -> None:
        """Wait no longer."""
        self.over = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _passed(self) -> None:
        if not self.over:
            self.machine._try_now()
