"""
A cluster that a soak of the Redis client runs against, and its misfortunes.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.task import deferLater

from benchmarks.redis_server import Server, free_port
from benchmarks.redis_topologies import (
    CLUSTER,
    SLOTS,
    is_linked,
    is_logged,
    is_primary,
    until,
)
from sockhost.redis import RedisClient, connect


@define
class Cluster:
    """
    Primaries with a replica each, in pairs whose places change.  Provides
    L{Topology<benchmarks.redis_topologies.Topology>}.
    """

    reactor: Any
    directory: Path
    chance: random.Random
    size: int = 3
    counts: Counter[str] = field(factory=Counter)
    epoch: int = 0
    _pairs: list[tuple[Server, Server]] = field(factory=list)

    @property
    def _servers(self) -> list[Server]:
        return [each for pair in self._pairs for each in pair]

    async def start(self) -> None:
        """Start it, and wait until it is whole."""
        for number in range(self.size):
            self._pairs.append((self._made(f"{number}a"), self._made(f"{number}b")))
        for number, (primary, _) in enumerate(self._pairs):
            first, after = (n * SLOTS // self.size for n in (number, number + 1))
            primary.ask(b"CLUSTER ADDSLOTSRANGE %d %d\r\n" % (first, after - 1))
        first_of_all, *others = self._servers
        for each in others:
            bus = int(each.options[-1])
            meet = b"CLUSTER MEET 127.0.0.1 %d %d\r\n" % (each.port, bus)
            first_of_all.ask(meet)
        for primary, replica in self._pairs:
            name = primary.ask(b"CLUSTER MYID\r\n").split()[1]
            follow = b"CLUSTER REPLICATE %s\r\n" % name
            await until(self.reactor, lambda r=replica, f=follow: b"OK" in r.ask(f))  # type: ignore[misc]
        if not await until(self.reactor, self._is_whole):
            raise AssertionError("the cluster does not come up")

    def _made(self, name: str) -> Server:
        (self.directory / name).mkdir()
        options = (*CLUSTER, "--cluster-port", str(free_port()))
        server = Server(self.directory / name, options=options)
        server.start()
        return server

    def _is_whole(self) -> bool:
        ok = [b"cluster_state:ok" in _info(each) for each in self._servers]
        linked = [is_linked(a) or is_linked(b) for a, b in self._pairs]
        return all(ok) and all(linked)

    async def connect(self, **options: Any) -> Any:
        """Connect a client that is told of two nodes."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in self._servers[:3:2])
        url = f"redis+cluster://{places}"
        return await connect(url, self.reactor, **options)

    def holder(self, client: Any, key: str) -> RedisClient:
        """The client of the node that is believed to have a key."""
        node: RedisClient = client.node(key)
        return node

    def holds_something(self, client: Any) -> bool:
        """Whether a client that is closed holds anything."""
        return bool(client.router.nodes.all)

    def cut(self) -> None:
        """Have a node end all connections of clients."""
        if self.epoch % 2 == 0:
            node = self.chance.choice(self._servers)
            said = node.ask(b"CLIENT KILL TYPE normal\r\n")
            self.counts["cuts"] += int(said.split()[0].lstrip(b":-ER") or 0)

    async def kill(self) -> None:
        """Kill a primary, which may lose its place before it is back."""
        pair = await self._settled()
        if pair is None:
            return
        self.epoch += 1
        self.counts["kills"] += 1
        primary, _ = pair
        primary.stop()
        await deferLater(self.reactor, self.chance.random() * 0.8)
        primary.start()
        await self._recover()

    async def fail_over(self) -> None:
        """Have a replica take its primary's place, which is dead or gives it."""
        pair = await self._settled()
        if pair is None:
            return
        self.epoch += 1
        self.counts["failovers"] += 1
        primary, replica = pair
        killed = self.chance.random() < 0.5
        if killed:
            primary.stop()
        else:
            replica.ask(b"CLUSTER FAILOVER\r\n")
        await until(self.reactor, lambda: is_primary(replica))
        if killed:
            primary.start()
        await self._recover()

    async def _settled(self) -> tuple[Server, Server] | None:
        """Choose a primary that can be spared, and its replica."""
        await until(self.reactor, lambda: self.epoch % 2 == 0 and self._is_whole())
        if self.epoch % 2 or not self._is_whole():
            return None
        a, b = self.chance.choice(self._pairs)
        primary, replica = (a, b) if is_primary(a) else (b, a)
        if is_logged(primary) and is_linked(replica):
            return primary, replica
        return None

    async def _recover(self) -> None:
        await until(self.reactor, self._is_whole)
        self.epoch += 1

    async def stop(self) -> None:
        """End everything."""
        for each in self._servers:
            each.stop()


def _info(server: Server) -> bytes:
    return server.ask(b"CLUSTER INFO\r\n")
