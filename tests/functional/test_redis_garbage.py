"""
What is left of Redis clients that nobody holds any more.
"""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.interfaces import MaybeExecuted
from sockhost.redis import RedisClient, connect
from tests.functional.servers import ValkeyServer

CLOCK: Any = IReactorTime(reactor)


class GarbageTests(TestCase):
    """Clients that were closed, and clients that were forgotten."""

    timeout = 100

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)

    async def busy(self) -> RedisClient:
        """A client that has used every sort of connection."""
        client: RedisClient = await connect(self.server.unix_url, CLOCK)
        await client.pubsub.subscribe("news", listener=print)
        await client.cache().execute("GET", "k")
        await client.blpop("none", timeout=0.01)
        async with client.lock("l"):
            await client.pipeline().incr("n").run()
        return client

    async def refs(self, end: Any) -> list[weakref.ref[Any]]:
        """End a client, and keep what would tell that it is held."""
        client = await self.busy()
        refs: list[weakref.ref[Any]] = [
            weakref.ref(client),
            weakref.ref(client.connection),
            weakref.ref(client.pubsub),
        ]
        await end(client)
        return refs

    async def test_ended(self) -> None:
        """Nothing holds a client that was closed, or aborted."""
        for end in (RedisClient.close, RedisClient.abort):
            refs = await self.refs(end)
            await deferLater(CLOCK, 0)
            gc.collect()
            self.assertEqual([each() for each in refs], [None] * 3)

    async def test_lost_reply(self) -> None:
        """Nor a command that was outstanding, whose error was handled."""
        client: RedisClient = await connect(self.server.unix_url, CLOCK)
        self.server.suspend()
        sent = client.execute("PING")
        ref = weakref.ref(sent)
        # Until it was sent: the first may be over before the reactor gets to that.
        await deferLater(CLOCK, 0)
        await deferLater(CLOCK, 0.01)
        await client.abort()
        self.server.resume()
        await self.assertFailure(sent, MaybeExecuted)
        del sent, client
        # What has called us holds it until then.
        await deferLater(CLOCK, 0)
        gc.collect()
        self.assertIsNone(ref())

    async def test_forgotten(self) -> None:
        """
        A client that is forgotten without being closed stays connected, as its
        listeners may be all that was wanted of it; nothing is warned of.
        """
        heard: Deferred[Any] = Deferred()
        refs = await self.listening(heard)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gc.collect()
        client = refs[0]()
        assert client is not None
        self.addCleanup(client.abort)
        self.server.call("PUBLISH", "news", "still-here")
        self.assertEqual(await heard, b"still-here")

    async def listening(self, heard: Deferred[Any]) -> list[weakref.ref[Any]]:
        """Have a client listen, and forget it."""
        client: RedisClient = await connect(self.server.unix_url, CLOCK)
        await client.pubsub.subscribe(
            "news", listener=lambda _, data: heard.callback(data)
        )
        return [weakref.ref(client)]
