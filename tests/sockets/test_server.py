"""
Tests for L{sockhost.sockets.server}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.around import CLOSING
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.limits import Limits
from sockhost.sockets.server import FAREWELL
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Connection, Later, Scripted, Served, Wire


class FrameServerTests(SynchronousTestCase):
    """Tests for L{FrameServer<sockhost.sockets.server.FrameServer>}."""

    def test_interface(self) -> None:
        """It provides L{IProtocolFactory} and makes L{IProtocol}s."""
        served = Served()
        verifyObject(IProtocolFactory, served.server)
        verifyObject(IProtocol, served.connect().protocol)

    def test_too_many(self) -> None:
        """Clients above the limit are turned away until one has gone."""
        served = Served(limits=Limits(max_clients=1))
        first = served.connect()
        self.assertIsNone(served.server.buildProtocol(None))  # type: ignore[arg-type]
        self.assertEqual(served.server.counters.refused, 1)
        first.lose()
        served.connect()
        self.assertEqual(served.server.counters.accepted, 2)

    def test_kept_descriptor(self) -> None:
        """One that an endpoint gave a descriptor that is kept is closed."""
        served = Served()
        wire: Any = Wire()
        wire.fileno = lambda: served.server.kept.first
        protocol = served.server.buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None
        with capturedLogs() as logged:
            protocol.makeConnection(wire)
        self.assertTrue(wire.aborted)
        protocol.connectionLost()
        self.assertEqual(served.handler.clients, [])
        self.assertEqual(served.server.counters.refused_for, {"descriptors": 1})
        self.assertIn("kv refuses clients", str(formatEvent(logged[0])))

    def test_no_codec(self) -> None:
        """One whose codec cannot be made is closed, logged, and counts nowhere."""
        served, wire = Served(limits=Limits(max_clients=1)), Wire()
        for error in (ValueError("a plugin's"), SystemExit(1)):
            served.server.make_codec = mock.Mock(side_effect=error)
            protocol = served.server.buildProtocol(None)  # type: ignore[arg-type]
            assert protocol is not None
            protocol.makeConnection(wire)
            self.assertTrue(wire.aborted)
            protocol.connectionLost()
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
        self.assertEqual(served.server.status()["clients"], 0)
        served.server.make_codec = Length32Codec
        served.connect().send(b"x")
        self.assertEqual(served.handler.frames, [b"x"])

    def test_transport(self) -> None:
        """A client on a transport has it to show."""
        served = Served()
        wire = served.connect().wire
        transport = served.handler.clients[0].transport
        self.assertIs(transport, getattr(wire, "transport", wire))

    def test_clients(self) -> None:
        """The clients are those who are connected and were not dropped."""
        served = Served()
        served.connect()
        gone, dropped = served.connect(), served.connect()
        gone.lose()
        served.handler.clients[2].drop("no")
        self.assertEqual(served.server.clients, served.handler.clients[:1])
        dropped.lose()

    def test_status(self) -> None:
        """The status counts."""
        served = Served()
        served.connect().send(b"abc")
        self.assertEqual(
            served.server.status(),
            {
                "clients": 1,
                "accepted": 1,
                "refused": 0,
                "frames_in": 1,
                "frames_out": 1,
                "bytes_in": 7,
                "bytes_out": 7,
                "errors": 0,
                "in_flight": 0,
                "refused_for": {},
                "dropped": {},
                "buffered": 7,
            },
        )

    def test_limits_raised(self) -> None:
        """Who waited for more to be allowed goes on when it is."""
        later = Later()
        served = Served(Scripted(answer=later), Limits(max_in_flight=1))
        first, second = served.connect(), served.connect()
        first.send(b"a", b"b")
        second.send(b"c")
        self.assertEqual(len(later.made), 2)
        served.server.limits = Limits(max_in_flight=9)
        self.assertEqual(len(later.made), 3)
        self.assertTrue(first.wire.reading and second.wire.reading)

    def test_limits_change(self) -> None:
        """New limits are in force for clients that are there."""
        later = Later()
        served = Served(Scripted(answer=later))
        connection = served.connect()
        served.server.limits = Limits(max_in_flight=1)
        connection.send(b"a", b"b")
        self.assertEqual(len(later.made), 1)


class DrainTests(SynchronousTestCase):
    """Tests for the end of a server."""

    def test_farewell_after_answers(self) -> None:
        """What C{disconnected} may take is not what answers may take."""
        later = Later()
        served = Served(Scripted(part=later))
        connection = served.connect()
        drained = served.server.drain(100)
        connection.lose()
        served.clock.advance(FAREWELL)
        self.assertEqual(later.cancelled, later.made)
        self.assertIsNone(self.successResultOf(drained))

    def test_nobody(self) -> None:
        """With no client it is done at once."""
        served = Served()
        self.assertIsNone(self.successResultOf(served.server.drain(10)))
        self.assertEqual(served.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """Clients with nothing outstanding are closed without waiting."""
        served = Served()
        connection = served.connect()
        drained = served.server.drain(10)
        self.assertTrue(connection.wire.disconnecting)
        self.assertNoResult(drained)
        connection.lose()
        self.assertIsNone(self.successResultOf(drained))
        self.assertEqual(str(served.handler.gone[0][1]), CLOSING)
        self.assertEqual(served.clock.getDelayedCalls(), [])

    def test_answers_are_waited_for(self) -> None:
        """Requests in flight are answered and sent; new ones are not begun."""
        later = Later()
        served = Served(Scripted(answer=later))
        connection = served.connect()
        connection.send(b"a")
        drained = served.server.drain(10)
        self.assertFalse(connection.wire.reading)
        connection.send(b"b")
        self.assertEqual(len(later.made), 1)
        later[0].callback(b"done")
        self.assertFalse(connection.wire.disconnecting)
        connection.wire.take()
        self.assertEqual(connection.wire.writes, [pack(b"done")])
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        self.assertIsNone(self.successResultOf(drained))

    def test_idle_first(self) -> None:
        """Clients with nothing outstanding do not wait for those with something."""
        later = Later()
        served = Served(Scripted(answer=later))
        busy, second, idle = (served.connect() for _ in range(3))
        busy.send(b"a")
        second.send(b"b")
        drained = served.server.drain(10)
        self.assertTrue(idle.wire.disconnecting)
        self.assertFalse(busy.wire.disconnecting)
        later[1].callback(None)
        self.assertTrue(second.wire.disconnecting)
        self.assertFalse(busy.wire.disconnecting)
        later[0].callback(None)
        for each in (busy, second, idle):
            each.lose()
        self.assertIsNone(self.successResultOf(drained))

    def test_from_handler(self) -> None:
        """A handler that drains may answer the frame that it was given."""
        drained: list[Deferred[None]] = []

        def answer(_: IClient, frame: bytes) -> bytes:
            if frame == b"stop":
                drained.append(served.server.drain(10))
            return frame

        served = Served(Scripted(answer=answer))
        connection, other = served.connect(), served.connect()
        self.in_turn(connection, b"a", b"stop", b"b")
        self.assertFalse(connection.wire.disconnecting)
        self.assertTrue(other.wire.disconnecting)
        connection.wire.take()
        self.assertEqual(
            b"".join(connection.wire.writes), b"".join(map(pack, (b"a", b"stop")))
        )
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        other.lose()
        self.assertIsNone(self.successResultOf(drained[0]))
        self.assertEqual(served.clock.getDelayedCalls(), [])

    def in_turn(self, connection: Connection, *payloads: bytes) -> None:
        """Send frames as a reactor brings them."""
        hub: Any = getattr(connection, "hub", SimpleNamespace(settle=lambda: None))
        hub.turning = True
        connection.send(*payloads)
        hub.settle()
        hub.turning = False

    def test_time_is_over(self) -> None:
        """What is not answered in time is cancelled, and cut off."""
        later = Later()
        served = Served(Scripted(answer=later))
        connection = served.connect()
        connection.send(b"a")
        drained = served.server.drain(10)
        served.clock.advance(10)
        self.assertEqual(later.cancelled, later.made)
        self.assertTrue(connection.wire.disconnecting)
        connection.lose(ConnectionAborted())
        self.assertIsNone(self.successResultOf(drained))
        self.assertEqual(served.clock.getDelayedCalls(), [])

    def test_no_time(self) -> None:
        """With no time nothing is waited for, nor what is queued."""
        served = Served()
        connection = served.connect()
        sent = served.handler.clients[0].send(b"x")
        drained = served.server.drain(0)
        served.clock.advance(0)
        self.assertTrue(connection.wire.aborted)
        connection.lose(ConnectionAborted())
        self.failureResultOf(sent, Disconnected)
        self.assertIsNone(self.successResultOf(drained))

    def test_abort(self) -> None:
        """The wait can be cut short."""
        later = Later()
        served = Served(Scripted(answer=later))
        connection = served.connect()
        connection.send(b"a")
        drained = served.server.drain(1000)
        served.server.abort()
        self.assertEqual(later.cancelled, later.made)
        connection.lose()
        self.assertIsNone(self.successResultOf(drained))

    def test_refuses(self) -> None:
        """Nobody else is let in meanwhile."""
        served = Served()
        self.successResultOf(served.server.drain(0))
        self.assertIsNone(served.server.buildProtocol(None))  # type: ignore[arg-type]

    def test_farewells_are_waited_for(self) -> None:
        """It is done when every C{disconnected} has ended."""
        farewell: Deferred[None] = Deferred()
        served = Served(Scripted(part=lambda _: farewell))
        connection = served.connect()
        drained = served.server.drain(0)
        connection.lose()
        self.assertNoResult(drained)
        farewell.callback(None)
        self.assertIsNone(self.successResultOf(drained))

    def test_endless_farewell(self) -> None:
        """A C{disconnected} that does not end is cancelled."""
        later = Later()
        served = Served(Scripted(part=later))
        connection = served.connect()
        drained = served.server.drain(0)
        connection.lose()
        served.clock.advance(FAREWELL)
        self.assertEqual(later.cancelled, later.made)
        self.assertIsNone(self.successResultOf(drained))
        self.assertEqual(served.clock.getDelayedCalls(), [])
