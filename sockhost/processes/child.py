# -*- test-case-name: tests.processes.test_child -*-
"""
One child process, from its exec until its output is complete.

It is watched by a pidfd, which the reactor reads like any descriptor: no
SIGCHLD, no walk over all children, no number that may already belong to
somebody else.  L{sockhost.processes.spawner.Spawner} makes children.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from resource import struct_rusage
from typing import Any

from attrs import define, field
from twisted.internet import main
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessProtocol,
    IProcessTransport,
    IReadDescriptor,
)
from twisted.internet.process import ProcessWriter
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import IChild
from sockhost.processes.spec import STDERR, STDOUT
from sockhost.processes.stdio import IProcessReactor, OutputReader, Stdio
from sockhost.processes.system import Process, System

#: The children that are not reaped yet.  The kernel keeps one such list for a
#: whole process, whatever number of reactors and spawners it has, and so do we.
live_pids: set[int] = set()


def signal_number(signal_id: str | int) -> int:
    """
    Make a signal's number from C{"TERM"}, C{"SIGTERM"} or a number.

    @raise ValueError: there is no such signal.
    """
    if isinstance(signal_id, int):
        return signal.Signals(signal_id).value
    name = signal_id.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    try:
        return signal.Signals[name].value
    except KeyError:
        raise ValueError(f"there is no signal {signal_id!r}") from None


def exit_failure(status: int) -> Failure:
    """Make what C{processExited} is told from a wait status."""
    if os.WIFSIGNALED(status):
        return Failure(ProcessTerminated(None, os.WTERMSIG(status), status))
    code = os.WEXITSTATUS(status)
    return Failure(ProcessTerminated(code, None, status) if code else ProcessDone(0))


@implementer(IReadDescriptor)
@define(eq=False, repr=False)
class _ExitWatcher:
    """
    A pidfd as a reader.

    @ivar poll: called when the process has ended; says whether it was reaped.
    @ivar gone: called once the watcher is closed.
    """

    fd: int
    poll: Callable[[], bool]
    gone: Callable[[], None]
    open: bool = True

    def fileno(self) -> int:
        """The pidfd, or -1 once it is closed."""
        return self.fd if self.open else -1

    def logPrefix(self) -> str:
        """Name this in log messages."""
        return "child exit"

    def doRead(self) -> Any:
        """Reap the process."""
        return main.CONNECTION_DONE if self.poll() else None

    def connectionLost(self, _reason: Failure) -> None:
        """The process was reaped, or the reactor is going away."""
        if self.open:
            self.open = False
            os.close(self.fd)
            self.gone()


@implementer(IChild, IProcessTransport)
@define(eq=False, repr=False, kw_only=True)
class Child:
    """
    One process, from its exec until its output is complete.

    @ivar pid: the process id, or C{None} once it was reaped.
    @ivar group: its process group, which is its session too.
    @ivar usage: the resources that it used, once it was reaped.
    """

    _log = Logger()

    pid: int | None
    group: int
    usage: struct_rusage | None = None
    _process: Process
    _reactor: IProcessReactor
    _protocol: IProcessProtocol
    _system: System
    _drain: float
    _watcher: _ExitWatcher = field(init=False)
    _readers: dict[int, OutputReader] = field(factory=dict)
    _stdin: ProcessWriter | None = None
    _draining: IDelayedCall | None = None
    _reason: Failure | None = None
    _ended: bool = False
    _group_gone: bool = False
    _forbidden: bool = False

    def signalProcess(self, signalID: str | int) -> None:  # noqa: N803
        """
        Send a signal to the process alone.

        @raise ProcessExitedAlready: it has been reaped.
        """
        number = signal_number(signalID)
        if self.pid is None:
            raise ProcessExitedAlready()
        try:
            self._system.signal(self._watcher.fd, number)
        except ProcessLookupError:
            raise ProcessExitedAlready() from None

    def signal_group(self, signum: int) -> bool:
        """Send a signal to each process of the group, as L{IChild} says."""
        if not self._group_is_ours():
            return False
        try:
            self._system.signal_group(self.group, signum)
        except ProcessLookupError:
            self._group_gone = True
        except PermissionError:
            # A program that became another user: whoever waits for the end of
            # the group waits on, and tells when that takes too long.
            self._warn_once()
        return not self._group_gone

    def _warn_once(self) -> None:
        if not self._forbidden:
            self._forbidden = True
            group = self.group
            self._log.warn("process group {group} may not be signalled", group=group)

    def _group_is_ours(self) -> bool:
        """
        Say whether the group still has a member that runs.

        The kernel does not give out a number while a process, a group or a
        session has it.  Until the leader is reaped the number is therefore
        ours.  After that it is ours as long as a member is left; and while one
        is left no process can have the number.  So a process that has it is a
        stranger and the group is gone, and once gone it stays gone.
        """
        if self.pid is not None:
            return True
        if not self._group_gone:
            reused = self._system.exists(self.group)
            self._group_gone = reused or not self._system.group_lives(self.group)
        return not self._group_gone

    def writeToChild(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """
        Write to the child's stdin.

        @raise KeyError: the child has no pipe of this number.
        """
        if childFD != 0:
            raise KeyError(childFD)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Write to the child's stdin; what comes after its end is dropped."""
        if self._stdin is not None:
            self._stdin.write(data)

    def writeSequence(self, data: Any) -> None:
        """Write several pieces to the child's stdin."""
        self.write(b"".join(data))

    def closeStdin(self) -> None:
        """Close the child's stdin once all that was written has been taken."""
        if self._stdin is not None:
            self._stdin.loseConnection()

    def closeStdout(self) -> None:
        """Take what output there is, and no more."""
        self.closeChildFD(STDOUT)

    def closeStderr(self) -> None:
        """Take what error output there is, and no more."""
        self.closeChildFD(STDERR)

    def closeChildFD(self, descriptor: int) -> None:
        """Close the pipe that the child has under this number, if any."""
        if descriptor == 0:
            self.closeStdin()
        elif descriptor in self._readers:
            self._readers[descriptor].finish()

    def loseConnection(self) -> None:
        """Close every pipe, having taken what output is there."""
        self.closeStdin()
        for reader in list(self._readers.values()):
            reader.finish()

    def pauseProducing(self) -> None:
        """Leave the child's output in its pipes; it blocks when they are full."""
        for reader in self._readers.values():
            self._reactor.removeReader(reader)

    def resumeProducing(self) -> None:
        """Take the child's output again."""
        for reader in self._readers.values():
            self._reactor.addReader(reader)

    def getPeer(self) -> Any:
        """A process has no address."""
        return ("child", self.group)

    def getHost(self) -> Any:
        """A process has no address."""
        return ("host", os.getpid())

    def childConnectionLost(self, number: int, reason: Failure) -> None:
        """Called by the writer of stdin, which leaves closing it to us."""
        writer, self._stdin = self._stdin, None
        if writer is not None:
            os.close(writer.fileno())
        self._tell(self._protocol.childConnectionLost, number)
        self._maybe_end()

    def begin(self, pidfd: int, stdio: Stdio) -> None:
        """
        Follow the process.  For the spawner alone.

        @param pidfd: the pidfd of the process; closed by the child.
        @param stdio: our ends of its pipes; closed by the child.
        """
        live_pids.add(self.group)
        self._watcher = _ExitWatcher(pidfd, self._reap, self._exited)
        for number, fd in stdio.ours.items():
            if number == 0:
                self._stdin = ProcessWriter(self._reactor, self, 0, fd)
            else:
                self._readers[number] = self._reader(number, fd)
        self._tell(self._protocol.makeConnection, self)
        self._reactor.addReader(self._watcher)
        self.resumeProducing()

    def _reader(self, number: int, fd: int) -> OutputReader:
        return OutputReader(
            self._reactor,
            fd,
            lambda data: self._tell(self._protocol.childDataReceived, number, data),
            lambda: self._output_lost(number),
        )

    def _output_lost(self, number: int) -> None:
        del self._readers[number]
        self._tell(self._protocol.childConnectionLost, number)
        self._maybe_end()

    def _reap(self) -> bool:
        try:
            result = self._system.reap(self.group)
        except ChildProcessError:
            # SIGCHLD is ignored, or a foreign library waits for any child.
            self._log.error("process {pid} was reaped by somebody else", pid=self.pid)
            self._reason = Failure(ProcessTerminated())
        else:
            if result is None:
                return False
            status, self.usage = result
            self._reason = exit_failure(status)
        return True

    def _exited(self) -> None:
        if self._reason is None:
            return  # the reactor is going away, and the process is not
        # Popen would wait for the number itself, later, and hit a stranger.
        self._process.returncode = 0
        live_pids.discard(self.group)
        self.pid = None
        self._tell(self._protocol.processExited, self._reason)
        if self._stdin is not None:
            # Not now, for the reason that OutputReader.finish has.
            self._reactor.callLater(0, self._lose_stdin, self._reason)
        if self._readers:
            later = self._reactor.callLater(self._drain, self._drained)
            self._draining = later
        self._maybe_end()

    def _lose_stdin(self, reason: Failure) -> None:
        if self._stdin is not None:
            self._stdin.connectionLost(reason)

    def _drained(self) -> None:
        self._draining = None
        self.loseConnection()

    def _maybe_end(self) -> None:
        waiting = self._readers or self._stdin is not None
        if self._reason is None or waiting or self._ended or self.pid is not None:
            return
        self._ended = True
        if self._draining is not None:
            self._draining.cancel()
            self._draining = None
        self._tell(self._protocol.processEnded, self._reason)

    def _tell(self, method: Callable[..., object], *args: object) -> None:
        try:
            method(*args)
        except Exception:
            # A child that is not followed to its end is worse than this.
            self._log.failure("the protocol of process {group}", group=self.group)
