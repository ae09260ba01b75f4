# -*- test-case-name: tests.processes.test_stdio -*-
"""
The pipes between a child and its host.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet import main
from twisted.internet.interfaces import IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.processes.spec import STDERR, STDOUT, ChildSpec

#: The capacity of a pipe, so that one read takes all that is in it.
READ_SIZE = 65536
#: A pipe may have been enlarged, by default to 1 MiB at most.
_FINAL_READS = 16


class IProcessReactor(IReactorFDSet, IReactorTime):
    """What children need of a reactor."""


@define
class Stdio:
    """
    Both ends of what a child has as its first three descriptors.

    @ivar stdin: what L{subprocess.Popen} takes for it; C{stdout} and C{stderr}
        likewise.
    @ivar ours: our end of each pipe, by the child's descriptor.
    """

    stdin: int | None = subprocess.DEVNULL
    stdout: int | None = None
    stderr: int | None = subprocess.STDOUT
    ours: dict[int, int] = field(factory=dict)
    _theirs: list[int] = field(factory=list)

    @classmethod
    def open(cls, spec: ChildSpec) -> Stdio:
        """
        Open what a child needs.

        @raise OSError: no descriptor is left; then none was used.
        """
        stdio = cls()
        try:
            stdio._open_input(spec)
            stdio._open_output(spec)
        except OSError:
            stdio.close()
            raise
        return stdio

    def close_theirs(self) -> None:
        """Close the child's ends, as the child has them or never will."""
        while self._theirs:
            os.close(self._theirs.pop())

    def close(self) -> None:
        """Close everything, as there is no child."""
        self.close_theirs()
        while self.ours:
            os.close(self.ours.popitem()[1])

    def _open_input(self, spec: ChildSpec) -> None:
        if spec.stdin == "pipe":
            reader, writer = os.pipe()
            self.stdin, self.ours[0] = reader, writer
            self._theirs.append(reader)
        elif isinstance(spec.stdin, int):
            self.stdin = spec.stdin

    def _open_output(self, spec: ChildSpec) -> None:
        if spec.output == "inherit":
            self.stdout = self.stderr = None
        elif spec.output == "null":
            self.stdout = subprocess.DEVNULL
        elif isinstance(spec.output, int):
            self.stdout = spec.output
        else:
            self.stdout = self._output_pipe(STDOUT)
            if spec.output == "separate":
                self.stderr = self._output_pipe(STDERR)

    def _output_pipe(self, number: int) -> int:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        self.ours[number] = reader
        self._theirs.append(writer)
        return writer


@implementer(IReadDescriptor)
@define(eq=False, repr=False)
class OutputReader:
    """
    Reads one output pipe of a child.

    @ivar data: called with what arrives.
    @ivar lost: called once, when nothing more comes.
    """

    _reactor: IProcessReactor
    _fd: int
    data: Callable[[bytes], None]
    lost: Callable[[], None]
    _open: bool = True

    def fileno(self) -> int:
        """The descriptor, or -1 once it is closed."""
        return self._fd if self._open else -1

    def logPrefix(self) -> str:
        """Name this in log messages."""
        return "child output"

    def doRead(self) -> Any:
        """Read what is there."""
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:
            return error
        if not data:
            return main.CONNECTION_DONE
        self.data(data)
        return None

    def connectionLost(self, _reason: Failure) -> None:
        """The end of the output was read, or the reactor is going away."""
        self.close()

    def finish(self) -> None:
        """
        Take what is in the pipe now, and close it in the next turn of the
        reactor.  Others that still write are not waited for.
        """
        for _ in range(_FINAL_READS):
            if not self._open or not self._read():
                break
        self._reactor.removeReader(self)
        # Not now: the reactor may be about to tell of the pipe's end, and would
        # tell it to whoever got the same number meanwhile.
        self._reactor.callLater(0, self.close)

    def _read(self) -> bytes | None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except OSError:
            return None
        if data:
            self.data(data)
        return data

    def close(self) -> None:
        """Stop reading."""
        if not self._open:
            return
        self._reactor.removeReader(self)
        self._open = False
        os.close(self._fd)
        self.lost()
