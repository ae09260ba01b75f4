# -*- test-case-name: tests.redis.test_cluster_routing -*-
"""
The way of one command, or of several that belong together, through a cluster.

Theory of operation
===================

A node that is asked for a slot which it does not have says who has it, and
executes nothing.  The same holds for a slot that is on its way from one node to
another, and for a node that has lost the others.  So all of that can be sent
again, elsewhere or later, and it is.  What may have been executed is never sent
again.

Whoever is told where to go goes there, however long the answer took: only many
times one after the other are for as long as a command waits for a connection,
as is what there is to wait for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004
from twisted.internet.interfaces import IReactorTime

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisQueueFull,
    RedisReplyError,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_nodes import Nodes
from sockhost.redis.lifetime import Lifetime
from sockhost.redis.url import Address

T = TypeVar("T")

# Seconds before a cluster that was not ready is asked again.
FIRST = 0.02
MOST = 0.5
# How often the word of a node is followed, whatever the time; and how often
# without a pause, as two nodes may send us to each other.
FOLLOWED = 16
AT_ONCE = 5
# Nothing is executed where a node answers with one of these.
REDIRECTIONS = frozenset({"MOVED", "ASK"})
_LATER = frozenset({"TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "LOADING"})
NOT_EXECUTED = _LATER | REDIRECTIONS


#: Sends something to a node; says C{ASKING} before it where it is told to.
Sending = Callable[[RedisClient, bool], Awaitable[T]]


@define(eq=False)
class Router:
    """
    Sends to the node that has a slot.

    @ivar wait: seconds that what cannot be executed now is tried again.
    @ivar max_waiting: how many commands may wait for that.
    """

    clock: IReactorTime
    nodes: Nodes
    wait: float = 1.0
    max_waiting: int = 100_000
    waiting: int = 0
    _lifetime: Lifetime = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lifetime = Lifetime(self.clock)

    def begin(self) -> None:
        """Let commands wait, after L{end}."""
        self._lifetime.begin()

    def end(self) -> None:
        """Fail all that waits, and what would wait then."""
        self._lifetime.end()

    def pause(self, seconds: float) -> Deferred[None]:
        """
        Wait for a time.

        @return: fails with L{RedisConnectionError} at the L{end}.
        """
        return self._lifetime.pause(seconds)

    async def send(self, slot: int | None, send: Sending[T], read: bool = False) -> T:
        """
        Send to the node of a slot, and elsewhere or later where that is said.

        @param slot: C{None} for any node.
        @param read: whether a replica will do.
        """
        way = _Way(self, slot, read, Patience(self))
        while True:
            try:
                client = way.next()
                return await send(client, way.asking)
            except MaybeExecuted:
                self.nodes.refresh_soon()
                raise
            except RedisQueueFull:
                raise
            except RedisConnectionError as error:
                await way.turn(error)
            except RedisReplyError as error:
                if error.code not in NOT_EXECUTED:
                    raise
                await way.turn(error)


@define(eq=False)
class Patience:
    """
    Says how long something that was not executed is tried again.

    @ivar limit: when that ends in any case; C{None} for no such time.
    """

    _router: Router
    limit: float | None = None
    _until: float | None = None
    _followed: int = 0
    _delay: float = FIRST

    async def follow(self, error: RedisError) -> None:
        """
        Go where a node has said.

        @raise RedisError: it was too often: the error.
        """
        self._followed += 1
        if self._followed > FOLLOWED:
            self._check(error, self._router.clock.seconds())
        elif self.limit is not None and self._router.clock.seconds() >= self.limit:
            raise error
        if self._followed > AT_ONCE:
            await self._pause()

    async def wait(self, error: RedisError, since: float, count: int = 1) -> None:
        """
        Let some time pass, and see how the cluster is then.

        @param since: when the attempt began that has failed; it has waited for a
            connection since then, if not for a reply.
        @param count: how many commands wait for that.
        @raise RedisError: it has taken too long: the error.
        """
        router = self._router
        answered = isinstance(error, RedisReplyError)
        self._check(error, router.clock.seconds() if answered else since)
        if router.waiting + count > router.max_waiting:
            raise RedisQueueFull(f"{router.waiting} commands wait already")
        router.waiting += count
        try:
            await self._pause()
            if router.nodes.opened and _is_lost(error):
                await self._refresh(error)
        finally:
            router.waiting -= count

    def _check(self, error: RedisError, since: float) -> None:
        if self._until is None:
            # Not before: what a node has executed first, or has thought about
            # for long, is not what is waited for.
            limits = (since + self._router.wait, self.limit)
            self._until = min(each for each in limits if each is not None)
        if self._router.clock.seconds() >= self._until or self._router.nodes.closed:
            raise error

    async def _pause(self) -> None:
        delay, self._delay = self._delay, min(self._delay * 2, MOST)
        if self.limit is not None:
            delay = max(min(delay, self.limit - self._router.clock.seconds()), 0.0)
        await self._router.pause(delay)

    async def _refresh(self, error: RedisError) -> None:
        clock: Any = self._router.clock
        until = clock.seconds() if self._until is None else self._until
        left = max(until - clock.seconds(), 0.01)
        try:
            await self._router.nodes.refresh().addTimeout(left, clock)
        except (TimeoutError, RedisError):
            if clock.seconds() >= until:
                raise error from None


def _is_lost(error: RedisError) -> bool:
    return not isinstance(error, RedisReplyError) or error.code == "CLUSTERDOWN"


@define(eq=False)
class _Way:
    """
    @ivar asking: whether the next node must be told that it is asked by the
        word of another.
    """

    _router: Router
    _slot: int | None
    _read: bool
    _patience: Patience
    asking: bool = False
    _told: Address | None = None
    _last: Address = ("", 0)
    _since: float = 0.0

    def next(self) -> RedisClient:
        """Say where to send."""
        nodes = self._router.nodes
        self._since = self._router.clock.seconds()
        told, self._told = self._told, None
        node = nodes.at(told) if told else nodes.for_slot(self._slot, self._read)
        self._last = node.address
        return node.client

    async def turn(self, error: RedisError) -> None:
        """
        Find out where to send next.

        @raise RedisError: it has been tried for too long: the error.
        """
        self.asking = False
        if isinstance(error, RedisReplyError) and error.code in REDIRECTIONS:
            self._told = self._router.nodes.redirected(error, self._last)
            self.asking = error.code == "ASK"
            await self._patience.follow(error)
            return
        # A replica that does not answer is no reason to fail.
        self._read = False
        await self._patience.wait(error, self._since)
