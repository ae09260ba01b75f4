# -*- test-case-name: tests.keeper.test_keeper -*-
"""
What the states of a unit share, and the runs of the unit that they are about.
L{sockhost.keeper} says what it is all for.
"""

from __future__ import annotations

from collections import deque
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
)
from sockhost.keeper.restart import Finish, GiveUp, RestartHistory, Retry
from sockhost.status import Exit, Goal, State


class Waiters:
    """Deferreds that fire together."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def make(self) -> Deferred[None]:
        """Make one that does not wait yet.  Cancelling it takes it out."""
        return Deferred(self._cancelled)

    def add(self, waiter: Deferred[None]) -> None:
        """Have one wait from now on, unless it was cancelled."""
        if not waiter.called:
            self._waiting.append(waiter)

    def fire(self) -> None:
        """Fire all that wait now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)

    def fail(self, error: Exception) -> None:
        """Fail all that wait now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.errback(error)

    def _cancelled(self, waiter: Deferred[None]) -> None:
        # One that is not there was cancelled before its turn, or by another
        # that has just fired.
        if waiter in self._waiting:
            self._waiting.remove(waiter)


class Mailbox:
    """
    Handles one thing at a time, in order: what arrives while another is being
    handled waits for it to be complete.  A unit may answer from within the call
    that asked it, and whoever watches a keeper may call it back.

    One that raises is logged, and the others have their turn all the same.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = False

    def post(self, action: Callable[[], None]) -> None:
        """Call C{action} now, or as soon as it is its turn."""
        self._waiting.append(action)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self._handle(self._waiting.popleft())
        finally:
            self._busy = False

    def _handle(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            self._log.failure("a keeper met a defect")


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
        """A successor of a unit that does not run takes its place."""

    def quarantine(self) -> None:
        """There is no unit, as its configuration is bad."""

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

    def _try_now(self) -> None:
        """The wait is over."""

    def _stopped(self) -> None:
        """Nothing of the unit is left."""

    def _stop_failed(self, failure: Failure) -> None:
        """Something of the unit is left."""


@define(eq=False)
class Core:
    """
    What all states share.

    @ivar successor: the unit that takes the place of C{unit} as soon as that
        does not run.
    @ivar asked_by: who wants the stop that is under way.
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
    park_reason: str = ""
    told: str | None = None
    successor: IUnit | None = None
    restarts: int = 0
    next_try: float | None = None
    last_exit: Exit | None = None
    asked_by: str | None = None
    mailbox: Mailbox = field(factory=Mailbox)
    when_up: Waiters = field(factory=Waiters)
    when_down: Waiters = field(factory=Waiters)
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
        self.on_change()

    def want(self, goal: Goal) -> None:
        """Set the goal, and release those who wait for the other one."""
        self.goal = goal
        if goal is Goal.UP:
            self.when_down.fail(GoalChanged(f"{self.name} is to be up again"))
        else:
            self.when_up.fail(GoalChanged(f"{self.name} was told to stop"))

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

    def end(self, machine: Inputs) -> None:
        """Have the unit stop, and tell the machine of the outcome."""
        assert self.unit is not None

        def stopped(how: object) -> None:
            loss = how if isinstance(how, BaseException) else None
            self.record(loss, self.asked_by)
            machine._stopped()

        self.tell(maybeDeferred(self.unit.stop), stopped, machine._stop_failed)

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
        ).addErrback(self._blame)

    def _blame(self, failure: Failure) -> None:
        self.log.failure("keeping {unit} met a defect", failure, unit=self.name)


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
                policy.start_timeout, self.core.mailbox.post, self.machine._overdue
            )
        starting = maybeDeferred(unit.start, self._tell_lost)
        self.core.tell(starting, self._started, self._lost)

    def end(self) -> None:
        """Be deaf from now on."""
        self.over = True
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

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
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
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
        self.core.tell(stopping, self._stopped, self.machine._stop_failed)

    def _stopped(self, _how: object) -> None:
        if self.superseded:
            self.machine._stopped()
            return
        limit = self.core.history.policy.start_timeout
        late = Failure(NotReady(f"it was not ready in {limit:g} s"))
        judge(self.machine, self.core, late, None)
