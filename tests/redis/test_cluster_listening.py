"""
Tests for L{sockhost.redis.cluster_listening}: what needs no nodes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisConnectionError, RedisError
from sockhost.redis.cluster_cache import REFRESH
from sockhost.redis.cluster_unit import ClusterUnit
from sockhost.redis.settings import RedisConfig
from tests.redis.clusters import AT_A, A, FakeCluster, FakeClusterNode

URL = "redis+cluster://127.0.0.1:1"


class CacheTests(SynchronousTestCase):
    """What was read through the cache of a cluster."""

    def setUp(self) -> None:
        self.cluster = FakeCluster(values={AT_A.encode(): b"x"})
        self.client = self.cluster.client()
        self.cache = self.client.cache()

    def read(self) -> object:
        return self.successResultOf(self.cache.execute("GET", AT_A))

    def test_decode(self) -> None:
        """It is decoded as the client decodes now."""
        self.assertEqual(self.read(), b"x")
        self.client.configure(1.0, "utf-8", 10)
        self.assertEqual(self.read(), "x")

    def test_node_anew(self) -> None:
        """A node that has left is forgotten, also if it has come back as another."""
        self.read()
        self.assertTrue(self.cache.tracking)
        old = self.cluster.nodes[A]
        old.up = False
        self.client.router.nodes._nodes[A] = FakeClusterNode(A, self.cluster)
        self.cluster.clock.advance(REFRESH)
        self.assertEqual(self.read(), b"x")
        self.assertTrue(self.cache.tracking)


class ClusterListeningTests(SynchronousTestCase):
    """The client of a cluster that is not connected."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.unit = ClusterUnit("store", RedisConfig(url=URL), self.reactor)
        self.client: Any = self.unit.client()

    def tearDown(self) -> None:
        self.successResultOf(self.client.close())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_shard_waits(self) -> None:
        """A sharded channel waits for a node, until the client is closed."""
        waiting = self.client.pubsub.ssubscribe("s")
        paused = self.client.pubsub.ssubscribe("s", overflow="pause")
        self.reactor.pump([0.1] * 30)
        self.assertNoResult(waiting)
        self.successResultOf(self.client.close())
        self.failureResultOf(waiting, RedisConnectionError)
        self.failureResultOf(paused, RedisConnectionError)

    def test_shard_again_when_closed(self) -> None:
        """Who listens again when he hears of that is told so too, and at once."""
        again: list[Any] = []
        for overflow in ("drop-oldest", "pause"):
            one = self.client.pubsub.subscription(overflow=overflow)
            asked = one.ssubscribe("s")
            asked.addErrback(lambda _, one=one: again.append(one.ssubscribe("t")))
        self.successResultOf(self.client.close())
        for each in again:
            self.failureResultOf(each, RedisConnectionError)
        self.assertEqual(len(again), 2)

    def test_of_closed(self) -> None:
        """One that was closed before anybody listened has no subscriptions."""
        self.successResultOf(self.client.close())
        for overflow in ("drop-oldest", "pause"):
            asked = self.client.pubsub.ssubscribe("s", overflow=overflow)
            self.failureResultOf(asked, RedisConnectionError)

    def test_closed_and_started(self) -> None:
        """A client that was closed takes new wishes when its unit is started."""
        pubsub = self.client.pubsub
        self.successResultOf(self.client.close())
        self.failureResultOf(pubsub.subscribe("a"), RedisConnectionError)
        self.client.go_on()
        waiting = pubsub.subscribe("a")
        self.assertNoResult(waiting)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_given_up(self) -> None:
        """Cancelling withdraws the wish for a sharded channel."""
        subscription = self.client.pubsub.subscription()
        waiting = subscription.ssubscribe("s", "t")
        self.reactor.advance(0)
        self.assertEqual(subscription.shards, {b"s", b"t"})
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        self.reactor.advance(0)
        self.assertEqual(subscription.shards, frozenset())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """A unit that is stopped leaves no timer, and keeps the wishes."""
        subscription = self.client.pubsub.subscription()
        waiting = subscription.ssubscribe("s")
        waiting.addErrback(lambda _: None)
        self.reactor.advance(0)
        self.successResultOf(self.unit.stop())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(subscription.shards, {b"s"})

    def test_monitor(self) -> None:
        """Where no node is known nothing can be heard."""
        self.failureResultOf(self.client.monitor(), RedisConnectionError)

    def test_cache(self) -> None:
        """There is one cache, of options that go together."""
        for bad in ({"prefixes": ["a"]}, {"broadcast": True, "opt_in": True}):
            with self.assertRaises(ValueError):
                self.client.cache(**bad)
        first = self.client.cache()
        with self.assertRaises(RedisError):
            self.client.cache()
        self.successResultOf(first.close())
        again = self.client.cache()
        self.assertEqual(again.stats.hit_ratio, 0.0)
        self.assertTrue(again.tracking)

    def test_on_push(self) -> None:
        """Who is told of pushes can be changed at any time."""
        heard: list[Any] = []
        self.client.on_push = heard.append
        self.assertEqual(self.client.on_push, heard.append)
