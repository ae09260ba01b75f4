# -*- test-case-name: tests.redis.test_wire -*-
"""
The shortest way from a connection to the kernel.

What Twisted's C{transport.write} is given waits for a turn of the reactor and
two system calls to be told that the socket is writable, which it nearly always
is: measured, a third of what a round trip costs.  So while the transport holds
nothing back, the bytes go to the socket itself, and C{transport.write} gets
what the kernel did not take.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import ceil
from typing import Any, cast

from twisted.internet import main, tcp
from twisted.internet.interfaces import ITCPTransport, IUNIXTransport

# Unanswered probes of keep-alive that end a connection.
PROBES = 3

Send = Callable[[bytes], object]


def is_socket(transport: object) -> bool:
    """C{True} for the transport of a socket itself, without a wrapper."""
    # TLS hands out the attributes of what it wraps, so these say nothing.
    return isinstance(transport, tcp.Connection)


def make_sender(transport: Any, producer: object) -> Send:
    """
    Find the way to send over a transport.

    @param producer: what has registered itself with the transport.
    @return: takes bytes, all of them, and never raises because of the other
        side: like C{transport.write}.
    """
    if is_socket(transport):
        return _direct(transport, producer)
    write: Send = transport.write
    return write


def _direct(transport: Any, producer: object) -> Send:
    send = transport.socket.send

    def send_now(data: bytes) -> None:
        if (
            transport.dataBuffer
            or transport._tempDataBuffer
            or transport.disconnecting
            or not transport.connected
            or transport.TLS
            or transport.producer is not producer
        ):
            transport.write(data)
            return
        try:
            sent = send(data)
        except OSError:
            # Full, or broken: the transport finds out which, and tells it.
            sent = 0
        if sent < len(data):
            transport.write(data[sent:])

    return send_now


def read_directly(transport: Any, received: Callable[[bytes], object]) -> None:
    """
    Read from the socket itself what the transport would read.  That of a Unix
    socket looks for descriptors besides, which no server sends, and at twice
    the cost; and what connected it hands each piece of data on.

    What the other side has said before it went is read also where that it has
    gone is first noticed by writing.

    @param received: takes data.
    """
    if not is_socket(transport):
        return
    receive, size = transport.socket.recv, transport.bufferSize

    def read() -> Exception | None:
        try:
            data = receive(size)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        received(data)
        return None

    write_rest = transport.doWrite

    def write() -> Exception | None:
        why: Exception | None = write_rest()
        if why is main.CONNECTION_LOST:
            for data in _all_of(receive, size):
                received(data)
        return why

    transport.doRead = read
    transport.doWrite = write


def _all_of(receive: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    with suppress(OSError):
        while data := receive(size):
            yield data


def cut(transport: Any) -> None:
    """
    Close a connection at once.  The other side hears of it before it can hear
    of anything that is sent elsewhere from now on: Twisted itself closes a
    socket in its next turn, and a server that blocks for us would give us what
    somebody adds meanwhile.
    """
    if is_socket(transport):
        # It may be closed already.
        with suppress(OSError):
            transport.socket.shutdown(socket.SHUT_RDWR)
    transport.abortConnection()


def set_no_delay(transport: Any) -> None:
    """
    Tell TCP not to hold small writes back.  A Unix socket never does, though
    its transport claims to be one of TCP.
    """
    if ITCPTransport.providedBy(transport) and not IUNIXTransport.providedBy(transport):
        transport.setTcpNoDelay(True)


def set_keepalive(transport: Any, seconds: float, user_timeout: float = 0.0) -> None:
    """
    Have TCP find out that the other machine is gone.  Nothing is done to a Unix
    socket, whose other side cannot go without a word.

    @param seconds: of silence before the first probe; 0 for none.  A third of
        it later the next, and with the third unanswered one the end.
    @param user_timeout: seconds that what was sent may stay unacknowledged; 0
        for what the system says.
    """
    if not ITCPTransport.providedBy(transport) or IUNIXTransport.providedBy(transport):
        return
    transport.setTcpKeepAlive(seconds > 0)
    handle = cast(Any, transport).getHandle()
    if seconds > 0:
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ceil(seconds))
        apart = ceil(seconds / PROBES)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, apart)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    if user_timeout > 0:
        milliseconds = ceil(user_timeout * 1000)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
