"""
Clients that are closed or aborted by those whom they tell something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisConnectionError
from sockhost.redis import RedisClient, connect
from sockhost.testing.redis import MemoryRedis
from tests.redis.test_dedicated import DedicatedCase
from tests.redis.test_monitor import LINE

End = Callable[[RedisClient], Deferred[None]]
WAYS: list[End] = [RedisClient.close, RedisClient.abort]


class EndedWithinTests(SynchronousTestCase):
    """L{RedisClient.close} and C{abort} are legal wherever they are called."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = MemoryRedis(self.clock)
        self.publisher = self.server.client()
        self.closing: list[Deferred[None]] = []

    def connect(self) -> RedisClient:
        """Make a client."""
        connecting = connect(self.server.url, self.server.reactor)
        self.server.pump()
        client: RedisClient = self.successResultOf(connecting)
        return client

    def ender(self, client: RedisClient, how: End) -> Callable[..., None]:
        """Make a listener that ends the client."""
        self.heard: list[Any] = []

        def listen(*told: Any) -> None:
            self.heard.append(told)
            self.closing.append(how(client))

        return listen

    def assert_ended(self, client: RedisClient) -> None:
        """It was told of one thing, has ended, and nothing of it is left."""
        self.server.pump()
        self.assertEqual(len(self.heard), 1)
        self.assertFalse(client.connected)
        self.failureResultOf(client.execute("PING"), RedisConnectionError)
        self.clock.advance(0)
        for each in self.closing:
            self.successResultOf(each)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_listener(self) -> None:
        """By a listener for messages; it hears nothing more."""
        for how in WAYS:
            client = self.connect()
            client.pubsub.subscribe("news", listener=self.ender(client, how))
            self.server.pump()
            self.publisher.publish("news", "one")
            self.publisher.publish("news", "two")
            self.assert_ended(client)

    def test_gap(self) -> None:
        """By one who is told of a gap."""
        for how in WAYS:
            client = self.connect()
            gap = self.ender(client, how)
            client.pubsub.subscribe("news", listener=print, on_gap=gap)
            self.server.pump()
            self.server.cut()
            self.clock.pump([0.5] * 4)
            self.assert_ended(client)

    def test_push(self) -> None:
        """By one who hears of a push of another kind."""
        for how in WAYS:
            client = self.connect()
            client.on_push = self.ender(client, how)
            assert client.connection is not None
            client.connection.dataReceived(b">1\r\n+news\r\n")
            self.assert_ended(client)


class MonitorTests(DedicatedCase):
    """The same for who hears of commands, on a connection of its own."""

    def end(self, how: End) -> None:
        """End the client with the first line."""
        heard: list[Any] = []
        closing: list[Deferred[None]] = []
        shared = self.attach()

        def listen(command: Any) -> None:
            heard.append(command)
            closing.append(how(self.client))

        monitoring = self.client.monitor(listen)
        wire = self.accept()
        wire.send(b"+OK\r\n")
        monitor = self.successResultOf(monitoring)
        wire.send(b"+%s\r\n" % LINE)
        self.assertEqual(len(heard), 1)
        self.clock.advance(0)
        [closed] = closing
        self.successResultOf(closed)
        self.successResultOf(monitor.when_ended())
        self.assertTrue(shared.disconnecting or shared.aborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """By closing it."""
        self.end(RedisClient.close)

    def test_abort(self) -> None:
        """By aborting it."""
        self.end(RedisClient.abort)
