# -*- test-case-name: tests.control.test_logs -*-
"""
The log of a unit: its last lines, and what is added to it from now on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import BinaryIO

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

MAX_LINE = 64 * 1024
"""A line that has not ended after so many bytes is handed on in pieces."""

POLL = 0.25
"""Seconds between two looks at a log that is followed."""

_BLOCK = 64 * 1024
_KEEP_ENDS = re.compile(rb"[^\n]*\n|[^\n]+")


@define
class LineSplitter:
    """
    Bytes in, lines out.

    @ivar on_line: is called with each complete line, without its end.
    """

    on_line: Callable[[str], object]
    _rest: bytes = field(init=False, default=b"")

    def feed(self, data: bytes) -> None:
        """Take bytes from the log."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > MAX_LINE:
            self._tell(self._rest)
            self._rest = b""

    def _tell(self, line: bytes) -> None:
        self.on_line(line.decode("utf-8", "replace"))


def tail(path: str, lines: int) -> bytes:
    """
    Read the last lines of a file.

    @param lines: how many, a last one without an end included.
    @return: their bytes; none if there is no such file.
    """
    try:
        with open(path, "rb") as file:
            return _last_lines(file, lines) if lines else b""
    except FileNotFoundError:
        return b""


def _last_lines(file: BinaryIO, lines: int) -> bytes:
    position = file.seek(0, os.SEEK_END)
    found = b""
    # The end of the last line does not begin another one, hence "<=".
    while position and found.count(b"\n") <= lines:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        found = file.read(size) + found
    return b"".join(_KEEP_ENDS.findall(found)[-lines:])


@define(eq=False)
class Follower:
    """
    Hands on what is added to a file, also when the file is renamed and begun
    anew (rotated), made later, or cut to nothing.  Two rotations between two
    looks lose the file between them.

    @ivar on_data: is called with the bytes.
    """

    _clock: IReactorTime
    _path: str
    on_data: Callable[[bytes], object]
    _file: BinaryIO | None = field(init=False, default=None)
    _looking: LoopingCall = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._looking = LoopingCall(self._look)
        self._looking.clock = self._clock

    def start(self) -> Deferred[None]:
        """
        Begin at the present end of the file.

        @return: fires when L{stop} is called.  Fails with L{OSError} when the
            file cannot be read; then nothing more is handed on.
        """
        return Deferred.fromCoroutine(self._follow())

    def stop(self) -> None:
        """End it.  More calls do nothing."""
        if self._looking.running:
            self._looking.stop()

    async def _follow(self) -> None:
        try:
            self._open()
            if self._file is not None:
                self._file.seek(0, os.SEEK_END)
            await self._looking.start(POLL, now=False)
        finally:
            self._close()

    def _look(self) -> None:
        self._read_on()
        if self._replaced():
            # What was written between that reading and the renaming.
            self._read_on()
            self._close()
            self._open()
            self._read_on()

    def _read_on(self) -> None:
        if self._file is None:
            return
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
        data = self._file.read()
        if data:
            self.on_data(data)

    def _replaced(self) -> bool:
        """Whether another file than the open one is at the path now."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(
            there, os.fstat(self._file.fileno())
        )

    def _open(self) -> None:
        try:
            self._file = open(self._path, "rb")  # noqa: SIM115 - kept open
        except FileNotFoundError:
            self._file = None

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
