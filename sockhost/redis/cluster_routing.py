# -*- test-case-name: tests.redis.test_cluster -*-
"""
The way of one command, or of several that belong together, through a cluster.

Theory of operation
===================

A node that is asked for a slot which it does not have says who has it, and
executes nothing.  The same holds for a slot that is on its way from one node to
another, and for a node that has lost the others.  So all of that can be sent
again, elsewhere or later, and it is, for as long as a command waits for a
connection.  What may have been executed is never sent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from attrs import define
from twisted.internet.defer import TimeoutError  # noqa: A004
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisQueueFull,
    RedisReplyError,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_map import read_redirection
from sockhost.redis.cluster_nodes import Node, Nodes

T = TypeVar("T")

# Seconds before a cluster that was not ready is asked again.
FIRST = 0.02
MOST = 0.5
# Nothing is executed where a node answers with one of these.
_LATER = frozenset({"TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "LOADING"})
NOT_EXECUTED = _LATER | {"MOVED", "ASK"}


#: Sends something to a node; says C{ASKING} before it where it is told to.
Sending = Callable[[RedisClient, bool], Awaitable[T]]


@define(eq=False)
class Router:
    """
    Sends to the node that has a slot.

    @ivar wait: seconds that it is tried.
    """

    _clock: IReactorTime
    nodes: Nodes
    wait: float = 1.0

    async def send(self, slot: int | None, send: Sending[T], read: bool = False) -> T:
        """
        Send to the node of a slot, and elsewhere or later where that is said.

        @param slot: C{None} for any node.
        @param read: whether a replica will do.
        """
        way = _Way(self, slot, read, self._clock.seconds() + self.wait)
        while True:
            try:
                node = await way.next()
                return await send(node.client, way.asking)
            except RedisReplyError as error:
                if error.code not in NOT_EXECUTED:
                    raise
                await way.turn(error)
            except MaybeExecuted:
                self.nodes.refresh_soon()
                raise
            except RedisQueueFull:
                raise
            except RedisConnectionError as error:
                await way.turn(error)


@define(eq=False)
class _Way:
    """
    @ivar asking: whether the next node must be told that it is asked by the
        word of another.
    """

    _router: Router
    _slot: int | None
    _read: bool
    _until: float
    asking: bool = False
    _told: Node | None = None
    _last: Node | None = None
    _delay: float = FIRST

    async def next(self) -> Node:
        """Say where to send."""
        nodes = self._router.nodes
        told, self._told = self._told, None
        self._last = told or nodes.for_slot(self._slot, self._read)
        return self._last

    async def turn(self, error: RedisError) -> None:
        """
        Find out where to send next.

        @raise RedisError: it has taken too long: the error.
        """
        nodes, clock = self._router.nodes, self._router._clock
        if clock.seconds() >= self._until or nodes.closed:
            raise error
        self.asking = False
        if isinstance(error, RedisReplyError) and error.code in ("MOVED", "ASK"):
            self._follow(error)
            return
        # A replica that does not answer is no reason to fail.
        self._read = False
        await self._pause()
        if not nodes.opened:
            return
        if not isinstance(error, RedisReplyError) or error.code == "CLUSTERDOWN":
            await self._refresh(error)

    def _follow(self, error: RedisReplyError) -> None:
        nodes = self._router.nodes
        last = ("", 0) if self._last is None else self._last.address
        slot, address = read_redirection(str(error), last)
        self._told = nodes.at(address)
        self.asking = error.code == "ASK"
        if error.code == "MOVED":
            nodes.map.move(slot, address)
            nodes.refresh_soon()

    async def _pause(self) -> None:
        delay, self._delay = self._delay, min(self._delay * 2, MOST)
        await deferLater(self._router._clock, delay)

    async def _refresh(self, error: RedisError) -> None:
        clock: Any = self._router._clock
        left = max(self._until - clock.seconds(), 0.01)
        try:
            await self._router.nodes.refresh().addTimeout(left, clock)
        except (TimeoutError, RedisError):
            if clock.seconds() >= self._until:
                raise error from None
