"""
Tests for L{sockhost.redis.cluster_routing}: where commands go, and for how long.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisQueueFull,
    RedisReplyError,
)
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.cluster_routing import AT_ONCE, FOLLOWED
from tests.redis.clusters import AT_A, AT_B, A, B, FakeCluster


class RouterCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.clock = self.cluster.clock
        self.a, self.b = self.cluster.nodes[A], self.cluster.nodes[B]

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def run_for(self, seconds: float) -> None:
        """Let some time pass, in small steps."""
        self.clock.pump([0.01] * round(seconds * 100))

    def heard(self, node: Any) -> list[bytes]:
        """The names of what a node was given, but for questions."""
        names = [words[0] for words in node.heard if words[0] != b"CLUSTER"]
        node.heard.clear()
        return names


class RedirectionTests(RouterCase):
    """Slots that are elsewhere, or on their way."""

    def test_home(self) -> None:
        """A command goes to the node that has the slot of its key."""
        client = self.cluster.client()
        self.successResultOf(client.execute("SET", AT_A, 1))
        self.successResultOf(client.execute("SET", AT_B, 1))
        self.assertEqual((len(self.a.heard), len(self.b.heard)), (1, 1))

    def test_moved(self) -> None:
        """A slot that has moved is followed, and asked for there from then on."""
        client = self.cluster.client()
        self.cluster.move(AT_A)
        for _ in range(2):
            self.successResultOf(client.execute("INCR", AT_A))
        self.assertEqual(self.heard(self.a), [b"INCR"])
        self.assertEqual(self.heard(self.b), [b"INCR"] * 2)

    def test_moved_without_wait(self) -> None:
        """To follow takes no patience."""
        client = self.cluster.client(wait=0.0)
        self.cluster.move(AT_A)
        self.assertEqual(self.successResultOf(client.execute("INCR", AT_A)), 1)

    def test_moved_slowly(self) -> None:
        """A node that takes long to say where a slot is is followed, too."""
        client = self.cluster.client(wait=1.0)
        self.cluster.move(AT_A)
        self.cluster.latency = 5.0
        incremented = client.execute("INCR", AT_A)
        self.clock.pump([5.0] * 4)
        self.assertEqual(self.successResultOf(incremented), 1)

    def test_asked(self) -> None:
        """A key that has left already is asked for there, and only this once."""
        client = self.cluster.client(wait=0.0)
        self.cluster.leaving[slot_of(AT_A)] = B
        for _ in range(2):
            self.successResultOf(client.execute("SET", "other{b}", 1))
            self.cluster.values.clear()
        self.assertEqual(self.heard(self.a), [b"SET"] * 2)
        self.assertEqual(self.heard(self.b), [b"ASKING", b"SET"] * 2)

    def test_blocks_meanwhile(self) -> None:
        """What blocks does not ask: it waits until the slot has arrived."""
        client = self.cluster.client()
        self.cluster.leaving[slot_of(AT_A)] = B
        popped = client.execute("BLPOP", AT_A, 0)
        self.run_for(0.2)
        self.assertNoResult(popped)
        self.cluster.move(AT_A)
        self.run_for(1)
        self.successResultOf(popped)

    def test_loop(self) -> None:
        """Nodes that send to each other are not followed for ever."""
        client = self.cluster.client(wait=0.0)
        slot = slot_of(AT_A)
        self.a.says, self.b.says = f"MOVED {slot} b:2", f"MOVED {slot} a:1"
        looping = client.execute("GET", AT_A)
        sent = len(self.heard(self.a)) + len(self.heard(self.b))
        self.assertEqual(sent, AT_ONCE + 1)
        self.run_for(6)
        failure = self.failureResultOf(looping, RedisReplyError)
        self.assertEqual(failure.value.code, "MOVED")
        sent += len(self.heard(self.a)) + len(self.heard(self.b))
        self.assertEqual(sent, FOLLOWED + 1)

    def test_loop_ends(self) -> None:
        """Nodes that agree in the end were worth to be waited for."""
        client = self.cluster.client(wait=10.0)
        slot = slot_of(AT_A)
        self.a.says, self.b.says = f"MOVED {slot} b:2", f"MOVED {slot} a:1"
        looping = client.execute("INCR", AT_A)
        self.run_for(9)
        self.a.says = self.b.says = None
        self.run_for(1)
        self.assertEqual(self.successResultOf(looping), 1)

    def test_no_redirection(self) -> None:
        """What only looks like a redirection is an error reply like others."""
        client = self.cluster.client()
        self.a.says = "MOVED house"
        failure = self.failureResultOf(client.execute("GET", AT_A), RedisReplyError)
        self.assertEqual(str(failure.value), "MOVED house")


class WaitTests(RouterCase):
    """Clusters that cannot execute a command just now."""

    def test_try_again(self) -> None:
        """Keys of which some have left are waited for."""
        client = self.cluster.client()
        self.cluster.values[b"{b}1"] = b"x"
        self.cluster.leaving[slot_of("b")] = B
        got = client.execute("MGET", "{b}1", "{b}2")
        self.run_for(0.3)
        self.assertNoResult(got)
        self.cluster.move("b")
        self.run_for(0.6)
        self.assertEqual(self.successResultOf(got), [b"x", None])

    def test_cluster_down(self) -> None:
        """A command that waits succeeds once the cluster is whole."""
        client = self.cluster.client(wait=5.0)
        self.a.says = "CLUSTERDOWN The cluster is down"
        incremented = client.execute("INCR", AT_A)
        self.run_for(3)
        self.assertNoResult(incremented)
        self.a.says = None
        self.run_for(1)
        self.assertEqual(self.successResultOf(incremented), 1)

    def test_not_for_ever(self) -> None:
        """One that waits for too long fails as it did last."""
        for wait in (0.0, 1.0):
            client = self.cluster.client(wait=wait)
            self.a.says = "CLUSTERDOWN The cluster is down"
            failing = client.execute("INCR", AT_A)
            self.run_for(wait * 0.9)
            if wait:
                self.assertNoResult(failing)
            self.run_for(wait)
            failure = self.failureResultOf(failing, RedisReplyError)
            self.assertEqual(failure.value.code, "CLUSTERDOWN")

    def test_slow_refusal(self) -> None:
        """The time that a node takes to answer is not that which is waited."""
        client = self.cluster.client(wait=1.0)
        self.cluster.latency = 3.0
        self.a.says = "CLUSTERDOWN The cluster is down"
        incremented = client.execute("INCR", AT_A)
        self.clock.advance(3.0)
        self.a.says, self.cluster.latency = None, 0.0
        self.run_for(1)
        self.assertEqual(self.successResultOf(incremented), 1)

    def test_failover(self) -> None:
        """A command for a node that is lost goes to the one that takes over."""
        client = self.cluster.client(wait=5.0)
        self.a.up = False
        incremented = client.execute("INCR", AT_A)
        self.run_for(2)
        self.assertNoResult(incremented)
        self.cluster.move(AT_A)
        self.run_for(1)
        self.assertEqual(self.successResultOf(incremented), 1)

    def test_nobody(self) -> None:
        """Where no node can be reached, commands fail after the wait."""
        client = self.cluster.client(wait=1.0)
        self.a.up = self.b.up = False
        failing = client.execute("INCR", AT_A)
        self.run_for(1.6)
        self.failureResultOf(failing, RedisConnectionError)

    def test_lost(self) -> None:
        """What may have been executed is not sent again."""
        client = self.cluster.client(wait=5.0)
        self.a.losing = True
        self.failureResultOf(client.execute("INCR", AT_A), MaybeExecuted)
        self.assertEqual(self.heard(self.a), [b"INCR"])

    def test_partly_lost(self) -> None:
        """What some nodes have executed may have been executed."""
        client = self.cluster.client(wait=0.0)
        self.a.up = False
        for words, error in (
            (("DEL", AT_A, AT_B), MaybeExecuted),
            (("FLUSHALL",), MaybeExecuted),
            (("MGET", AT_A, AT_B), RedisConnectionError),
        ):
            failure = self.failureResultOf(client.execute(*words), RedisConnectionError)
            self.assertIs(type(failure.value), error)
        self.b.up = False
        failure = self.failureResultOf(
            client.execute("DEL", AT_A, AT_B), RedisConnectionError
        )
        self.assertNotIsInstance(failure.value, MaybeExecuted)

    def test_partly_unsent(self) -> None:
        """Nor is it unsent where some was not sent and the rest was lost."""
        client = self.cluster.client(wait=0.0)
        self.a.up = False
        self.b.losing = True
        for words in (("DEL", AT_A, AT_B), ("FLUSHALL",)):
            self.failureResultOf(client.execute(*words), MaybeExecuted)

    def test_cancelled(self) -> None:
        """Who gives up waits no more, and leaves nothing."""
        client = self.cluster.client(wait=5.0)
        self.a.up = self.b.up = False
        waiting = client.execute("INCR", AT_A)
        self.run_for(0.5)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(client.router.waiting, 0)

    def test_bounded(self) -> None:
        """No more commands wait than may, and those that do are not harmed."""
        client = self.cluster.client(wait=5.0, max_queued=10)
        self.a.says = "CLUSTERDOWN The cluster is down"
        waiting: list[Deferred[Any]] = [client.execute("INCR", AT_A) for _ in range(10)]
        self.failureResultOf(client.execute("INCR", AT_A), RedisQueueFull)
        self.successResultOf(client.execute("INCR", AT_B))
        self.a.says = None
        self.run_for(1)
        self.assertEqual(len([self.successResultOf(each) for each in waiting]), 10)
        self.assertEqual(client.router.waiting, 0)

    def test_closed(self) -> None:
        """What waits when the client is closed fails then, and nothing is taken."""
        client = self.cluster.client(wait=5.0)
        self.a.says = "CLUSTERDOWN The cluster is down"
        waiting = [client.execute("INCR", AT_A), client.pipeline().incr(AT_A).run()]
        self.successResultOf(client.close())
        self.failureResultOf(waiting[0], RedisConnectionError)
        [reply] = self.successResultOf(waiting[1])
        self.assertIsInstance(reply, RedisConnectionError)
        for words in (("INCR", AT_A), ("ECHO", "x"), ("FLUSHALL",)):
            self.failureResultOf(client.execute(*words), RedisConnectionError)

    def test_everywhere(self) -> None:
        """What is for all nodes waits until some are known, too."""
        client = self.cluster.client(wait=5.0)
        nodes = client.router.nodes
        known, nodes.map = nodes.map, type(nodes.map)()
        self.a.up = self.b.up = False
        flushed = client.execute("FLUSHALL")
        self.run_for(1)
        self.assertNoResult(flushed)
        self.a.up = self.b.up = True
        self.run_for(1)
        self.assertEqual(self.successResultOf(flushed), b"OK")
        self.assertEqual(nodes.map.ranges, known.ranges)


class ConnectedTests(RouterCase):
    """Waiting for any connection."""

    def test_comes_back(self) -> None:
        """Who waits for a connection hears of the first that comes back."""
        client = self.cluster.client()
        self.assertIsNone(self.successResultOf(client.when_connected()))
        self.a.up = self.b.up = False
        waiting, given_up = client.when_connected(), client.when_connected()
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.assertNoResult(waiting)
        self.b.up = True
        client.router.nodes.on_connected()
        self.assertIsNone(self.successResultOf(waiting))

    def test_dedicated(self) -> None:
        """A connection goes back to the node that it came from."""
        client = self.cluster.client()
        for _ in range(3):
            connection = self.successResultOf(client.dedicated())
            self.assertEqual(self.a.lent + self.b.lent, 1)
            client.release(connection)
            self.assertEqual(self.a.lent + self.b.lent, 0)
