# -*- test-case-name: tests.redis.test_cluster_watch -*-
"""
Keys of one slot of a cluster, watched at the node that has it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisReplyError,
    TransactionConflict,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_routing import REDIRECTIONS, Router
from sockhost.redis.connection import RedisConnection
from sockhost.redis.resp import Argument
from sockhost.redis.transaction import Lends, Watch


class ClusterWatch(Watch):
    """
    A L{Watch} at the node of a slot, which is found like that for a command.  A
    slot that leaves the node while it is watched takes the watched keys along:
    that is a conflict, as if they had been changed.
    """

    def __init__(
        self,
        lender: Lends,
        router: Router,
        slot: int | None,
        keys: tuple[Argument, ...],
        decode: str | None = None,
    ) -> None:
        """
        @param slot: of the keys, or C{None} if it is not known.
        """
        super().__init__(lender, keys, decode)
        self._router = router
        self._slot = slot

    async def __aenter__(self) -> ClusterWatch:
        self._connection = await self._router.send(self._slot, self._begin)
        self._begun = 1
        return self

    async def _begin(self, client: RedisClient, asking: bool) -> RedisConnection:
        if asking:
            # All that comes behind it would have to ask, too.
            raise RedisReplyError("TRYAGAIN the slot is being moved")
        connection = await client.dedicated()
        try:
            await connection.execute("WATCH", *self._keys)
        except BaseException as error:
            if not isinstance(error, RedisReplyError):
                connection.abort()
            client.release(connection)
            if isinstance(error, MaybeExecuted):
                # Who is gone watches nothing.
                raise RedisConnectionError(str(error)) from error
            raise
        self._lender = client
        return connection

    def execute(self, *args: Argument) -> Deferred[Any]:
        """
        Execute a command at once, as L{Watch.execute} does.  Fails with
        L{TransactionConflict} if the slot has left.
        """
        return super().execute(*args).addErrback(self._look_at)

    def _look_at(self, failure: Failure) -> Failure:
        self._check(failure.value)
        return failure

    def _executed(self, replies: list[Any], begun: int) -> list[Any]:
        for each in replies[1:]:
            self._check(each)
        return super()._executed(replies, begun)

    def _check(self, reply: object) -> None:
        if isinstance(reply, RedisReplyError) and self._has_left(reply):
            raise TransactionConflict("the slot of the watched keys has moved")

    def _has_left(self, reply: RedisReplyError) -> bool:
        if reply.code not in REDIRECTIONS:
            return False
        # Of another slot nothing was watched: that is for the caller.
        return self._slot is None or str(reply).split()[1:2] == [str(self._slot)]
