"""
Tests for L{sockhost.redis.cluster_rounds}: pipelines on their ways.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisQueueFull,
    RedisReplyError,
)
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.scripts import Script
from tests.redis.clusters import AT_A, AT_B, A, B, FakeCluster

SCRIPT = Script("return 1")
DIGEST = SCRIPT.digest.encode()


class RoundsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.clock = self.cluster.clock
        self.a, self.b = self.cluster.nodes[A], self.cluster.nodes[B]
        self.client = self.cluster.client()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.client.router.waiting, 0)

    def heard(self, node: Any) -> list[list[bytes]]:
        """What a node was given, but for questions."""
        heard = [words for words in node.heard if words[0] != b"CLUSTER"]
        node.heard.clear()
        return heard

    def sent(self, node: Any) -> list[int]:
        """How many commands were in each piece, but for questions."""
        return [count for count in node.batches if count > 1]


class PipelineTests(RoundsCase):
    """Pipelines."""

    def test_by_node(self) -> None:
        """Each node is sent its share at once, and the replies are in order."""
        pipeline = self.client.pipeline()
        for number in range(10):
            pipeline.set(f"k{number}", number).get(f"k{number}")
        pipeline.execute("ECHO", "x")
        replies = self.successResultOf(pipeline.run())
        self.assertEqual(replies[1::2], [b"%d" % number for number in range(10)])
        self.assertEqual(replies[-1], b"x")
        self.assertEqual(len(self.a.batches) + len(self.b.batches), 2)

    def test_without_keys(self) -> None:
        """What has no key goes to one node, in one piece."""
        pipeline = self.client.pipeline()
        for number in range(100):
            pipeline.execute("ECHO", number)
        self.successResultOf(pipeline.run())
        self.assertEqual(sorted(self.a.batches + self.b.batches), [100])

    def test_several_slots(self) -> None:
        """What is for several nodes is divided, or says why it is not."""
        pipeline = self.client.pipeline().execute("MSET", "a", 1, "b", 1)
        pipeline.set("a", 1).execute("MGET", "a", "b").execute("FLUSHALL")
        replies = self.successResultOf(pipeline.run())
        self.assertEqual(replies[1:], [True, [b"1", None], b"OK"])

    def test_moved(self) -> None:
        """A slot that has moved costs one more round, in order."""
        self.cluster.move(AT_A)
        pipeline = self.client.pipeline()
        for _ in range(100):
            pipeline.incr(AT_A)
        self.assertEqual(self.successResultOf(pipeline.run()), list(range(1, 101)))
        self.assertEqual((self.sent(self.a), self.sent(self.b)), ([100], [100]))

    def test_asked(self) -> None:
        """What has left already is asked for there, in one piece."""
        self.cluster.values[b"{b}1"] = b"here"
        self.cluster.leaving[slot_of("b")] = B
        pipeline = self.client.pipeline().get("{b}1").incr("{b}2").incr("{b}2")
        self.assertEqual(self.successResultOf(pipeline.run())[:2], [b"here", 1])
        self.assertEqual(self.sent(self.b), [4])

    def test_try_again(self) -> None:
        """Keys of which some have left are waited for, and only those."""
        self.cluster.values[b"{b}1"] = b"x"
        self.cluster.leaving[slot_of("b")] = B
        pipeline = self.client.pipeline().mget("{b}1", "{b}2").incr(AT_B)
        running = pipeline.run()
        self.clock.pump([0.01] * 30)
        self.assertNoResult(running)
        self.cluster.move("b")
        self.clock.pump([0.01] * 60)
        self.assertEqual(self.successResultOf(running), [[b"x", None], 1])

    def test_node_lost(self) -> None:
        """All commands for a node that is lost wait together, and in order."""
        self.a.up = False
        pipeline = self.client.pipeline()
        for _ in range(1000):
            pipeline.incr(AT_A)
        running = pipeline.incr(AT_B).run()
        self.clock.pump([0.01] * 50)
        self.assertEqual(self.heard(self.b), [[b"INCR", AT_B.encode()]])
        self.cluster.move(AT_A)
        self.clock.pump([0.01] * 50)
        self.assertEqual(self.successResultOf(running), [*range(1, 1001), 1])

    def test_nobody(self) -> None:
        """However many they are, they are waited for no longer than one."""
        self.a.up = self.b.up = False
        pipeline = self.client.pipeline()
        for _ in range(1000):
            pipeline.incr(AT_A)
        running = pipeline.run()
        self.clock.pump([0.01] * 160)
        for reply in self.successResultOf(running):
            self.assertIsInstance(reply, RedisConnectionError)
            self.assertNotIsInstance(reply, MaybeExecuted)

    def test_no_node_known(self) -> None:
        """Commands that come before the map wait for it."""
        nodes = self.client.router.nodes
        nodes.map = type(nodes.map)()
        running = self.client.pipeline().incr(AT_A).incr(AT_B).run()
        self.clock.pump([0.01] * 10)
        self.assertEqual(self.successResultOf(running), [1, 1])

    def test_lost_replies(self) -> None:
        """What may have been executed is not sent again, and the rest is there."""
        self.a.losing = True
        running = self.client.pipeline().incr(AT_A).incr(AT_B).run()
        replies = self.successResultOf(running)
        self.assertIsInstance(replies[0], MaybeExecuted)
        self.assertEqual(replies[1], 1)
        self.assertEqual(self.heard(self.a), [[b"INCR", AT_A.encode()]])

    def test_timeout(self) -> None:
        """The time for a pipeline is that for all its rounds."""
        client = self.cluster.client(wait=60.0)
        self.a.says = "CLUSTERDOWN The cluster is down"
        running = client.pipeline().incr(AT_A).incr(AT_B).run(timeout=1.0)
        self.clock.pump([0.01] * 90)
        self.assertNoResult(running)
        self.clock.pump([0.01] * 60)
        replies = self.successResultOf(running)
        self.assertIsInstance(replies[0], RedisReplyError)
        self.assertEqual(replies[1], 1)

    def test_timeout_between_rounds(self) -> None:
        """What was not executed in time is not sent again behind that."""
        client = self.cluster.client(wait=60.0)
        self.a.says = "CLUSTERDOWN The cluster is down"
        running = client.pipeline().incr(AT_A).run(timeout=0.05)
        self.clock.advance(0.02)
        self.clock.advance(0.02)
        self.a.says = None
        self.clock.advance(0.01)
        [reply] = self.successResultOf(running)
        self.assertIsInstance(reply, RedisReplyError)
        self.clock.advance(1.0)
        self.assertEqual(self.cluster.values, {})

    def test_loop(self) -> None:
        """Nodes that send to each other are not followed for ever."""
        client = self.cluster.client(wait=0.0)
        slot = slot_of(AT_A)
        self.a.says, self.b.says = f"MOVED {slot} b:2", f"MOVED {slot} a:1"
        running = client.pipeline().incr(AT_A).run()
        self.clock.pump([0.01] * 600)
        [reply] = self.successResultOf(running)
        self.assertEqual(reply.code, "MOVED")

    def test_moved_and_waiting(self) -> None:
        """What can be executed elsewhere is, also when other waits are over."""
        client = self.cluster.client(wait=0.0)
        self.cluster.values[b"{b}1"] = b"x"
        self.cluster.leaving[slot_of("b")] = B
        self.cluster.move("c")
        running = client.pipeline().mget("{b}1", "{b}2").incr("c").run()
        replies = self.successResultOf(running)
        self.assertEqual((replies[0].code, replies[1]), ("TRYAGAIN", 1))

    def test_no_redirection(self) -> None:
        """What only looks like a redirection is an error reply like others."""
        self.a.says = "MOVED house"
        [reply] = self.successResultOf(self.client.pipeline().incr(AT_A).run())
        self.assertEqual(str(reply), "MOVED house")

    def test_bounded(self) -> None:
        """No more commands wait than may."""
        client = self.cluster.client(max_queued=5)
        self.a.says = "CLUSTERDOWN The cluster is down"
        pipeline = client.pipeline().incr(AT_B)
        for _ in range(6):
            pipeline.incr(AT_A)
        replies = self.successResultOf(pipeline.run())
        self.assertEqual(replies[0], 1)
        self.assertEqual({type(each) for each in replies[1:]}, {RedisQueueFull})

    def test_cancelled(self) -> None:
        """Who gives up waits no more, and leaves nothing."""
        self.a.says = "CLUSTERDOWN The cluster is down"
        running = self.client.pipeline().incr(AT_A).incr(AT_B).run()
        self.clock.pump([0.01] * 20)
        running.cancel()
        self.failureResultOf(running, CancelledError)

    def test_closed(self) -> None:
        """A client that is closed sends nothing."""
        self.successResultOf(self.client.close())
        [reply] = self.successResultOf(self.client.pipeline().incr(AT_A).run())
        self.assertIsInstance(reply, RedisConnectionError)

    def test_cleared(self) -> None:
        """What was forgotten is not sent, and what comes then is."""
        pipeline = self.client.pipeline().incr(AT_A).script(SCRIPT, [AT_A])
        pipeline.clear()
        self.assertEqual(self.successResultOf(pipeline.run()), [])
        self.assertEqual(self.successResultOf(pipeline.incr(AT_B).run()), [1])
        self.assertEqual(self.heard(self.a), [])


class ScriptTests(RoundsCase):
    """Scripts in pipelines."""

    def names(self, node: Any) -> list[bytes]:
        return [words[0] for words in self.heard(node)]

    def test_each_node(self) -> None:
        """Each node is told the text once, and the digest then."""
        pipeline = self.client.pipeline()
        for key in (AT_A, AT_B, AT_A, AT_B):
            pipeline.script(SCRIPT, [key])
        replies = self.successResultOf(pipeline.run())
        self.assertEqual(replies, [SCRIPT.text] * 2 + [DIGEST] * 2)
        for node in (self.a, self.b):
            self.assertEqual(self.names(node), [b"EVAL", b"EVALSHA"])

    def test_moved(self) -> None:
        """The node where a slot is now is told the text, too."""
        self.cluster.move(AT_A)
        pipeline = self.client.pipeline()
        for _ in range(3):
            pipeline.script(SCRIPT, [AT_A])
        replies = self.successResultOf(pipeline.run())
        self.assertEqual(replies, [SCRIPT.text, DIGEST, DIGEST])

    def test_first_moved(self) -> None:
        """Where the call with the text was refused, a later one has it."""
        self.cluster.move("c")
        pipeline = self.client.pipeline()
        for key in ("c", "b", "b"):
            pipeline.script(SCRIPT, [key])
        replies = self.successResultOf(pipeline.run())
        self.assertEqual(replies, [SCRIPT.text, SCRIPT.text, DIGEST])

    def test_unknown(self) -> None:
        """A digest that the caller has sent himself is his to explain."""
        pipeline = self.client.pipeline().execute("EVALSHA", "0" * 40, 1, AT_A)
        [reply] = self.successResultOf(pipeline.run())
        self.assertEqual(reply.code, "NOSCRIPT")


class ReplicaTests(RoundsCase):
    """Pipelines where replicas may be read from."""

    def setUp(self) -> None:
        super().setUp()
        self.cluster.replicas = True
        self.client = self.cluster.client(query="?read=replica")

    def test_only_read(self) -> None:
        """Slots that are only read are read from replicas, others are not."""
        self.cluster.values[b"c"] = b"1"
        pipeline = self.client.pipeline().get("c").set("b", 2).get("b")
        self.assertEqual(self.successResultOf(pipeline.run())[1:], [True, b"2"])
        self.assertEqual([words[0] for words in self.heard(self.a)], [b"SET", b"GET"])
        self.assertEqual(self.heard(self.b)[0], [b"GET", b"c"])

    def test_replica_lost(self) -> None:
        """Without a replica the primary is read from."""
        self.b.up = False
        running = self.client.pipeline().get("c").run()
        self.clock.pump([0.01] * 10)
        self.successResultOf(running)
        self.assertEqual(self.heard(self.a), [[b"GET", b"c"]])
