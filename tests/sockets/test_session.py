"""
Tests for L{sockhost.sockets.session}, through the server that makes sessions.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, FrameError, IClient, Refused
from sockhost.sockets.limits import Limits
from sockhost.sockets.session import LINGER
from sockhost.sockets.wire import HEADER, pack
from tests.sockets.fakes import Later, Scripted, Served


class Fail:
    """Raises what it was given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: object) -> object:
        raise self.error


class ConnectedTests(SynchronousTestCase):
    """What becomes of the handler's C{connected}."""

    def test_client(self) -> None:
        """The handler gets an L{IClient} with an id of its own."""
        served = Served()
        served.clock.advance(5)
        served.connect()
        served.connect()
        first, second = served.handler.clients
        verifyObject(IClient, first)
        self.assertNotEqual(first.id, second.id)
        self.assertEqual(first.connected_at, 5)
        self.assertTrue(first.connected)
        self.assertEqual(served.server.counters.accepted, 2)

    def test_waits(self) -> None:
        """No frame is read, or given to the handler, before it has ended."""
        greeting = Later()
        served = Served(Scripted(greet=greeting))
        connection = served.connect()
        self.assertFalse(connection.wire.reading)
        connection.send(b"early")
        self.assertEqual(served.handler.frames, [])
        greeting[0].callback(None)
        self.assertTrue(connection.wire.reading)
        self.assertEqual(connection.wire.writes, [pack(b"early")])

    def test_refused(self) -> None:
        """L{Refused} closes the connection quietly and without farewell."""
        served = Served(Scripted(greet=Fail(Refused("full"))))
        connection = served.connect()
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        self.assertEqual(served.handler.gone, [])
        self.assertEqual(served.server.counters.refused, 1)
        self.assertEqual(served.server.counters.errors, 0)

    def test_false(self) -> None:
        """C{False} refuses too, also when it comes late."""
        greeting = Later()
        served = Served(Scripted(greet=greeting))
        connection = served.connect()
        greeting[0].callback(False)
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(served.server.counters.accepted, 0)
        connection.lose()
        self.assertEqual(served.handler.gone, [])

    def test_raises(self) -> None:
        """Another exception refuses and is logged once."""
        served = Served(Scripted(greet=Fail(ValueError("bug"))))
        connection = served.connect()
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        connection.lose()
        self.assertEqual(served.handler.gone, [])

    def test_lost_meanwhile(self) -> None:
        """A client that goes before it has ended gets no farewell."""
        greeting = Later()
        served = Served(Scripted(greet=greeting))
        served.connect().lose()
        self.assertEqual(greeting.cancelled, greeting.made)
        self.assertEqual(served.handler.gone, [])

    def test_ends_well_after_loss(self) -> None:
        """If it ends well although the client has gone, a farewell is due."""
        finish: Deferred[None] = Deferred()

        async def greet() -> None:
            try:
                await Deferred()
            except CancelledError:
                await finish

        served = Served(Scripted(greet=lambda _: greet()))
        served.connect().lose()
        self.assertEqual(served.handler.gone, [])
        finish.callback(None)
        self.assertEqual(len(served.handler.gone), 1)

    def test_missing(self) -> None:
        """A handler without C{connected} and C{disconnected} will do."""

        class Bare:
            def received(self, client: IClient, frame: bytes) -> bytes:
                return frame

        served = Served(Bare())
        connection = served.connect()
        connection.send(b"x")
        self.assertEqual(connection.wire.writes, [pack(b"x")])
        connection.lose()
        self.assertEqual(served.server.status()["clients"], 0)


class ReceivedTests(SynchronousTestCase):
    """What becomes of the handler's C{received}."""

    def test_one_write(self) -> None:
        """The answers to all frames of a read go out with one write, in order."""
        served = Served()
        connection = served.connect()
        connection.send(b"a", b"b", b"c")
        self.assertEqual(connection.wire.writes, [pack(b"a") + pack(b"b") + pack(b"c")])
        counters = served.server.counters
        self.assertEqual((counters.frames_in, counters.frames_out), (3, 3))
        self.assertEqual((counters.bytes_in, counters.bytes_out), (15, 15))

    def test_no_answer(self) -> None:
        """C{None} is no answer."""
        connection = Served(Scripted(answer=lambda *_: None)).connect()
        connection.send(b"a")
        self.assertEqual(connection.wire.writes, [])

    def test_coroutine(self) -> None:
        """A coroutine that does not wait answers within the same write."""

        async def answer() -> bytes:
            return await succeed(b"async")

        served = Served(Scripted(answer=lambda *_: answer()))
        connection = served.connect()
        connection.send(b"a", b"b")
        self.assertEqual(connection.wire.writes, [pack(b"async") * 2])

    def test_concurrent(self) -> None:
        """Frames are given to the handler without waiting; answers may overtake."""
        later = Later()
        served = Served(Scripted(answer=later))
        connection = served.connect()
        connection.send(b"slow", b"quick")
        self.assertEqual(served.server.counters.in_flight, 2)
        later[1].callback(b"second")
        later[0].callback(b"first")
        self.assertEqual(connection.wire.writes, [pack(b"second"), pack(b"first")])
        self.assertEqual(served.server.counters.in_flight, 0)

    def test_raises(self) -> None:
        """An exception is logged once; earlier answers are sent, then it closes."""

        def answer(_: IClient, frame: bytes) -> bytes:
            if frame == b"bad":
                raise ValueError("bug")
            return frame

        served = Served(Scripted(answer=answer))
        connection = served.connect()
        connection.send(b"good", b"bad", b"never")
        self.assertEqual(connection.wire.writes, [pack(b"good")])
        self.assertEqual(served.handler.frames, [b"good", b"bad"])
        self.assertFalse(connection.wire.disconnecting)
        connection.wire.take()
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        connection.lose()
        ((_, reason),) = served.handler.gone
        self.assertEqual(str(reason), "the handler failed: bug")
        self.assertEqual(served.server.counters.errors, 1)

    def test_fails_later(self) -> None:
        """A failure that comes later drops the client as well."""
        later = Later()
        served = Served(Scripted(answer=later))
        connection = served.connect()
        connection.send(b"a", b"b")
        later[0].errback(ValueError("bug"))
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(later.cancelled, [later[1]])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_other_type(self) -> None:
        """An answer that is not bytes is the handler's error."""
        for wrong in ("text", 7, bytearray(b"x")):
            served = Served(Scripted(answer=lambda *_, wrong=wrong: wrong))
            connection = served.connect()
            connection.send(b"a")
            self.assertTrue(connection.wire.disconnecting)
            (error,) = self.flushLoggedErrors(TypeError)
            self.assertIn(repr(wrong), error.getErrorMessage())

    def test_answer_too_large(self) -> None:
        """An answer above the limit is the handler's error."""
        limits = Limits(max_frame=10)
        connection = Served(Scripted(answer=lambda *_: b"x" * 7), limits).connect()
        connection.send(b"a")
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(FrameError)), 1)

    def test_bad_frame(self) -> None:
        """Frames in front of a bad one are answered, then the client is dropped."""
        served = Served()
        connection = served.connect()
        connection.protocol.dataReceived(pack(b"a") + HEADER.pack(1))
        self.assertEqual(connection.wire.writes, [pack(b"a")])
        connection.wire.take()
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        ((_, reason),) = served.handler.gone
        self.assertIn("1 bytes long", str(reason))
        self.assertFalse(reason.clean)


class ClientTests(SynchronousTestCase):
    """What a handler can do with its client."""

    def setUp(self) -> None:
        """Connect one client."""
        self.served = Served()
        self.connection = self.served.connect()
        self.client: IClient = self.served.handler.clients[0]

    def test_send(self) -> None:
        """A sent frame goes out by itself; the kernel's taking it fires."""
        sent = self.client.send(b"news")
        self.assertEqual(self.connection.wire.writes, [pack(b"news")])
        self.assertNoResult(sent)
        self.connection.wire.take()
        self.assertIsNone(self.successResultOf(sent))

    def test_send_too_large(self) -> None:
        """A payload above the limit fails and costs nobody anything."""
        self.served.server.limits = Limits(max_frame=8)
        self.served.connect()
        client = self.served.handler.clients[1]
        self.failureResultOf(client.send(b"12345"), FrameError)
        self.assertTrue(client.connected)

    def test_send_no_bytes(self) -> None:
        """What is not bytes, or can change, is not taken, small or large."""
        for payload in ("x", "x" * 40000, bytearray(b"x"), memoryview(b"x" * 40000)):
            wrong: Any = payload
            self.assertRaises(TypeError, self.client.send, wrong)
        self.connection.send(b"a")
        self.connection.wire.take()
        self.assertEqual(b"".join(self.connection.wire.writes), pack(b"a"))

    def test_send_to_gone(self) -> None:
        """Sending to a client that is gone fails, and so does what was queued."""
        queued = self.client.send(b"x")
        self.connection.lose()
        self.failureResultOf(queued, Disconnected)
        self.failureResultOf(self.client.send(b"y"), Disconnected)
        self.assertFalse(self.client.connected)

    def test_drop(self) -> None:
        """Dropping sends what is queued, closes, and tells the reason."""
        sent = self.client.send(b"bye")
        self.client.drop("idle")
        self.assertFalse(self.client.connected)
        self.assertFalse(self.connection.wire.disconnecting)
        self.connection.wire.take()
        self.assertTrue(self.connection.wire.disconnecting)
        self.assertIsNone(self.successResultOf(sent))
        self.connection.lose()
        self.assertEqual(str(self.served.handler.gone[0][1]), "idle")
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def test_drop_within_received(self) -> None:
        """The rest of a read is not given to a handler that drops its client."""

        def answer(client: IClient, frame: bytes) -> bytes | None:
            if frame == b"quit":
                client.drop("asked to")
                return None
            return frame

        served = Served(Scripted(answer=answer))
        connection = served.connect()
        connection.send(b"a", b"quit", b"b")
        self.assertEqual(connection.wire.writes, [pack(b"a")])
        self.assertEqual(served.handler.frames, [b"a", b"quit"])

    def test_dropped_client_does_not_read(self) -> None:
        """A dropped client that takes nothing is cut off after a while."""
        sent = self.client.send(b"x" * 100)
        self.client.drop("slow")
        self.served.clock.advance(LINGER - 1)
        self.assertFalse(self.connection.wire.aborted)
        self.served.clock.advance(1)
        self.assertTrue(self.connection.wire.aborted)
        self.connection.lose()
        self.failureResultOf(sent, Disconnected)

    def test_data_after_drop(self) -> None:
        """What a dropped client still sends is ignored."""
        self.client.drop("no")
        self.connection.send(b"late")
        self.assertEqual(self.served.handler.frames, [])
