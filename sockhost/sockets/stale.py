# -*- test-case-name: tests.functional.test_stale_sockets -*-
"""
Clearing away what an ended listener left at a path, and nothing else.

Whether somebody listens is found out by connecting.  A socket that is bound
and does not listen yet looks just like one that was left behind; so whoever
makes a socket holds a lock beside it until it listens.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sockhost.interfaces import PathInUse, SockhostError

Inode = tuple[int, int]

_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

OPEN_THING = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"""Opens the thing itself, whatever it is, without doing anything to it."""


def lock_path(path: str) -> str:
    """Where the lock for a socket's path is."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.lock")


@contextmanager
def path_lock(path: str) -> Iterator[None]:
    """
    Be the only one of all processes that makes a socket at a path.

    @raise PathInUse: another one is at it.
    @raise SockhostError: the lock cannot be made; the text says why.
    """
    name = lock_path(path)
    fd = _lock(path, name)
    try:
        yield
    finally:
        _unlock(fd, name)


def clear_stale(path: str) -> None:
    """
    Remove the socket that an ended listener left behind, if there is one.  To
    be called with L{path_lock} held.

    @raise PathInUse: somebody listens there, or it is not a socket.
    @raise SockhostError: the path cannot be used.
    """
    try:
        # While it is open its inode cannot become the number of another file.
        held = os.open(path, OPEN_THING)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SockhostError(f"cannot make the socket {path}: {error}") from error
    try:
        _clear(path, os.fstat(held))
    finally:
        os.close(held)


def inode_at(path: str) -> Inode | None:
    """Say what is at a path, if anything."""
    try:
        return _inode(os.lstat(path))
    except OSError:
        return None


def _clear(path: str, found: os.stat_result) -> None:
    if not stat.S_ISSOCK(found.st_mode):
        raise PathInUse(f"{path} exists and is not a socket; it was left untouched")
    _refuse_live(path)
    # What was probed is what is removed, not what took its place since.
    if inode_at(path) == _inode(found):
        with suppress(FileNotFoundError):
            os.unlink(path)


def _refuse_live(path: str) -> None:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.setblocking(False)
        result = probe.connect_ex(path)
    finally:
        probe.close()
    if result in (errno.ECONNREFUSED, errno.ENOENT):
        return
    if result in (0, errno.EAGAIN):
        raise PathInUse(f"another process listens on {path}; it was left untouched")
    raise PathInUse(
        f"{path} is a socket that may be in use ({os.strerror(result)}); "
        "it was left untouched"
    )


def _inode(found: os.stat_result) -> Inode:
    return (found.st_dev, found.st_ino)


def _lock(path: str, name: str) -> int:
    while True:
        try:
            fd = os.open(name, _OPEN_LOCK, 0o600)
        except OSError as error:
            raise SockhostError(
                f"cannot make the socket {path}: no lock beside it: {error}"
            ) from error
        if _take(fd, path, name):
            return fd


def _take(fd: int, path: str, name: str) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise PathInUse(
            f"another process is about to listen on {path} (it has locked {name})"
        ) from error
    # Whoever had it before may have removed it since it was opened.
    if inode_at(name) == _inode(os.fstat(fd)):
        return True
    os.close(fd)
    return False


def _unlock(fd: int, name: str) -> None:
    found = os.fstat(fd)
    # With content it is somebody's file, which has this name for other reasons.
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        with suppress(OSError):
            os.unlink(name)
    os.close(fd)
