# -*- test-case-name: tests.processes.test_output -*-
"""
The log files that children's output goes to: written and rotated here, read
back by L{tail} and L{Follower}.

The newest output is in C{PATH}, what was before it in C{PATH.1}, and so on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_BLOCK = 65536
MAX_BYTES = 10 * 1024 * 1024
BACKUPS = 5
_MOST_BACKUPS = 1000
MAX_TAIL = 4 * 1024 * 1024


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
    _write: Callable[[int, memoryview], int] = os.write

    def write(self, data: bytes) -> None:
        """
        Append output.  Files are changed between two lines only, wherever the
        data is cut; but a line longer than C{max_bytes} is cut all the same.
        """
        while data:
            cut = self._cut(data)
            if cut == 0:
                if self._rotate():
                    continue
                cut = len(data)  # better too large a file than lost output
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
            self._at_line_start = self._at_line_start or not self._size

    def _rotate(self) -> bool:
        self.close()
        try:
            self._shift()
        except OSError as error:
            self._failed(error, 0)
            self._open()
            return False
        return True

    def _shift(self) -> None:
        if not self.backups:
            os.unlink(self.path)
            return
        count = 0
        while count < self.backups and os.path.exists(backup_path(self.path, count)):
            count += 1
        for index in range(count, 0, -1):
            older = backup_path(self.path, index)
            os.replace(backup_path(self.path, index - 1), older)

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
            self._reason = ""  # the next outage is news
            return True
        self.dropped = dropped
        return False

    def _put(self, data: bytes) -> bool:
        view = memoryview(data)
        try:
            while view:
                assert self._fd is not None
                count = self._write(self._fd, view)
                self._size += count
                self._at_line_start = view[count - 1] == 0x0A
                view = view[count:]
        except OSError as error:
            self._failed(error, len(view))
            return False
        return True

    def _failed(self, error: OSError, lost: int) -> None:
        reason = error.strerror or str(error)
        is_news = not self.dropped and reason != self._reason
        # Before it is told: the log that it is told in may be this one.
        self._reason = reason
        self.dropped += lost
        if is_news:
            self._log.error(
                "{path} cannot be written: {reason}; output is dropped",
                path=self.path,
                reason=reason,
            )


def tail(path: str, lines: int, most: int = MAX_TAIL) -> bytes:
    """
    Read the newest lines of a log, reaching back into the older files of it.

    @param most: how many bytes are read at most, as that blocks.
    @return: whole lines, the last one possibly without its end, but the end of
        a line that is longer than C{most}; empty if there is no log.
    """
    if lines <= 0:
        return b""
    newest = b""
    index = 0
    while len(newest) < most and newest.count(b"\n", 0, len(newest) - 1) < lines:
        room = most - len(newest)
        older = _tail_of_file(backup_path(path, index), lines, room)
        if older is None:
            break
        newest = older + newest
        index += 1
    if len(newest) >= most:
        # The line that begins it may have begun before.
        newest = newest.partition(b"\n")[2] or newest
    # Not splitlines: it takes what a progress bar writes for lines.
    pieces = lines + newest.endswith(b"\n")
    return b"\n".join(newest.rsplit(b"\n", pieces)[-pieces:])


def _tail_of_file(path: str, lines: int, room: int) -> bytes | None:
    try:
        with open(path, "rb") as file:
            position = file.seek(0, os.SEEK_END)
            blocks: list[bytes] = []
            count = 0
            while position and room and count <= lines:
                start = max(0, position - min(_BLOCK, room))
                room -= position - start
                file.seek(start)
                blocks.append(file.read(position - start))
                count += blocks[-1].count(b"\n")
                position = start
            return b"".join(reversed(blocks))
    except FileNotFoundError:
        return None


@define(eq=False)
class Follower:
    """
    Hands on what is appended to a log, through its rotations, from L{start}
    until L{stop}.

    @ivar on_data: called with what was appended, in order and without gaps.
    @ivar interval: how many seconds apart the file is looked at.
    """

    _log = Logger()

    _clock: IReactorTime
    path: str
    on_data: Callable[[bytes], object]
    interval: float = 0.25
    _fd: int | None = None
    _call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin with what is appended from now on.  The file need not exist."""
        self._open(self.path)
        if self._fd is not None:
            os.lseek(self._fd, 0, os.SEEK_END)
        self._schedule()

    def stop(self) -> None:
        """End it; legal at any time."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._close()

    def _schedule(self) -> None:
        self._call = self._clock.callLater(self.interval, self._poll)

    def _poll(self) -> None:
        self._schedule()
        try:
            self._catch_up()
        except Exception:
            self._log.failure("following {path}", path=self.path)
            self.stop()

    def _catch_up(self) -> None:
        newer = self._newer_files()
        self._read()
        for path in newer:
            if self._call is None:
                return  # stopped by the one who was told
            self._open(path)
            self._read()

    def _newer_files(self) -> list[str]:
        """List the files begun after the one that is open, oldest first."""
        if self._fd is None:
            return [self.path]
        present = os.fstat(self._fd)
        newer: list[str] = []
        for index in range(_MOST_BACKUPS):
            path = backup_path(self.path, index)
            try:
                if os.path.samestat(os.stat(path), present):
                    return newer[::-1]
            except FileNotFoundError:
                if index:
                    break
                continue
            newer.append(path)
        # Ours was removed: what lies between is not known, so go on at the end.
        return newer[:1]

    def _open(self, path: str) -> None:
        self._close()
        with contextlib.suppress(FileNotFoundError):
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _read(self) -> None:
        while self._fd is not None:
            if os.lseek(self._fd, 0, os.SEEK_CUR) > os.fstat(self._fd).st_size:
                os.lseek(self._fd, 0, os.SEEK_SET)  # somebody truncated it
            data = os.read(self._fd, _BLOCK)
            if not data:
                break
            self.on_data(data)
