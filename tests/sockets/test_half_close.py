"""
Tests for clients that close their sending side only.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.sockets.frameprotocol import FinishingFrameProtocol
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Connection, Later, Scripted, Served


class DropTests(SynchronousTestCase):
    """C{half_close = "drop"}."""

    def test_no_half_closing(self) -> None:
        """To the transport this is the end, as it is to who cannot half-close."""
        protocol = Served().connect().protocol
        self.assertFalse(IHalfCloseableProtocol.providedBy(protocol))


class FinishTests(SynchronousTestCase):
    """C{half_close = "finish"}."""

    def connect(self, handler: Scripted | None = None, **limits: int) -> Connection:
        """Connect a client."""
        allowed = Limits(half_close="finish", **limits)
        self.served = Served(handler or Scripted(), allowed)
        return self.served.connect()

    def half_close(self, connection: Connection) -> None:
        """The client sends no more."""
        cast(FinishingFrameProtocol, connection.protocol).readConnectionLost()

    def test_interface(self) -> None:
        """The transport is told that this is not the end."""
        verifyObject(IHalfCloseableProtocol, self.connect().protocol)

    def test_nothing_owed(self) -> None:
        """A client to whom nothing is owed is closed at once, and was clean."""
        connection = self.connect()
        self.half_close(connection)
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        [(_, reason)] = self.served.handler.gone
        self.assertTrue(reason.clean)
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def test_answers(self) -> None:
        """Requests are answered, and the answers taken, before it is closed."""
        later = Later()
        connection = self.connect(Scripted(answer=later))
        connection.send(b"a", b"b")
        self.half_close(connection)
        self.assertFalse(connection.wire.disconnecting)
        later[1].callback(b"B")
        later[0].callback(b"A")
        self.assertFalse(connection.wire.disconnecting)
        connection.wire.take()
        self.assertEqual(b"".join(connection.wire.writes), pack(b"B") + pack(b"A"))
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(later.cancelled, [])

    def test_backlog(self) -> None:
        """Frames that were read and not handed over yet are answered, too."""
        later = Later()
        connection = self.connect(Scripted(answer=later), max_in_flight=1)
        connection.send(b"a", b"b")
        self.half_close(connection)
        for number in range(2):
            self.assertFalse(connection.wire.disconnecting)
            later[number].callback(None)
        self.assertTrue(connection.wire.disconnecting)

    def test_being_welcomed(self) -> None:
        """A client that sends no more while it is being welcomed is welcomed."""
        greeting = Later()
        connection = self.connect(Scripted(greet=greeting))
        self.half_close(connection)
        self.assertFalse(connection.wire.disconnecting)
        greeting[0].callback(None)
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        self.assertEqual(len(self.served.handler.gone), 1)

    def test_within_frame(self) -> None:
        """One that stops in the middle of a frame was not clean."""
        connection = self.connect()
        connection.protocol.dataReceived(pack(b"a")[:-1])
        self.half_close(connection)
        connection.lose()
        [(_, reason)] = self.served.handler.gone
        self.assertIn("middle of a frame", str(reason))

    def test_gone_meanwhile(self) -> None:
        """One that goes altogether is gone; its requests are cancelled."""
        later = Later()
        connection = self.connect(Scripted(answer=later))
        connection.send(b"a")
        self.half_close(connection)
        connection.lose()
        self.assertEqual(later.cancelled, later.made)
        self.assertEqual(len(self.served.handler.gone), 1)

    def test_drained_meanwhile(self) -> None:
        """The end of the server ends it, with its answers as far as there is time."""
        later = Later()
        connection = self.connect(Scripted(answer=later))
        connection.send(b"a")
        self.half_close(connection)
        drained = self.served.server.drain(10)
        later[0].callback(b"A")
        connection.wire.take()
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        self.assertIsNone(self.successResultOf(drained))
