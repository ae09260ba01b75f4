# -*- test-case-name: tests.supervise.test_execution -*-
"""
One run of a program: from its exec until no process of its group is left.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Container
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessProtocol,
    IProcessTransport,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import IChild, ISpawner, ProcessLost, UnitStuck
from sockhost.processes.countdown import Countdown
from sockhost.processes.spec import ChildSpec

T = TypeVar("T")

_POLL = 0.01
#: Seconds that the others of a group get after their leader obeyed a stop.
_STRAGGLE = 0.5
#: Seconds that killed processes get to be gone.
_DYING = 10.0


@define(eq=False)
class Once(Generic[T]):
    """Something that happens once, and that any number may wait for."""

    _waiting: list[Deferred[T]] = field(factory=list)
    _values: list[T] = field(factory=list)

    @property
    def fired(self) -> bool:
        """Whether it has happened."""
        return bool(self._values)

    def wait(self) -> Deferred[T]:
        """Fires when it happens, at once if it has.  May be cancelled."""
        if self._values:
            return succeed(self._values[0])
        waiter: Deferred[T] = Deferred(self._forget)
        self._waiting.append(waiter)
        return waiter

    def fire(self, value: T) -> None:
        """It happens."""
        self._values.append(value)
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:  # one may cancel another
                waiter.callback(value)

    def _forget(self, waiter: Deferred[T]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)


@implementer(IProcessProtocol)
@define(eq=False, repr=False, kw_only=True)
class Execution:
    """
    One run of a program.

    @ivar output: called with what the program writes.
    @ivar stop_signal: what asks the group to end.
    @ivar grace: seconds between that and SIGKILL.
    @ivar exited: fires when the program itself has ended.
    @ivar gone: fires when nothing of its group is left, and with C{None};
        or with an error, if a process survives SIGKILL.  After that it is
        another one as soon as L{stop} is called again.
    @ivar released: called when nothing of its group is left.
    """

    _log = Logger()

    _reactor: IReactorTime
    _spawner: ISpawner
    output: Callable[[bytes], object]
    stop_signal: int = signal.SIGTERM
    grace: float = 10.0
    exited: Once[None] = field(factory=Once)
    gone: Once[UnitStuck | None] = field(factory=Once)
    released: Callable[[], object] = lambda: None
    started: float | None = None
    stopping: bool = False
    _child: IChild | None = None
    _group: int | None = None
    _reason: Failure | None = None
    _error: UnitStuck | None = None
    _killing: bool = False
    _patience: Countdown = field(init=False)
    _call: IDelayedCall | None = None
    _buried: bool = False
    _output_complete: bool = False

    @property
    def pid(self) -> int | None:
        """The process id of the program, or C{None} if it does not run."""
        return None if self._child is None else self._child.pid

    def begin(self, spec: ChildSpec) -> None:
        """
        Execute the program.

        @raise SpawnError: it cannot be executed; C{gone} never fires.
        """
        self._child = self._spawner.spawn(spec, self)
        self._group = self._child.pid
        self.started = self._reactor.seconds()

    def stop(self) -> Deferred[UnitStuck | None]:
        """
        Ask the whole group to end, and kill it when the grace is over.  If
        something of it has survived that before, try again to kill it.

        @return: C{gone}.
        """
        if self._error is not None:
            self._try_again()
        elif not self.stopping and not self.exited.fired:
            self._ask()
        return self.gone.wait()

    def abort(self) -> None:
        """End the grace of a stop that is under way."""
        if self.gone.fired or self._buried or not self.stopping:
            return
        if not self._killing:
            self._cancel()
            self._kill()

    def loss(self, success: Container[int] = (0,)) -> ProcessLost:
        """
        Say how the program ended, once it has.

        @param success: the exit codes that are no failure.
        """
        assert self._reason is not None, "the program has not ended"
        return process_lost(self._reason, success)

    def _ask(self) -> None:
        self.stopping = True
        assert self._child is not None
        self._child.signal_group(self.stop_signal)
        if not self.exited.fired:
            self._call = self._reactor.callLater(self.grace, self._kill)

    def _kill(self) -> None:
        assert self._child is not None
        if self._child.signal_group(0):
            self._log.warn("process group {group}: SIGKILL", group=self._group)
        self._begin_killing()
        self._bury()

    def _begin_killing(self) -> None:
        self._killing = True
        self._patience = Countdown(self._reactor, _DYING)

    def _try_again(self) -> None:
        self._error = None
        self.gone = Once()
        self._kill()

    def _bury(self) -> None:
        """See to it that no process of the group is left."""
        self._call = None
        if not self._killing and self._patience.over():
            self._begin_killing()
        assert self._child is not None
        left = self._child.signal_group(signal.SIGKILL if self._killing else 0)
        if self.gone.fired or self._buried:
            return  # the signal has ended the program, which was told at once
        if self.exited.fired and not left:
            self._finish()
        elif self._killing and self._patience.over():
            self._give_up()
        else:
            self._cancel()
            self._call = self._reactor.callLater(_POLL, self._bury)

    def _give_up(self) -> None:
        text = f"process group {self._group} does not end"
        self._error = UnitStuck(text)
        self._log.error("{problem}", problem=text)
        self._let_go()
        self.gone.fire(self._error)

    def _finish(self) -> None:
        self._buried = True
        self._let_go()
        self._maybe_gone()

    def _let_go(self) -> None:
        # Whoever else holds the pipes left the group on purpose (a daemon), and
        # does not delay what comes next.
        assert self._child is not None
        IProcessTransport(self._child).loseConnection()

    def _maybe_gone(self) -> None:
        if self._buried and self._output_complete and not self.gone.fired:
            self.released()
            self.gone.fire(None)

    def _cancel(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def makeConnection(self, process: IProcessTransport) -> None:
        """Nothing is written to the program."""

    def childDataReceived(self, _number: int, data: bytes) -> None:
        """The program wrote something."""
        self.output(data)

    def childConnectionLost(self, _number: int) -> None:
        """The end is told besides."""

    def processExited(self, reason: Failure) -> None:
        """The program ended; what it started may still run."""
        self._cancel()
        self._reason = reason
        self._patience = Countdown(self._reactor, self._time_for_others())
        self.exited.fire(None)
        if self._error is None:
            self._bury()

    def _time_for_others(self) -> float:
        if self._killing:
            return _DYING
        return _STRAGGLE if self.stopping else 0.0

    def processEnded(self, _reason: Failure) -> None:
        """The output is complete too."""
        self._output_complete = True
        self._maybe_gone()


def process_lost(reason: Failure, success: Container[int] = (0,)) -> ProcessLost:
    """Make the loss of a unit from the end of its process."""
    code = getattr(reason.value, "exitCode", None)
    signum = getattr(reason.value, "signal", None)
    if signum is not None:
        return ProcessLost(f"ended by {_name(signum)}", None, signum)
    if code is None:
        return ProcessLost("ended; its exit status is not known", None, None)
    return ProcessLost(f"exited with code {code}", code, None, code in success)


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
