# -*- test-case-name: tests.functional.test_bound_sockets -*-
"""
A Unix socket at a path: made without touching what belongs to others, with its
permissions in place before the first client can connect.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from grp import getgrnam
from pwd import getpwnam

from attrs import define, field

from sockhost.interfaces import PathInUse, SockhostError

MAX_PATH = 107
"""The greatest length of a socket's path, in bytes."""

_Inode = tuple[int, int]


@define(eq=False)
class BoundSocket:
    """
    A bound Unix socket.  Whoever has it ends it: L{close}, and L{unlink}
    before that if the path is to go.

    @ivar socket: the socket itself; not blocking, closed on exec.
    @ivar path: the path that it was bound to.
    """

    socket: socket.socket
    path: str
    _backlog: int = 128
    _inode: _Inode | None = field(default=None, alias="inode")

    def fileno(self) -> int:
        """The file descriptor, or -1 once it is closed."""
        return self.socket.fileno()

    def listen(self) -> None:
        """
        Let clients connect, if they cannot yet.  Every process that shares
        this socket listens with it.
        """
        self.socket.listen(self._backlog)

    def unlink(self) -> bool:
        """
        Remove the path, unless something else has taken its place meanwhile or
        the socket was adopted.

        @return: whether it was removed by this call.
        """
        if self._inode is None or _inode_at(self.path) != self._inode:
            return False
        self._inode = None
        os.unlink(self.path)
        return True

    def close(self) -> None:
        """Close this process' descriptor.  Closing it again does nothing."""
        self.socket.close()


def bind_unix(
    path: str,
    *,
    mode: int = 0o600,
    owner: str | int | None = None,
    group: str | int | None = None,
    backlog: int = 128,
    listen: bool = True,
) -> BoundSocket:
    """
    Make a listening socket at a path.  The socket file that an ended listener
    left behind is replaced; anything else there is left alone.

    @param mode: the permissions of the socket file; connecting takes write
        permission.
    @param owner: a user's name or number, C{None} to leave it.
    @param group: a group's name or number, C{None} to leave it.
    @param listen: C{False} to leave it to L{BoundSocket.listen}: until then
        clients get C{ECONNREFUSED}.
    @raise PathInUse: somebody listens there, or it is not a socket.
    @raise SockhostError: the path cannot be used; the text says why.  Nothing
        is left of the attempt.
    """
    _check_path(path)
    uid, gid = _user_id(owner), _group_id(group)
    _clear_stale(path)
    bound = _bind(path, backlog)
    try:
        # No client can connect before listen(), so the mode that bind() gave
        # the file is never effective, and the umask need not be touched.
        os.chown(path, uid, gid, follow_symlinks=False)
        os.chmod(path, mode)
        if listen:
            bound.listen()
    except OSError as error:
        bound.unlink()
        bound.close()
        raise SockhostError(f"cannot make the socket {path}: {error}") from error
    return bound


def adopt_unix(fd: int, backlog: int = 128) -> BoundSocket:
    """
    Take over a bound Unix socket that was inherited as a descriptor.  Its file
    belongs to somebody else: it is never changed and never removed.

    @param fd: the descriptor, which is owned by the result from now on.
    @raise SockhostError: it is not a Unix stream socket; it stays open.
    """
    try:
        inherited = socket.socket(fileno=fd)
    except OSError as error:
        raise SockhostError(f"descriptor {fd} is not a socket: {error}") from error
    if (inherited.family, inherited.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        inherited.detach()
        raise SockhostError(f"descriptor {fd} is not a Unix stream socket")
    inherited.setblocking(False)
    os.set_inheritable(fd, False)
    return BoundSocket(inherited, inherited.getsockname(), backlog)


def _check_path(path: str) -> None:
    raw = os.fsencode(path)
    if not raw or b"\0" in raw:
        raise SockhostError(f"{path!r} is not a path for a socket")
    if len(raw) > MAX_PATH:
        raise SockhostError(
            f"the path {path} is {len(raw)} bytes long; "
            f"a socket's path has at most {MAX_PATH}"
        )


def _user_id(owner: str | int | None) -> int:
    if owner is None or isinstance(owner, int):
        return -1 if owner is None else owner
    try:
        return getpwnam(owner).pw_uid
    except KeyError:
        raise SockhostError(f"there is no user called {owner!r}") from None


def _group_id(group: str | int | None) -> int:
    if group is None or isinstance(group, int):
        return -1 if group is None else group
    try:
        return getgrnam(group).gr_gid
    except KeyError:
        raise SockhostError(f"there is no group called {group!r}") from None


def _inode_at(path: str) -> _Inode | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


def _clear_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SockhostError(f"cannot make the socket {path}: {error}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise PathInUse(f"{path} exists and is not a socket; it was left untouched")
    _refuse_live(path)
    # What was probed is what is removed, not what took its place since.
    if _inode_at(path) == (found.st_dev, found.st_ino):
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


def _bind(path: str, backlog: int) -> BoundSocket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind(path)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise PathInUse(f"another process took {path} just now") from error
        raise SockhostError(f"cannot make the socket {path}: {error}") from error
    return BoundSocket(made, path, backlog, _inode_at(path))
