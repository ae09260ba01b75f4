# -*- test-case-name: tests.host.test_lock -*-
"""
The lock on a run directory: one host at a time.

The lock decides, and not what the pid file says: a stale file is taken over,
whatever process its number belongs to by now.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from attrs import define, field
from twisted.logger import Logger

from sockhost.host.trust import Trust
from sockhost.interfaces import HostLocked

# Locks of an open file description, which Python has no names for.  A lock of
# the process would be lost as soon as anything in it opens and closes the file.
_F_OFD_GETLK, _F_OFD_SETLK = 36, 37
# struct flock of Linux on 64 bits: type, whence, start, len, pid
_FLOCK = struct.Struct("hhqqi4x")
_WRITE_LOCK = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


@define
class RunDirLock:
    """
    A record lock on the pid file of a run directory, held for life.

    @ivar path: the pid file.
    """

    _log = Logger()

    path: str
    _fd: int | None = field(default=None, init=False)
    _owner: int = field(default=0, init=False)

    def check(self) -> None:
        """
        Look whether another process holds the lock, and touch nothing.  For
        those who go into the background first, and could not say so then.

        @raise HostLocked: another process holds it.
        @raise StartupFailed: the directory is not to be trusted.
        """
        self._trust().check(self._directory)
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return  # L{acquire} tells what there is to tell.
        try:
            if _is_held(fd):
                raise HostLocked(self.path, _owner(fd))
        finally:
            os.close(fd)

    def acquire(self) -> None:
        """
        Take the lock and write our process id into the file.

        @raise HostLocked: another process holds it; the file is untouched.
        @raise StartupFailed: the directory is not to be trusted; it is untouched.
        @raise OSError: the file cannot be made.
        """
        trust, directory = self._trust(), self._directory
        _make(directory)
        trust.check(directory)
        trust.make_parts(directory)
        try:
            while not self._take():
                pass
        except OSError as error:
            # Not every one of them names the file.
            raise OSError(error.errno, error.strerror, self.path) from error

    def _take(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.path, flags, 0o644)
        try:
            self._lock(fd)
            # A host that was just ending may have removed it meanwhile.
            if not self._is_ours(fd):
                os.close(fd)
                return False
            # Written first and cut afterwards: at no time is the file empty.
            text = b"%d\n" % os.getpid()
            os.pwrite(fd, text, 0)
            os.ftruncate(fd, len(text))
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._owner = fd, os.getpid()
        return True

    def release(self) -> None:
        """Remove the file, if it is still ours, and let the lock go."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        # A forked copy of this process shares the lock, and must not end it.
        try:
            if self._owner == os.getpid() and self._is_ours(fd):
                os.unlink(self.path)
        except OSError as error:
            # The next host takes the file over all the same.
            self._log.warn("{path} stays: {error}", path=self.path, error=str(error))
        finally:
            os.close(fd)

    @property
    def _directory(self) -> str:
        return os.path.dirname(self.path) or "."

    def _trust(self) -> Trust:
        return Trust(os.geteuid())

    def _lock(self, fd: int) -> None:
        try:
            fcntl.fcntl(fd, _F_OFD_SETLK, _WRITE_LOCK)
        except (BlockingIOError, PermissionError):
            raise HostLocked(self.path, _owner(fd)) from None

    def _is_ours(self, fd: int) -> bool:
        try:
            there = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        ours = os.fstat(fd)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def run_dir_lock(run_dir: str) -> RunDirLock:
    """Make the lock of a run directory."""
    return RunDirLock(os.path.join(run_dir, "sockhost.pid"))


def _make(directory: str) -> None:
    if os.path.isdir(directory):
        return
    try:
        Path(directory).mkdir(mode=0o755, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(20, "Not a directory", directory) from None
    # Who is to connect to a socket in it has to get there, though twistd takes
    # a umask that leaves others nothing when it goes into the background.
    os.chmod(directory, 0o755)


def _is_held(fd: int) -> bool:
    kind = _FLOCK.unpack(fcntl.fcntl(fd, _F_OFD_GETLK, _WRITE_LOCK))[0]
    return bool(kind != fcntl.F_UNLCK)


def _owner(fd: int) -> int | None:
    # Whoever holds the lock has written this; it is for the message only.
    text = os.pread(fd, 32, 0)
    return int(text) if text.strip().isdigit() else None
