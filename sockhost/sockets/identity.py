# -*- test-case-name: tests.sockets.test_peer -*-
"""
What is seldom asked about a client, and found out when it is: its groups, and
a descriptor of its process.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from socket import SOL_SOCKET
from struct import Struct

from sockhost.sockets.credentials import peer_groups

# The socket module does not have it; Linux does since 6.5.
_SO_PEERPIDFD = 77
_INT = Struct("=i")
_UNKNOWN_OPTION = frozenset({errno.ENOPROTOOPT, errno.EOPNOTSUPP})


def groups_of(fd: int) -> tuple[int, ...]:
    """
    Ask for the supplementary groups of who is connected to a descriptor.

    @return: none if it is no Unix socket, or is closed.
    """
    try:
        with _borrowed(fd) as connection:
            return peer_groups(connection)
    except OSError:
        return ()


def pidfd_of(fd: int, pid: int | None) -> int | None:
    """
    Open a descriptor of the process that is connected to a descriptor.  A
    kernel that tells it of the connection never means another process; with an
    older one it is opened by the number, which can have been given to another
    process if the client has ended since it connected.

    @param pid: the client's process id as it was when it connected.
    @return: C{None} if that process is gone, or is not visible from here.
        Otherwise the caller closes it.
    """
    try:
        with _borrowed(fd) as connection:
            answer = connection.getsockopt(SOL_SOCKET, _SO_PEERPIDFD, _INT.size)
    except OSError as error:
        if error.errno not in _UNKNOWN_OPTION or pid is None:
            return None
        return _open_by_number(pid)
    pidfd: int = _INT.unpack(answer)[0]
    os.set_inheritable(pidfd, False)
    return pidfd


def _open_by_number(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    if fd < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    borrowed = socket.socket(fileno=os.dup(fd))
    try:
        yield borrowed
    finally:
        borrowed.close()
