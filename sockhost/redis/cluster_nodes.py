# -*- test-case-name: tests.redis.test_cluster -*-
"""
The nodes of a cluster that are connected, and what they say of each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    GoalChanged,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
)
from sockhost.keeper import Keeper
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_keys import KeyTable
from sockhost.redis.cluster_map import Range, SlotMap, read_redirection
from sockhost.redis.racing import first_of
from sockhost.redis.settings import RedisConfig
from sockhost.redis.subscription import gather
from sockhost.redis.unit import RedisUnit
from sockhost.redis.url import Address, RedisURL

# A node that is down may be out of the cluster soon.
POLICY = RestartPolicy(backoff_max=1.0, healthy_after=1.0, budget=0, start_timeout=0.0)
# Seconds that a command waits for a node before it looks where else to go.
NODE_WAIT = 0.3


@define(eq=False)
class Node:
    """
    One node, connected while it is in the cluster.
    """

    address: Address
    unit: RedisUnit
    _keeper: Keeper
    _trying: list[Deferred[None]]

    @classmethod
    def made(
        cls,
        reactor: Any,
        config: RedisConfig,
        url: RedisURL,
        address: Address,
        on_connected: Callable[[], object],
    ) -> Node:
        """
        Begin to connect to one.

        @param on_connected: is called whenever there is a connection.
        """
        unit = RedisUnit("sockhost", config, reactor, url.at(address))
        trying: list[Deferred[None]] = []

        def changed(_keeper: Keeper) -> None:
            if unit.client().connected or unit.last_error is not None:
                _tell(trying)
            if unit.client().connected:
                on_connected()

        keeper = Keeper("redis", unit, POLICY, reactor, changed)
        keeper.start().addErrback(Failure.trap, GoalChanged)
        return cls(address, unit, keeper, trying)

    async def connected(self) -> None:
        """
        Wait for the connection that is there, or is being made.

        @raise Exception: what the last attempt failed with.
        """
        if not self.client.connected and self.unit.last_error is None:
            trying: Deferred[None] = Deferred()
            self._trying.append(trying)
            await trying
        if not self.client.connected:
            left = RedisConnectionError(f"{self.unit.status()['url']}: not connected")
            raise self.unit.last_error or left

    @property
    def client(self) -> RedisClient:
        """What commands are given to."""
        return self.unit.client()

    def close(self, grace: float) -> Deferred[None]:
        """
        End the connection, when what was sent is answered.

        @return: fires when nothing is left.
        """
        self.unit.grace = grace
        _tell(self._trying)
        # The client too: while it is not connected, the keeper has nothing to stop.
        closing = gather([self._keeper.stop(), self.client.close(grace)])
        return Deferred.fromCoroutine(closing).addCallback(_ignore)


def _tell(waiting: list[Deferred[None]]) -> None:
    told, waiting[:] = waiting[:], []
    for each in told:
        if not each.called:
            each.callback(None)


def _ignore(*_: object) -> None:
    """Nobody wants to know."""


@define(eq=False)
class Nodes:
    """
    All nodes that are known.

    @ivar map: where the slots are.
    @ivar table: what the nodes say of their commands.
    @ivar opened: C{True} while nodes are connected to.
    @ivar closed: C{True} once that has ended, and may not begin again.
    @ivar on_node: is called with each node that becomes known.
    @ivar on_connected: is called when a node is connected.
    """

    _reactor: Any
    _config: RedisConfig
    _url: RedisURL
    _name: str
    map: SlotMap = field(factory=SlotMap)
    table: KeyTable = field(factory=KeyTable)
    _nodes: dict[Address, Node] = field(factory=dict)
    _refreshing: list[Deferred[None]] | None = None
    _work: Deferred[None] | None = None
    _leaving: dict[Node, Deferred[None]] = field(factory=dict)
    _parting: list[Deferred[None]] = field(factory=list)
    opened: bool = False
    closed: bool = False
    on_node: Callable[[Node], object] = _ignore
    on_connected: Callable[[], object] = _ignore

    _log = Logger()

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def connected(self) -> list[Node]:
        """Those that are connected."""
        return [each for each in self._nodes.values() if each.client.connected]

    @property
    def all(self) -> list[Node]:
        """Those that are known."""
        return list(self._nodes.values())

    def at(self, address: Address) -> Node:
        """
        The node at an address.

        @raise RedisConnectionError: the client is closed.
        """
        if not self.opened:
            raise self._not_open()
        node = self._nodes.get(address)
        if node is None:
            config = evolve(
                self._config,
                wait=min(self._config.wait, NODE_WAIT),
                client_name=self._name,
                decode=None,
            )
            node = Node.made(
                self._reactor,
                config,
                self._url,
                address,
                # It may be told to somebody else by then.
                lambda: self.on_connected(),
            )
            self._nodes[address] = node
            self.on_node(node)
        return node

    def _not_open(self) -> RedisConnectionError:
        text = "the client is closed" if self.closed else "not connected"
        return RedisConnectionError(text)

    def for_slot(self, slot: int | None, read: bool = False) -> Node:
        """
        The node for a slot.

        @param slot: C{None} for any node.
        @param read: whether a replica will do, if that is wanted.
        @raise RedisConnectionError: nobody has it.
        """
        if slot is None:
            some = self.map.primaries
            if not some:
                raise RedisConnectionError(f"{self._url}: no node is known")
            ready = [each for each in self.connected if each.address in some]
            node = random.choice(ready) if ready else None
            return self.at(random.choice(some) if node is None else node.address)
        found = self.map.find(slot)
        if found is None:
            raise RedisConnectionError(f"{self._url}: no node has the slot {slot}")
        return self.at(self._choose(found, read))

    @property
    def reads_replicas(self) -> bool:
        """Whether replicas are wanted for what only reads."""
        return self._url.read == "replica"

    def redirected(self, error: RedisReplyError, asked: Address) -> Address:
        """
        Take note of what a node says of a slot that it does not have.

        @param asked: where that was said.
        @return: where to go.
        @raise RedisReplyError: it says nothing of the kind: the error.
        """
        try:
            slot, address = read_redirection(str(error), asked)
        except ValueError:
            raise error from None
        if error.code == "MOVED":
            self.map.move(slot, address)
            self.refresh_soon()
        return address

    def primaries(self) -> list[Node]:
        """Every node that has slots."""
        return [self.at(each) for each in self.map.primaries]

    def _choose(self, found: Range, read: bool) -> Address:
        if read and self.reads_replicas and found.replicas:
            return random.choice(found.replicas)
        return found.primary

    # -- what they say ------------------------------------------------------

    def refresh(self) -> Deferred[None]:
        """
        Ask where the slots are; several who want to know at the same time ask
        once.

        @return: fails with L{RedisError} if no node says so.  Cancelling detaches
            the caller.
        """
        waiting: Deferred[None] = Deferred()
        if self._refreshing is None:
            self._refreshing = []
            self._work = Deferred.fromCoroutine(self._refresh())
            self._refreshing.append(waiting)
            self._work.addBoth(self._refreshed)
        else:
            self._refreshing.append(waiting)
        return waiting

    def refresh_soon(self) -> None:
        """Ask where the slots are, for those who come later."""
        self.refresh().addErrback(self._complain)

    def _complain(self, failure: Failure) -> None:
        failure.trap(RedisError)
        if self.opened:
            self._log.warn("no node says where the slots are: {why}", why=failure.value)

    def _refreshed(self, result: Any) -> None:
        waiting, self._refreshing = self._refreshing or [], None
        self._work = None
        if isinstance(result, Failure) and result.check(CancelledError):
            # By the end of all connections, not by who waits.
            result = Failure(self._not_open())
        for each in waiting:
            if each.called:
                continue
            if isinstance(result, Failure):
                each.errback(result)
            else:
                each.callback(None)

    async def _refresh(self) -> None:
        places = dict.fromkeys([*self._nodes, *self._url.addresses])
        asked = self.connected or [self.at(each) for each in places]
        asking = [Deferred.fromCoroutine(self._ask(each)) for each in asked]
        found = await first_of(asking)
        if not self.opened:
            return
        self.map = found
        for address in found.addresses:
            self.at(address)
        for address in set(self._nodes) - found.addresses:
            self._part(self._nodes.pop(address), self._config.grace)

    async def _ask(self, node: Node) -> SlotMap:
        await node.connected()
        limit = self._config.connect_timeout
        reply = await node.client.execute("CLUSTER", "SLOTS", timeout=limit)
        found = SlotMap.read(reply, node.address)
        if not found.ranges:
            raise RedisConnectionError(f"{node.address}: no slots are assigned")
        return found

    async def learn(self) -> None:
        """Ask where the slots are, and what the commands are."""
        await self.refresh()
        node = self.for_slot(None)
        # How long that may take is for who asks.
        reply = await node.client.execute("COMMAND", timeout=0)
        self.table = KeyTable.read(reply)

    # -- the end ------------------------------------------------------------

    def _part(self, node: Node, grace: float) -> None:
        closing = node.close(grace)
        if not closing.called:
            self._leaving[node] = closing
            closing.addBoth(self._parted, node)

    def _parted(self, _: object, node: Node) -> None:
        self._leaving.pop(node, None)
        _tell(self._parting)

    async def _wait_parted(self) -> None:
        given_up = False
        while self._leaving:
            parted: Deferred[None] = Deferred()
            self._parting.append(parted)
            try:
                await parted
            except CancelledError:
                given_up = True
                self.cut()
        if given_up:
            raise CancelledError

    def cut(self) -> None:
        """Give those that are being closed no more time."""
        for node in list(self._leaving):
            node.client.cut()

    def configure(self, config: RedisConfig, url: RedisURL, name: str) -> None:
        """Change what holds for the nodes that are connected to from now on."""
        if url.addresses != self._url.addresses:
            # It may be another cluster.
            self.map = SlotMap()
        self._config, self._url, self._name = config, url, name

    def open(self) -> None:
        """Let nodes be connected to."""
        self.opened, self.closed = True, False

    def refuse(self, closed: bool = True) -> None:
        """
        Let nothing more be sent.

        @param closed: C{False} if it may begin again, and commands wait.
        """
        self.opened, self.closed = False, closed

    async def close(self, grace: float, closed: bool = True) -> None:
        """
        End all connections; nothing is left then, also when this is cancelled,
        which gives them no more time.

        @param closed: as L{refuse} has it.
        """
        self.refuse(closed)
        if self._work is not None:
            self._work.cancel()
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            self._part(node, grace)
        await self._wait_parted()
