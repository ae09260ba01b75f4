"""
Tests for L{sockhost.redis.cluster_watch}, and for transactions that follow slots.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisReplyError,
    TransactionConflict,
)
from sockhost.redis.cluster_keys import slot_of
from tests.redis.clusters import AT_A, AT_B, A, B, FakeCluster


class WatchTests(SynchronousTestCase):
    """L{ClusterWatch<sockhost.redis.cluster_watch.ClusterWatch>}."""

    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.clock = self.cluster.clock
        self.a, self.b = self.cluster.nodes[A], self.cluster.nodes[B]
        self.client = self.cluster.client()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.a.lent, self.b.lent), (0, 0))

    def begun(self, *keys: str) -> Any:
        """Watch keys."""
        watch = self.client.watch(*keys)
        self.successResultOf(Deferred.fromCoroutine(watch.__aenter__()))
        return watch

    def end(self, watch: Any) -> None:
        """Watch no more."""
        ending = watch.__aexit__(None, None, None)
        self.successResultOf(Deferred.fromCoroutine(ending))

    def increment(self) -> Deferred[list[Any]]:
        """Count, with a watch."""

        async def body(watch: Any, transaction: Any) -> None:
            now = int(await watch.get(AT_A) or 0)
            transaction.set(AT_A, now + 1)

        made: Deferred[list[Any]] = self.client.transact(body, AT_A)
        return made

    def test_home(self) -> None:
        """Keys are watched at the node that has them."""
        self.end(self.begun(AT_A))
        self.assertEqual([each[0] for each in self.a.heard], [b"WATCH", b"UNWATCH"])

    def test_moved(self) -> None:
        """A slot that has moved unseen is followed, and known from then on."""
        self.cluster.move(AT_A)
        self.end(self.begun(AT_A))
        self.successResultOf(self.increment())
        self.assertEqual(self.cluster.values[AT_A.encode()], b"1")
        heard = [each[0] for each in self.a.heard if each[0] != b"CLUSTER"]
        self.assertEqual(heard, [b"WATCH"])

    def test_on_its_way(self) -> None:
        """A slot that is on its way is watched when it has arrived."""
        self.cluster.leaving[slot_of(AT_A)] = B
        incremented = self.increment()
        self.clock.pump([0.01] * 20)
        self.assertNoResult(incremented)
        self.cluster.move(AT_A)
        self.clock.pump([0.01] * 60)
        self.successResultOf(incremented)

    def test_node_lost(self) -> None:
        """A watch that was lost before it began begins at who takes over."""
        self.a.losing = True
        incremented = self.increment()
        self.clock.pump([0.01] * 20)
        self.assertNoResult(incremented)
        self.cluster.move(AT_A)
        self.clock.pump([0.01] * 60)
        self.successResultOf(incremented)

    def test_nobody(self) -> None:
        """Where nobody can be watched at, it fails, and nothing was executed."""
        self.a.up = self.b.up = False
        incremented = self.increment()
        self.clock.pump([0.1] * 20)
        failure = self.failureResultOf(incremented, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)

    def test_left_before_read(self) -> None:
        """A slot that leaves before a read is a conflict."""
        watch = self.begun(AT_A)
        self.cluster.move(AT_A)
        self.failureResultOf(watch.get(AT_A), TransactionConflict)
        self.end(watch)

    def test_left_before_transaction(self) -> None:
        """A slot that leaves before the transaction is a conflict."""
        watch = self.begun(AT_A)
        transaction = watch.transaction().incr(AT_A)
        self.cluster.move(AT_A)
        self.failureResultOf(transaction.run(), TransactionConflict)
        self.end(watch)
        self.assertEqual(self.cluster.values, {})

    def test_left_meanwhile(self) -> None:
        """Who has said what to do then does it at the other node."""
        moved = False

        async def body(watch: Any, transaction: Any) -> None:
            nonlocal moved
            if not moved:
                self.cluster.move(AT_A)
            moved = True
            transaction.incr(AT_A)

        self.assertEqual(self.successResultOf(self.client.transact(body, AT_A)), [1])

    def test_other_slot(self) -> None:
        """A key of another node is no conflict, but a mistake."""
        watch = self.begun(AT_A)
        self.failureResultOf(watch.get(AT_B), RedisReplyError)
        self.failureResultOf(watch.transaction().incr(AT_B).run(), RedisReplyError)
        self.end(watch)

    def test_cancelled(self) -> None:
        """Who gives up before it is watched leaves no connection."""
        self.cluster.latency = 1.0
        beginning = Deferred.fromCoroutine(self.client.watch(AT_A).__aenter__())
        self.clock.advance(0.5)
        beginning.cancel()
        self.failureResultOf(beginning, CancelledError)


class TransactionTests(SynchronousTestCase):
    """Transactions without a watch."""

    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.client = self.cluster.client()

    def test_moved(self) -> None:
        """A slot that has moved is followed."""
        self.cluster.move(AT_A)
        running = self.client.transaction().incr(AT_A).incr(AT_A).run()
        self.assertEqual(self.successResultOf(running), [1, 2])

    def test_cleared(self) -> None:
        """What was forgotten says nothing of the slot of what comes then."""
        transaction = self.client.transaction().incr(AT_A)
        with self.assertRaisesRegex(RedisReplyError, "CROSSSLOT"):
            transaction.incr(AT_B)
        transaction.clear()
        self.assertEqual(self.successResultOf(transaction.incr(AT_B).run()), [1])
        self.assertEqual(self.successResultOf(transaction.incr(AT_A).run()), [1])
