# -*- test-case-name: tests.sockets.test_credentials -*-
"""
Who is at the other end of a Unix socket, as the kernel tells it.
"""

from __future__ import annotations

from socket import SO_PEERCRED, SOL_SOCKET
from struct import Struct
from typing import Protocol

from attrs import frozen

_UCRED = Struct("=iII")
_NOBODY = 0xFFFFFFFF


class HasSocketOptions(Protocol):
    """A socket, as far as it matters here."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """Read a socket option."""


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
    answer = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(answer)
    return PeerCredentials(
        pid if pid > 0 else None,
        uid if uid != _NOBODY else None,
        gid if gid != _NOBODY else None,
    )
