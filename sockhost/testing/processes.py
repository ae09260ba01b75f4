# -*- test-case-name: tests.testing.test_processes -*-
"""
Processes that a test turns by hand.

    - L{MemorySpawner} stands in for the spawner: pass it to a kind,
      C{ProcessKind(spawner=lambda reactor: spawner)}, or wherever an
      L{ISpawner} is taken.
    - L{MemoryProcessReactor} stands in for a reactor in code that calls
      C{spawnProcess} itself.

Nothing is executed, and nothing happens unless the test says so.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from signal import SIGKILL
from typing import Any

from attrs import define, field
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import (
    IProcessProtocol,
    IProcessTransport,
    IReactorProcess,
)
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer
from zope.interface.verify import verifyClass

from sockhost.interfaces import IChild, ISpawner, SpawnError
from sockhost.processes.child import exit_failure, signal_number
from sockhost.processes.spec import ChildSpec

#: The numbers of processes that are none: no Linux gives out any so large.
_FIRST_PID = 2**22 + 1


@implementer(IChild, IProcessTransport)
@define(eq=False)
class MemoryChild:
    """
    A child that does what a test tells it.

    @ivar spec: what it was spawned from.
    @ivar protocol: who is told.
    @ivar signals: the numbers of the signals that it and its group got.
    @ivar on_signal: called with the child and each signal for its group; by
        default nothing dies of anything.
    @ivar others: whether other processes of its group run.
    @ivar written: what was written to its stdin.
    @ivar closed: the descriptors that were closed on our side.
    """

    spec: ChildSpec
    protocol: IProcessProtocol
    pid: int | None
    on_signal: Callable[[MemoryChild, int], object] | None = None
    others: bool = False
    signals: list[int] = field(factory=list)
    written: bytearray = field(factory=bytearray)
    closed: set[int] = field(factory=set)
    _status: int | None = None
    _ended: bool = False

    # -- the test's hand ----------------------------------------------------

    def output(self, data: bytes, number: int = 1) -> None:
        """Write to stdout, or to another descriptor."""
        self.protocol.childDataReceived(number, data)

    def exit(self, code: int = 0) -> None:
        """Exit; the output is complete too, unless others hold it."""
        self._end(code << 8)

    def kill(self, signum: int = SIGKILL) -> None:
        """End by a signal."""
        self._end(int(signum))

    def others_end(self) -> None:
        """Have the others of its group end."""
        self.others = False
        self._maybe_tell_end()

    # -- IChild and IProcessTransport ---------------------------------------

    def signal_group(self, signum: int) -> bool:
        """Take a signal for the group."""
        if self.pid is None and not self.others:
            return False
        if signum:
            self.signals.append(int(signum))
            if self.on_signal is not None:
                self.on_signal(self, signum)
        return True

    def signalProcess(self, signalID: str | int) -> None:  # noqa: N803
        """Take a signal for the process."""
        if self.pid is None:
            raise ProcessExitedAlready()
        self.signals.append(signal_number(signalID))

    def writeToChild(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """Keep what is written."""
        if childFD != 0 or self.spec.stdin != "pipe":
            raise KeyError(childFD)
        self.written += data

    def write(self, data: bytes) -> None:
        """Keep what is written to its stdin."""
        self.writeToChild(0, data)

    def writeSequence(self, data: Any) -> None:
        """Keep what is written to its stdin."""
        self.write(b"".join(data))

    def closeChildFD(self, descriptor: int) -> None:
        """Note that it is closed."""
        self.closed.add(descriptor)

    def closeStdin(self) -> None:
        """Note that it is closed."""
        self.closeChildFD(0)

    def closeStdout(self) -> None:
        """Note that it is closed."""
        self.closeChildFD(1)

    def closeStderr(self) -> None:
        """Note that it is closed."""
        self.closeChildFD(2)

    def loseConnection(self) -> None:
        """Note that all are closed: the output is complete."""
        self.closed.update((0, 1, 2))
        self._maybe_tell_end()

    def getPeer(self) -> Any:
        """A process has no address."""
        return ("child", self.pid)

    def getHost(self) -> Any:
        """A process has no address."""
        return ("host", os.getpid())

    def _end(self, status: int) -> None:
        assert self.pid is not None, "it has ended already"
        self.pid = None
        self._status = status
        self.protocol.processExited(exit_failure(status))
        self._maybe_tell_end()

    def _maybe_tell_end(self) -> None:
        held = self.others and 1 not in self.closed
        if self._status is not None and not self._ended and not held:
            self._ended = True
            self.protocol.processEnded(exit_failure(self._status))


def obedient(child: MemoryChild, signum: int) -> None:
    """
    Use it as C{on_signal}: the child and the others of its group die of every
    signal.
    """
    child.others_end()
    if child.pid is not None:
        child.kill(signum)


def stubborn(child: MemoryChild, signum: int) -> None:
    """Use it as C{on_signal}: they die of SIGKILL alone."""
    if signum == SIGKILL:
        obedient(child, signum)


@implementer(ISpawner)
@define(eq=False)
class MemorySpawner:
    """
    A spawner that executes nothing.

    @ivar children: every child that it made, in order.
    @ivar on_signal: what the next children get as C{on_signal}.
    @ivar error: if set, the next spawn raises it, once.
    """

    children: list[MemoryChild] = field(factory=list)
    on_signal: Callable[[MemoryChild, int], object] | None = obedient
    error: SpawnError | None = None

    def spawn(self, spec: ChildSpec, protocol: IProcessProtocol) -> MemoryChild:
        """Make a child."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        pid = _FIRST_PID + len(self.children)
        child = MemoryChild(spec, protocol, pid, self.on_signal)
        self.children.append(child)
        protocol.makeConnection(child)
        return child

    def fail_next(self, number: int = errno.ENOENT, path: str = "/missing") -> None:
        """Have the next spawn fail."""
        self.error = SpawnError(number, path, os.strerror(number))

    @property
    def child(self) -> MemoryChild:
        """The newest child."""
        return self.children[-1]


@define(eq=False)
class SpawnRecord:
    """What C{spawnProcess} was called with."""

    protocol: IProcessProtocol
    executable: str | bytes
    args: Sequence[str | bytes]
    env: Mapping[Any, Any] | None
    path: str | bytes | None
    uid: int | None
    gid: int | None
    use_pty: bool
    child_fds: Mapping[int, int | str] | None
    transport: MemoryChild


@implementer(IReactorProcess)
class MemoryProcessReactor(MemoryReactorClock):
    """
    A memory reactor with a clock and with processes.

    @ivar spawned: a record of each call of C{spawnProcess}, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[SpawnRecord] = []
        self._spawner = MemorySpawner()

    def spawnProcess(
        self,
        processProtocol: IProcessProtocol,  # noqa: N803
        executable: bytes | str,
        args: Sequence[bytes | str] = (),
        env: Mapping[Any, Any] | None = None,
        path: bytes | str | None = None,
        uid: int | None = None,
        gid: int | None = None,
        usePTY: bool | tuple[int, int, str] | tuple[int, int] | tuple[str] = False,  # noqa: N803
        childFDs: Mapping[int, int | str] | None = None,  # noqa: N803
    ) -> IProcessTransport:
        """Make a L{MemoryChild}, and keep what it was asked for with."""
        argv = tuple(os.fsdecode(arg) for arg in (args or (executable,)))
        spec = ChildSpec(argv=argv, stdin="pipe", output="separate")
        transport = self._spawner.spawn(spec, processProtocol)
        record = SpawnRecord(
            processProtocol,
            executable,
            args,
            env,
            path,
            uid,
            gid,
            bool(usePTY),
            childFDs,
            transport,
        )
        self.spawned.append(record)
        return transport


verifyClass(IChild, MemoryChild)
verifyClass(IProcessTransport, MemoryChild)
verifyClass(ISpawner, MemorySpawner)
verifyClass(IReactorProcess, MemoryProcessReactor)
