"""
What a soak of the Redis client runs against, and the misfortunes of it: a
primary and its replica behind a bad line, or a cluster.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.task import deferLater

from benchmarks.redis_proxy import RedisProxy
from benchmarks.redis_server import Server
from sockhost.redis import RedisClient, connect

LOGGED = ("--appendonly", "yes", "--appendfsync", "no")
OPTIONS = (*LOGGED, "--repl-diskless-sync-delay", "0", "--repl-timeout", "5")
CLUSTER = (*OPTIONS, "--cluster-enabled", "yes", "--cluster-node-timeout", "500")

SLOTS = 16384

PATIENCE = 20.0
"""Seconds in which servers must agree with each other."""


class Topology(Protocol):
    """
    Some servers.

    @ivar counts: how often each misfortune has come about.
    @ivar epoch: grows when a server begins and ceases to be in trouble, so that
        it is odd meanwhile.  What is not known to be at a replica may be undone
        between one and the next.
    """

    counts: Counter[str]
    epoch: int

    async def start(self) -> None:
        """Start them."""

    async def connect(self, **options: Any) -> Any:
        """Connect a client to all of them."""

    def holder(self, client: Any, key: str) -> RedisClient:
        """The client of the server that has a key, or is believed to."""

    def holds_something(self, client: Any) -> bool:
        """Whether a client that is closed holds anything."""

    def cut(self) -> None:
        """Break connections."""

    async def kill(self) -> None:
        """Kill a server, which comes back with all that it has acknowledged."""

    async def fail_over(self) -> None:
        """Have a replica become the primary, which may be killed before."""

    async def stop(self) -> None:
        """End everything."""


@define
class Pair:
    """
    A primary and its replica.  The client knows the line only, which is led to
    the other server when that becomes the primary.
    """

    reactor: Any
    directory: Path
    chance: random.Random
    counts: Counter[str] = field(factory=Counter)
    epoch: int = 0
    _primary: Server = field(init=False)
    _replica: Server = field(init=False)
    _proxy: RedisProxy = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._primary, self._replica = self._server("a"), self._server("b")

    def _server(self, name: str) -> Server:
        (self.directory / name).mkdir()
        return Server(self.directory / name, options=OPTIONS)

    @property
    def line(self) -> str:
        """The path of the line."""
        return str(self.directory / "line.sock")

    async def start(self) -> None:
        """See L{Topology.start}."""
        self._primary.start()
        self._replica.start()
        self._follow(self._replica, self._primary)
        self._proxy = RedisProxy(self.reactor, self.line, self._primary.path)
        self._proxy.delay = self._delay

    def _delay(self) -> float:
        chance = self.chance.random
        return chance() ** 4 * 0.05 if chance() < 0.2 else 0.0

    async def connect(self, **options: Any) -> Any:
        """See L{Topology.connect}."""
        return await connect(f"unix://{self.line}", self.reactor, **options)

    def holder(self, client: Any, _key: str) -> RedisClient:
        """See L{Topology.holder}."""
        single: RedisClient = client
        return single

    def holds_something(self, client: Any) -> bool:
        """See L{Topology.holds_something}."""
        return bool(client.lent or client.queued or client.outstanding)

    def cut(self) -> None:
        """See L{Topology.cut}."""
        self._proxy.cut_all()
        self.counts["cuts"] = self._proxy.cuts

    async def kill(self) -> None:
        """See L{Topology.kill}."""
        # A server that has just been filled is writing its log anew.
        if not await self._until(lambda: is_logged(self._primary)):
            return
        self.epoch += 1
        self.counts["kills"] += 1
        self._primary.stop()
        await self._pause(0.3)
        self._primary.start()
        self.epoch += 1

    async def fail_over(self) -> None:
        """See L{Topology.fail_over}."""
        if not await self._until(lambda: is_linked(self._replica)):
            return
        self.epoch += 1
        self.counts["failovers"] += 1
        old, new = self._primary, self._replica
        killed = self.chance.random() < 0.5
        if killed:
            old.stop()
            await self._pause(0.2)
        new.ask(b"REPLICAOF NO ONE\r\n")
        self._proxy.server = new.path
        # Meanwhile the old one may take writes that nobody will ever see.
        await self._pause(0.2)
        self.cut()
        if killed:
            old.start()
        self._follow(old, new)
        self._primary, self._replica = new, old
        self.epoch += 1

    def _follow(self, replica: Server, primary: Server) -> None:
        replica.ask(b"REPLICAOF 127.0.0.1 %d\r\n" % primary.port)

    async def _until(self, true: Callable[[], bool]) -> bool:
        return await until(self.reactor, lambda: self.epoch % 2 == 0 and true())

    async def _pause(self, most: float) -> None:
        await deferLater(self.reactor, self.chance.random() * most)

    async def stop(self) -> None:
        """See L{Topology.stop}."""
        await self._proxy.stop()
        for each in (self._primary, self._replica):
            each.stop()


async def until(reactor: Any, true: Callable[[], bool]) -> bool:
    """Wait for something, and say whether it has come about."""
    deadline = reactor.seconds() + PATIENCE
    while reactor.seconds() < deadline:
        if true():
            return True
        await deferLater(reactor, 0.05)
    return False


def is_logged(server: Server) -> bool:
    """Whether all that a server has is in its log."""
    said = server.ask(b"INFO persistence\r\n")
    wanted = (b"loading:0", b"aof_rewrite_in_progress:0", b"aof_rewrite_scheduled:0")
    return all(each in said for each in (*wanted, b"aof_enabled:1"))


def is_linked(server: Server) -> bool:
    """Whether it is a replica that has all that its primary has told."""
    return b"master_link_status:up" in server.ask(b"INFO replication\r\n")


def is_primary(server: Server) -> bool:
    """Whether it is a primary."""
    return b"role:master" in server.ask(b"INFO replication\r\n")
