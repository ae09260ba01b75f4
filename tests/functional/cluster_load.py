"""
Many who write to a cluster at the same time, and look at every reply.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from sockhost.interfaces import MaybeExecuted, RedisError, RedisReplyError
from sockhost.redis.resp import encode_command
from sockhost.redis.subscription import gather

REACTOR: Any = reactor


@define(eq=False)
class Writer:
    """
    Counts with a key of its own.

    @ivar acknowledged: how often it was told that it has counted.
    @ivar maybe: how often it was told that it may have.
    @ivar refused: how often it was told that it has not.
    @ivar last: what it was told last.
    @ivar kept: the most that it was told of when a replica had it, too.
    @ivar wrong: what it was told and cannot be true.
    @ivar may_lose: whether what no replica has may be lost.
    """

    client: Any
    key: str
    acknowledged: int = 0
    maybe: int = 0
    refused: int = 0
    last: int = 0
    kept: int = 0
    wrong: list[str] = field(factory=list)
    going: bool = True
    may_lose: bool = False
    _missed: int = 0

    async def count(self) -> None:
        """Count, alone and in pipelines, where nothing that was written is lost."""
        while self.going:
            await self._took(self.client.execute("INCR", self.key))
            pipeline = self.client.pipeline().incr(self.key).get(self.key)
            counted, read = await pipeline.run()
            self._look_at(counted)
            both = isinstance(counted, int) and isinstance(read, bytes)
            if both and read != b"%d" % counted:
                self.wrong.append(f"{self.key}: {counted} is {read!r}")

    async def count_and_wait(self) -> None:
        """Count, and see that a replica has it, on the same connection."""
        pieces = (("INCR", self.key), ("WAIT", 1, 100))
        data = b"".join(encode_command(each) for each in pieces)
        self.may_lose = True
        while self.going:
            try:
                node = self.client.node(self.key)
                counted, replicas = await node.send_many(2, data)
            except RedisError as error:
                counted, replicas = error, 0
            self._look_at(counted)
            if isinstance(counted, int):
                if counted <= self.kept:
                    self.wrong.append(f"{self.key}: {counted} after {self.kept}")
                if isinstance(replicas, int) and replicas:
                    self.kept = counted
            else:
                await self._find()

    async def _find(self) -> None:
        try:
            # Who follows what the nodes say knows better then.
            await self.client.execute("EXISTS", self.key)
        except RedisError:
            await deferLater(REACTOR, 0.05)

    async def _took(self, counting: Deferred[Any]) -> None:
        try:
            counted: Any = await counting
        except RedisError as error:
            counted = error
        self._look_at(counted)

    def _look_at(self, counted: Any) -> None:
        if isinstance(counted, int):
            if not self.may_lose and not 0 < counted - self.last <= 1 + self._missed:
                self.wrong.append(f"{self.key}: {counted} after {self.last}")
            self.acknowledged += 1
            self.last, self._missed = counted, 0
        elif isinstance(counted, MaybeExecuted):
            self.maybe += 1
            self._missed += 1
        elif isinstance(counted, RedisError | RedisReplyError):
            self.refused += 1
        else:
            self.wrong.append(f"{self.key}: {counted!r}")


@define(eq=False)
class Load:
    """
    Many writers, of several clients.
    """

    writers: list[Writer]
    _work: Deferred[Any]

    @classmethod
    def begun(cls, clients: list[Any], keys: list[str], kept: bool = False) -> Load:
        """
        Begin.

        @param kept: for each to see that a replica has what it has written.
        """
        writers = [
            Writer(clients[number % len(clients)], key)
            for number, key in enumerate(keys)
        ]
        work = gather(
            [
                Deferred.fromCoroutine(each.count_and_wait() if kept else each.count())
                for each in writers
            ]
        )
        return cls(writers, Deferred.fromCoroutine(work))

    @property
    def wrong(self) -> list[str]:
        """All that cannot be true."""
        return [text for each in self.writers for text in each.wrong]

    async def more(self, count: int = 10) -> None:
        """Wait until each has counted some more."""
        before = [each.acknowledged for each in self.writers]
        while any(
            each.acknowledged - old < count
            for each, old in zip(self.writers, before, strict=True)
        ):
            if self._work.called:
                # It has failed.
                await self._work
            await deferLater(REACTOR, 0.01)

    async def end(self) -> None:
        """End when all that is outstanding is answered."""
        for each in self.writers:
            each.going = False
        await self._work
