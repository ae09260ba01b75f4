"""
Tests for L{sockhost.workers.channel}.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.workers.channel import Channel
from sockhost.workers.orders import Message, NotForked, Prepared, Spawn, pack
from tests.workers.fakes import FakeReactor, FakeSocket, loose

PEER = 400


def packet(data: bytes, sender: int = PEER, *descriptors: int) -> Any:
    """Make what C{recvmsg} gives."""
    ancillary = [
        (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", sender, 0, 0))
    ]
    if descriptors:
        content = struct.pack(f"{len(descriptors)}i", *descriptors)
        ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, content))
    return (data, ancillary, 0, None)


class ChannelTests(SynchronousTestCase):
    """
    Tests for L{Channel}.
    """

    def setUp(self) -> None:
        """Make a channel over a socket in memory."""
        self.reactor = loose(FakeReactor())
        self.sock = loose(FakeSocket())
        self.got: list[tuple[Message, tuple[int, ...]]] = []
        self.lost = 0
        self.channel = Channel(
            self.reactor,
            self.sock,
            PEER,
            lambda message, fds: self.got.append((message, fds)),
            self._lost,
        )

    def _lost(self) -> None:
        self.lost += 1

    def test_interface(self) -> None:
        """It is what a reactor watches."""
        self.assertTrue(verifyObject(IReadWriteDescriptor, self.channel))
        self.assertEqual(self.reactor.readers, {self.channel})
        self.assertEqual(self.channel.fileno(), 7)

    def test_receive(self) -> None:
        """Messages arrive in order, with the descriptors beside them."""
        self.sock.incoming += [
            packet(pack(Prepared()), PEER, 11, 12),
            packet(pack(NotForked(1, "full"))),
        ]
        self.channel.doRead()
        self.assertEqual(self.got, [(Prepared(), (11, 12)), (NotForked(1, "full"), ())])

    def test_stranger(self) -> None:
        """A message of another process is dropped, and its descriptors closed."""
        closed: list[int] = []
        self.patch(os, "close", closed.append)
        self.sock.incoming.append(packet(pack(Prepared()), PEER + 1, 11))
        self.channel.doRead()
        self.assertEqual((self.got, closed), ([], [11]))
        self.assertTrue(self.channel.open)

    def test_descriptors_lost(self) -> None:
        """If the system had no number for some, the others are closed, and it is
        logged; the message arrives without any."""
        closed: list[int] = []
        self.patch(os, "close", closed.append)
        data, ancillary, _, _ = packet(pack(Prepared()), PEER, 11)
        self.sock.incoming.append((data, ancillary, socket.MSG_CTRUNC, None))
        with capturedLogs() as events:
            self.channel.doRead()
        self.assertEqual((self.got, closed), ([(Prepared(), ())], [11]))
        self.assertEqual([event["order"] for event in events], [Prepared()])
        self.assertTrue(self.channel.open)

    def test_no_message(self) -> None:
        """Bytes that are no message are logged and dropped."""
        self.sock.incoming += [packet(b"nonsense"), packet(pack(Prepared()))]
        self.channel.doRead()
        self.assertEqual(self.got, [(Prepared(), ())])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_end(self) -> None:
        """The end is told once, after what was sent before it."""
        self.sock.incoming += [packet(pack(Prepared())), packet(b"")]
        self.channel.doRead()
        self.channel.connectionLost(Failure(CONNECTION_LOST))
        self.assertEqual((len(self.got), self.lost), (1, 1))
        self.assertTrue(self.sock.closed)
        self.assertEqual(self.reactor.readers, set())

    def test_reset(self) -> None:
        """An error is an end."""
        self.sock.incoming.append(ConnectionResetError())
        self.channel.doRead()
        self.assertEqual((self.lost, self.channel.open), (1, False))

    def test_close(self) -> None:
        """Closing it oneself is not told."""
        self.channel.close()
        self.channel.close()
        self.assertEqual((self.lost, self.sock.closed), (0, True))
        self.assertEqual(self.reactor.readers, set())

    def test_close_while_reading(self) -> None:
        """What comes after the message that made us close is not told."""
        self.channel._received = lambda _message, _fds: self.channel.close()
        self.sock.incoming += [packet(pack(Prepared())), packet(pack(Prepared()))]
        self.channel.doRead()
        self.assertEqual(len(self.sock.incoming), 1)

    def test_send(self) -> None:
        """A message goes out at once; what goes with it is closed here."""
        port = FakeSocket(21)
        self.channel.send(Spawn(1, 2), port)
        self.assertEqual(self.sock.outgoing, [(pack(Spawn(1, 2)), [21])])
        self.assertTrue(port.closed)
        self.assertEqual(self.reactor.writers, set())

    def test_send_without_room(self) -> None:
        """Messages wait for room, and keep their order."""
        self.sock.room = 0
        port = FakeSocket(21)
        self.channel.send(Spawn(1, 1), port)
        self.channel.send(Spawn(2, 2))
        self.assertEqual(self.reactor.writers, {self.channel})
        self.assertFalse(port.closed)
        self.sock.room = 9
        self.channel.doWrite()
        self.assertEqual(
            self.sock.outgoing, [(pack(Spawn(1, 1)), [21]), (pack(Spawn(2, 2)), [])]
        )
        self.assertEqual(self.reactor.writers, set())

    def test_send_to_the_dead(self) -> None:
        """A message to a closed end is dropped, and the end told."""
        self.sock.broken = True
        port = FakeSocket(21)
        self.channel.send(Spawn(1, 1), port)
        self.assertEqual((self.lost, port.closed), (1, True))

    def test_send_after_close(self) -> None:
        """A message after the end is dropped with what goes with it."""
        self.channel.close()
        port = FakeSocket(21)
        self.channel.send(Spawn(1, 1), port)
        self.assertTrue(port.closed)
        self.assertEqual(self.sock.outgoing, [])
