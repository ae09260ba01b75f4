# -*- test-case-name: tests.sockets.test_credentials -*-
"""
Who is at the other end of a Unix socket, as the kernel tells it.
"""

from __future__ import annotations

import errno
from array import array
from socket import SO_PEERCRED, SOL_SOCKET
from struct import Struct
from typing import Protocol

from attrs import frozen

_UCRED = Struct("=iII")
UCRED_SIZE = _UCRED.size
_NOBODY = 0xFFFFFFFF
# The socket module does not have it.
_SO_PEERGROUPS = 59
_FEW, _MOST = 32, 65536


class HasSocketOptions(Protocol):
    """A socket, as far as it matters here."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """Read a socket option."""


class Accepted(HasSocketOptions, Protocol):
    """A socket, as far as it matters who it is and which."""

    def fileno(self) -> int:
        """Its descriptor."""


@frozen
class PeerCredentials:
    """
    What the peer was when it called C{connect}; it may have become something
    else since, or have handed the connection on.

    @ivar pid: its process id, or C{None} if it is not visible from here.
    @ivar uid: its effective user id, or C{None} if the kernel does not tell.
    @ivar gid: its effective group id, or C{None} if the kernel does not tell.
    """

    pid: int | None = None
    uid: int | None = None
    gid: int | None = None


def peer_credentials(connection: HasSocketOptions) -> PeerCredentials:
    """
    Ask the kernel who connected.

    @param connection: a connected socket; for a transport of the reactor,
        what its C{getHandle()} returns.
    @raise OSError: it is not a socket.
    """
    return unpack_ucred(connection.getsockopt(SOL_SOCKET, SO_PEERCRED, UCRED_SIZE))


def unpack_ucred(answer: bytes) -> PeerCredentials:
    """Read the C{struct ucred} that the kernel answers with."""
    pid, uid, gid = _UCRED.unpack(answer)
    return PeerCredentials(
        pid if pid > 0 else None,
        uid if uid != _NOBODY else None,
        gid if gid != _NOBODY else None,
    )


def peer_groups(connection: HasSocketOptions) -> tuple[int, ...]:
    """
    Ask the kernel for the supplementary groups of who connected, as they were
    then.  The primary group is not among them, unless it was listed twice.

    @param connection: see L{peer_credentials}.
    @raise OSError: it is not a socket, or the kernel is older than Linux 4.13.
    """
    try:
        answer = _groups(connection, _FEW)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        answer = _groups(connection, _MOST)
    return tuple(array("I", answer))


def _groups(connection: HasSocketOptions, room: int) -> bytes:
    size = room * array("I").itemsize
    return connection.getsockopt(SOL_SOCKET, _SO_PEERGROUPS, size)
