# -*- test-case-name: tests.redis.test_cluster_rounds -*-
"""
The commands of one pipeline on their ways through a cluster.

Theory of operation
===================

The commands are divided by node, and each node is sent its share in one piece.
What of a share was not executed there, as the node says so or could not be
reached, is divided again and sent in the next round, in order, until nothing is
left or the patience of the share is at its end.  So a node that is lost or a
slot that has moved costs a round or a wait, however many commands are for it,
and holds up nothing that is for other nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisQueueFull,
    RedisReplyError,
)
from sockhost.redis.cluster_nodes import Node
from sockhost.redis.cluster_routing import (
    NOT_EXECUTED,
    REDIRECTIONS,
    Patience,
    Router,
)
from sockhost.redis.cluster_spread import is_for_all
from sockhost.redis.resp import Argument, encode_command
from sockhost.redis.subscription import gather
from sockhost.redis.url import Address

ASKING = encode_command(("ASKING",))
Words = tuple[Argument, ...]
# The node, and whether it is asked by the word of another.
_Place = tuple[Node, bool]
_Shares = dict[_Place, list[int]]


class Routes(Protocol):
    """What of the client is used here."""

    router: Router

    def only_slot(self, args: Words) -> int | None:
        """The one slot of a command's keys, or C{None} if it has no key."""

    def execute(
        self, *args: Argument, timeout: float | None = None, decode: str | None = None
    ) -> Deferred[Any]:
        """Send one command."""


@define
class Kept:
    """
    What a pipeline has kept.

    @ivar words: the commands.
    @ivar pieces: the same, encoded.
    @ivar texts: by its number, a call of a script by its text, where the
        command is one by the digest.
    """

    words: list[Words] = field(factory=list)
    pieces: list[bytes] = field(factory=list)
    texts: dict[int, Words] = field(factory=dict)


@define(eq=False)
class Rounds:
    """
    Executes what a pipeline has kept.
    """

    _client: Routes
    _kept: Kept
    _timeout: float | None
    _replies: list[Any] = field(init=False)
    _slots: dict[int, int | None] = field(factory=dict)
    # The slots that are only read, where replicas may be.
    _read: set[int | None] = field(factory=set)
    # What was sent by its text.
    _told: set[int] = field(factory=set)
    _until: float | None = None

    async def run(self) -> list[Any]:
        """
        Execute all.

        @return: the replies; what has failed has its error in its place.
        """
        count = len(self._kept.words)
        self._replies = [None] * count
        if self._timeout:
            self._until = self._router.clock.seconds() + self._timeout
        alone = [number for number in range(count) if not self._find(number)]
        self._look_for_reads()
        shares, lost = self._divide(list(self._slots), {})
        works = [self._work({place: some}, []) for place, some in shares.items()]
        if lost:
            works.append(self._work({}, lost))
        works += [self._send_alone(number) for number in alone]
        await gather([Deferred.fromCoroutine(each) for each in works])
        return self._replies

    @property
    def _router(self) -> Router:
        return self._client.router

    def _find(self, number: int) -> bool:
        args = self._kept.words[number]
        try:
            if is_for_all(args):
                return False
            self._slots[number] = self._client.only_slot(args)
        except RedisError:
            # The command's own way says what is wrong with it, or divides it.
            return False
        return True

    def _look_for_reads(self) -> None:
        nodes = self._router.nodes
        if nodes.reads_replicas:
            words = self._kept.words
            written = {
                slot
                for number, slot in self._slots.items()
                if not nodes.table.reads(words[number])
            }
            # What is written here is read behind that, where it was written.
            self._read = set(self._slots.values()) - written

    def _divide(
        self, numbers: list[int], asking: dict[int, Address]
    ) -> tuple[_Shares, list[int]]:
        """
        Say which node has which, in order, and what no node has.
        """
        shares: _Shares = {}
        lost: list[int] = []
        homes: dict[int | None, Node | RedisConnectionError] = {}
        for number in numbers:
            told, slot = asking.get(number), self._slots[number]
            if told is None:
                if slot not in homes:
                    homes[slot] = self._home(slot)
                home = homes[slot]
            else:
                home = self._at(told)
            if isinstance(home, RedisConnectionError):
                self._replies[number] = home
                lost.append(number)
            else:
                shares.setdefault((home, told is not None), []).append(number)
        return shares, lost

    def _home(self, slot: int | None) -> Node | RedisConnectionError:
        try:
            return self._router.nodes.for_slot(slot, slot in self._read)
        except RedisConnectionError as error:
            return error

    def _at(self, address: Address) -> Node | RedisConnectionError:
        try:
            return self._router.nodes.at(address)
        except RedisConnectionError as error:
            return error

    # -- rounds -------------------------------------------------------------

    async def _work(self, shares: _Shares, lost: list[int]) -> None:
        patience = Patience(self._router, self._until)
        while True:
            since = self._router.clock.seconds()
            moved = _Moved()
            sending = [self._send(*each, moved) for each in shares.items()]
            await gather([Deferred.fromCoroutine(each) for each in sending])
            waits = sorted([*lost, *moved.waits])
            left = [*await self._wait(waits, patience, since), *moved.elsewhere]
            if moved.elsewhere and not await self._follow(moved, patience):
                left = [each for each in left if each not in moved.elsewhere]
            if not left or self._is_over():
                return
            shares, lost = self._divide(sorted(left), moved.asking)

    async def _send(self, place: _Place, numbers: list[int], moved: _Moved) -> None:
        node, asking = place
        pieces = self._pieces_of(numbers)
        replies = await self._sent(node, pieces, asking)
        for number, reply in zip(numbers, replies, strict=True):
            self._replies[number] = reply
            self._look_at(number, reply, node.address, moved)

    async def _sent(
        self, node: Node, pieces: list[bytes], asking: bool
    ) -> Sequence[Any]:
        step = 2 if asking else 1
        data = b"".join([ASKING + each for each in pieces] if asking else pieces)
        count = len(pieces) * step
        try:
            replies = await node.client.send_many(count, data, self._time_left())
        except RedisConnectionError as error:
            if isinstance(error, MaybeExecuted):
                self._router.nodes.refresh_soon()
            return [error] * len(pieces)
        return replies[step - 1 :: step]

    def _pieces_of(self, numbers: list[int]) -> list[bytes]:
        kept, known, pieces = self._kept, set(), []
        for number in numbers:
            piece = kept.pieces[number]
            if number in kept.texts:
                digest = kept.words[number][1]
                if digest not in known:
                    known.add(digest)
                    self._told.add(number)
                    piece = encode_command(kept.texts[number])
            pieces.append(piece)
        return pieces

    def _look_at(self, number: int, reply: Any, asked: Address, moved: _Moved) -> None:
        if isinstance(reply, RedisConnectionError):
            # That a server that is asked for a connection has refused is a reply
            # to us, and not to this.
            if not isinstance(reply, MaybeExecuted | RedisQueueFull):
                moved.waits.append(number)
        elif isinstance(reply, RedisReplyError):
            if reply.code in REDIRECTIONS:
                self._redirect(number, reply, asked, moved)
            elif reply.code in NOT_EXECUTED:
                moved.waits.append(number)
            elif reply.code == "NOSCRIPT" and self._may_tell(number):
                moved.elsewhere[number] = None

    def _redirect(
        self, number: int, reply: RedisReplyError, asked: Address, moved: _Moved
    ) -> None:
        said = asked, str(reply)
        try:
            if said not in moved.known:
                moved.known[said] = self._router.nodes.redirected(reply, asked)
        except RedisReplyError:
            return
        moved.elsewhere[number] = None
        if reply.code == "ASK":
            moved.asking[number] = moved.known[said]

    def _may_tell(self, number: int) -> bool:
        return number in self._kept.texts and number not in self._told

    async def _wait(
        self, numbers: list[int], patience: Patience, since: float
    ) -> list[int]:
        if not numbers:
            return []
        self._read.clear()
        errors = [self._replies[number] for number in numbers]
        lost = [each for each in errors if not isinstance(each, RedisReplyError)]
        why = (lost or errors)[0]
        try:
            await patience.wait(why, since, len(numbers))
        except RedisError as error:
            if error is not why:
                for number in numbers:
                    self._replies[number] = error
            return []
        return numbers

    async def _follow(self, moved: _Moved, patience: Patience) -> bool:
        first = next(iter(moved.elsewhere))
        try:
            await patience.follow(self._replies[first])
        except RedisError:
            return False
        return True

    def _is_over(self) -> bool:
        return self._until is not None and self._until <= self._router.clock.seconds()

    def _time_left(self) -> float | None:
        if self._until is None:
            return self._timeout
        return max(self._until - self._router.clock.seconds(), 0.001)

    async def _send_alone(self, number: int) -> None:
        args = self._kept.words[number]
        try:
            reply = await self._client.execute(*args, timeout=self._timeout, decode="")
        except RedisError as error:
            reply = error
        self._replies[number] = reply


@define(eq=False)
class _Moved:
    """
    What was not executed in one round.

    @ivar waits: for the cluster to become whole.
    @ivar elsewhere: can be executed at once, at another node or in other words.
    @ivar asking: where a node is to be told that it is asked by the word of
        another.
    @ivar known: what was said, by whom, and where that leads.
    """

    waits: list[int] = field(factory=list)
    elsewhere: dict[int, None] = field(factory=dict)
    asking: dict[int, Address] = field(factory=dict)
    known: dict[tuple[Address, str], Address] = field(factory=dict)
