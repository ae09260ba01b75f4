# -*- test-case-name: tests.redis.test_cluster_listening -*-
"""
What the client of a cluster has for those who listen: the same as the client of
one server, made of what its nodes tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sockhost.interfaces import RedisConnectionError, RedisError
from sockhost.redis.cluster_cache import ClusterCache
from sockhost.redis.cluster_nodes import Node, Nodes
from sockhost.redis.cluster_pubsub import ClusterPubSub
from sockhost.redis.cluster_routing import Router
from sockhost.redis.connection import RedisConnection
from sockhost.redis.mailbox import Overflow
from sockhost.redis.monitor import Monitor, MonitorListener, monitor
from sockhost.redis.push import PushHandler, PushRouter
from sockhost.redis.resp import Argument


class ClusterListening:
    """
    The part of a cluster's client that is for those who listen.  Whoever
    extends it has what is declared here, and calls L{_begin_to_listen} when it
    is made and L{_end_listening} at the end.

    @ivar attached: nothing is attached to the whole of a cluster.
    @ivar connection: C{None}: there is none that all commands share.
    """

    router: Router
    attached: list[Callable[[RedisConnection], object]]
    connection: RedisConnection | None
    _clock: IReactorTime
    _nodes: Nodes
    _decode: str | None
    _pubsub: ClusterPubSub | None = None
    _cache: ClusterCache | None = None
    _on_push: PushHandler | None = None
    # Why nobody can listen.
    _unheard: BaseException | None = None

    if TYPE_CHECKING:

        def execute(self, *args: Argument) -> Deferred[Any]:
            """Send a command."""

        def dedicated(self) -> Deferred[RedisConnection]:
            """Get a connection to oneself."""

        def when_connected(self) -> Deferred[None]:
            """Wait for a connection."""

    def _begin_to_listen(self) -> None:
        self.attached = []
        self.connection = None
        self._nodes.on_node = self._listen_to

    def _listen_to(self, node: Node) -> None:
        node.client.on_push = self._on_push

    def _end_listening(self, reason: BaseException) -> None:
        self._unheard = reason
        if self._pubsub is not None:
            self._pubsub.end(reason)

    def rest(self) -> None:
        """
        For what owns the connections: leave none that are for listening, and no
        timer, until L{go_on}.
        """
        if self._pubsub is not None:
            self._pubsub.rest()

    def go_on(self) -> None:
        """For what owns the connections: listen again to what is wished."""
        self._unheard = None
        if self._pubsub is not None:
            self._pubsub.go_on()

    @property
    def on_push(self) -> PushHandler | None:
        """
        What is called with each message of any node that answers no command,
        like L{RedisClient.on_push<sockhost.redis.client.RedisClient>}.
        """
        return self._on_push

    @on_push.setter
    def on_push(self, handler: PushHandler | None) -> None:
        self._on_push = handler
        for node in self._nodes.all:
            self._listen_to(node)

    @property
    def pubsub(self) -> ClusterPubSub:
        """Published messages, of sharded channels too."""
        if self._pubsub is None:
            self._pubsub = ClusterPubSub(
                self, self._clock, PushRouter(), nodes=self._nodes
            )
            if self._unheard is not None:
                self._pubsub.end(self._unheard)
        return self._pubsub

    def monitor(
        self,
        listener: MonitorListener | None = None,
        max_buffered: int = 10_000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
    ) -> Deferred[Monitor]:
        """
        Hear of every command that the nodes which have slots now execute, as
        L{RedisClient.monitor<sockhost.redis.client.RedisClient>} does.  It ends
        when one of them is lost.
        """
        kind = Overflow(overflow)
        return Deferred.fromCoroutine(self._monitor(listener, max_buffered, kind))

    async def _monitor(
        self, listener: MonitorListener | None, max_buffered: int, overflow: Overflow
    ) -> Monitor:
        borrows = {
            f"{node.address[0]}:{node.address[1]}": node.client.dedicated
            for node in self._nodes.primaries()
        }
        if not borrows:
            raise RedisConnectionError("no node is known")
        return await monitor(borrows, listener, max_buffered, overflow)

    def cache(
        self,
        max_entries: int = 10_000,
        broadcast: bool = False,
        prefixes: Sequence[bytes | str] = (),
        opt_in: bool = False,
    ) -> ClusterCache:
        """
        Have reads that go through the cache answered from memory, as
        L{RedisClient.cache<sockhost.redis.client.RedisClient>} does.

        @param max_entries: how many answers of each node are kept.
        @raise RedisError: the client has a cache that is not closed.
        @raise ValueError: like there.
        """
        if self._cache is not None and not self._cache.closed:
            raise RedisError("the client has a cache already")
        options = {
            "max_entries": max_entries,
            "broadcast": broadcast,
            "prefixes": tuple(prefixes),
            "opt_in": opt_in,
        }
        self._cache = ClusterCache(self, self._clock, options, lambda: self._decode)
        return self._cache
