"""
The Redis client with a cluster.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
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
from tests.functional.cluster_load import Load
from tests.functional.servers import ClusterServers

REACTOR: Any = reactor


class ClusterCase(TestCase):
    timeout = 60
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


class MovingTests(ClusterCase):
    """Slots that move, and clusters that are not whole."""

    async def test_moved(self) -> None:
        """A slot that has moved is followed, by pipelines and transactions too."""
        client = await self.connect()
        for key, use in (
            ("a", lambda: client.execute("INCR", "a")),
            ("b", lambda: client.pipeline().execute("INCR", "b").run()),
            ("c", lambda: client.transaction().incr("c").run()),
        ):
            source, target = self.server(key), self.other(key)
            await client.execute("SET", key, 1)
            self.servers.begin_move(slot_of(key), source, target)
            self.servers.end_move(slot_of(key), source, target)
            self.assertIn(await use(), (2, [2]))
            self.assertIn(b"2", target.call("GET", key))

    def move(self, key: str) -> Any:
        """Move a slot, unseen by the client."""
        source, target = self.server(key), self.other(key)
        self.servers.begin_move(slot_of(key), source, target)
        self.servers.end_move(slot_of(key), source, target)
        return target

    async def test_moved_at_once(self) -> None:
        """To follow a slot takes no patience."""
        client = await self.connect(wait=0.0)
        while len(client.router.nodes.connected) < 3:
            await deferLater(REACTOR, 0.01)
        self.move("a")
        self.assertEqual(await client.execute("INCR", "a"), 1)

    async def test_watch_moved(self) -> None:
        """Keys of a slot that has moved unseen can be watched."""
        client = await self.connect()
        target = self.move("a")
        async with client.watch("a") as watch:
            self.assertIsNone(await watch.get("a"))
            self.assertEqual(await watch.transaction().incr("a").run(), [1])
        self.assertIn(b"1", target.call("GET", "a"))

    async def test_transact_moved(self) -> None:
        """A slot that moves while its keys are watched is a conflict."""
        client = await self.connect()
        turns = 0

        async def body(watch: Any, transaction: Any) -> None:
            nonlocal turns
            turns += 1
            now = int(await watch.get("a") or 0)
            if turns == 1:
                self.move("a")
            transaction.set("a", now + 1)

        self.assertEqual(await client.transact(body, "a"), [True])
        self.assertEqual((turns, await client.get("a")), (2, b"1"))

    async def test_pipeline_moved(self) -> None:
        """Many commands for a slot that has moved are executed in order."""
        client = await self.connect()
        self.move("a")
        pipeline = client.pipeline()
        for _ in range(1000):
            pipeline.incr("a").incr("b")
        replies = await pipeline.run()
        self.assertEqual(replies[::2], list(range(1, 1001)))
        self.assertEqual(replies[1::2], list(range(1, 1001)))

    async def test_pipeline_scripts(self) -> None:
        """Each node runs a script of a pipeline, also for a slot that has moved."""
        client = await self.connect()
        pipeline = client.pipeline()
        keys = [f"k{n}" for n in range(30)]
        self.move("k0")
        for key in [*keys, *keys]:
            pipeline.script("return redis.call('INCR', KEYS[1])", [key])
        self.assertEqual(await pipeline.run(), [1] * 30 + [2] * 30)

    async def test_pipeline_node_lost(self) -> None:
        """A node that is lost costs its commands one wait, and others none."""
        client = await self.connect(wait=1.0)
        self.server("a").kill()
        pipeline = client.pipeline()
        for _ in range(1000):
            pipeline.incr("a")
        began = REACTOR.seconds()
        replies = await pipeline.run()
        self.assertLess(REACTOR.seconds() - began, 10.0)
        self.assertTrue(all(isinstance(each, RedisError) for each in replies))

    async def test_shard_moved(self) -> None:
        """Who hears a sharded channel is told when its slot has moved away."""
        client = await self.connect()
        told: Deferred[Any] = Deferred()
        first = client.node("s")
        await first.pubsub.ssubscribe("s", on_gap=told.callback)
        source, target = self.server("s"), self.other("s")
        self.servers.begin_move(slot_of("s"), source, target)
        self.servers.end_move(slot_of("s"), source, target)
        self.assertEqual((await told).refused, (b"s",))
        await client.execute("SPUBLISH", "s", "followed")
        second = client.node("s")
        self.assertIsNot(second, first)
        again = await second.pubsub.ssubscribe("s")
        await client.execute("SPUBLISH", "s", "x")
        self.assertEqual((await again.next()).data, b"x")

    async def test_on_the_way(self) -> None:
        """Keys of a slot that is on its way are found on either side."""
        client = await self.connect(wait=5.0)
        await client.execute("MSET", "{a}here", 1, "{a}too", 2)
        source, target, slot = self.server("a"), self.other("a"), slot_of("a")
        self.servers.begin_move(slot, source, target)
        self.assertEqual(await client.get("{a}here"), b"1")
        await client.set("{a}new", 3)
        self.assertEqual(await client.get("{a}new"), b"3")
        self.assertEqual(
            await client.pipeline().get("{a}here").get("{a}new").run(), [b"1", b"3"]
        )
        # Some here, some there: later.
        both: Deferred[Any] = client.execute("MGET", "{a}here", "{a}new")
        await deferLater(REACTOR, 0.1)
        self.assertFalse(both.called)
        self.servers.end_move(slot, source, target)
        self.assertEqual(await both, [b"1", b"3"])

    async def load(self) -> Load:
        """Have several clients write to a slot and to others, all at once."""
        clients = [await self.connect(wait=5.0) for _ in range(3)]
        keys = [f"{{a}}{n}" for n in range(15)] + [f"k{n}" for n in range(6)]
        load = Load.begun(clients, keys)
        await load.more()
        return load

    async def check(self, load: Load) -> None:
        """All that was acknowledged is there, and no more than can be."""
        client = await self.connect()
        self.assertEqual(load.wrong, [])
        for each in load.writers:
            value = int(await client.get(each.key))
            self.assertLessEqual(each.acknowledged, value)
            self.assertLessEqual(value, each.acknowledged + each.maybe)

    async def test_node_added(self) -> None:
        """A node that comes, and takes slots while many write, is used."""
        added, source, slot = self.servers.add(), self.server("a"), slot_of("a")
        load = await self.load()
        await deferToThread(self.servers.begin_move, slot, source, added)
        await load.more()
        await deferToThread(self.servers.end_move, slot, source, added)
        await load.more()
        await load.end()
        await self.check(load)
        self.assertEqual([each.maybe + each.refused for each in load.writers], [0] * 21)
        total = b"%d" % load.writers[0].acknowledged
        self.assertEqual(added.call("GET", load.writers[0].key).split()[1], total)

    async def test_node_removed(self) -> None:
        """A node that gives its slots away while many write may leave."""
        added, slot, home = self.servers.add(), slot_of("a"), self.server("a")
        self.servers.begin_move(slot, home, added)
        self.servers.end_move(slot, home, added)
        load = await self.load()
        await deferToThread(self.servers.begin_move, slot, added, home)
        await load.more()
        await deferToThread(self.servers.end_move, slot, added, home)
        await load.more()
        await deferToThread(self.servers.forget, added)
        await load.more()
        await load.end()
        await self.check(load)
        client = load.writers[0].client
        address = ("127.0.0.1", added.port)
        while address in {each.address for each in client.router.nodes.all}:
            await deferLater(REACTOR, 0.02)
            client.router.nodes.refresh_soon()
        self.assertEqual(len(client.primaries()), 3)

    async def test_down(self) -> None:
        """What a cluster that is not whole refuses fails after a while."""
        client = await self.connect(wait=0.5)
        self.other("a").kill()
        with self.assertRaises(RedisError):
            for _ in range(100):
                await client.execute("SET", "a", 1)
                await deferLater(REACTOR, 0.1)


class FailoverTests(ClusterCase):
    """Nodes that have a replica each."""

    replicas = 3

    async def test_killed(self) -> None:
        """
        When a primary dies under load its replica takes over: what that had is
        there, no command is executed twice, and no reply is another's.
        """
        clients = [await self.connect(wait=15.0) for _ in range(3)]
        keys = [f"{{n}}{number}" for number in range(12)] + ["a", "b", "c"]
        load = Load.begun(clients, keys, kept=True)
        await load.more()
        self.server("n").kill()
        # There is no other replica to wait for.
        await load.more(4)
        await load.end()
        self.assertEqual(load.wrong, [])
        for each in load.writers:
            value = int(await clients[0].get(each.key))
            self.assertGreater(each.kept, 0)
            self.assertLessEqual(each.kept, value)
            self.assertLessEqual(value, each.acknowledged + each.maybe)

    async def test_published(self) -> None:
        """A subscription goes on at another node when its own dies."""
        client = await self.connect(wait=10.0)
        heard = await client.pubsub.subscribe("news")
        asked = "CLIENT LIST TYPE pubsub"
        all_ = [*self.servers.primaries, *self.servers.replicas]
        [holder] = [each for each in all_ if b"sub=1" in each.call(asked)]
        holder.kill()
        rest = [each for each in all_ if each is not holder]
        while not any(b"sub=1" in each.call(asked) for each in rest):
            await deferLater(REACTOR, 0.05)
        rest[0].call("PUBLISH", "news", "x")
        message = await heard.next()
        self.assertEqual(message.data, b"x")
        self.assertIsNotNone(message.gap)

    async def test_read_replicas(self) -> None:
        """Replicas are read from if that is wanted, and the primary without them."""
        client = await self.connect("?read=replica", wait=5.0)
        replica = self.servers.replicas[self.servers.primaries.index(self.server("a"))]
        await client.execute("SET", "a", 1)
        await deferLater(REACTOR, 0.1)
        replica.call("CONFIG", "RESETSTAT")
        for _ in range(5):
            self.assertEqual(await client.execute("GET", "a"), b"1")
        self.assertIn(b"cmdstat_get:calls=5", replica.call("INFO", "commandstats"))
        replica.kill()
        for _ in range(5):
            try:
                self.assertEqual(await client.execute("GET", "a"), b"1")
            except MaybeExecuted:
                continue
