"""
Tests for L{sockhost.sockets.reconnecting}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.config import structure
from sockhost.interfaces import (
    ConfigError,
    Disconnected,
    FrameError,
    IUnitKind,
    IUsableUnit,
    NoAnswer,
    UnitLost,
)
from sockhost.sockets.client import FrameClient
from sockhost.sockets.reconnecting import (
    LINGER,
    POLICY,
    LastingClient,
    ReconnectingClient,
    SocketClientConfig,
    SocketClientKind,
    SocketClientUnit,
)
from sockhost.sockets.wire import HEADER, pack


class Line(StringTransport):
    """A transport whose protocol hears of the end when the test says so."""

    closing = False
    aborted = False

    def loseConnection(self) -> None:
        """Note that it is to end."""
        self.closing = True

    def abortConnection(self) -> None:
        """Note that it is to end at once."""
        self.closing = self.aborted = True


class Case(SynchronousTestCase):
    """Connects in memory."""

    def setUp(self) -> None:
        """Have a reactor."""
        self.reactor: Any = MemoryReactorClock()
        self.attempts = 0

    def connect(self) -> tuple[Any, Line]:
        """Let the attempt that is under way succeed."""
        _path, factory, *_ = self.reactor.unixClients[self.attempts]
        self.attempts += 1
        protocol, line = factory.buildProtocol(None), Line()
        protocol.makeConnection(line)
        return protocol, line

    def refuse(self) -> None:
        """Let the attempt that is under way fail."""
        _path, factory, *_ = self.reactor.unixClients[self.attempts]
        self.attempts += 1
        factory.clientConnectionFailed(None, Failure(ConnectError()))

    def lose(self, protocol: Any) -> None:
        """End a connection."""
        protocol.connectionLost(Failure(ConnectionDone()))


class UnitTests(Case):
    """Tests for L{SocketClientUnit}."""

    def setUp(self) -> None:
        """Make a unit."""
        super().setUp()
        self.config = SocketClientConfig(path="kv.sock", timeout=3)
        self.unit = SocketClientUnit(self.config, self.reactor)
        self.lost: list[Failure] = []

    def up(self) -> tuple[Any, Line]:
        """Start it whole."""
        started = self.unit.start(self.lost.append)
        made = self.connect()
        self.assertIsNone(self.successResultOf(started))
        return made

    def test_interface(self) -> None:
        """It is a unit that handlers can use."""
        verifyObject(IUsableUnit, self.unit)
        verifyObject(IUnitKind, SocketClientKind())
        kind = SocketClientKind()
        made = kind.make("kv", self.config, cast(Any, self))
        self.assertIsInstance(made, SocketClientUnit)
        self.assertEqual(kind.usual_policy({}), POLICY)

    def test_requests(self) -> None:
        """Requests go through the connection."""
        protocol, line = self.up()
        asked = self.unit.client().request(b"a")
        self.assertEqual(line.value(), pack(b"a"))
        protocol.dataReceived(pack(b"A"))
        self.assertEqual(self.successResultOf(asked), b"A")
        self.assertEqual(
            self.unit.status(), {"path": "kv.sock", "connected": True, "reconnects": 0}
        )

    def test_refused(self) -> None:
        """A server that is not there fails the start."""
        started = self.unit.start(self.lost.append)
        self.refuse()
        failure = self.failureResultOf(started, UnitLost)
        self.assertIn("kv.sock", str(failure.value))
        self.assertEqual(self.lost, [])

    def test_lost(self) -> None:
        """What is unanswered fails when the connection is lost."""
        protocol, _ = self.up()
        asked = self.unit.client().request(b"a")
        self.lose(protocol)
        self.failureResultOf(asked, Disconnected)
        self.assertEqual([each.check(UnitLost) for each in self.lost], [UnitLost])
        self.assertFalse(self.unit.client().connected)

    def test_again(self) -> None:
        """What waited for a connection goes through the next one."""
        protocol, _ = self.up()
        self.lose(protocol)
        asked = self.unit.client().request(b"a")
        self.assertRaises(Disconnected, self.unit.client().send, b"x")
        protocol, line = self.up()
        self.assertEqual(line.value(), pack(b"a"))
        protocol.dataReceived(pack(b"A"))
        self.assertEqual(self.successResultOf(asked), b"A")
        self.assertEqual(self.unit.status()["reconnects"], 1)

    def test_asked_again_at_once(self) -> None:
        """So does what is asked again by the one whose request the loss has failed."""
        protocol, _ = self.up()
        client = self.unit.client()

        async def ask() -> bytes:
            for _ in range(2):
                try:
                    return await client.request(b"a")
                except Disconnected:
                    self.assertFalse(client.connected)
                    self.assertRaises(Disconnected, client.send, b"x")
            raise AssertionError("it did not wait")

        asked = Deferred.fromCoroutine(ask())
        self.lose(protocol)
        self.assertNoResult(asked)
        protocol, line = self.up()
        self.assertEqual(line.value(), pack(b"a"))
        protocol.dataReceived(pack(b"A"))
        self.assertEqual(self.successResultOf(asked), b"A")

    def test_asked_again_too_late(self) -> None:
        """And what is asked after an answer that did not come in time, by order."""
        protocol, line = self.up()
        late = self.unit.client().request(b"a", 1)
        self.reactor.advance(1)
        self.failureResultOf(late, NoAnswer)
        self.assertTrue(line.aborted)
        asked = self.unit.client().request(b"b")
        self.lose(protocol)
        self.assertNoResult(asked)
        _, line = self.up()
        self.assertEqual(line.value(), pack(b"b"))
        asked.addErrback(lambda _: None)

    def test_late(self) -> None:
        """Answers that come in order are not trusted after one that is late."""
        protocol, line = self.up()
        asked = self.unit.client().request(b"a")
        self.reactor.advance(3)
        self.failureResultOf(asked, NoAnswer)
        self.assertTrue(line.aborted)
        self.lose(protocol)
        self.assertEqual(len(self.lost), 1)

    def test_late_connection(self) -> None:
        """The answer may take what the connection has left of the time."""
        asked = self.unit.client().request(b"a")
        self.reactor.advance(2)
        self.up()
        self.reactor.advance(0.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        self.failureResultOf(asked, NoAnswer)

    def test_stop(self) -> None:
        """Stopping closes the connection, and fails all that waits."""
        protocol, line = self.up()
        asked = self.unit.client().request(b"a")
        stopped = self.unit.stop()
        self.assertTrue(line.closing)
        waits = self.unit.client().request(b"b")
        self.assertNoResult(stopped)
        self.lose(protocol)
        self.assertIsNone(self.successResultOf(stopped))
        self.failureResultOf(asked, Disconnected)
        self.assertEqual(self.lost, [])
        self.successResultOf(self.unit.stop())
        self.failureResultOf(waits, Disconnected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_server_that_hangs(self) -> None:
        """A server that takes nothing more does not hold up a stop for long."""
        protocol, line = self.up()
        stopped = self.unit.stop()
        self.reactor.advance(LINGER / 2)
        self.assertFalse(line.aborted)
        self.reactor.advance(LINGER / 2)
        self.assertTrue(line.aborted)
        self.lose(protocol)
        self.assertIsNone(self.successResultOf(stopped))

    def test_abort(self) -> None:
        """The time that such a server gets can be cut short."""
        protocol, line = self.up()
        self.unit.abort()
        stopped = self.unit.stop()
        self.assertFalse(line.aborted)
        self.unit.abort()
        self.assertTrue(line.aborted)
        self.lose(protocol)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_after_stop(self) -> None:
        """Requests to a client that is stopped fail at once, until it is started."""
        protocol, _ = self.up()
        self.unit.stop()
        self.lose(protocol)
        client = self.unit.client()
        self.failureResultOf(client.request(b"a"), Disconnected)
        self.failureResultOf(client.when_connected(), Disconnected)
        started = self.unit.start(self.lost.append)
        asked = client.request(b"b")
        _, line = self.connect()
        self.successResultOf(started)
        self.assertEqual(line.value(), pack(b"b"))
        self.assertNoResult(asked)

    def test_stop_during_start(self) -> None:
        """Stopping gives up an attempt."""
        started = self.unit.start(self.lost.append)
        stopped = self.unit.stop()
        self.failureResultOf(started, CancelledError)
        self.successResultOf(stopped)

    def test_reload_times(self) -> None:
        """New times need no new connection."""
        _, line = self.up()
        new = SocketClientConfig(path="kv.sock", timeout=9, connect_timeout=1)
        self.assertIs(self.successResultOf(self.unit.reload(new)), True)
        self.assertFalse(line.closing)
        self.assertEqual(self.unit.client().timeout, 9)

    def test_reload_path(self) -> None:
        """Another path needs another connection, and the client stays."""
        protocol, line = self.up()
        client = self.unit.client()
        new = SocketClientConfig(path="other.sock", timeout=0)
        self.assertIs(self.successResultOf(self.unit.reload(new)), True)
        self.assertTrue(line.closing)
        self.assertFalse(client.connected)
        asked = client.request(b"a")
        self.assertEqual(line.value(), b"")
        self.lose(protocol)
        self.assertEqual(len(self.lost), 1)
        _, line = self.up()
        self.assertEqual(line.value(), pack(b"a"))
        self.assertNoResult(asked)
        self.assertEqual(self.reactor.unixClients[-1][0], "other.sock")
        self.assertIs(self.unit.client(), client)
        self.assertIsNone(client.timeout)

    def test_config(self) -> None:
        """A bad configuration is refused."""
        for table in ({"path": ""}, {"path": "x", "framing": "x"}, {}):
            self.assertRaises(ConfigError, structure, SocketClientConfig, table)


class LastingClientTests(Case):
    """Tests for L{LastingClient}."""

    def setUp(self) -> None:
        """Make one that has no connection."""
        super().setUp()
        self.client = LastingClient(self.reactor)

    def test_deadline_without_connection(self) -> None:
        """The waiting for a connection counts."""
        asked = self.client.request(b"a", 5)
        self.reactor.advance(4.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.2)
        self.failureResultOf(asked, NoAnswer)
        self.assertEqual(self.client._waiting, [])

    def test_cancelled(self) -> None:
        """One who does not wait any more is forgotten."""
        asked = self.client.request(b"a", 5)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.client._waiting, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_when_connected(self) -> None:
        """Whoever waits for a connection is told of it."""
        waiting = self.client.when_connected()
        self.assertNoResult(waiting)
        self.client.take(FrameClient())
        self.successResultOf(waiting)
        self.successResultOf(self.client.when_connected())

    def test_cancelled_by_another(self) -> None:
        """Whoever waits may be cancelled by another who did."""
        self.check_cancelled(lambda: self.client.take(FrameClient()))
        self.client.take(None)
        self.check_cancelled(self.client.dismiss)

    def check_cancelled(self, tell: Callable[[], None]) -> None:
        """Have one who is told cancel another, who is to be told, too."""
        first, second = (self.client.when_connected() for _ in range(2))
        first.addBoth(lambda _: second.cancel())
        tell()
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)


class ReconnectingClientTests(Case):
    """Tests for L{ReconnectingClient}."""

    def setUp(self) -> None:
        """Make one."""
        super().setUp()
        self.made = ReconnectingClient.make(
            self.reactor, "kv.sock", match="number", max_frame=100
        )

    def test_again_and_again(self) -> None:
        """It connects again until it is stopped."""
        started = self.made.start()
        self.refuse()
        self.reactor.pump([0.1] * 50)
        protocol, _ = self.connect()
        self.successResultOf(started)
        self.lose(protocol)
        self.reactor.pump([0.1] * 50)
        protocol, line = self.connect()
        asked = self.made.client.request(b"a")
        number = line.value()[4:8]
        protocol.dataReceived(HEADER.pack(9) + number + b"A")
        self.assertEqual(self.successResultOf(asked), b"A")
        stopped = self.made.stop()
        self.lose(protocol)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_pushed(self) -> None:
        """What nobody asked for goes to C{on_frame}, on every connection."""
        made = ReconnectingClient.make(self.reactor, "kv.sock")
        heard: list[bytes] = []
        made.start()
        for news in (b"one", b"two"):
            protocol, _ = self.connect()
            made.client.on_frame = heard.append
            protocol.dataReceived(pack(news))
            self.lose(protocol)
            self.reactor.pump([0.1] * 50)
        self.assertEqual(heard, [b"one", b"two"])
        made.stop()

    def test_too_large(self) -> None:
        """A request that cannot be sent fails, and no number is lost."""
        self.made.start()
        self.connect()
        self.failureResultOf(self.made.client.request(b"x" * 100), FrameError)
