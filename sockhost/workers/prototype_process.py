# -*- test-case-name: tests.workers.test_prototype_process -*-
"""
One running prototype, as the host sees it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from typing import IO, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import ISpawner, ProcessLost, UnitFailed
from sockhost.processes.spec import ChildSpec
from sockhost.workers.channel import Channel, channel_pair
from sockhost.workers.latch import Latch
from sockhost.workers.orders import (
    Exited,
    Failed,
    Forked,
    Message,
    NotForked,
    Prepare,
    Prepared,
    Spawn,
)
from sockhost.workers.process import Ending, WorkerProcess
from sockhost.workers.spec import WorkerSpec

# The search path of the host is needed to find this package at all, and -P
# keeps the current directory, which may be anybody's, out of it.
_BOOT = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from sockhost.workers.prototype import main; main(int(sys.argv[1]))"
)


GROUP_INTERVAL = 0.01
"""Seconds between two looks at whether a killed group is gone."""

GROUP_WAIT = 5.0
"""Seconds that the kernel has to end a killed group."""


class CannotImport(UnitFailed):
    """The handler cannot be imported, or not be forked with."""


class ForkCaller(Protocol):
    """Who wants a worker."""

    def forked(self, process: WorkerProcess) -> None:
        """It is there."""

    def not_forked(self, reason: str, prototype_lost: bool) -> None:
        """
        It is not.

        @param prototype_lost: the prototype went, so that another can do it.
        """

    def ended(self, ending: Ending) -> None:
        """It was there, and has ended."""


class RunningPrototype:
    """
    A prototype's process and the channel to it.

    @ivar pid: its process id.
    @ivar ready: fires when it can fork.  Fails with L{CannotImport} if it
        never will, and with L{ProcessLost} if it ended.
    @ivar gone: closed when nothing of the prototype is left.
    @ivar ending: how it ended, once it did.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        spawner: ISpawner,
        spec: WorkerSpec,
        output: Callable[[bytes], object],
    ) -> None:
        """
        @param output: gets what it and its workers write.
        @raise SpawnError: it cannot be executed; nothing is left.
        """
        self.ready: Deferred[None] = Deferred()
        self.gone = Latch()
        self.ending: ProcessLost | None = None
        self._reactor = reactor
        self._prepared = False
        self._streams = count(1)
        self._forking: dict[int, ForkCaller] = {}
        self._workers: dict[int, WorkerProcess] = {}
        # First what may fail: once it is executed, somebody has to end it.
        with ExitStack() as undo:
            preparation = undo.enter_context(_as_file(spec.dumps()))
            ours, theirs = channel_pair()
            undo.enter_context(ours)
            with theirs:
                self._child = spawner.spawn(
                    _child_spec(theirs), _Follower(output, self._exited, self._ended)
                )
            undo.pop_all()
        self.pid: int = self._child.pid
        self._channel = Channel(
            reactor, ours, self.pid, self._received, self._channel_lost
        )
        self._channel.send(Prepare(), preparation)

    @property
    def usable(self) -> bool:
        """Whether it can be asked to fork."""
        return self._prepared and self._channel.open

    def fork(self, index: int, port: socket.socket, caller: ForkCaller) -> None:
        """
        Have a worker forked.

        @param port: its end of its port; closed here in any case.
        @param caller: is told what becomes of it, maybe before this returns.
        """
        stream = next(self._streams)
        if not self.usable:
            port.close()
            return caller.not_forked("the prototype is gone", True)
        self._forking[stream] = caller
        self._channel.send(Spawn(stream, index), port)
        return None

    def release(self) -> None:
        """Let it go: it exits, and the kernel kills what workers it has."""
        self._channel.close()
        self._forget_workers()

    def kill(self) -> None:
        """Kill it and every process of its group."""
        self._child.signal_group(signal.SIGKILL)

    def _received(self, message: Message, descriptors: tuple[int, ...]) -> None:
        if isinstance(message, Forked):
            return self._forked(message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if isinstance(message, Prepared):
            self._prepared = True
            self._settle(None)
        elif isinstance(message, Failed):
            self._settle(Failure(CannotImport(message.reason)))
        elif isinstance(message, NotForked):
            self._forking.pop(message.stream).not_forked(message.reason, False)
        elif isinstance(message, Exited) and message.pid in self._workers:
            ending = Ending(message.code, message.signal)
            self._workers.pop(message.pid).reported(ending)
        return None

    def _forked(self, message: Forked, descriptors: tuple[int, ...]) -> None:
        caller = self._forking.pop(message.stream)
        if not descriptors:
            # The kernel drops those that this process has no room for.  The
            # worker ends by itself: its port is closed.
            return caller.not_forked("no descriptor is left to watch it by", False)
        process = WorkerProcess(
            self._reactor, message.pid, descriptors[0], caller.ended
        )
        self._workers[message.pid] = process
        caller.forked(process)
        return None

    def _settle(self, failure: Failure | None) -> None:
        if not self.ready.called:
            self.ready.callback(failure)

    def _channel_lost(self) -> None:
        self._forget_workers()
        # Without the channel it is of no use, if it runs at all.
        self.kill()

    def _forget_workers(self) -> None:
        workers, self._workers = self._workers, {}
        for process in workers.values():
            process.reported(None)
        forking, self._forking = self._forking, {}
        for caller in forking.values():
            caller.not_forked("the prototype is gone", True)

    def _exited(self) -> None:
        # Its workers are being killed by the kernel, but not what they have
        # started themselves.
        self.kill()

    def _ended(self, reason: Failure) -> None:
        # What it sent before it ended is still to be read.
        self._channel.doRead()
        self._channel.close()
        self._forget_workers()
        self.ending = _process_lost(self.pid, reason)
        self._settle(Failure(self.ending))
        self._bury_group(round(GROUP_WAIT / GROUP_INTERVAL))

    def _bury_group(self, tries: int) -> None:
        if not self._child.signal_group(signal.SIGKILL):
            self.gone.close()
        elif tries:
            self._reactor.callLater(GROUP_INTERVAL, self._bury_group, tries - 1)
        else:
            self._log.error("the kernel does not end group {pid}", pid=self.pid)
            self.gone.close()


class _Follower(ProcessProtocol):
    """Passes on what happens to the prototype's process."""

    def __init__(
        self,
        output: Callable[[bytes], object],
        exited: Callable[[], object],
        ended: Callable[[Failure], object],
    ) -> None:
        self._output = output
        self._on_exit = exited
        self._on_end = ended

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """It, or a worker, has written something."""
        self._output(data)

    def processExited(self, reason: Failure) -> None:
        """It was reaped."""
        self._on_exit()

    def processEnded(self, reason: Failure) -> None:
        """Its output is complete."""
        self._on_end(reason)


def _child_spec(theirs: socket.socket) -> ChildSpec:
    descriptor = theirs.fileno()
    return ChildSpec(
        argv=(sys.executable, "-P", "-c", _BOOT, str(descriptor), *sys.path),
        pass_fds=(descriptor,),
    )


def _as_file(data: bytes) -> IO[bytes]:
    # A file in memory, as a message has a limit and a specification has none.
    file = os.fdopen(os.memfd_create("sockhost-worker-spec"), "w+b")
    file.write(data)
    file.flush()
    # The reader shares the position.
    file.seek(0)
    return file


def _process_lost(pid: int, reason: Failure) -> ProcessLost:
    code, number = 0, None
    if isinstance(reason.value, ProcessTerminated):
        code, number = reason.value.exitCode, reason.value.signal
    ending = Ending(code, number)
    return ProcessLost(f"the prototype (process {pid}) {ending}", code, number)
