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

from attrs import define, field

from sockhost.interfaces import PathInUse, SockhostError
from sockhost.sockets.access import group_id, user_id
from sockhost.sockets.stale import OPEN_THING, Inode, clear_stale, inode_at, path_lock

MAX_PATH = 107
"""The greatest length of a socket's path, in bytes."""

BACKLOG = 128
"""How many clients may wait to be accepted where nothing else is said."""

ABSTRACT = "@"
"""What a path begins with that names no file."""


@define(eq=False)
class BoundSocket:
    """
    A bound Unix socket.  Whoever has it ends it: L{close}, and L{unlink}
    before that if the path is to go.

    @ivar socket: the socket itself; not blocking, closed on exec.
    @ivar path: the path that it was bound to; one that begins with C{"@"} is
        the name of an abstract socket, which has no file.
    """

    socket: socket.socket
    path: str
    _backlog: int = BACKLOG
    _inode: Inode | None = field(default=None, alias="inode")

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
        if self._inode is None or inode_at(self.path) != self._inode:
            return False
        self._inode = None
        os.unlink(self.path)
        return True

    def close(self) -> None:
        """Close this process' descriptor.  Closing it again does nothing."""
        self.socket.close()


def system_address(path: str) -> str:
    """
    Make the address that the system has for a path.

    @param path: C{"@name"} for an abstract socket.
    """
    return "\0" + path[1:] if path.startswith(ABSTRACT) else path


def shown_address(address: str | bytes) -> str:
    """The contrary of L{system_address}."""
    text = os.fsdecode(address)
    return ABSTRACT + text[1:] if text.startswith("\0") else text


def bind_unix(
    path: str,
    *,
    mode: int = 0o600,
    owner: str | int | None = None,
    group: str | int | None = None,
    backlog: int | None = None,
    listen: bool = True,
) -> BoundSocket:
    """
    Make a listening socket at a path.  The socket file that an ended listener
    left behind is replaced; anything else there is left alone.

    @param path: C{"@name"} for an abstract socket: it has no file and thus no
        permissions, so C{mode}, C{owner} and C{group} mean nothing for it.
    @param mode: the permissions of the socket file; connecting takes write
        permission.
    @param owner: a user's name or number, C{None} to leave it.
    @param group: a group's name or number, C{None} to leave it.
    @param backlog: how many clients may wait to be accepted, if not L{BACKLOG}.
    @param listen: C{False} to leave it to L{BoundSocket.listen}: until then
        clients get C{ECONNREFUSED}, and other processes take the file for one
        that was left behind.
    @raise PathInUse: somebody listens there, or it is not a socket.
    @raise SockhostError: the path cannot be used; the text says why.  Nothing
        is left of the attempt.
    """
    _check_path(path)
    backlog = BACKLOG if backlog is None else backlog
    if path.startswith(ABSTRACT):
        return _bind_abstract(path, backlog, listen)
    uid = -1 if owner is None else user_id(owner)
    gid = -1 if group is None else group_id(group)
    with path_lock(path):
        clear_stale(path)
        bound = _bind(path, backlog)
        _open_up(bound, mode, uid, gid, listen)
    return bound


def adopt_unix(fd: int, backlog: int | None = None) -> BoundSocket:
    """
    Take over a bound Unix socket that was inherited as a descriptor.  Its file
    belongs to somebody else: it is never changed and never removed.

    @param fd: the descriptor, which is owned by the result from now on.
    @param backlog: for L{BoundSocket.listen}, if not L{BACKLOG}.
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
    address = shown_address(inherited.getsockname())
    return BoundSocket(inherited, address, BACKLOG if backlog is None else backlog)


def _check_path(path: str) -> None:
    raw = os.fsencode(path)
    if not raw or b"\0" in raw:
        raise SockhostError(f"{path!r} is not a path for a socket")
    if len(raw) > MAX_PATH:
        raise SockhostError(
            f"the path {path} is {len(raw)} bytes long; "
            f"a socket's path has at most {MAX_PATH}"
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
    return BoundSocket(made, path, backlog, inode_at(path))


def _open_up(bound: BoundSocket, mode: int, uid: int, gid: int, listen: bool) -> None:
    try:
        # No client can connect before listen(), so the mode that bind() gave
        # the file is never effective, and the umask need not be touched.
        _permit(bound.path, mode, uid, gid)
        if listen:
            bound.listen()
    except PathInUse:
        bound.close()
        raise
    except OSError as error:
        bound.unlink()
        bound.close()
        raise SockhostError(f"cannot make the socket {bound.path}: {error}") from error


def _permit(path: str, mode: int, uid: int, gid: int) -> None:
    # By path, whoever may write the directory could have us change a file of
    # their choice, by a symbolic link that they put there since bind().
    file = os.open(path, OPEN_THING)
    try:
        if not stat.S_ISSOCK(os.fstat(file).st_mode):
            raise PathInUse(f"something else has taken the place of {path}")
        itself = f"/proc/self/fd/{file}"
        os.chown(itself, uid, gid)
        os.chmod(itself, mode)
    finally:
        os.close(file)


def _bind_abstract(path: str, backlog: int, listen: bool) -> BoundSocket:
    # The kernel removes it with the last descriptor, so none is ever stale.
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind(system_address(path))
        bound = BoundSocket(made, path, backlog)
        if listen:
            bound.listen()
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise PathInUse(f"another process listens on {path}") from error
        raise SockhostError(f"cannot make the socket {path}: {error}") from error
    return bound
