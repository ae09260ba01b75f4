"""
A cluster in memory, for what is above the connections to its nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock, deferLater

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisReplyError
from sockhost.redis._plain import PlainReader
from sockhost.redis.cluster import ClusterClient
from sockhost.redis.cluster_keys import SLOTS, KeyTable, slot_of
from sockhost.redis.cluster_map import SlotMap
from sockhost.redis.cluster_nodes import Nodes
from sockhost.redis.resp import Argument, encode_command
from sockhost.redis.scripts import Script
from sockhost.redis.settings import RedisConfig
from sockhost.redis.url import Address, parse_url

A, B = ("a", 1), ("b", 2)
# Keys at A and at B, at the start.
AT_A, AT_B = "b", "a"
COMMANDS = [
    [b"get", 2, {b"readonly"}, 1, 1, 1],
    [b"set", -3, {b"write"}, 1, 1, 1],
    [b"mget", -2, {b"readonly"}, 1, -1, 1],
    [b"incr", 2, {b"write"}, 1, 1, 1],
    [b"echo", 2, set(), 0, 0, 0],
    [b"blpop", -3, {b"write"}, 1, -2, 1],
]
Words = list[bytes]


@define(eq=False)
class FakeClusterNode:
    """
    One node.  Provides what is used of a node, and of its client.

    @ivar up: whether it can be reached.
    @ivar says: what it answers to everything, instead of executing it.
    @ivar heard: all commands, in order.
    @ivar scripts: the digests that it knows.
    @ivar losing: whether its replies are lost.
    @ivar lent: how many connections are.
    """

    address: Address
    cluster: FakeCluster
    up: bool = True
    says: str | None = None
    heard: list[Words] = field(factory=list)
    scripts: set[bytes] = field(factory=set)
    batches: list[int] = field(factory=list)
    losing: bool = False
    lent: int = 0

    # -- as a node and its client -------------------------------------------

    @property
    def client(self) -> Any:
        """It is its own client."""
        return self

    @property
    def connected(self) -> Any:
        """True for the client; for the node, something to wait for."""
        return _Connected(self.up)

    def execute(self, *args: Argument, **_: object) -> Deferred[Any]:
        """Execute one command."""
        return self.send_many(1, encode_command(args)).addCallback(_only)

    def send_many(
        self, count: int, data: bytes, _timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """Execute commands."""
        commands = PlainReader().feed(data)
        if len(commands) != count:
            raise AssertionError(f"{count} are announced, {len(commands)} are sent")
        if not self.up:
            return self.cluster.later(
                lambda: fail(RedisConnectionError("no connection"))
            )
        self.batches.append(count)
        replies = self._answer_all(commands)
        if self.losing:
            return fail(MaybeExecuted("lost"))
        return self.cluster.later(lambda: succeed(replies))

    def dedicated(self) -> Deferred[FakeClusterNode]:
        """Lend a connection: all are alike."""
        if not self.up:
            return fail(RedisConnectionError("no connection"))
        self.lent += 1
        return succeed(self)

    def release(self, _connection: object) -> None:
        """Take it back."""
        self.lent -= 1

    def abort(self) -> None:
        """Nothing is left of it anyway."""

    def cache(self, **_: object) -> FakeCache:
        """What was read from it."""
        return FakeCache(self)

    def close(self, _grace: float) -> Deferred[None]:
        """It goes."""
        return succeed(None)

    # -- as a server --------------------------------------------------------

    def _answer_all(self, commands: Sequence[Words]) -> list[Any]:
        replies: list[Any] = []
        asked = False
        queued: list[Words] | None = None
        aborted = False
        for words in commands:
            self.heard.append(words)
            name = words[0]
            if name == b"ASKING":
                asked = True
                replies.append(b"OK")
                continue
            if name == b"MULTI":
                queued = []
                replies.append(b"OK")
                continue
            if name == b"EXEC":
                assert queued is not None
                replies.append(
                    RedisReplyError("EXECABORT")
                    if aborted
                    else [self._execute(each) for each in queued]
                )
                queued, aborted = None, False
                continue
            refused = self._refused(words, asked)
            asked = False
            if refused is not None:
                aborted = True
                replies.append(RedisReplyError(refused))
            elif queued is not None:
                queued.append(words)
                replies.append(b"QUEUED")
            else:
                replies.append(self._execute(words))
        return replies

    def _refused(self, words: Words, asked: bool) -> str | None:
        if words[0] == b"CLUSTER":
            return None
        if self.says is not None:
            return self.says
        slots = {slot_of(key) for key in self.cluster.table.keys(words)}
        for slot in slots:
            home = self.cluster.home(slot)
            target = self.cluster.leaving.get(slot)
            if self.address == home and target is not None:
                known = self.cluster.table.keys(words)
                there = [key in self.cluster.values for key in known]
                if not all(there):
                    return "TRYAGAIN" if any(there) else _told("ASK", slot, target)
            elif self.address != home and not (
                self._is_replica(words) or (asked and self.address == target)
            ):
                return _told("MOVED", slot, home)
        return None

    def _is_replica(self, words: Words) -> bool:
        return self.cluster.replicas and self.cluster.table.reads(words)

    def _execute(self, words: Words) -> Any:
        values = self.cluster.values
        match words:
            case [b"CLUSTER", b"SLOTS"]:
                return self.cluster.slots()
            case [b"GET", key]:
                return values.get(key)
            case [b"SET", key, value]:
                values[key] = value
                return b"OK"
            case [b"INCR", key]:
                values[key] = b"%d" % (int(values.get(key, b"0")) + 1)
                return int(values[key])
            case [b"MGET", *keys]:
                return [values.get(key) for key in keys]
            case [b"EVAL", text, *_]:
                self.scripts.add(Script.of(text).digest.encode())
                return text
            case [b"EVALSHA", digest, *_]:
                known = digest in self.scripts
                return digest if known else RedisReplyError("NOSCRIPT no such")
            case [b"ECHO", text]:
                return text
        return b"OK"


@define(eq=False)
class FakeCache:
    """What was read from one node: nothing is kept."""

    _node: FakeClusterNode

    @property
    def tracking(self) -> bool:
        """Whether the node tells of changes."""
        return self._node.up

    def execute(self, *args: Argument) -> Deferred[Any]:
        """Read."""
        return self._node.execute(*args)

    def forget(self, *_: Argument) -> None:
        """There is nothing to be forgotten."""

    def clear(self) -> None:
        """There is nothing to be forgotten."""


class _Connected:
    """Whether there is a connection, and the wait for it."""

    def __init__(self, up: bool) -> None:
        self._up = up

    def __bool__(self) -> bool:
        return self._up

    async def __call__(self) -> None:
        if not self._up:
            raise RedisConnectionError("no connection")


@define(eq=False)
class FakeCluster:
    """
    Two nodes, each with half of the slots, whose values they share.

    @ivar moved: where slots are that are not where they were.
    @ivar leaving: the slots that are on their way: where to.
    @ivar latency: seconds before anything is answered.
    """

    clock: Clock = field(factory=Clock)
    moved: dict[int, Address] = field(factory=dict)
    leaving: dict[int, Address] = field(factory=dict)
    values: dict[bytes, bytes] = field(factory=dict)
    latency: float = 0.0
    table: KeyTable = field(factory=lambda: KeyTable.read(COMMANDS))
    replicas: bool = False
    nodes: dict[Address, FakeClusterNode] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.nodes = {each: FakeClusterNode(each, self) for each in (A, B)}

    def client(self, wait: float = 1.0, query: str = "", **options: Any) -> Any:
        """Make a client that knows it."""
        url = "redis+cluster://a:1,b:2" + query
        config = RedisConfig(url=url, wait=wait)
        nodes: Any = Nodes(self.clock, config, parse_url(url), "test")
        nodes.open()
        nodes._nodes.update(self.nodes)
        nodes.map = SlotMap.read(self.slots(), A)
        nodes.table = self.table
        return ClusterClient(self.clock, nodes, wait, **options)

    def home(self, slot: int) -> Address:
        """Where a slot is."""
        return self.moved.get(slot, A if slot < SLOTS // 2 else B)

    def move(self, key: str, target: Address = B) -> None:
        """Have a slot elsewhere."""
        self.leaving.pop(slot_of(key), None)
        self.moved[slot_of(key)] = target

    def slots(self) -> list[Any]:
        """What C{CLUSTER SLOTS} answers."""
        half = SLOTS // 2
        cuts = sorted({0, half, *self.moved, *(each + 1 for each in self.moved)})
        ends = [*cuts[1:], SLOTS]
        return [
            [first, end - 1, _said(self.home(first)), *self._replicas(first)]
            for first, end in zip(cuts, ends, strict=True)
        ]

    def _replicas(self, slot: int) -> list[Any]:
        other = B if self.home(slot) == A else A
        return [_said(other)] if self.replicas else []

    def later(self, answer: Any) -> Deferred[Any]:
        """Answer after the latency."""
        if not self.latency:
            made: Deferred[Any] = answer()
            return made
        return deferLater(self.clock, self.latency, answer)


def _said(address: Address) -> list[Any]:
    return [address[0].encode(), address[1], b"id"]


def _told(word: str, slot: int, address: Address) -> str:
    return f"{word} {slot} {address[0]}:{address[1]}"


def _only(replies: list[Any]) -> Any:
    if isinstance(replies[0], RedisReplyError):
        raise replies[0]
    return replies[0]
