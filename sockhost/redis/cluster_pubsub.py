# -*- test-case-name: tests.redis.test_cluster_shards -*-
"""
The published messages of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakSet

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from sockhost.interfaces import RedisError
from sockhost.redis.cluster_nodes import Node, Nodes
from sockhost.redis.cluster_shards import Shard
from sockhost.redis.hub import SubscriptionHub
from sockhost.redis.mailbox import Overflow
from sockhost.redis.pubsub import OwnConnection, PubSub
from sockhost.redis.push import PushRouter
from sockhost.redis.subscription import Gap, Listener, Mode, Subscription, gather


@define(eq=False)
class ShardedHub:
    """
    Provides what a subscription needs, for a cluster: channels and patterns on
    one connection to any node, sharded channels at their nodes.

    @ivar _plain: for the channels and patterns.
    """

    _plain: SubscriptionHub
    _nodes: Nodes
    _clock: IReactorTime
    _shards: dict[bytes, Shard] = field(factory=dict)
    _hubs: dict[Node, tuple[SubscriptionHub, OwnConnection]] = field(factory=dict)
    _paused: bool = False

    def enter(self, subscription: Subscription) -> None:
        """See L{SubscriptionHub.enter}."""
        self._plain.enter(subscription)

    def subscribe(
        self, subscription: Subscription, mode: Mode, names: Sequence[bytes]
    ) -> Deferred[None]:
        """See L{SubscriptionHub.subscribe}."""
        if mode is not Mode.SHARD:
            return self._plain.subscribe(subscription, mode, names)
        return Deferred.fromCoroutine(self._subscribe(subscription, names))

    async def _subscribe(
        self, subscription: Subscription, names: Sequence[bytes]
    ) -> None:
        had = set(self.names(subscription, Mode.SHARD))
        try:
            await gather([self._shard(name).enter(subscription) for name in names])
        except BaseException:
            fresh = [name for name in names if name not in had]
            self.unsubscribe(subscription, Mode.SHARD, fresh).addErrback(
                Failure.trap, RedisError
            )
            raise

    def unsubscribe(
        self, subscription: Subscription, mode: Mode, names: Sequence[bytes]
    ) -> Deferred[None]:
        """See L{SubscriptionHub.unsubscribe}."""
        if mode is not Mode.SHARD:
            return self._plain.unsubscribe(subscription, mode, names)
        leaving = []
        for name in names:
            shard = self._shards.get(name)
            if shard is not None:
                leaving.append(shard.leave(subscription))
                if not shard.listeners:
                    del self._shards[name]
        return Deferred.fromCoroutine(gather(leaving)).addCallback(lambda _: None)

    def names(self, subscription: Subscription, mode: Mode) -> list[bytes]:
        """See L{SubscriptionHub.names}."""
        if mode is not Mode.SHARD:
            return self._plain.names(subscription, mode)
        return [
            name
            for name, shard in self._shards.items()
            if subscription in shard.listeners
        ]

    def pause(self) -> None:
        """Read no messages for now."""
        self._paused = True
        for hub in [self._plain, *(hub for hub, _ in self._hubs.values())]:
            hub.pause()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        for hub in [self._plain, *(hub for hub, _ in self._hubs.values())]:
            hub.resume()

    def end(self, reason: BaseException) -> None:
        """End what listens to sharded channels."""
        shards, self._shards = self._shards, {}
        for shard in shards.values():
            shard.end(reason)
        hubs, self._hubs = self._hubs, {}
        for _, own in hubs.values():
            own.stop()

    def rest(self) -> None:
        """Leave no connection and no timer, until L{go_on}; wishes stay."""
        for shard in self._shards.values():
            shard.lose("the client has been stopped")
            shard.rest().addErrback(Failure.trap, RedisError)
        for _, own in list(self._hubs.values()):
            own.stop()

    def go_on(self) -> None:
        """Listen again to what is wished."""
        for shard in list(self._shards.values()):
            shard.seek()

    def _shard(self, name: bytes) -> Shard:
        shard = self._shards.get(name)
        if shard is None:
            shard = Shard(name, self._nodes, self._clock, self._hub_of)
            self._shards[name] = shard
        return shard

    def _hub_of(self, node: Node) -> SubscriptionHub:
        if node not in self._hubs:
            router = PushRouter()
            hub = SubscriptionHub(router)
            own = OwnConnection(node.client, self._clock, hub, router)
            hub.on_wish, hub.on_moved = own.want, self._moved
            hub.on_idle = partial(self._idle, node)
            self._hubs[node] = hub, own
            if self._paused:
                hub.pause()
        return self._hubs[node][0]

    def _idle(self, node: Node) -> None:
        _, own = self._hubs.pop(node, (None, None))
        if own is not None:
            own.stop()

    def _moved(self, name: bytes) -> bool:
        shard = self._shards.get(name)
        if shard is not None:
            shard.lose("the slot of the channel has moved")
        return True


@define(eq=False)
class ClusterPubSub(PubSub):
    """
    The published messages of a cluster: those of channels and patterns on a
    connection to any node, and to another when that is lost; those of a sharded
    channel at a node of its slot, which is followed when it moves.
    """

    _nodes: Nodes = field(kw_only=True)
    _sharded: ShardedHub = field(init=False)
    _pausing: WeakSet[ShardedHub] = field(factory=WeakSet)

    def __attrs_post_init__(self) -> None:
        PubSub.__attrs_post_init__(self)
        self._sharded = ShardedHub(self._hub, self._nodes, self._clock)
        self.keep_apart()

    def subscription(
        self,
        listener: Listener | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        max_buffered: int = 1000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
    ) -> Subscription:
        """See L{PubSub.subscription}."""
        kind = Overflow(overflow)
        hub = self._sharded
        if kind is Overflow.PAUSE:
            hub = ShardedHub(self._private_hub(), self._nodes, self._clock)
            self._pausing.add(hub)
        return Subscription(hub, listener, on_gap, max_buffered, kind)

    def end(self, reason: BaseException) -> None:
        """See L{PubSub.end}."""
        # First: nobody subscribes again when he hears of the others.
        PubSub.end(self, reason)
        for hub in [self._sharded, *self._pausing]:
            hub.end(reason)

    def rest(self) -> None:
        """Leave no connection and no timer, until L{go_on}; wishes stay."""
        for hub in [self._sharded, *self._pausing]:
            hub.rest()
        for own in [self._own, *self._private.values()]:
            own.stop()

    def go_on(self) -> None:
        """Listen again to what is wished."""
        self.reopen()
        for own in [self._own, *self._private.values()]:
            own.want()
        for hub in [self._sharded, *self._pausing]:
            hub.go_on()
