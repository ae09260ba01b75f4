# -*- test-case-name: tests.keeper -*-
"""
The states of a unit and what leads from one to another, as a table that can be
read from top to bottom.  L{sockhost.keeper} says what it is for.
"""

from __future__ import annotations

from automat import TypeMachineBuilder
from twisted.python.failure import Failure

from sockhost.interfaces import UnitFailed
from sockhost.keeper.core import Attempt, Core, Inputs, Recovery, Wait
from sockhost.status import Goal, State


def _attempt(machine: Inputs, core: Core) -> Attempt:
    core.succeed()
    core.want(Goal.UP)
    core.asked_by = None
    core.enter(State.STARTING)
    attempt = Attempt(machine, core)
    attempt.begin()
    return attempt


def _kept(machine: Inputs, core: Core, attempt: Attempt) -> Attempt:
    return attempt


def _recovery(machine: Inputs, core: Core) -> Recovery:
    limit = core.history.policy.start_timeout
    core.enter(State.STOPPING, f"it was not ready in {limit:g} s")
    recovery = Recovery(machine, core)
    recovery.begin()
    return recovery


def _wait(machine: Inputs, core: Core, delay: float) -> Wait:
    reason = core.last_exit.reason if core.last_exit else None
    wait = Wait(machine, core)
    wait.begin(delay)
    core.enter(State.BACKOFF, reason, core.wall() + delay)
    return wait


builder = TypeMachineBuilder(Inputs, Core)

down = builder.state("down")
starting = builder.state("starting", _attempt)
up = builder.state("up", _kept)
stopping = builder.state("stopping")
restarting = builder.state("restarting")
recovering = builder.state("recovering", _recovery)
backoff = builder.state("backoff", _wait)
failed = builder.state("failed")
stuck = builder.state("stuck")
done = builder.state("done")
quarantined = builder.state("quarantined")

# -- the goal is up ------------------------------------------------------------


@down.upon(Inputs.start).to(starting)
@failed.upon(Inputs.start).to(starting)
@done.upon(Inputs.start).to(starting)
def start(machine: Inputs, core: Core) -> None:
    """Begin anew: what went wrong before has been seen by whoever says so."""
    core.history.forget()


@down.upon(Inputs.restart).to(starting)
@failed.upon(Inputs.restart).to(starting)
@done.upon(Inputs.restart).to(starting)
@quarantined.upon(Inputs.restart).to(starting)
def restart_what_is_down(machine: Inputs, core: Core) -> None:
    """There is nothing to take down first."""
    core.history.forget()


# No wait: whoever asks for it has a reason to think that it works now.
@backoff.upon(Inputs.start).to(starting)
def start_instead_of_waiting(machine: Inputs, core: Core, wait: Wait) -> None:
    """Try now."""
    wait.end()
    core.history.forget()


@backoff.upon(Inputs.restart).to(starting)
def restart_instead_of_waiting(machine: Inputs, core: Core, wait: Wait) -> None:
    """Try now."""
    wait.end()
    core.history.forget()


@backoff.upon(Inputs._try_now).to(starting)
def try_again(machine: Inputs, core: Core, wait: Wait) -> None:
    """The wait is over."""
    core.restarts += 1


@down.upon(Inputs.resume).to(starting)
def resume(machine: Inputs, core: Core) -> None:
    """What the next try had to wait for is there."""
    core.restarts += 1


starting.upon(Inputs.start).loop().returns(None)
restarting.upon(Inputs.start).loop().returns(None)


@up.upon(Inputs.start).loop()
def already_up(machine: Inputs, core: Core, attempt: Attempt) -> None:
    """Whoever waits for it need not."""
    core.when_up.fire()


@stopping.upon(Inputs.start).to(restarting)
def start_after_the_stop(machine: Inputs, core: Core) -> None:
    """The stop under way goes on to its end: nothing can be started over it."""
    core.history.forget()
    core.want(Goal.UP)
    core.enter(State.STOPPING)


@stopping.upon(Inputs.restart).to(restarting)
def restart_after_the_stop(machine: Inputs, core: Core) -> None:
    """The stop under way does what a restart would begin with."""
    core.history.forget()
    core.want(Goal.UP)
    core.enter(State.STOPPING)


@starting.upon(Inputs.restart).to(restarting)
@up.upon(Inputs.restart).to(restarting)
def restart(machine: Inputs, core: Core, attempt: Attempt) -> None:
    """Take down what runs; what follows is a first try."""
    attempt.end()
    core.history.forget()
    core.enter(State.STOPPING)
    core.end(machine)


@restarting.upon(Inputs.restart).loop()
def already_restarting(machine: Inputs, core: Core) -> None:
    """What will run is not what ran when this was asked for."""


@recovering.upon(Inputs.start).to(restarting)
def start_after_recovery(machine: Inputs, core: Core, recovery: Recovery) -> None:
    """Try again at once when it is down."""
    recovery.superseded = True
    core.history.forget()


@recovering.upon(Inputs.restart).to(restarting)
def restart_after_recovery(machine: Inputs, core: Core, recovery: Recovery) -> None:
    """Try again at once when it is down."""
    recovery.superseded = True
    core.history.forget()


@stuck.upon(Inputs.start).to(restarting)
@stuck.upon(Inputs.restart).to(restarting)
def end_it_first(machine: Inputs, core: Core) -> None:
    """Nothing is started over what is left: that has to end before."""
    core.history.forget()
    core.want(Goal.UP)
    core.enter(State.STOPPING)
    core.end(machine)


@quarantined.upon(Inputs.start).loop()
def cannot_start(machine: Inputs, core: Core) -> None:
    """There is no unit that could be started."""
    core.want(Goal.UP)
    core.enter(State.QUARANTINED, core.quarantine_reason)
    core.when_up.fail(UnitFailed(f"{core.name}: {core.quarantine_reason}"))


# -- the goal is down ----------------------------------------------------------


@down.upon(Inputs.stop).loop()
@failed.upon(Inputs.stop).to(down)
@done.upon(Inputs.stop).to(down)
def stop_what_is_down(machine: Inputs, core: Core) -> None:
    """There is nothing to take down."""
    core.want(Goal.DOWN)
    core.enter(State.DOWN)
    core.when_down.fire()


@quarantined.upon(Inputs.stop).loop()
def leave_quarantined(machine: Inputs, core: Core) -> None:
    """It does not run as it is."""
    core.want(Goal.DOWN)
    core.enter(State.QUARANTINED, core.quarantine_reason)
    core.when_down.fire()


@backoff.upon(Inputs.stop).to(down)
def stop_waiting(machine: Inputs, core: Core, wait: Wait) -> None:
    """There will be no next try."""
    wait.end()
    core.want(Goal.DOWN)
    core.enter(State.DOWN)
    core.when_down.fire()


@down.upon(Inputs.hold).loop()
def hold(machine: Inputs, core: Core) -> None:
    """It is wanted, and started when what it waits for is there."""
    core.want(Goal.UP)
    core.enter(State.DOWN, core.hold_reason)


@backoff.upon(Inputs.park).to(down)
def park(machine: Inputs, core: Core, wait: Wait) -> None:
    """The goal stays as it is, and so do those who wait for it."""
    wait.end()
    core.enter(State.DOWN, core.park_reason)


@starting.upon(Inputs.stop).to(stopping)
@up.upon(Inputs.stop).to(stopping)
def stop(machine: Inputs, core: Core, attempt: Attempt) -> None:
    """Take down what runs, or is about to."""
    attempt.end()
    core.want(Goal.DOWN)
    core.enter(State.STOPPING)
    core.end(machine)


@stuck.upon(Inputs.stop).to(stopping)
def stop_again(machine: Inputs, core: Core) -> None:
    """What is left may end this time."""
    core.want(Goal.DOWN)
    core.enter(State.STOPPING)
    core.end(machine)


@restarting.upon(Inputs.stop).to(stopping)
def stop_for_good(machine: Inputs, core: Core) -> None:
    """The stop under way is the last one."""
    core.want(Goal.DOWN)
    core.enter(State.STOPPING)


@recovering.upon(Inputs.stop).to(stopping)
def stop_after_recovery(machine: Inputs, core: Core, recovery: Recovery) -> None:
    """The stop under way is the last one."""
    recovery.superseded = True
    core.want(Goal.DOWN)
    core.enter(State.STOPPING)


@stopping.upon(Inputs.stop).loop()
def already_stopping(machine: Inputs, core: Core) -> None:
    """Whoever waits for it waits with the others."""


# -- what the unit and time bring ----------------------------------------------


@starting.upon(Inputs._ready).to(up)
def come_up(machine: Inputs, core: Core, old: Attempt, attempt: Attempt) -> None:
    """It does what others rely on it for."""
    if core.told is not None:
        core.log.info("{unit} is up again", unit=core.name)
        core.told = None
    core.enter(State.UP)
    core.when_up.fire()


@starting.upon(Inputs._overdue).to(recovering)
def stop_what_is_not_ready(machine: Inputs, core: Core, attempt: Attempt) -> None:
    """What it says from now on comes too late."""
    attempt.end()


@starting.upon(Inputs._retry).to(backoff)
@up.upon(Inputs._retry).to(backoff)
def wait_for_retry(machine: Inputs, core: Core, attempt: Attempt, delay: float) -> None:
    """The wait has begun."""


@recovering.upon(Inputs._retry).to(backoff)
def wait_after_recovery(
    machine: Inputs, core: Core, recovery: Recovery, delay: float
) -> None:
    """The wait has begun."""


@starting.upon(Inputs._give_up).to(failed)
@up.upon(Inputs._give_up).to(failed)
def give_up(machine: Inputs, core: Core, attempt: Attempt, reason: str) -> None:
    """It is left until somebody says start."""
    core.enter(State.FAILED, reason)
    core.when_up.fail(UnitFailed(f"{core.name}: {reason}"))


@recovering.upon(Inputs._give_up).to(failed)
def give_up_after_recovery(
    machine: Inputs, core: Core, recovery: Recovery, reason: str
) -> None:
    """It is left until somebody says start."""
    core.enter(State.FAILED, reason)
    core.when_up.fail(UnitFailed(f"{core.name}: {reason}"))


@starting.upon(Inputs._finish).to(done)
@up.upon(Inputs._finish).to(done)
def finish(machine: Inputs, core: Core, attempt: Attempt) -> None:
    """Nothing more is to be done."""
    core.enter(State.DONE)
    core.when_up.fire()


@up.upon(Inputs._cease).to(down)
def cease(machine: Inputs, core: Core, attempt: Attempt) -> None:
    """Its turn to stop would have come anyway."""
    core.want(Goal.DOWN)
    core.enter(State.DOWN)
    core.when_down.fire()


@stopping.upon(Inputs._stopped).to(down)
def be_down(machine: Inputs, core: Core) -> None:
    """Nothing of it is left."""
    core.succeed()
    core.enter(State.DOWN)
    core.when_down.fire()


restarting.upon(Inputs._stopped).to(starting).returns(None)


def _leave(core: Core, failure: Failure) -> None:
    core.log.failure("{unit} could not be stopped", failure, unit=core.name)
    why = failure.getErrorMessage() or type(failure.value).__name__
    core.leave(f"could not be stopped: {why}")


@stopping.upon(Inputs._remain).to(stuck)
@restarting.upon(Inputs._remain).to(stuck)
def leave(machine: Inputs, core: Core, failure: Failure) -> None:
    """Something of it is left; nothing is started over that."""
    _leave(core, failure)


@recovering.upon(Inputs._remain).to(stuck)
def leave_after_recovery(
    machine: Inputs, core: Core, recovery: Recovery, failure: Failure
) -> None:
    """Something of it is left; nothing is started over that."""
    _leave(core, failure)


@starting.upon(Inputs._remain).to(stuck)
@up.upon(Inputs._remain).to(stuck)
def leave_after_loss(
    machine: Inputs, core: Core, attempt: Attempt, failure: Failure
) -> None:
    """It does not run, but something of it is left."""
    reason = failure.getErrorMessage()
    core.log.error("{unit}: {reason}", unit=core.name, reason=reason)
    core.leave(reason)


# -- configuration -------------------------------------------------------------


@down.upon(Inputs.quarantine).to(quarantined)
def quarantine(machine: Inputs, core: Core) -> None:
    """There is nothing that could be run."""
    core.goal = Goal.UP
    core.enter(State.QUARANTINED, core.quarantine_reason)


@down.upon(Inputs.renew).loop()
@quarantined.upon(Inputs.renew).to(down)
def renew(machine: Inputs, core: Core) -> None:
    """The new unit takes the place of one that does not run."""
    core.succeed()
    if core.state is State.QUARANTINED:
        core.enter(State.DOWN)


@stopping.upon(Inputs.renew).loop()
@stuck.upon(Inputs.renew).loop()
def renew_later(machine: Inputs, core: Core) -> None:
    """The new unit waits until nothing of the old one is left."""


KeeperMachine = builder.build()
