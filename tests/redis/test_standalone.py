"""
Tests for L{sockhost.redis.standalone}: the client without a host.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError  # noqa: A004
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

import sockhost.redis
from sockhost.interfaces import MaybeExecuted, RedisConnectionError
from sockhost.redis import RedisClient, connect
from tests.redis.fakes import FakeServer, Wire

URL = "unix:///run/v.sock"


class ConnectTests(SynchronousTestCase):
    """From the first attempt to the last."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.server = FakeServer(self.reactor)

    def connect(self) -> tuple[RedisClient, Wire]:
        connecting = connect(URL, self.reactor)
        wire = self.server.greet()
        return self.successResultOf(connecting), wire

    def test_connected(self) -> None:
        """It fires with a client that works."""
        client, wire = self.connect()
        outcome = client.execute("GET", "a")
        wire.send(b":1\r\n")
        self.assertEqual(self.successResultOf(outcome), 1)

    def test_refused(self) -> None:
        """The failure of the first attempt is told, and nothing is left."""
        connecting = connect(URL, self.reactor)
        self.server.refuse(ConnectionRefusedError())
        self.failureResultOf(connecting, RedisConnectionError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        """Cancelling gives up, and nothing is left."""
        connecting = connect(URL, self.reactor)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_bad_arguments(self) -> None:
        """A bad URL or option fails."""
        self.failureResultOf(connect("h:1", self.reactor), ValueError)
        self.failureResultOf(connect(URL, self.reactor, speed=1), TypeError)

    def test_reconnects(self) -> None:
        """After a loss the same client goes on, however often it takes."""
        client, wire = self.connect()
        sent = client.execute("A")
        wire.lose()
        self.failureResultOf(sent, MaybeExecuted)
        self.reactor.advance(0)
        for _ in range(20):
            attempts = self.server.attempts
            self.server.refuse(ConnectionRefusedError())
            self.reactor.advance(2.5)
            self.assertEqual(self.server.attempts, attempts + 1)
        waiting = client.execute("B")
        wire = self.server.greet()
        wire.send(b":1\r\n")
        self.assertEqual(self.successResultOf(waiting), 1)

    def test_close(self) -> None:
        """After the close nothing is left, and nothing is tried any more."""
        client, _ = self.connect()
        closing = client.close()
        self.reactor.advance(0)
        self.successResultOf(closing)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.server.attempts, 1)
        self.failureResultOf(client.execute("A"), RedisConnectionError)
        self.successResultOf(client.close())

    def test_close_while_down(self) -> None:
        """A client that waits to connect again stops to."""
        client, wire = self.connect()
        wire.lose()
        self.reactor.advance(0)
        self.server.refuse(ConnectionRefusedError())
        self.successResultOf(client.close())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_close_from_connected(self) -> None:
        """Closing at once when connected refuses commands from then on."""
        connecting = connect(URL, self.reactor)
        refused = connecting.addCallback(lambda c: (c.close(), c.execute("A"))[1])
        self.server.greet()
        self.reactor.advance(0)
        self.failureResultOf(refused, RedisConnectionError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class FacadeTests(SynchronousTestCase):
    """What the room offers."""

    def test_names(self) -> None:
        """Each name that is listed is there, and no other."""
        for name in sockhost.redis.__all__:
            self.assertTrue(callable(getattr(sockhost.redis, name)))
        with self.assertRaises(AttributeError):
            sockhost.redis.nothing  # noqa: B018
