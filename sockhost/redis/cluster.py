# -*- test-case-name: tests.redis.test_cluster -*-
"""
The client of a cluster: one object for all of its nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from sockhost.interfaces import IRedis, RedisConnectionError, RedisReplyError
from sockhost.redis.client import RedisClient
from sockhost.redis.cluster_batches import ClusterPipeline, ClusterTransaction
from sockhost.redis.cluster_keys import Arguments, name_of, slot_of
from sockhost.redis.cluster_listening import ClusterListening
from sockhost.redis.cluster_nodes import Nodes
from sockhost.redis.cluster_routing import Router
from sockhost.redis.cluster_spread import (
    Division,
    Join,
    gather_parts,
    is_divided,
    join_of,
)
from sockhost.redis.cluster_watch import ClusterWatch
from sockhost.redis.commands.base import Key
from sockhost.redis.connection import RedisConnection
from sockhost.redis.decoding import decode_reply
from sockhost.redis.names import Place, place_of
from sockhost.redis.resp import Argument, encode_command
from sockhost.redis.scan import Scan
from sockhost.redis.working import WorkingClient

_ASKING = encode_command(("ASKING",))


async def _nothing(_client: RedisClient, _asking: bool) -> None:
    """There is a node: that is all."""


@implementer(IRedis)
class ClusterClient(ClusterListening, WorkingClient):
    """
    A client of a cluster.  Each command goes to the node that has the slot of
    its keys, and follows the slot when that moves.  C{MGET}, C{DEL}, C{UNLINK},
    C{EXISTS} and C{TOUCH} may have keys in several slots; they are executed for
    one slot after the other then.  C{DBSIZE}, C{KEYS}, C{FLUSHALL}, C{FLUSHDB}
    and what loads or removes scripts and functions go to all primaries; commands
    without keys to any node.

    A transaction, or a watch, is about one slot: give the keys a part in braces
    that is the same.

    @ivar router: knows the nodes.
    """

    def __init__(
        self,
        clock: IReactorTime,
        nodes: Nodes,
        wait: float,
        decode: str | None = None,
        max_queued: int = 100_000,
    ) -> None:
        self._clock = clock
        self._nodes = nodes
        self._decode = decode
        self.router = Router(clock, nodes, wait, max_queued)
        self.on_close: Callable[[float], Deferred[None]] | None = None
        self._ready: list[Deferred[None]] = []
        self._lenders: WeakKeyDictionary[RedisConnection, RedisClient] = (
            WeakKeyDictionary()
        )
        nodes.on_connected = self._node_connected
        self._begin_to_listen()

    def configure(self, wait: float, decode: str | None, max_queued: int) -> None:
        """Change what holds for the commands that come from now on."""
        self.router.wait = wait
        self.router.max_waiting = max_queued
        self._decode = decode

    @property
    def connected(self) -> bool:
        """C{True} while there is a usable connection to some node."""
        return bool(self._nodes.connected)

    def node(self, key: Argument) -> RedisClient:
        """
        The client of the node that has a key now: for what is about one node,
        such as C{INFO} or C{CONFIG}.  Its replies are bytes, but where a call
        says otherwise.

        @raise RedisConnectionError: no node is known to have it.
        """
        return self._nodes.for_slot(slot_of(key)).client

    def primaries(self) -> list[RedisClient]:
        """The clients of all nodes that have slots, as L{node} says."""
        return [each.client for each in self._nodes.primaries()]

    def execute(
        self,
        *args: Argument,
        timeout: float | None = None,
        decode: str | None = None,
        retry: int = 0,
    ) -> Deferred[Any]:
        """
        Send one command, like L{RedisClient.execute}.  It goes where the nodes
        say, and waits for a cluster that is not whole like for a connection.

        @param decode: the encoding of the reply, instead of that of the client;
            empty for bytes.
        """
        encoding = self._decode if decode is None else decode
        options = {"timeout": timeout, "retry": retry}
        sent = Deferred.fromCoroutine(self._execute(args, options))
        return sent.addCallback(decode_reply, encoding) if encoding else sent

    def only_slot(self, args: Arguments) -> int | None:
        """
        The slot of a command's keys.

        @return: C{None} if it has no key.
        @raise RedisReplyError: they are in several.
        """
        slots = self._nodes.table.slots(args)
        if len(slots) > 1:
            raise RedisReplyError(
                f"CROSSSLOT the keys of {name_of(args)} are in different slots"
            )
        return next(iter(slots), None)

    def pipeline(self) -> ClusterPipeline:
        """Begin to collect commands that are sent together to each node."""
        return ClusterPipeline(self, self._decode)

    def transaction(self) -> ClusterTransaction:
        """Begin to collect commands for one slot that are executed together."""
        return ClusterTransaction(self, self._decode)

    def watch(self, *keys: Key) -> ClusterWatch:
        """
        Watch keys of one slot, as L{WorkingClient.watch} does.

        @raise RedisReplyError: they are in several.
        """
        slot = self.only_slot(("WATCH", *keys))
        return ClusterWatch(self, self.router, slot, keys, self._decode)

    def dedicated(self) -> Deferred[RedisConnection]:
        """Borrow a connection to some node, as L{RedisClient.dedicated} says."""
        return Deferred.fromCoroutine(self._lend(None))

    def release(self, connection: RedisConnection) -> None:
        """End the loan."""
        client = self._lenders.pop(connection, None)
        if client is not None:
            client.release(connection)

    def scan_keys(
        self,
        match: Key | None = None,
        count: int | None = None,
        type: str | None = None,  # noqa: A002
    ) -> Scan[bytes]:
        """Go through the keys of all nodes, as L{WorkingClient.scan_keys} does."""
        clients = [each.having(decode=self._decode or "") for each in self.primaries()]

        async def fetch(cursor: int) -> tuple[int, list[bytes]]:
            # The cursor has the number of the node in its last digits.
            there, place = divmod(cursor, len(clients))
            there, page = await clients[place].scan(
                there, match=match, count=count, type=type
            )
            if there == 0:
                place = (place + 1) % len(clients)
            return there * len(clients) + place, page

        return Scan(lambda cursor: Deferred.fromCoroutine(fetch(cursor)))

    def when_connected(self) -> Deferred[None]:
        """
        See L{IRedis.when_connected<sockhost.interfaces.IRedis.when_connected>}.
        """
        if self._nodes.closed:
            return fail(RedisConnectionError("the client is closed"))
        waiting: Deferred[None] = Deferred(self._ready.remove)
        self._ready.append(waiting)
        self._node_connected()
        return waiting

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """
        See L{IRedis.close<sockhost.interfaces.IRedis.close>}, and for a host
        L{RedisClient.close}.
        """
        closed = self.refuse()
        self.lifetime.end()
        self._end_listening(closed)
        if self.on_close is not None:
            return self.on_close(timeout)
        return Deferred.fromCoroutine(self._nodes.close(timeout))

    def refuse(self) -> RedisConnectionError:
        """
        For what owns the connections: let nothing more be sent, nor wait.

        @return: what all that waited has failed with.
        """
        closed = RedisConnectionError("the client is closed")
        self._nodes.refuse()
        self.router.end()
        self.tell_ready(closed)
        return closed

    def abort(self) -> Deferred[None]:
        """Close without waiting for anything."""
        for node in self._nodes.all:
            node.client.abort()
        return self.close(0.0)

    def tell_ready(self, error: Exception | None) -> None:
        """Tell those who wait that there is a connection, or will be none."""
        ready, self._ready = self._ready, []
        for each in ready:
            if each.called:
                continue
            if error is None:
                each.callback(None)
            else:
                each.errback(error)

    def _node_connected(self) -> None:
        if self._nodes.map.ranges and self.connected:
            self.tell_ready(None)

    # -- ways ---------------------------------------------------------------

    async def _execute(self, args: Arguments, options: dict[str, Any]) -> Any:
        data = encode_command(args)
        join = join_of(args)
        if join is not None:
            return await self._everywhere(args, options, join)
        table = self._nodes.table
        if is_divided(args):
            division = Division(args)
            if len(division.parts) > 1:
                return await self._divided(division, options)
        slot = self.only_slot(args)

        async def send(client: RedisClient, asking: bool) -> Any:
            if not asking:
                return await client.execute(*args, decode="", **options)
            if place_of(args) is Place.ALONE:
                raise RedisReplyError("TRYAGAIN the slot is being moved")
            timeout = options["timeout"]
            reply = (await client.send_many(2, _ASKING + data, timeout))[1]
            if isinstance(reply, RedisReplyError):
                raise reply
            return reply

        return await self.router.send(slot, send, table.reads(args))

    async def _everywhere(
        self, args: Arguments, options: dict[str, Any], join: Join
    ) -> Any:
        if not self._nodes.map.ranges:
            await self.router.send(None, _nothing)
        clients = self.primaries()
        sent = [each.execute(*args, decode="", **options) for each in clients]
        return join(await gather_parts(sent, self._nodes.table.reads(args)))

    async def _divided(self, division: Division, options: dict[str, Any]) -> Any:
        sent = [
            Deferred.fromCoroutine(self._execute(part, options))
            for part in division.parts
        ]
        reads = self._nodes.table.reads(division.parts[0])
        return division.join(await gather_parts(sent, reads))

    async def _lend(self, slot: int | None) -> RedisConnection:
        async def send(client: RedisClient, _asking: bool) -> RedisConnection:
            connection = await client.dedicated()
            self._lenders[connection] = client
            return connection

        return await self.router.send(slot, send)
