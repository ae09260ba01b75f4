"""
Tests for L{sockhost.redis.cluster_shards}: sharded channels that move.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisConnectionError, RedisReplyError
from sockhost.redis.cluster_map import SlotMap, read_redirection
from sockhost.redis.cluster_shards import PATIENCE, REFUSED, Shard
from sockhost.redis.connection import RedisConnection
from sockhost.redis.hub import SubscriptionHub
from sockhost.redis.push import PushRouter
from sockhost.redis.subscription import Gap, Subscription
from tests.redis.fakes import Wire
from tests.redis.test_hub import FENCE, FENCED, push

NAME = b"s"
A, B = ("a", 1), ("b", 2)


class FakeNode:
    """A node, with its hub and the connection of that."""

    def __init__(self, clock: Clock, address: tuple[str, int]) -> None:
        self.clock = clock
        self.address = address
        router = PushRouter()
        self.hub = SubscriptionHub(router)
        self.router = router
        self.connect()

    def connect(self) -> None:
        """Connect, again."""
        connection = RedisConnection(self.clock)
        self.wire = Wire(self.clock, connection)
        self.router.attach(connection)
        self.hub.attach(connection)

    def grant(self) -> None:
        """Let the server acknowledge."""
        self.wire.send(push(b"ssubscribe", NAME, 1))

    def sent(self) -> list[list[bytes]]:
        """What the server was given."""
        self.clock.advance(0)
        return self.wire.sent()


@define
class FakeNodes:
    """What of the nodes is used."""

    nodes: dict[tuple[str, int], FakeNode]
    map: SlotMap = field(factory=SlotMap)
    home: tuple[str, int] | None = A
    refreshed: int = 0

    def for_slot(self, slot: int) -> FakeNode:
        """The node that has it."""
        moved = self.map.find(slot)
        place = moved.primary if moved else self.home
        if place is None:
            raise RedisConnectionError("no node")
        return self.nodes[place]

    def at(self, address: tuple[str, int]) -> FakeNode:
        """The node there."""
        if address not in self.nodes:
            raise RedisConnectionError("the client is closed")
        return self.nodes[address]

    def redirected(
        self, error: RedisReplyError, asked: tuple[str, int]
    ) -> tuple[str, int]:
        """Take note of where a slot is."""
        slot, address = read_redirection(str(error), asked)
        self.map.move(slot, address)
        self.refresh_soon()
        return address

    def refresh(self) -> Deferred[None]:
        """Ask for the map."""
        self.refreshed += 1
        return succeed(None) if self.home else fail(RedisConnectionError("nobody"))

    def refresh_soon(self) -> None:
        """The same."""
        self.refreshed += 1


class ShardTests(SynchronousTestCase):
    """L{Shard}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.a, self.b = FakeNode(self.clock, A), FakeNode(self.clock, B)
        self.nodes = FakeNodes({A: self.a, B: self.b})
        hub_of: Any = lambda node: node.hub  # noqa: E731
        nodes: Any = self.nodes
        self.shard = Shard(NAME, nodes, self.clock, hub_of)
        self.heard: list[bytes] = []
        self.gaps: list[Gap] = []
        self.one = self.listener()

    def tearDown(self) -> None:
        self.shard.end(RedisConnectionError("over"))
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def listener(self) -> Subscription:
        hub: Any = self.a.hub
        return Subscription(
            hub, lambda _, data: self.heard.append(data), self.gaps.append
        )

    def placed(self) -> None:
        """Have one listen at A."""
        entering = self.shard.enter(self.one)
        self.clock.advance(0)
        self.a.grant()
        self.successResultOf(entering)
        self.a.sent()

    def take_away(self) -> None:
        """Have A say that the channel is not there any more."""

        def moved(_: bytes) -> bool:
            self.shard.lose("moved")
            return True

        self.a.hub.on_moved = moved
        self.a.wire.send(push(b"sunsubscribe", NAME, 0))

    def test_entered(self) -> None:
        """It is heard when the server has said so; others join at once."""
        self.placed()
        self.successResultOf(self.shard.enter(self.listener()))
        self.a.wire.send(push(b"smessage", NAME, b"x"))
        self.assertEqual(self.heard, [b"x", b"x"])

    def test_left(self) -> None:
        """The server is told when the last has left."""
        self.placed()
        other = self.listener()
        self.shard.enter(other)
        self.successResultOf(self.shard.leave(self.one))
        leaving = self.shard.leave(other)
        self.assertEqual(self.a.sent(), [[b"sunsubscribe", NAME], FENCE])
        self.assertNoResult(leaving)
        self.a.wire.send(b"-MOVED 1 b:2\r\n" + FENCED)
        self.successResultOf(leaving)

    def test_not_left(self) -> None:
        """What else the server says of that is told."""
        self.placed()
        leaving = self.shard.leave(self.one)
        self.a.sent()
        self.a.wire.send(b"-ERR no\r\n" + FENCED)
        self.failureResultOf(leaving, RedisReplyError)

    def test_moved(self) -> None:
        """When it is lost it is sought; whoever listens is told of the gap."""
        self.placed()
        self.take_away()
        self.clock.advance(0.5)
        self.a.wire.send(b"-MOVED 3828 b:2\r\n")
        self.assertGreater(self.nodes.refreshed, 0)
        self.clock.advance(0.5)
        self.assertEqual(self.gaps, [])
        self.b.grant()
        self.assertEqual(self.gaps, [Gap(reason="moved")])
        self.b.wire.send(push(b"smessage", NAME, b"x"))
        self.assertEqual(self.heard, [b"x"])

    def test_connection_lost(self) -> None:
        """The loss of the connection is one of the place."""
        self.placed()
        self.nodes.home = B
        self.a.wire.lose()
        self.clock.advance(0.5)
        self.assertEqual(self.b.sent(), [[b"ssubscribe", NAME]])
        self.b.grant()
        self.assertEqual(len(self.gaps), 1)

    def test_silent(self) -> None:
        """A node that does not answer is given up for what the map says then."""
        entering = self.shard.enter(self.one)
        self.clock.advance(0)
        self.nodes.home = B
        self.clock.advance(PATIENCE)
        self.assertEqual(self.nodes.refreshed, 1)
        self.clock.advance(0.5)
        self.b.grant()
        self.successResultOf(entering)
        self.assertEqual(self.a.sent()[-2:], [[b"sunsubscribe", NAME], FENCE])

    def test_connected_slowly(self) -> None:
        """A connection may take its time, and after it the node may as before."""
        self.a.wire.lose()
        given_up: list[bool] = []
        self.a.hub.on_idle = lambda: given_up.append(True)
        entering = self.shard.enter(self.one)
        self.clock.pump([0.1] * 35)
        self.assertEqual(given_up, [])
        self.a.connect()
        self.assertEqual(self.a.sent(), [[b"ssubscribe", NAME]])
        self.clock.pump([0.1] * 9)
        self.assertEqual(self.a.sent(), [])
        self.a.grant()
        self.successResultOf(entering)

    def test_connected_in_vain(self) -> None:
        """It is not waited for when the channel has another node meanwhile."""
        self.a.wire.lose()
        entering = self.shard.enter(self.one)
        self.clock.advance(0)
        self.nodes.home = B
        self.clock.advance(PATIENCE)
        self.assertFalse(self.a.hub.wishes)
        self.clock.advance(0.5)
        self.b.grant()
        self.successResultOf(entering)

    def test_nowhere(self) -> None:
        """Where no node has it, it is sought again, ever more slowly."""
        self.nodes.home = None
        entering = self.shard.enter(self.one)
        self.clock.pump([0.1] * 50)
        self.assertLess(self.nodes.refreshed, 20)
        self.nodes.home = A
        self.clock.advance(0.5)
        self.a.grant()
        self.successResultOf(entering)

    def test_other_port(self) -> None:
        """A node that does not know its own host means that where it was asked."""
        self.nodes.nodes["a", 3] = self.b
        entering = self.shard.enter(self.one)
        self.clock.advance(0)
        self.a.wire.send(b"-MOVED 3828 :3\r\n")
        self.clock.advance(0.5)
        self.b.grant()
        self.successResultOf(entering)

    def test_unknown_node(self) -> None:
        """Where it is said to be may not be there: then it is sought elsewhere."""
        entering = self.shard.enter(self.one)
        self.clock.advance(0)
        self.a.wire.send(b"-MOVED 1 c:3\r\n")
        self.clock.advance(0.5)
        self.a.grant()
        self.successResultOf(entering)

    def test_refused(self) -> None:
        """A refusal fails who enters; who was there is told, and it is tried again."""
        entering = self.shard.enter(self.one)
        self.clock.advance(0)
        self.a.wire.send(b"-NOPERM no\r\n")
        self.failureResultOf(entering, RedisReplyError)
        self.clock.advance(REFUSED)
        self.a.grant()
        self.take_away()
        self.clock.advance(0.5)
        self.a.wire.send(b"-NOPERM no\r\n")
        self.assertEqual(self.gaps, [Gap(reason="moved", refused=(NAME,))])
        self.clock.advance(REFUSED)
        self.a.grant()
        self.assertTrue(self.shard.placed)

    def test_refused_and_left(self) -> None:
        """Who leaves when it is refused leaves nothing behind."""
        entering = self.shard.enter(self.one)
        entering.addErrback(lambda _: self.shard.leave(self.one))
        self.clock.advance(0)
        self.a.wire.send(b"-NOPERM no\r\n")
        self.successResultOf(entering)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_left_while_sought(self) -> None:
        """Who leaves before it is heard has nothing more to wait for."""
        entering, cancelled = self.shard.enter(self.one), self.shard.enter(self.one)
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.clock.advance(0)
        self.a.sent()
        self.shard.leave(self.one)
        self.successResultOf(entering)
        self.assertEqual(self.a.sent(), [[b"sunsubscribe", NAME], FENCE])

    def test_ended(self) -> None:
        """At the end whoever waits is told so."""
        entering = self.shard.enter(self.one)
        self.shard.end(RedisConnectionError("closed"))
        self.failureResultOf(entering, RedisConnectionError)

    def test_rest(self) -> None:
        """It can be nowhere for a while."""
        self.placed()
        self.shard.lose("stopped")
        self.shard.rest()
        self.a.wire.send(push(b"sunsubscribe", NAME, 0) + FENCED)
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.shard.seek()
        self.clock.advance(0.5)
        self.a.grant()
        self.assertEqual(self.gaps, [Gap(reason="stopped")])
