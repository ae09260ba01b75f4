"""
The Redis client with a cluster whose slots move, and whose nodes come and go.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from sockhost.interfaces import MaybeExecuted, RedisError
from sockhost.redis.cluster_keys import slot_of
from tests.functional.cluster_load import Load
from tests.functional.test_redis_cluster import ClusterCase

REACTOR: Any = reactor


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

    async def test_hangs(self) -> None:
        """
        A primary that hangs is left when it answers no pings: for its commands,
        those that block, and its sharded channels.
        """
        client = await self.connect(wait=15.0, ping_interval=0.5)
        heard = await client.pubsub.ssubscribe("s")
        server = self.server("s")
        blocked: Deferred[Any] = client.execute("BLPOP", "q{s}", 0)
        await client.execute("SET", "{s}", 1)
        await deferLater(REACTOR, 0.1)
        server.suspend()
        lost = [client.execute("INCR", "{s}"), blocked]
        for each in lost:
            with self.assertRaises(MaybeExecuted):
                await each
        while not await self.published(client):
            await deferLater(REACTOR, 0.05)
        message = await heard.next()
        self.assertEqual(message.data, b"x")
        self.assertIsNotNone(message.gap)
        self.assertEqual(await client.execute("INCR", "{s}"), 2)

    async def published(self, client: Any) -> int:
        """Publish to a sharded channel, and say who has heard it."""
        try:
            return int(await client.execute("SPUBLISH", "s", "x"))
        except RedisError:
            return 0

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
        pipeline = client.pipeline()
        for _ in range(5):
            pipeline.get("a")
        self.assertEqual(await pipeline.run(), [b"1"] * 5)
        self.assertIn(b"cmdstat_get:calls=10", replica.call("INFO", "commandstats"))
        # What it writes it reads where that was written.
        both = client.pipeline().incr("a").get("a")
        self.assertEqual(await both.run(), [2, b"2"])
        self.assertEqual(await client.pipeline().set("a", 1).run(), [True])
        replica.kill()
        for _ in range(5):
            try:
                self.assertEqual(await client.execute("GET", "a"), b"1")
            except MaybeExecuted:
                continue
