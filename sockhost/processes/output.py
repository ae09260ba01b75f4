# -*- test-case-name: tests.processes.test_output -*-
"""
The log files that children's output goes to: written and rotated here, read
back by L{tail} and L{Follower}.

The newest output is in C{PATH}, what was before it in C{PATH.1}, and so on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_BLOCK = 65536
MAX_BYTES = 10 * 1024 * 1024
BACKUPS = 5


def backup_path(path: str, index: int) -> str:
    """Say where the C{index}-th newest file is; the 0th is being written."""
    return f"{path}.{index}" if index else path


@define(eq=False)
class OutputLog:
    """
    A log file that is appended to and rotated.

    No method raises L{OSError}: what cannot be written is dropped, counted,
    logged once, and noted in the file as soon as writing works again.

    @ivar path: the file.
    @ivar max_bytes: the size that no file exceeds, save by the rest of a line
        that is longer.
    @ivar backups: how many older files are kept.
    @ivar dropped: how many bytes were dropped since writing last worked.
    """

    _log = Logger()

    path: str
    max_bytes: int = MAX_BYTES
    backups: int = BACKUPS
    dropped: int = 0
    _fd: int | None = None
    _size: int = 0
    _at_line_start: bool = True
    _reason: str = ""

    def write(self, data: bytes) -> None:
        """
        Append output.  Files are changed between two lines only, wherever the
        data is cut; but a line longer than C{max_bytes} is cut all the same.
        """
        while data:
            cut = self._cut(data)
            if cut == 0:
                self._rotate()
                continue
            self._append(data[:cut])
            data = data[cut:]

    def reopen(self) -> None:
        """Close the file; the next output opens C{path} anew."""
        self.close()

    def close(self) -> None:
        """Close the file.  Later output opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _cut(self, data: bytes) -> int:
        """
        Say how much goes to the present file; nothing if it is to be rotated.
        """
        self._open()
        room = self.max_bytes - self._size
        if len(data) <= room or self._fd is None:
            return len(data)
        fitting = data.rfind(b"\n", 0, max(room, 0)) + 1
        if fitting:
            return fitting
        if self._size and (self._at_line_start or self._size >= 2 * self.max_bytes):
            return 0
        rest_of_line = data.find(b"\n") + 1 or len(data)
        return min(rest_of_line, max(1, 2 * self.max_bytes - self._size))

    def _open(self) -> None:
        if self._fd is not None:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            Path(self.path).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._fd = os.open(self.path, flags, 0o640)
            self._size = os.fstat(self._fd).st_size
        except OSError as error:
            self._failed(error, 0)
        else:
            self._at_line_start = True

    def _rotate(self) -> None:
        self.close()
        try:
            self._shift()
        except OSError as error:
            self._failed(error, 0)
            self._truncate()

    def _shift(self) -> None:
        for index in range(self.backups, 0, -1):
            newer = backup_path(self.path, index - 1)
            if os.path.exists(newer):
                os.replace(newer, backup_path(self.path, index))
        if not self.backups:
            os.unlink(self.path)

    def _truncate(self) -> None:
        """Keep to the size, at least, where files cannot be renamed."""
        try:
            os.truncate(self.path, 0)
        except OSError as error:
            self._failed(error, 0)

    def _append(self, data: bytes) -> None:
        if self._fd is None:
            self.dropped += len(data)
            return
        if self.dropped and not self._note():
            self.dropped += len(data)
            return
        self._put(data)

    def _note(self) -> bool:
        """Write where output is missing, and say whether that could be done."""
        text = f"[{self.dropped} bytes of output were lost here: {self._reason}]\n"
        note = text.encode() if self._at_line_start else b"\n" + text.encode()
        room = os.fstatvfs(self._fd) if self._fd is not None else None
        if room is not None and room.f_bavail * room.f_frsize < 2 * _BLOCK:
            return False
        dropped, self.dropped = self.dropped, 0
        if self._put(note):
            self._log.info("{path} can be written again", path=self.path)
            return True
        self.dropped = dropped
        return False

    def _put(self, data: bytes) -> bool:
        view = memoryview(data)
        try:
            while view:
                assert self._fd is not None
                count = os.write(self._fd, view)
                self._size += count
                self._at_line_start = view[count - 1] == 0x0A
                view = view[count:]
        except OSError as error:
            self._failed(error, len(view))
            return False
        return True

    def _failed(self, error: OSError, lost: int) -> None:
        reason = error.strerror or str(error)
        if not self.dropped and reason != self._reason:
            self._log.error(
                "{path} cannot be written: {reason}; output is dropped",
                path=self.path,
                reason=reason,
            )
        self._reason = reason
        self.dropped += lost
