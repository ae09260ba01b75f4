"""
What a user who may do next to nothing has of a real server.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.interfaces import RedisDenied
from sockhost.redis import RedisClient, connect
from tests.functional.servers import ValkeyServer

CLOCK: Any = IReactorTime(reactor)


class RestrictedTests(TestCase):
    """A user who may C{GET} one key, and nothing else."""

    timeout = 100

    async def setUp(self) -> None:  # type: ignore[override]
        self.server = ValkeyServer.started(self)
        self.server.call("SET", "k", "v")
        self.server.call("ACL", "SETUSER", "tiny", "on", ">pw", "~k", "+get")
        self.client: RedisClient = await connect(
            self.server.tcp_url,
            CLOCK,
            username="tiny",
            password="pw",
            client_name="small",
            ping_interval=0.5,
        )
        self.addCleanup(self.client.abort)

    async def test_greeted(self) -> None:
        """That the server will not hear of the library is no matter."""
        self.assertEqual(await self.client.get("k"), b"v")
        connection = self.client.connection
        assert connection is not None
        self.assertEqual(connection.protocol, 3)
        self.assertIsNotNone(connection.server_version)
        self.assertIn(b"name=small", self.server.call("CLIENT", "LIST"))

    async def test_denied(self) -> None:
        """Everything else is refused by its own reply, wherever it is sent."""
        refused: list[Deferred[Any]] = [
            self.client.set("k", 1),
            self.client.get("other"),
            self.client.client_id(),
            self.client.info(),
            self.client.blpop("k", timeout=1),
            self.client.pubsub.subscribe("news"),
            self.client.monitor(),
        ]
        for each in refused:
            await self.assertFailure(each, RedisDenied)
        self.assertEqual(await self.client.get("k"), b"v")
        replies = await self.client.pipeline().get("k").set("k", 1).run()
        self.assertEqual(replies[0], b"v")
        self.assertIsInstance(replies[1], RedisDenied)

    async def test_pings(self) -> None:
        """A ping that is refused is a sign of life, too."""
        connection = self.client.connection
        await deferLater(CLOCK, 1.6)
        self.assertIs(self.client.connection, connection)
        self.assertEqual(await self.client.get("k"), b"v")

    async def test_cache(self) -> None:
        """Where reads may not be tracked they are not kept."""
        cache = self.client.cache()
        for _ in range(2):
            self.assertEqual(await cache.execute("GET", "k"), b"v")
        self.assertFalse(cache.tracking)
        self.assertEqual(cache.stats.hits, 0)
        await cache.close()
