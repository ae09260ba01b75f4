"""
Tests for L{sockhost.sockets.beside} and what a client makes of it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import Disconnected, FrameError, SockhostError
from sockhost.sockets.beside import NONE_LEFT, TOO_MANY, Beside
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.descriptors import Kept
from sockhost.sockets.limits import Limits
from tests.sockets.fakes import Served


class DescriptorCase(SynchronousTestCase):
    """A test with descriptors that it can see being closed."""

    def made(self) -> int:
        """Make a descriptor."""
        return os.open("/dev/null", os.O_RDONLY)

    def beside(self, limit: int) -> Beside:
        """Make what holds them, for a process that may have a thousand."""
        return Beside(lambda _: None, limit, Kept("kv", Clock(), lambda: 1000))

    def assert_closed(self, *descriptors: int) -> None:
        """None of these is open."""
        for descriptor in descriptors:
            self.assertRaises(OSError, os.fstat, descriptor)


class BesideTests(DescriptorCase):
    """Tests for L{Beside}."""

    def test_take(self) -> None:
        """What comes can be taken, once."""
        beside = self.beside(3)
        first, second = self.made(), self.made()
        self.assertIsNone(beside.receive([first]))
        self.assertIsNone(beside.receive([second]))
        self.assertEqual(beside.take(), [first, second])
        self.assertEqual(beside.take(), [])
        beside.close()
        os.close(first)
        os.close(second)

    def test_too_many(self) -> None:
        """More than may be held are closed, all of them."""
        beside = self.beside(2)
        held = [self.made() for _ in range(3)]
        self.assertIsNone(beside.receive(held[:2]))
        self.assertEqual(beside.receive(held[2:]), TOO_MANY)
        self.assert_closed(*held)
        self.assertEqual(beside.take(), [])

    def test_kept(self) -> None:
        """Those that no client may have are closed, with all that are held."""
        beside = self.beside(5)
        held = [self.made() for _ in range(3)]
        beside._kept.first = max(held)
        low = [each for each in held if each < beside._kept.first]
        self.assertIsNone(beside.receive(low))
        with capturedLogs() as logged:
            self.assertEqual(beside.receive([max(held)]), NONE_LEFT)
        self.assertIn("kv drops clients that pass", str(formatEvent(logged[0])))
        self.assert_closed(*held)

    def test_untaken(self) -> None:
        """What nobody takes is closed in the end."""
        beside = self.beside(2)
        held = self.made()
        beside.receive([held])
        beside.close()
        beside.close()
        self.assert_closed(held)


class ClientTests(DescriptorCase):
    """What a handler's client has of it."""

    def setUp(self) -> None:
        """Serve a client on a transport that can attach."""
        self.served = Served(limits=Limits(max_frame=100))
        self.served.server.max_fds = 2
        self.attached: list[tuple[Sequence[int], int]] = []

        def attach(descriptors: Sequence[int], after: int) -> None:
            self.attached.append((descriptors, after))

        self.connection = self.served.connect()
        wire: Any = self.connection.wire
        wire.attach = attach
        self.client: Any = self.served.handler.clients[0]
        self.protocol: Any = self.connection.protocol

    def test_received(self) -> None:
        """Those that came are the handler's to take."""
        descriptor = self.made()
        self.protocol.descriptors_received([descriptor])
        self.assertEqual(self.client.take_fds(), [descriptor])
        os.close(descriptor)

    def test_flood(self) -> None:
        """A client that passes more than anybody takes is dropped."""
        held = [self.made() for _ in range(3)]
        self.protocol.descriptors_received(held)
        self.assert_closed(*held)
        self.assertFalse(self.client.connected)
        self.connection.lose()
        ((_, reason),) = self.served.handler.gone
        self.assertIn("max_fds", str(reason))

    def test_lost(self) -> None:
        """So is one that passes what the system has no number for."""
        held = self.made()
        self.protocol.descriptors_received([held])
        self.protocol.descriptors_lost()
        self.assert_closed(held)
        self.connection.send(b"ignored")
        self.assertEqual(self.served.handler.frames, [])
        self.connection.lose()
        ((_, reason),) = self.served.handler.gone
        self.assertEqual(str(reason), NONE_LEFT)

    def test_gone(self) -> None:
        """What nobody took is closed when the client has gone."""
        descriptor = self.made()
        self.protocol.descriptors_received([descriptor])
        self.connection.lose()
        self.assert_closed(descriptor)

    def test_taken_in_farewell(self) -> None:
        """The handler can take them as long as it says farewell."""
        descriptor = self.made()
        self.protocol.descriptors_received([descriptor])
        taken: list[int] = []
        self.served.handler.part = lambda client: taken.extend(client.take_fds())
        self.connection.lose()
        self.assertEqual(taken, [descriptor])
        os.close(descriptor)

    def test_sender(self) -> None:
        """Who writes is known once the kernel has said so."""
        self.assertIsNone(self.client.sender)
        somebody = PeerCredentials(1, 2, 3)
        self.protocol.credentials_received(somebody)
        self.assertEqual(self.client.sender, somebody)

    def test_send(self) -> None:
        """Descriptors go with the byte that their frame begins with."""
        self.client.send_fds(b"first", [7])
        self.client.send(b"x" * 10)
        sent = self.client.send_fds(b"second", [8, 9])
        self.assertEqual([each for each, _ in self.attached], [[7], [8, 9]])
        # The transport takes writes at once here: nothing is in front.
        self.assertEqual([after for _, after in self.attached], [0, 0])
        self.connection.wire.take()
        self.assertIsNone(self.successResultOf(sent))

    def test_send_behind(self) -> None:
        """What waits in front of the frame is counted."""

        def answer(client: Any, frame: bytes) -> bytes:
            client.send_fds(frame, [7])
            return b"more"

        self.served.handler.answer = answer
        self.connection.send(b"a", b"b")
        # A frame of five bytes and one of eight wait for the end of the turn.
        self.assertEqual(self.attached, [([7], 0), ([7], 13)])

    def test_too_large(self) -> None:
        """A frame that cannot be sent leaves its descriptors to no other."""
        self.failureResultOf(self.client.send_fds(b"x" * 200, [7]), FrameError)
        self.assertEqual(self.attached, [])

    def test_send_to_gone(self) -> None:
        """Nothing can be sent to a client that is gone."""
        self.connection.lose()
        self.failureResultOf(self.client.send_fds(b"x", [7]), Disconnected)
        self.assertEqual(self.attached, [])

    def test_bad_descriptor(self) -> None:
        """What cannot be attached fails, and its frame is not sent."""

        def attach(descriptors: Sequence[int], after: int) -> None:
            raise OSError("no descriptor")

        wire: Any = self.connection.wire
        wire.attach = attach
        self.failureResultOf(self.client.send_fds(b"x", [-1]), OSError)
        self.assertEqual(self.connection.wire.writes, [])

    def test_switched_off(self) -> None:
        """A socket that passes none says so."""
        self.served.server.max_fds = None
        self.served.connect()
        other: Any = self.served.handler.clients[1]
        self.failureResultOf(other.send_fds(b"x", [7]), SockhostError)
        self.assertEqual((other.take_fds(), other.sender), ([], None))

    def test_unexpected(self) -> None:
        """Where none are meant to come, those that do are closed."""
        descriptor = self.made()
        self.protocol.fileDescriptorReceived(descriptor)
        self.assert_closed(descriptor)
