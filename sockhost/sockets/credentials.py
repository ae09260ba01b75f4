# -*- test-case-name: tests.sockets.test_credentials -*-
"""
Who is at the other end of a Unix socket, as the kernel tells it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from array import array
from socket import AF_UNIX, SO_PEERCRED, SOL_SOCKET
from struct import Struct
from typing import Any, Protocol

from attrs import frozen

_UCRED = Struct("=iII")
UCRED_SIZE = _UCRED.size
_NOBODY = 0xFFFFFFFF
# The socket module does not have it.
_SO_PEERGROUPS = 59
# In bytes, four for each group: what Python gets at most, and the kernel has.
_FEW, _MOST = 1024, 4 * 65536


class HasSocketOptions(Protocol):
    """A socket, as far as it matters here."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """Read a socket option."""

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


def peer_of(transport: Any) -> PeerCredentials:
    """
    Ask the kernel who is at the other end of a transport of the reactor.

    @return: nobody in particular, if it is not of a Unix socket.
    @raise OSError: the kernel does not tell.
    """
    get_handle = getattr(transport, "getHandle", None)
    handle: Any = None if get_handle is None else get_handle()
    # That of TLS is no socket, and of TCP the kernel does not know it.
    if getattr(handle, "family", None) != AF_UNIX:
        return PeerCredentials()
    return peer_credentials(handle)


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
        answer = connection.getsockopt(SOL_SOCKET, _SO_PEERGROUPS, _FEW)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        answer = _many_groups(connection.fileno())
    return tuple(array("I", answer))


def _many_groups(fd: int) -> bytes:
    libc = ctypes.CDLL(None, use_errno=True)
    answer = ctypes.create_string_buffer(_MOST)
    size = ctypes.c_uint32(_MOST)
    if libc.getsockopt(fd, SOL_SOCKET, _SO_PEERGROUPS, answer, ctypes.byref(size)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer.raw[: size.value]
