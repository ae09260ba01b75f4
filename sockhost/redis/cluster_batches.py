# -*- test-case-name: tests.redis.test_cluster -*-
"""
Many commands for a cluster: by node, or all to one node as a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisConnectionError, RedisError, RedisReplyError
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_routing import NOT_EXECUTED, Router
from sockhost.redis.pipeline import Pipeline
from sockhost.redis.resp import Argument
from sockhost.redis.subscription import gather
from sockhost.redis.transaction import Transaction

Words = tuple[Argument, ...]


class Routes(Protocol):
    """What of the client is used here."""

    router: Router

    def only_slot(self, args: Words) -> int | None:
        """The one slot of a command's keys, or C{None} if it has no key."""

    def execute(
        self, *args: Argument, timeout: float | None = None, decode: str | None = None
    ) -> Deferred[Any]:
        """Send one command."""


class ClusterPipeline(Pipeline):
    """
    Commands for a cluster, sent together to each node.  The commands for one
    slot are executed in their order.  A command that a node has lost, or that
    could not be sent, has its exception in its place, so that the others'
    replies are not lost with it.
    """

    def __init__(self, client: Routes, decode: str | None = None) -> None:
        super().__init__(self._send_by_node, decode)
        self._client = client
        self._words: list[Words] = []

    def execute(self, *args: Argument) -> ClusterPipeline:
        """Keep one command, as L{Pipeline.execute} does."""
        super().execute(*args)
        self._words.append(args)
        return self

    def run(self, timeout: float | None = None) -> Deferred[list[Any]]:
        """Send all that is kept, as L{Pipeline.run} does, but for losses."""
        words, pieces, shaped = self._words, self._data, self._shaper()
        self.clear()
        self._words = []
        sending = Deferred.fromCoroutine(self._run(words, pieces, timeout))
        return sending.addCallback(shaped)

    def _send_by_node(
        self, count: int, data: bytes, timeout: float | None
    ) -> Deferred[list[Any]]:
        raise NotImplementedError

    async def _run(
        self, words: list[Words], pieces: list[bytes], timeout: float | None
    ) -> list[Any]:
        replies: list[Any] = [None] * len(words)
        groups: dict[RedisClient | None, list[int]] = {}
        for place, args in enumerate(words):
            groups.setdefault(self._node(args), []).append(place)

        async def run(client: RedisClient | None, places: list[int]) -> None:
            if client is not None:
                data = b"".join(pieces[place] for place in places)
                got = await _sent(client, len(places), data, timeout)
                for place, reply in zip(places, got, strict=True):
                    replies[place] = reply
                places = [place for place in places if _is_open(replies[place])]
            for place in places:
                replies[place] = await self._one(words[place], timeout)

        await gather([Deferred.fromCoroutine(run(*each)) for each in groups.items()])
        return replies

    def _node(self, args: Words) -> RedisClient | None:
        try:
            slot = self._client.only_slot(args)
            if slot is not None:
                return self._client.router.nodes.for_slot(slot).client
        except RedisError:
            # The command's own way says what is wrong with it.
            pass
        return None

    async def _one(self, args: Words, timeout: float | None) -> Any:
        try:
            return await self._client.execute(*args, timeout=timeout, decode="")
        except RedisError as error:
            return error


async def _sent(
    client: RedisClient, count: int, data: bytes, timeout: float | None
) -> Sequence[Any]:
    try:
        return await client.send_many(count, data, timeout)
    except RedisConnectionError as error:
        return [error] * count


def _is_open(reply: Any) -> bool:
    """Whether a command is known not to have been executed."""
    if isinstance(reply, RedisReplyError):
        return reply.code in NOT_EXECUTED
    return type(reply) is RedisConnectionError


class ClusterTransaction(Transaction):
    """
    Commands that are executed together, by one node: all keys are in one slot.
    """

    def __init__(self, client: Routes, decode: str | None = None) -> None:
        super().__init__(self._send_to_slot, decode)
        self._client = client
        self._slots: set[int] = set()

    def execute(self, *args: Argument) -> ClusterTransaction:
        """
        Keep one command, as L{Transaction.execute} does.

        @raise RedisError: its keys are in another slot than those before.
        """
        slot = self._client.only_slot(args)
        if slot is not None:
            if self._slots - {slot}:
                raise RedisReplyError("CROSSSLOT a transaction has one slot only")
            self._slots.add(slot)
        super().execute(*args)
        return self

    def run(self, timeout: float | None = None) -> Deferred[list[Any]]:
        """Execute all that is kept, as L{Transaction.run} does."""
        running = super().run(timeout)
        self._slots = set()
        return running

    def _send_to_slot(
        self, count: int, data: bytes, timeout: float | None
    ) -> Deferred[list[Any]]:
        slot = next(iter(self._slots), None)

        async def send(client: RedisClient, asking: bool) -> list[Any]:
            if asking:
                # Half of it may be here: wait until all is.
                raise RedisReplyError("TRYAGAIN the slot is being moved")
            replies = await client.send_many(count, data, timeout)
            for each in replies[1:-1]:
                if isinstance(each, RedisReplyError) and each.code in NOT_EXECUTED:
                    raise each
            return replies

        return Deferred.fromCoroutine(self._client.router.send(slot, send))
