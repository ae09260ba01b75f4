# -*- test-case-name: tests.redis.test_cluster -*-
"""
Many commands for a cluster: by node, or all to one node as a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisReplyError
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_rounds import Kept, Rounds, Routes
from sockhost.redis.cluster_routing import NOT_EXECUTED
from sockhost.redis.pipeline import Pipeline
from sockhost.redis.resp import Argument
from sockhost.redis.scripts import Script
from sockhost.redis.transaction import Transaction


class ClusterPipeline(Pipeline):
    """
    Commands for a cluster, sent together to each node.  Those for one slot are
    executed in their order, unless the slot is on its way to another node just
    then.  A command that a node has lost, or that could not be sent, has its
    exception in its place, so that the others' replies are not lost with it.
    """

    def __init__(self, client: Routes, decode: str | None = None) -> None:
        super().__init__(self._send_by_node, decode)
        self._client = client
        self._kept = Kept()

    def execute(self, *args: Argument) -> ClusterPipeline:
        """Keep one command, as L{Pipeline.execute} does."""
        super().execute(*args)
        self._kept.words.append(args)
        return self

    def script(
        self,
        script: Script | str | bytes,
        keys: Iterable[Argument] = (),
        args: Iterable[Argument] = (),
    ) -> ClusterPipeline:
        """
        Keep a call of a script.  To each node the first one brings the text
        along, and those behind it the digest only.
        """
        made = Script.of(script)
        named, more = tuple(keys), tuple(args)
        self.execute(*made.words(named, more))
        self._kept.texts[len(self) - 1] = made.words(named, more, text=True)
        return self

    def clear(self) -> None:
        """Forget what is kept."""
        super().clear()
        self._kept = Kept()

    def run(self, timeout: float | None = None) -> Deferred[list[Any]]:
        """
        Send all that is kept, as L{Pipeline.run} does, but for losses.

        @param timeout: seconds for all of it: also what is not executed at
            first is not sent again after that.
        """
        kept, shaped = self._kept, self._shaper()
        kept.pieces = self._data
        self.clear()
        sending = Deferred.fromCoroutine(Rounds(self._client, kept, timeout).run())
        return sending.addCallback(shaped)

    def _send_by_node(
        self, count: int, data: bytes, timeout: float | None
    ) -> Deferred[list[Any]]:
        raise NotImplementedError


class ClusterTransaction(Transaction):
    """
    Commands that are executed together, by one node: all keys are in one slot.
    """

    def __init__(self, client: Routes, decode: str | None = None) -> None:
        super().__init__(self._send_to_slot, decode)
        self._client = client
        self._slot: int | None = None
        self._sent_to: int | None = None

    def execute(self, *args: Argument) -> ClusterTransaction:
        """
        Keep one command, as L{Transaction.execute} does.

        @raise RedisError: its keys are in another slot than those before.
        """
        slot = self._client.only_slot(args)
        if slot is not None and self._slot not in (None, slot):
            raise RedisReplyError("CROSSSLOT a transaction has one slot only")
        super().execute(*args)
        self._slot = self._slot if slot is None else slot
        return self

    def clear(self) -> None:
        """Forget what is kept."""
        super().clear()
        self._slot = None

    def run(self, timeout: float | None = None) -> Deferred[list[Any]]:
        """Execute all that is kept, as L{Transaction.run} does."""
        self._sent_to = self._slot
        return super().run(timeout)

    def _send_to_slot(
        self, count: int, data: bytes, timeout: float | None
    ) -> Deferred[list[Any]]:
        slot = self._sent_to

        async def send(client: RedisClient, asking: bool) -> list[Any]:
            if asking:
                # Half of it may be here: wait until all is.
                raise RedisReplyError("TRYAGAIN the slot is being moved")
            replies = await client.send_many(count, data, timeout)
            # EXEC too: the slot may have left behind what it is about.
            for each in replies[1:]:
                if isinstance(each, RedisReplyError) and each.code in NOT_EXECUTED:
                    raise each
            return replies

        return Deferred.fromCoroutine(self._client.router.send(slot, send))
