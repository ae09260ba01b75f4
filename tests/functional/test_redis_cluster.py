"""
The Redis client with a cluster.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
    TransactionConflict,
)
from sockhost.redis import connect
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.cluster_unit import ClusterUnit
from sockhost.redis.settings import RedisConfig
from sockhost.redis.subscription import gather
from tests.functional.servers import ClusterServers

REACTOR: Any = reactor


class ClusterCase(TestCase):
    timeout = 100
    replicas = 0

    def setUp(self) -> None:
        self.servers = ClusterServers.started(self, replicas=self.replicas)

    async def connect(self, query: str = "", **options: Any) -> Any:
        client = await connect(self.servers.url(query), REACTOR, **options)
        self.addCleanup(client.abort)
        return client

    def server(self, key: str) -> Any:
        """The server that has a key at the start."""
        return self.servers.primaries[slot_of(key) * 3 // 16384]

    def other(self, key: str) -> Any:
        """A server that does not have it."""
        return next(each for each in self.servers.primaries if each != self.server(key))


class CommandsTests(ClusterCase):
    """Commands find their nodes."""

    async def test_spread(self) -> None:
        """Each key is at the node that has its slot."""
        client = await self.connect()
        await gather([client.execute("SET", f"k{n}", n) for n in range(100)])
        for n in range(100):
            self.assertEqual(await client.get(f"k{n}"), b"%d" % n)
            self.assertIn(b"%d" % n, self.server(f"k{n}").call("GET", f"k{n}"))
        self.assertEqual(await client.dbsize(), 100)
        self.assertEqual(len(await client.keys("*")), 100)
        self.assertEqual(len(await client.scan_keys(count=7).all()), 100)

    async def test_decoded(self) -> None:
        """The client's encoding is that of all replies, unless a call has its own."""
        client = await self.connect(decode="utf-8")
        await client.set("a", "x")
        self.assertEqual(await client.execute("GET", "a"), "x")
        self.assertEqual(await client.execute("GET", "a", decode=""), b"x")
        self.assertEqual(await client.scan_keys().all(), ["a"])
        self.assertEqual(await client.node("a").execute("GET", "a"), b"x")

    async def test_several_keys(self) -> None:
        """What can be divided by slot is, in the order of the keys."""
        client = await self.connect()
        names = [f"k{n}" for n in range(30)]
        for name in names:
            await client.set(name, name)
        self.assertEqual(
            await client.execute("MGET", *names), [each.encode() for each in names]
        )
        self.assertEqual(await client.execute("EXISTS", *names, "none"), 30)
        self.assertEqual(await client.execute("DEL", *names), 30)
        with self.assertRaisesRegex(RedisReplyError, "CROSSSLOT"):
            await client.execute("MSET", "a", 1, "b", 2)
        await client.execute("MSET", "{t}a", 1, "{t}b", 2)

    async def test_keys_anywhere(self) -> None:
        """Keys are found where they are counted, or behind a word."""
        client = await self.connect()
        for n in range(10):
            key = f"k{n}"
            script = "return redis.call('SET', KEYS[1], ARGV[1])"
            await client.execute("EVAL", script, 1, key, "v")
            self.assertEqual(await client.script("return KEYS[1]", [key]), key.encode())
            await client.execute("XADD", f"s{n}", "1-1", "f", "v")
            reply = await client.execute("XREAD", "COUNT", 1, "STREAMS", f"s{n}", 0)
            self.assertIn(f"s{n}".encode(), reply)
            await client.execute("XINFO", "STREAM", f"s{n}")
            self.assertGreater(await client.execute("MEMORY", "USAGE", key), 0)

    async def test_block(self) -> None:
        """What blocks has a connection of its own, at the right node."""
        client = await self.connect()
        waiting: Deferred[Any] = client.execute("BLPOP", "q", 5)
        await deferLater(REACTOR, 0.05)
        await client.execute("LPUSH", "q", "x")
        self.assertEqual(await waiting, [b"q", b"x"])

    async def test_pipeline(self) -> None:
        """A pipeline is sent by node, and answered in order."""
        client = await self.connect()
        pipeline = client.pipeline()
        for n in range(200):
            pipeline.execute("SET", f"k{n}", n).execute("INCR", f"k{n}")
        pipeline.execute("LPUSH", "k0", 1).execute("MGET", "k1", "k2", "k3")
        replies = await pipeline.run()
        self.assertEqual(replies[1:400:2], list(range(1, 201)))
        self.assertIsInstance(replies[400], RedisReplyError)
        self.assertEqual(replies[401], [b"2", b"3", b"4"])

    async def test_transaction(self) -> None:
        """A transaction and a watch are about one slot."""
        client = await self.connect()
        replies = await client.transaction().set("{t}a", 1).incr("{t}a").run()
        self.assertEqual(replies[1], 2)
        with self.assertRaisesRegex(RedisReplyError, "CROSSSLOT"):
            client.transaction().set("a", 1).set("b", 1)
        with self.assertRaises(TransactionConflict):
            async with client.watch("{t}a") as watch:
                await client.execute("SET", "{t}a", 5)
                await watch.transaction().incr("{t}a").run()

    async def test_bad_commands(self) -> None:
        """What is no command fails as with a single server."""
        client = await self.connect()
        for words in (("GET",), ("NOSUCH", "a"), ("EVAL", "return 1", "x")):
            with self.assertRaises(RedisError):
                await client.execute(*words)
        for bad in ((), (None,)):
            with self.assertRaises((TypeError, ValueError)):
                await client.execute(*bad)
        with self.assertRaisesRegex(RedisError, "not possible"):
            await client.execute("SUBSCRIBE", "a")

    async def test_published(self) -> None:
        """What is published is heard, wherever; sharded channels at their node."""
        client = await self.connect()
        heard = await client.pubsub.subscribe("news")
        shards = await client.node("s").pubsub.ssubscribe("s")
        await client.execute("PUBLISH", "news", "x")
        await client.execute("SPUBLISH", "s", "y")
        self.assertEqual((await heard.next()).data, b"x")
        self.assertEqual((await shards.next()).data, b"y")

    async def test_closed_in_host(self) -> None:
        """A client that a handler closes is lost for its unit, and comes back."""
        unit = ClusterUnit("store", RedisConfig(url=self.servers.url()), REACTOR)
        self.addCleanup(unit.stop)
        lost: list[Any] = []
        await unit.start(lost.append)
        client = unit.client()
        await client.close()
        [failure] = lost
        self.assertTrue(failure.value.success)
        with self.assertRaises(RedisConnectionError):
            await client.execute("SET", "a", 1)
        await unit.start(lost.append)
        self.assertIsNone(await client.get("a"))

    async def test_abort(self) -> None:
        """What a stop waits for can be given up, and nothing but that."""
        config = RedisConfig(url=self.servers.url(), grace=50.0)
        unit = ClusterUnit("store", config, REACTOR)
        await unit.start(lambda failure: None)
        self.addCleanup(unit.stop)
        unit.abort()
        await unit.client().set("a", 1)
        self.server("a").suspend()
        lost = unit.client().execute("GET", "a")
        stopping = unit.stop()
        await deferLater(REACTOR, 0.1)
        self.assertFalse(stopping.called)
        unit.abort()
        await stopping
        with self.assertRaises(MaybeExecuted):
            await lost

    async def test_nobody_there(self) -> None:
        """Where no node answers the first attempt fails."""
        for each in self.servers.primaries:
            each.kill()
        with self.assertRaisesRegex(RedisConnectionError, "redis.cluster://"):
            await self.connect(connect_timeout=0.3)
