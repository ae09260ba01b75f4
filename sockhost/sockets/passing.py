# -*- test-case-name: tests.functional.test_passing -*-
"""
A connection that carries descriptors, and the writer's credentials, beside its
bytes.

Twisted's own transport receives descriptors that children would inherit, knows
nothing of credentials, and sends descriptors with whichever bytes come next;
here they go with the very first byte of what was written with them.  A peer
that reads earlier bytes in the same turn gets them then already: the kernel
ends a read behind descriptors, not in front of them.
"""

from __future__ import annotations

import errno
import os
import socket
from array import array
from collections import deque
from collections.abc import Sequence
from struct import Struct
from typing import Any, Protocol

from twisted.internet import main, unix
from twisted.internet.address import UNIXAddress

from sockhost.sockets.credentials import PeerCredentials

MAX_AT_ONCE = 253
"""The system passes no more descriptors with one message."""

_CREDENTIALS = Struct("=iII")
_ROOM = socket.CMSG_SPACE(MAX_AT_ONCE * array("i").itemsize) + socket.CMSG_SPACE(
    _CREDENTIALS.size
)
_AGAIN = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})


class Receiver(Protocol):
    """What a protocol has that a L{PassingTransport} tells."""

    def descriptors_received(self, descriptors: Sequence[int]) -> None:
        """
        Descriptors have come with the first of the bytes that follow.  They
        are the protocol's to close from now on.
        """

    def descriptors_lost(self) -> None:
        """The system had no number left for some that should have come, too."""

    def credentials_received(self, sender: PeerCredentials) -> None:
        """Who wrote the bytes that follow."""


class PassingTransport(unix.Server):
    """
    The server's end of such a connection.

    What is passed to L{attach} is duplicated, and closed when it is sent or
    the connection is lost.
    """

    # The place in the stream, counted from its beginning, and what goes there.
    _attached: deque[tuple[int, array[int]]]
    _written = 0
    _sent = 0

    @classmethod
    def adopt(cls, reactor: Any, accepted: socket.socket, factory: Any) -> None:
        """
        Make the transport of an accepted connection; see L{Adopt
        <sockhost.sockets.listener.Adopt>}.
        """
        here = accepted.getsockname()
        protocol = factory.buildProtocol(UNIXAddress(here))
        if protocol is None:
            return
        made = cls(accepted.dup(), protocol, accepted.getpeername(), None, 0, reactor)
        made.repstr = f"<{type(protocol).__name__} on {here}>"
        made._attached = deque()
        protocol.makeConnection(made)

    def attach(self, descriptors: Sequence[int], after: int = 0) -> None:
        """
        Send descriptors together with a byte.

        @param after: how many bytes will be written before that byte, from
            now on.
        @raise OSError: one of them is none.
        @raise ValueError: they are more than L{MAX_AT_ONCE}.
        """
        if len(descriptors) > MAX_AT_ONCE:
            raise ValueError(f"no more than {MAX_AT_ONCE} descriptors at once")
        copies = array("i")
        try:
            for descriptor in descriptors:
                copies.append(os.dup(descriptor))
        except OSError:
            _close_all(copies)
            raise
        self._attached.append((self._written + after, copies))

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        if not self.disconnected:
            self._written += len(data)
        super().write(data)

    def writeSequence(self, iovec: Any) -> None:
        """Queue bytes."""
        self.write(b"".join(iovec))

    def writeSomeData(self, data: Any) -> Any:
        """Hand bytes to the kernel, and what is attached to the first."""
        place, copies = self._attached[0] if self._attached else (None, None)
        if place is None or copies is None:
            return self._note(super().writeSomeData(data))
        if place > self._sent:
            return self._note(super().writeSomeData(data[: place - self._sent]))
        return self._note(self._send_with(data, copies))

    def doRead(self) -> Any:
        """Take what has come."""
        try:
            data, ancillary, flags, _ = self.socket.recvmsg(
                self.bufferSize, _ROOM, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        for _level, kind, content in ancillary:
            self._take(kind, content)
        if flags & socket.MSG_CTRUNC:
            lacking: Any = self.protocol
            lacking.descriptors_lost()
        return self._dataReceived(data)

    def connectionLost(self, reason: Any) -> None:
        """Close what was not sent."""
        while self._attached:
            _close_all(self._attached.popleft()[1])
        super().connectionLost(reason)

    def _note(self, result: Any) -> Any:
        if isinstance(result, int):
            self._sent += result
        return result

    def _send_with(self, data: Any, copies: array[int]) -> Any:
        # No further than what is attached next: that goes with its own byte.
        end = len(data)
        if len(self._attached) > 1:
            end = max(self._attached[1][0] - self._sent, 1)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, copies)
        try:
            sent = self.socket.sendmsg([data[:end]], [rights])
        except OSError as error:
            return 0 if error.errno in _AGAIN else main.CONNECTION_LOST
        _close_all(self._attached.popleft()[1])
        return sent

    def _take(self, kind: int, content: bytes) -> None:
        receiver: Any = self.protocol
        if kind == socket.SCM_CREDENTIALS:
            receiver.credentials_received(
                PeerCredentials(*_CREDENTIALS.unpack(content))
            )
        elif kind == socket.SCM_RIGHTS:
            received = array("i")
            received.frombytes(content[: len(content) // 4 * 4])
            receiver.descriptors_received(received.tolist())


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
