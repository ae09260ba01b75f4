"""
Those who listen to a cluster, whatever becomes of its slots and nodes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from sockhost.interfaces import RedisConnectionError, RedisReplyError
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.settings import RedisConfig
from sockhost.redis.subscription import Gap
from tests.functional.test_redis_cluster import REACTOR, ClusterCase


class ShardTests(ClusterCase):
    """Sharded channels."""

    def move(self, name: str) -> None:
        """Move the slot of a channel to another node."""
        source, target = self.server(name), self.other(name)
        self.servers.begin_move(slot_of(name), source, target)
        self.servers.end_move(slot_of(name), source, target)

    async def test_spread(self) -> None:
        """Channels of one subscription are heard at the nodes that have them."""
        client = await self.connect()
        names = [f"s{n}" for n in range(20)]
        heard = await client.pubsub.ssubscribe(*names)
        self.assertEqual(len(heard.shards), 20)
        for name in names:
            await client.execute("SPUBLISH", name, name)
            message = await heard.next()
            self.assertEqual((message.channel, message.gap), (name.encode(), None))
        await heard.close()
        for server in self.servers.primaries:
            self.assertEqual(server.call("PUBSUB", "SHARDCHANNELS"), b"*0\r\n")

    async def test_moved(self) -> None:
        """A channel is followed to where its slot is; each listener is told."""
        client = await self.connect()
        gaps: list[Gap] = []
        heard: list[bytes] = []
        await client.pubsub.ssubscribe(
            "s", listener=lambda _, data: heard.append(data), on_gap=gaps.append
        )
        iterated = await client.pubsub.ssubscribe("s")
        self.move("s")
        while not gaps:
            await deferLater(REACTOR, 0.01)
        self.assertIn("moved", gaps[0].reason)
        self.assertEqual(gaps[0].refused, ())
        await client.execute("SPUBLISH", "s", "x")
        message = await iterated.next()
        self.assertEqual((message.data, heard), (b"x", [b"x"]))
        self.assertIsNotNone(message.gap)
        self.assertEqual(iterated.gaps, 1)

    async def test_asked_at_the_wrong_node(self) -> None:
        """Where the slot has moved unseen, the first node says where it is."""
        client = await self.connect()
        self.move("s")
        heard = await client.pubsub.ssubscribe("s")
        await client.execute("SPUBLISH", "s", "x")
        self.assertEqual((await heard.next()).data, b"x")

    async def test_unsubscribed_while_moving(self) -> None:
        """What is given up while its slot moves is asked for nowhere."""
        client = await self.connect()
        heard = await client.pubsub.ssubscribe("s")
        self.move("s")
        await heard.sunsubscribe("s")
        await deferLater(REACTOR, 0.3)
        for server in self.servers.primaries:
            self.assertEqual(server.call("PUBSUB", "SHARDCHANNELS"), b"*0\r\n")

    async def test_paused(self) -> None:
        """One that loses nothing is followed too, and holds up nobody else."""
        client = await self.connect()
        slow = await client.pubsub.ssubscribe("s", overflow="pause", max_buffered=2)
        self.move("s")
        fast = await client.pubsub.ssubscribe("s")
        while slow.gaps == 0:
            await deferLater(REACTOR, 0.01)
        for n in range(10):
            await client.execute("SPUBLISH", "s", n)
        for heard in (fast, slow):
            self.assertEqual(
                [(await heard.next()).data for _ in range(10)],
                [b"%d" % n for n in range(10)],
            )
        self.assertEqual(slow.dropped, 0)

    async def test_refused(self) -> None:
        """A refusal fails the call, with what the server says."""
        for server in self.servers.primaries:
            server.call("ACL", "SETUSER", "default", "resetchannels", "&good")
        client = await self.connect()
        with self.assertRaisesRegex(RedisReplyError, "NOPERM"):
            await client.pubsub.ssubscribe("good", "bad")
        heard = await client.pubsub.ssubscribe("good")
        self.assertEqual(heard.shards, frozenset({b"good"}))
        await client.execute("SPUBLISH", "good", "x")
        self.assertEqual((await heard.next()).data, b"x")

    async def test_closed(self) -> None:
        """What is listened to ends with the client; what waits fails."""
        client = await self.connect()
        heard = await client.pubsub.ssubscribe("s")
        self.server("t").kill()
        waiting = client.pubsub.ssubscribe("t")
        await deferLater(REACTOR, 0.1)
        await client.close()
        for each in (heard.next(), waiting):
            with self.assertRaises(RedisConnectionError):
                await each


class LossTests(ClusterCase):
    """Nodes that are lost."""

    replicas = 3

    async def test_failover(self) -> None:
        """A sharded channel is heard at the replica that takes its slot over."""
        client = await self.connect(wait=10.0)
        gap: Deferred[Gap] = Deferred()
        heard = await client.pubsub.ssubscribe("s", on_gap=gap.callback)
        self.server("s").kill()
        await gap
        await client.execute("SPUBLISH", "s", "x")
        self.assertEqual((await heard.next()).data, b"x")


class CacheTests(ClusterCase):
    """What was read from many nodes."""

    async def test_kept(self) -> None:
        """What is read is kept until its node says that it has changed."""
        for opt_in in (False, True):
            client = await self.connect()
            cache = client.cache(opt_in=opt_in)
            for n in range(20):
                await client.execute("SET", f"k{n}", n)
            for _ in range(2):
                for n in range(20):
                    self.assertEqual(await cache.execute("GET", f"k{n}"), b"%d" % n)
            self.assertEqual((cache.stats.hits, cache.stats.entries), (20, 20))
            self.server("k7").call("SET", "k7", "new")
            while cache.stats.entries == 20:
                await deferLater(REACTOR, 0.01)
            self.assertEqual(await cache.execute("GET", "k7"), b"new")
            await cache.execute("DEL", *(f"k{n}" for n in range(20)))
            self.assertIsNone(await cache.execute("GET", "k3"))
            await client.execute("GET", "unread")
            await cache.close()
            self.assertIsNone(await cache.execute("GET", "k3"))
            await client.close()

    async def test_moved(self) -> None:
        """What was read of a slot that has moved is read again."""
        client = await self.connect()
        cache = client.cache()
        self.assertIsNone(await cache.execute("GET", "a"))
        source, target = self.server("a"), self.other("a")
        self.servers.begin_move(slot_of("a"), source, target)
        self.servers.end_move(slot_of("a"), source, target)
        target.call("SET", "a", "new")
        # What is not there has been no change to where it was.
        await client.execute("GET", "a")
        self.assertEqual(await cache.execute("GET", "a"), b"new")
        self.assertEqual(await cache.execute("GET", "a"), b"new")
        self.assertEqual(cache.stats.entries, 1)


class OthersTests(ClusterCase):
    """Monitoring, pushes, and a client that stays."""

    async def test_monitor(self) -> None:
        """Commands at all nodes are heard, with the node that executes them."""
        client = await self.connect()
        seen = await client.monitor()
        for n in range(10):
            await client.execute("SET", f"k{n}", n)
        nodes: dict[str, str] = {}
        while len(nodes) < 10:
            command = await seen.next()
            if command.args[0] == b"SET":
                nodes[command.args[1].decode()] = command.node
        for key, node in nodes.items():
            self.assertEqual(node, f"127.0.0.1:{self.server(key).port}")
        ended = seen.when_ended()
        self.server("k1").kill()
        self.assertIsInstance(await ended, RedisConnectionError)

    async def test_on_push(self) -> None:
        """What a node pushes unasked is told, whichever it is."""
        client = await self.connect()
        told: list[Any] = []
        client.on_push = told.append
        for key in ("a", "b", "c"):
            await client.execute("GET", key)
            connection = client.node(key).connection
            await connection.execute("CLIENT", "TRACKING", "ON")
            await client.execute("GET", key)
            self.server(key).call("SET", key, "1")
        while len(told) < 3:
            await deferLater(REACTOR, 0.01)
        self.assertEqual(sorted(each[1][0] for each in told), [b"a", b"b", b"c"])

    async def test_reload(self) -> None:
        """A changed configuration costs no command and no subscription."""
        from sockhost.redis.cluster_unit import ClusterUnit

        lost: list[Any] = []
        unit = ClusterUnit("store", RedisConfig(url=self.servers.url()), REACTOR)
        await unit.start(lost.append)
        client: Any = unit.client()
        heard = await client.pubsub.ssubscribe("s")
        channels = await client.pubsub.subscribe("c")
        reloading = unit.reload(RedisConfig(url=self.servers.url(), client_name="me"))
        during: Deferred[Any] = client.execute("SET", "a", 1)
        self.assertTrue(await reloading)
        await during
        self.assertIn(b"name=me", self.server("a").call("CLIENT", "LIST"))
        while not (heard.gaps and channels.gaps):
            await deferLater(REACTOR, 0.01)
        await client.execute("SPUBLISH", "s", "x")
        await client.execute("PUBLISH", "c", "x")
        self.assertEqual((await heard.next()).data, b"x")
        self.assertEqual((await channels.next()).data, b"x")
        self.assertIs(unit.client(), client)
        await unit.stop()
        self.assertEqual(lost, [])
