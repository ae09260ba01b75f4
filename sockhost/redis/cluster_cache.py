# -*- test-case-name: tests.redis.test_cluster_listening -*-
"""
What was read from the nodes of a cluster.

Theory of operation
===================

Each node has a cache of its own, which its own pushes keep right, and a read is
looked up in that of the node which has the slot now.  A node does not tell of
what happens to a slot after it has given it away.  So the caches are emptied
when the map of the slots is seen to have changed, and the map is asked for
again every few seconds while the cache is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sockhost.redis.cache import Cache, CacheStats
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_map import Range
from sockhost.redis.cluster_routing import Router
from sockhost.redis.decoding import decode_reply
from sockhost.redis.resp import Argument
from sockhost.redis.subscription import gather

# Seconds after which it is asked again where the slots are.
REFRESH = 5.0


class Owner(Protocol):
    """What of the client is used here."""

    @property
    def router(self) -> Router:
        """Knows the nodes."""

    @property
    def execute(self) -> Callable[..., Deferred[Any]]:
        """Sends a command."""


def _undecoded() -> str | None:
    return None


@define(eq=False)
class ClusterCache:
    """
    Answers what it can from memory, and everything else as the client does,
    like L{Cache}.  What is read from several slots at once is not kept.  After
    a slot has moved, what was read of it may be untrue for up to five seconds
    more.

    @ivar closed: whether it was closed.
    """

    _owner: Owner
    _clock: IReactorTime
    _options: Mapping[str, Any]
    _encoding: Callable[[], str | None] = _undecoded
    closed: bool = False
    _caches: dict[RedisClient, Cache] = field(factory=dict)
    _ranges: tuple[Range, ...] = ()
    _asked: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._asked = self._clock.seconds()
        # What is wrong with the options is said at once.
        given = self._options
        Cache.check_options(given["broadcast"], given["prefixes"], given["opt_in"])

    def execute(self, *args: Argument) -> Deferred[Any]:
        """Answer a command from memory, or send it, as L{Cache.execute} does."""
        self._look_at_map()
        table = self._owner.router.nodes.table
        slots = table.slots(args) if args else set()
        reads = bool(slots) and table.reads(args)
        if not reads:
            for cache in self._caches.values():
                cache.forget(*args)
        if self.closed or not reads or len(slots) > 1:
            return self._owner.execute(*args)
        sent = Deferred.fromCoroutine(self._read(next(iter(slots)), args))
        encoding = self._encoding()
        return sent.addCallback(decode_reply, encoding) if encoding else sent

    async def _read(self, slot: int, args: tuple[Argument, ...]) -> Any:
        async def send(client: RedisClient, asking: bool) -> Any:
            if asking:
                # The slot is on its way: nobody would tell of its keys.
                return await self._owner.execute(*args, decode="")
            return await self._cache(client).execute(*args)

        return await self._owner.router.send(slot, send, read=True)

    def _cache(self, client: RedisClient) -> Cache:
        cache = self._caches.get(client)
        if cache is None:
            cache = self._caches[client] = client.cache(**self._options)
        return cache

    def _look_at_map(self) -> None:
        nodes = self._owner.router.nodes
        now = self._clock.seconds()
        if now - self._asked >= REFRESH:
            self._asked = now
            nodes.refresh_soon()
            self._forget_gone()
        if nodes.map.ranges != self._ranges:
            self._ranges = nodes.map.ranges
            self.clear()
            self._forget_gone()

    def _forget_gone(self) -> None:
        # A node that left may have come back, with another client.
        there = {node.client for node in self._owner.router.nodes.all}
        for client in set(self._caches) - there:
            del self._caches[client]

    def clear(self) -> None:
        """Forget everything."""
        for cache in self._caches.values():
            cache.clear()

    @property
    def tracking(self) -> bool:
        """Whether all nodes that were read from tell of changes now."""
        return all(cache.tracking for cache in self._caches.values())

    @property
    def stats(self) -> CacheStats:
        """What it has been good for, of all nodes together."""
        found = [cache.stats for cache in self._caches.values()]
        return CacheStats(
            hits=sum(each.hits for each in found),
            misses=sum(each.misses for each in found),
            invalidations=sum(each.invalidations for each in found),
            evictions=sum(each.evictions for each in found),
            entries=sum(each.entries for each in found),
        )

    def close(self) -> Deferred[None]:
        """
        Forget everything and keep nothing any more: commands go on being sent.

        @return: fires when no node tracks any more, or is not connected.
        """
        self.closed = True
        closing = [cache.close() for cache in self._caches.values()]
        self._caches.clear()
        return Deferred.fromCoroutine(gather(closing)).addCallback(lambda _: None)
