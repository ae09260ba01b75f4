"""
The client of a cluster, whose callers give up at any moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.redis import connect
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.subscription import gather
from tests.functional.delays import listen_slowly
from tests.functional.servers import ClusterServers

REACTOR: Any = reactor
DELAY = 0.01
# From before a command is sent until after a reply that was led to another node.
MOMENTS = [DELAY / 3 * step for step in range(14)]
KEYS = [f"k{number}" for number in range(20)]


class CancelTests(TestCase):
    """After a command was given up all others get replies of their own (CWE-404)."""

    timeout = 120

    async def setUp(self) -> None:  # type: ignore[override]
        self.servers = ClusterServers.started(self, front=self.front)
        self.client = await connect(self.servers.url(), REACTOR, wait=5.0)
        self.addCleanup(self.client.abort)
        for key in KEYS:
            await self.client.set(key, key)

    def front(self, port: int) -> int:
        """Have a node talked to by a line that takes its time."""
        return listen_slowly(self, REACTOR, port, DELAY)

    async def all_right(self) -> None:
        """Each key has its value, and each way of asking says so."""
        wanted = [key.encode() for key in KEYS]
        pipeline = self.client.pipeline()
        for key in KEYS:
            pipeline.get(key)
        asked: list[Deferred[Any]] = [
            gathered(*(self.client.get(key) for key in KEYS)),
            pipeline.run(),
            self.client.execute("MGET", *KEYS),
        ]
        for replies in await gather(asked):
            self.assertEqual(replies, wanted)

    async def give_up(self, ask: Callable[[], Deferred[Any]], moment: float) -> None:
        """Ask for something, and give up after a time, unless it is answered."""
        ended: list[Any] = []
        asked = ask().addBoth(ended.append)
        await deferLater(REACTOR, moment)
        asked.cancel()
        await asked
        if isinstance(ended[0], Failure):
            ended[0].trap(CancelledError)

    def several(self) -> Deferred[Any]:
        """A pipeline for all nodes."""
        pipeline = self.client.pipeline()
        for key in KEYS:
            pipeline.execute("ECHO", "not yours").strlen(key)
        running: Deferred[Any] = pipeline.run()
        return running

    def watched(self) -> Deferred[Any]:
        """A watch with a transaction."""

        async def body(watch: Any, transaction: Any) -> None:
            transaction.set("k0", await watch.get("k0")).strlen("k0")

        transacting: Deferred[Any] = self.client.transact(body, "k0")
        return transacting

    async def test_every_moment(self) -> None:
        """Commands, pipelines and transactions are given up at any moment."""
        client = self.client
        ways: list[Callable[[], Deferred[Any]]] = [
            lambda: client.execute("ECHO", "not yours"),
            lambda: client.execute("STRLEN", "k1"),
            lambda: client.execute("EXISTS", *KEYS),
            lambda: client.transaction().strlen("k2").strlen("k2").run(),
            lambda: client.execute("BLPOP", "none", 1),
            self.several,
            self.watched,
        ]
        for moment in MOMENTS:
            await gather(
                [Deferred.fromCoroutine(self.give_up(ask, moment)) for ask in ways]
            )
            await self.all_right()
        # Once more, as what was given up last may be answered behind that.
        await deferLater(REACTOR, 5 * DELAY)
        await self.all_right()

    async def test_moved(self) -> None:
        """They are given up on their way to another node."""
        for moment in MOMENTS:
            self.move("k3")
            ways = [lambda: self.client.execute("STRLEN", "k3"), self.several]
            await gather(
                [Deferred.fromCoroutine(self.give_up(ask, moment)) for ask in ways]
            )
            await self.all_right()

    def move(self, key: str) -> None:
        """Move a slot to another node than that which has it."""
        slot = slot_of(key)
        at = {
            b"MOVED" not in node.call("GET", key): node
            for node in self.servers.primaries
        }
        self.servers.begin_move(slot, at[True], at[False])
        self.servers.end_move(slot, at[True], at[False])

    async def test_hangs(self) -> None:
        """They are given up while their node hangs, and answered too late."""
        for _ in range(5):
            for each in self.servers.primaries:
                each.suspend()
            ways = [lambda: self.client.execute("STRLEN", "k1"), self.several]
            for ask in ways:
                await self.give_up(ask, DELAY)
            waiting = gathered(*(self.client.get(key) for key in KEYS))
            for each in self.servers.primaries:
                each.resume()
            self.assertEqual(await waiting, [key.encode() for key in KEYS])
            await self.all_right()


def gathered(*asked: Deferred[Any]) -> Deferred[list[Any]]:
    """Wait for all."""
    return Deferred.fromCoroutine(gather(asked))
