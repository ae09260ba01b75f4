# -*- test-case-name: tests.workers.test_channel -*-
"""
The host's end of the socket pair that leads to a prototype.  Twisted has no
transport for SEQPACKET sockets.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorFDSet, IReadWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.workers.orders import MAX_MESSAGE, BadMessage, Message, pack, unpack

_MAX_DESCRIPTORS = 4
_READS_A_TURN = 32
_INT_SIZE = 4
_CREDENTIALS = struct.Struct("3i")
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(
    _MAX_DESCRIPTORS * _INT_SIZE
)


class Attachment(Protocol):
    """A descriptor with an owner: a socket or a file."""

    def fileno(self) -> int:
        """The descriptor."""

    def close(self) -> None:
        """Close it."""


@attrs.frozen
class Packet:
    """
    What arrives at once.

    @ivar sender: the process id of the sender as the kernel tells it.
    @ivar cut: whether the system had no number left for some of the descriptors.
    """

    data: bytes
    descriptors: tuple[int, ...] = ()
    sender: int | None = None
    cut: bool = False


def receive(sock: socket.socket) -> Packet:
    """
    Read one packet.

    @param sock: has C{SO_PASSCRED} set.
    """
    data, ancillary, flags, _address = sock.recvmsg(
        MAX_MESSAGE, _ANCILLARY, socket.MSG_CMSG_CLOEXEC
    )
    descriptors: list[int] = []
    sender = None
    for _level, kind, content in ancillary:
        if kind == socket.SCM_RIGHTS:
            count = len(content) // _INT_SIZE
            descriptors += struct.unpack(f"{count}i", content[: count * _INT_SIZE])
        elif kind == socket.SCM_CREDENTIALS:
            sender = _CREDENTIALS.unpack(content)[0]
    return Packet(data, tuple(descriptors), sender, bool(flags & socket.MSG_CTRUNC))


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """
    Make the socket pair.

    @return: the end for a L{Channel}, and the blocking end for a prototype.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.setblocking(False)
    return ours, theirs


@implementer(IReadWriteDescriptor)
class Channel:
    """
    Sends and receives L{messages<sockhost.workers.orders>} in the reactor.

    @ivar open: C{False} once either end is closed.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFDSet,
        sock: socket.socket,
        peer: int,
        received: Callable[[Message, tuple[int, ...]], object],
        lost: Callable[[], object],
    ) -> None:
        """
        @param peer: the process id whose messages are taken.  Those of others
            are logged and dropped.
        @param received: called with each message and the descriptors beside
            it, which are then its own to close.  Where the system has no number
            left for all of them there are none.
        @param lost: called once when the other end is closed, but not after
            L{close}.
        """
        self.open = True
        self._reactor = reactor
        self._sock = sock
        self._peer = peer
        self._received = received
        self._lost = lost
        self._queue: deque[tuple[bytes, tuple[Attachment, ...]]] = deque()
        reactor.addReader(self)

    def send(self, message: Message, *attached: Attachment) -> None:
        """
        Send a message, now or as soon as there is room for it.  A message to
        an end that is closed is dropped; C{lost} tells of that.

        @param attached: sent with it, and closed here once they are, or once
            it is dropped.
        """
        self._queue.append((pack(message), attached))
        self.doWrite()

    def close(self) -> None:
        """Close this end, and drop what is not sent.  Again: no effect."""
        if not self.open:
            return
        self.open = False
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._drop_queue()
        self._sock.close()

    # -- what the reactor calls ---------------------------------------------

    def fileno(self) -> int:
        """The descriptor of the socket, or -1."""
        return self._sock.fileno()

    def logPrefix(self) -> str:
        """How the reactor names this in the log."""
        return "prototype channel"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives this descriptor up."""
        self._end()

    def doRead(self) -> None:
        """Take the messages that have come."""
        for _turn in range(_READS_A_TURN):
            try:
                packet = receive(self._sock)
            except BlockingIOError:
                return None
            except OSError:
                return self._end()
            if not packet.data:
                return self._end()
            self._take(packet)
            if not self.open:
                return None
        return None

    def doWrite(self) -> None:
        """Send what there is room for."""
        while self.open and self._queue:
            data, attached = self._queue[0]
            try:
                socket.send_fds(self._sock, [data], [s.fileno() for s in attached])
            except BlockingIOError:
                return self._reactor.addWriter(self)
            except OSError:
                return self._end()
            self._queue.popleft()
            _close_all(attached)
        if self.open:
            self._reactor.removeWriter(self)
        else:
            self._drop_queue()
        return None

    def _take(self, packet: Packet) -> None:
        if packet.sender != self._peer:
            self._log.error(
                "a message of process {sender} came for the prototype {peer}",
                sender=packet.sender,
                peer=self._peer,
            )
            return _close_descriptors(packet.descriptors)
        try:
            message = unpack(packet.data)
        except BadMessage:
            self._log.failure("from the prototype {peer}", peer=self._peer)
            return _close_descriptors(packet.descriptors)
        descriptors = packet.descriptors
        if packet.cut:
            self._log.error(
                "no descriptor was left for what came with {order}", order=message
            )
            _close_descriptors(descriptors)
            descriptors = ()
        self._received(message, descriptors)
        return None

    def _end(self) -> None:
        if self.open:
            self.close()
            self._lost()

    def _drop_queue(self) -> None:
        while self._queue:
            _close_all(self._queue.popleft()[1])


def _close_all(attached: tuple[Attachment, ...]) -> None:
    for sock in attached:
        sock.close()


def _close_descriptors(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
