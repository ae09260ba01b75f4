"""
Tests for L{sockhost.sockets.client}.
"""

from __future__ import annotations

import os

from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, FrameError, NoAnswer
from sockhost.sockets.client import MAX_FDS, FrameClient, connect
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.line import LineCodec
from sockhost.sockets.matching import ByNumber
from sockhost.sockets.wire import HEADER, pack


class FrameClientTests(SynchronousTestCase):
    """Tests for L{FrameClient}."""

    def setUp(self) -> None:
        """Make a client that is connected."""
        self.transport = StringTransport()
        self.client = FrameClient(max_frame=100)
        self.client.makeConnection(self.transport)

    def lose(self) -> None:
        """The connection ends."""
        self.client.connectionLost(Failure(error.ConnectionDone()))

    def test_interface(self) -> None:
        """It is a protocol."""
        verifyObject(IProtocol, self.client)

    def test_requests(self) -> None:
        """Answers go to requests in their order."""
        first, second = self.client.request(b"a"), self.client.request(b"b")
        self.assertEqual(self.transport.value(), pack(b"a") + pack(b"b"))
        self.client.dataReceived(pack(b"A"))
        self.assertEqual(self.successResultOf(first), b"A")
        self.assertNoResult(second)
        self.client.dataReceived(pack(b"B"))
        self.assertEqual(self.successResultOf(second), b"B")

    def test_cancel(self) -> None:
        """The answer to a cancelled request goes to nobody else."""
        first, second = self.client.request(b"a"), self.client.request(b"b")
        first.cancel()
        first.addErrback(lambda _: None)
        self.client.dataReceived(pack(b"A") + pack(b"B"))
        self.assertEqual(self.successResultOf(second), b"B")

    def test_deadline(self) -> None:
        """An answer that comes late is nobody's."""
        clock = Clock()
        client = FrameClient(clock=clock)
        client.makeConnection(self.transport)
        first, second = client.request(b"a", timeout=2), client.request(b"b", timeout=9)
        clock.advance(3)
        self.failureResultOf(first, NoAnswer)
        client.dataReceived(pack(b"A") + pack(b"B"))
        self.assertEqual(self.successResultOf(second), b"B")
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_late_by_order(self) -> None:
        """In their order no answers can be told apart after one that is late."""
        clock = Clock()
        client = FrameClient(clock=clock)
        client.makeConnection(self.transport)
        first, second = client.request(b"a", timeout=2), client.request(b"b")
        clock.advance(2)
        self.failureResultOf(first, NoAnswer)
        self.assertTrue(self.transport.disconnected)
        client.connectionLost(Failure(error.ConnectionAborted()))
        failure = self.failureResultOf(second, Disconnected)
        self.assertIn("no answer within 2 s", str(failure.value))
        self.assertFalse(failure.value.clean)

    def test_late_by_number(self) -> None:
        """By their numbers they can."""
        clock = Clock()
        client = FrameClient(matcher=ByNumber, clock=clock)
        client.makeConnection(self.transport)
        first, second = client.request(b"a", timeout=2), client.request(b"b")
        clock.advance(2)
        self.failureResultOf(first, NoAnswer)
        self.assertFalse(self.transport.disconnected)
        client.dataReceived(self.transport.value())
        self.assertEqual(self.successResultOf(second), b"b")

    def test_by_number(self) -> None:
        """Answers may overtake where requests have numbers."""
        client = FrameClient(matcher=ByNumber)
        client.makeConnection(self.transport)
        first, second = client.request(b"a"), client.request(b"b")
        one, two = Length32Codec().feed(self.transport.value())
        client.dataReceived(pack(two) + pack(one))
        self.assertEqual(self.successResultOf(first), b"a")
        self.assertEqual(self.successResultOf(second), b"b")

    def test_no_number(self) -> None:
        """A server that leaves out the number is no such server."""
        client = FrameClient(matcher=ByNumber)
        transport = StringTransport()
        client.makeConnection(transport)
        asked = client.request(b"a")
        client.dataReceived(pack(b"A"))
        self.assertTrue(transport.disconnected)
        client.connectionLost(Failure(error.ConnectionAborted()))
        failure = self.failureResultOf(asked, Disconnected)
        self.assertIn("no request number", str(failure.value))

    def test_other_codec(self) -> None:
        """The codec is that of the server."""
        client = FrameClient(codec=LineCodec)
        transport = StringTransport()
        client.makeConnection(transport)
        asked = client.request(b"a")
        self.assertEqual(transport.value(), b"a\n")
        client.dataReceived(b"A\n")
        self.assertEqual(self.successResultOf(asked), b"A")

    def test_when_lost(self) -> None:
        """Whoever watches the connection is told why it ended."""
        watching = self.client.when_lost()
        self.assertNoResult(watching)
        self.lose()
        self.assertTrue(self.successResultOf(watching).clean)
        self.assertFalse(self.client.is_connected)
        self.successResultOf(self.client.when_lost())

    def test_descriptors(self) -> None:
        """Descriptors that come are held, within a limit, and closed in the end."""
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(MAX_FDS + 2)]
        self.client.fileDescriptorReceived(held[0])
        self.assertEqual(self.client.take_fds(), held[:1])
        os.close(held[0])
        for descriptor in held[1:]:
            self.assertFalse(self.transport.disconnected)
            self.client.fileDescriptorReceived(descriptor)
        self.assertTrue(self.transport.disconnected)
        self.lose()
        for descriptor in held:
            self.assertRaises(OSError, os.fstat, descriptor)

    def test_first_reason(self) -> None:
        """What comes after the reason for the end does not hide it."""
        for _ in range(MAX_FDS + 1):
            self.client.fileDescriptorReceived(os.open("/dev/null", os.O_RDONLY))
        self.client.dataReceived(pack(b"x"))
        self.lose()
        why = self.successResultOf(self.client.when_lost())
        self.assertIn("too many descriptors", str(why))
        self.assertFalse(why.clean)

    def test_on_frame(self) -> None:
        """Frames that nobody asked for go to C{on_frame}, if there is one."""
        self.client.dataReceived(pack(b"lost"))
        got: list[bytes] = []
        self.client.on_frame = got.append
        self.client.dataReceived(pack(b"news"))
        self.assertEqual(got, [b"news"])

    def test_on_frame_fails(self) -> None:
        """What C{on_frame} raises is logged, and the connection goes on."""
        self.client.on_frame = int
        self.client.dataReceived(pack(b"x"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertFalse(self.transport.disconnecting)

    def test_lost(self) -> None:
        """When the connection is lost, no request is left hanging."""
        waiting = self.client.request(b"a")
        self.lose()
        failure = self.failureResultOf(waiting, Disconnected)
        self.assertTrue(failure.value.clean)
        self.failureResultOf(self.client.request(b"b"), Disconnected)
        self.assertRaises(Disconnected, self.client.send, b"c")

    def test_cancelled_by_another(self) -> None:
        """A request may be cancelled because another has failed."""
        first, second = self.client.request(b"a"), self.client.request(b"b")
        first.addErrback(lambda _: second.cancel())
        closed = self.client.close()
        self.lose()
        self.failureResultOf(second, CancelledError)
        self.successResultOf(closed)

    def test_lost_within_frame(self) -> None:
        """A connection that ends within a frame did not end cleanly."""
        waiting = self.client.request(b"a")
        self.client.dataReceived(pack(b"A")[:-1])
        self.lose()
        self.assertFalse(self.failureResultOf(waiting, Disconnected).value.clean)

    def test_bad_frame(self) -> None:
        """What is no frame ends the connection, with that as the reason."""
        waiting = self.client.request(b"a")
        self.client.dataReceived(HEADER.pack(101))
        self.assertTrue(self.transport.disconnected)
        self.lose()
        failure = self.failureResultOf(waiting, Disconnected)
        self.assertIn("limit of 100", failure.getErrorMessage())

    def test_too_large(self) -> None:
        """A payload above the limit is not sent and waits for nothing."""
        self.failureResultOf(self.client.request(b"x" * 97), FrameError)
        self.assertEqual(self.transport.value(), b"")
        answer = self.client.request(b"ok")
        self.client.dataReceived(pack(b"OK"))
        self.assertEqual(self.successResultOf(answer), b"OK")

    def test_close(self) -> None:
        """Closing fires when it is closed, also the second time."""
        closed = self.client.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(closed)
        self.lose()
        self.assertIsNone(self.successResultOf(closed))
        self.assertIsNone(self.successResultOf(self.client.close()))


class ConnectTests(SynchronousTestCase):
    """Tests for L{connect}."""

    def test_connects(self) -> None:
        """It connects to the path and fires with a client."""
        reactor = MemoryReactorClock()
        connecting = connect(reactor, "/run/x.sock", timeout=3)
        ((path, factory, timeout, _),) = reactor.unixClients
        self.assertEqual((path, timeout), ("/run/x.sock", 3))
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        self.assertIsInstance(self.successResultOf(connecting), FrameClient)

    def test_refused(self) -> None:
        """It fails if nobody listens."""
        reactor = MemoryReactorClock()
        connecting = connect(reactor, "/run/x.sock")
        factory = reactor.unixClients[0][1]
        reason = Failure(error.ConnectionRefusedError())
        factory.clientConnectionFailed(None, reason)
        self.failureResultOf(connecting, error.ConnectionRefusedError)
