# -*- test-case-name: tests.redis.test_streams,tests.redis.test_streams_clients -*-
"""
Entries of streams for the members of a group, each entry at least once.

Theory of operation
===================

What was handed to a consumer and not acknowledged is kept by the server under
the consumer's name.  So a reader first asks for what is its own: what it, or
the one before it of the same name, had read and did not get done.  It asks
again whenever a reply was lost, as the entries in that reply are its own too.
What it has handed out and waits to see acknowledged, it does not hand out again.

Then it takes over, now and then, what others had for too long, and otherwise
waits for new entries.  It reads the next ones when all those before have been
taken from it, and fewer than C{max_unacked} are not acknowledged: a slow
consumer holds nothing but one batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from sockhost.interfaces import RedisConnectionError, RedisReplyError
from sockhost.redis.commands import TypedRedis
from sockhost.redis.commands.base import Key
from sockhost.redis.commands.shapes import Claimed, StreamEntry
from sockhost.redis.decoding import decode_reply
from sockhost.redis.lifetime import Lifetime

# Seconds before it is tried again to read after a loss, at first and at most.
SOONEST = 0.05
LATEST = 2.0
# Seconds longer than the server may wait that a reply is waited for.
PATIENCE = 10.0


@frozen(eq=False)
class Delivery:
    """
    An entry that a reader has handed out.

    @ivar stream: the key that it came from.
    @ivar id: of the entry.
    @ivar items: the pairs of field and value.
    @ivar claimed: C{True} if another consumer had it before, or this one in an
        earlier life: it may have been dealt with already.
    """

    stream: bytes
    id: bytes
    items: tuple[tuple[bytes, bytes], ...]
    claimed: bool
    _reader: GroupReader = field(repr=False)
    # The key and the id as the server has them.
    _place: tuple[bytes, bytes] = field(repr=False)

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The fields with their values, the last of each."""
        return dict(self.items)

    def ack(self) -> Deferred[int]:
        """Acknowledge it, as L{GroupReader.ack} does."""
        return self._reader.ack(self)


@define
class _Stream:
    """
    A stream that is read.

    @ivar own: the last id that was read of those that are the reader's own, or
        C{None} if all of them were.
    @ivar claim: where to go on taking over, or C{None} if that is done for now.
    """

    key: bytes
    own: bytes | None = b"0"
    claim: bytes | None = b"0-0"


@define(eq=False)
class GroupReader:
    """
    Reads streams as a member of a group::

        async for delivery in client.group_reader("orders", "mail", "worker-1"):
            await send_mail(delivery.fields)
            await delivery.ack()

    Losses of the connection, and of the group, are survived.  The iteration
    ends when the reader is closed, and fails when the client is, or when the
    server refuses something for good.  Only one may go through it at a time.

    @ivar count: how many entries are read at once, at most.
    @ivar block: seconds that the server waits for entries, at most, before it
        is looked for stale ones.
    @ivar claim_idle: seconds after which an entry of another consumer is taken
        over; C{None} for never.
    @ivar claim_interval: seconds between two looks for such entries.
    @ivar max_unacked: how many entries may be handed out and not acknowledged
        before no more are read; C{None} for any number.
    @ivar start: where a group begins that does not exist yet: C{"0"} for the
        first entry that there is, C{"$"} for the next.
    @ivar decode: the encoding of what is handed out, or C{None} for bytes.  An
        entry that is no text in it fails the iteration, which may go on.
    """

    _redis: Any
    _clock: IReactorTime
    _keys: Sequence[Key]
    _group: Key
    _consumer: Key
    count: int = 64
    block: float = 5.0
    claim_idle: float | None = 60.0
    claim_interval: float = 15.0
    max_unacked: int | None = None
    start: Key = "0"
    decode: str | None = None
    _lifetime: Lifetime = field()
    _typed: TypedRedis = field(init=False)
    _patient: TypedRedis = field(init=False)
    _streams: list[_Stream] = field(init=False)
    _ready: deque[Delivery] = field(factory=deque)
    _unacked: set[tuple[bytes, bytes]] = field(factory=set)
    _grouped: bool = False
    _claim_at: float = 0.0
    _delay: float = SOONEST
    _closed: bool = False
    _waiting: Deferred[Any] | None = None
    _room: Deferred[None] | None = None

    def __attrs_post_init__(self) -> None:
        # Keys and ids are looked up by what the server has, whatever the client
        # makes of its replies.
        self._typed = TypedRedis(self._redis, decode="")
        patience = self.block + PATIENCE
        self._patient = TypedRedis(self._redis, timeout=patience, decode="")
        self._streams = [_Stream(_as_bytes(key)) for key in self._keys]

    @_lifetime.default
    def _ends_never(self) -> Lifetime:
        return Lifetime(self._clock)

    def __aiter__(self) -> GroupReader:
        return self

    async def __anext__(self) -> Delivery:
        while not self._closed:
            if self._ready:
                return self._hand_out()
            await self._read()
        raise StopAsyncIteration

    def ack(self, *deliveries: Delivery) -> Deferred[int]:
        """
        Tell the server that entries were dealt with.

        @return: fires with how many of them were not acknowledged before.  If it
            fails because of the connection, it may be done again, also when the
            reply was lost.
        """
        return Deferred.fromCoroutine(self._ack(deliveries))

    def close(self) -> None:
        """
        End the iteration, at once if it waits.  What was read and not handed
        out stays the consumer's own, and is what it is given first when it is
        made again.
        """
        self._closed = True
        for waiting in (self._waiting, self._room):
            if waiting is not None:
                waiting.cancel()

    @property
    def unacked(self) -> int:
        """How many entries are handed out and not acknowledged."""
        return len(self._unacked)

    async def _ack(self, deliveries: Iterable[Delivery]) -> int:
        by_stream: dict[bytes, list[bytes]] = {}
        for each in deliveries:
            stream, id_ = each._place
            by_stream.setdefault(stream, []).append(id_)
        done = 0
        for stream, ids in by_stream.items():
            done += await self._typed.xack(stream, self._group, *ids)
            self._unacked.difference_update((stream, id_) for id_ in ids)
            # Whatever becomes of the next.
            room, self._room = self._room, None
            if room is not None:
                room.callback(None)
        return done

    def _hand_out(self) -> Delivery:
        delivery = self._ready.popleft()
        if self.decode:
            delivery = _decoded(delivery, self.decode)
        self._unacked.add(delivery._place)
        return delivery

    # -- reading ------------------------------------------------------------

    async def _read(self) -> None:
        try:
            if self._full():
                self._room = Deferred()
                await self._lifetime.hold(self._room)
            else:
                await self._read_some()
                self._delay = SOONEST
        except RedisConnectionError:
            self._doubt()
            await self._pause()
        except RedisReplyError as error:
            await self._refused(error)
        except CancelledError:
            self._doubt()
            if not self._closed:
                raise
        finally:
            self._room = None

    def _full(self) -> bool:
        return self.max_unacked is not None and self.unacked >= self.max_unacked

    async def _read_some(self) -> None:
        if not self._grouped:
            await self._make_groups()
        for stream in self._streams:
            if stream.own is not None:
                await self._read_own(stream, stream.own)
                return
        if self._claim_due():
            await self._claim()
        if not self._ready:
            await self._read_new()

    async def _wait(self, sent: Deferred[Any]) -> Any:
        self._waiting = sent
        try:
            return await sent
        finally:
            self._waiting = None

    def _doubt(self) -> None:
        # Entries may have come in a reply that was lost.
        for stream in self._streams:
            stream.own = b"0"

    async def _pause(self) -> None:
        pausing = self._lifetime.pause(self._delay)
        self._delay = min(self._delay * 2, LATEST)
        try:
            await self._wait(pausing)
        except CancelledError:
            if not self._closed:
                raise

    async def _refused(self, error: RedisReplyError) -> None:
        if error.code == "NOGROUP":
            # The stream was deleted, or the group.
            self._grouped = False
        elif error.code in ("LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"):
            await self._pause()
        else:
            raise error

    async def _make_groups(self) -> None:
        for stream in self._streams:
            try:
                made = self._typed.xgroup_create(
                    stream.key, self._group, self.start, mkstream=True
                )
                await self._wait(made)
            except RedisReplyError as error:
                if error.code != "BUSYGROUP":
                    raise
        self._grouped = True

    async def _read_own(self, stream: _Stream, after: bytes) -> None:
        asked = self._typed.xreadgroup(
            self._group,
            self._consumer,
            {stream.key: after},
            count=self._room_for(),
        )
        entries = (await self._wait(asked)).get(stream.key, [])
        stream.own = entries[-1].id if entries else None
        await self._take(stream, entries, claimed=True)

    async def _read_new(self) -> None:
        asked = self._patient.xreadgroup(
            self._group,
            self._consumer,
            {stream.key: ">" for stream in self._streams},
            count=self._room_for(),
            block=max(int(self.block * 1000), 1),
        )
        found = await self._wait(asked)
        for stream in self._streams:
            await self._take(stream, found.get(stream.key, []), claimed=False)

    def _room_for(self) -> int:
        if self.max_unacked is None:
            return self.count
        return max(min(self.count, self.max_unacked - self.unacked), 1)

    # -- taking over --------------------------------------------------------

    def _claim_due(self) -> bool:
        return self.claim_idle is not None and self._clock.seconds() >= self._claim_at

    async def _claim(self) -> None:
        for stream in self._streams:
            if stream.claim is not None:
                await self._claim_from(stream)
            if self._ready:
                return
        self._claim_at = self._clock.seconds() + self.claim_interval
        for stream in self._streams:
            stream.claim = b"0-0"

    async def _claim_from(self, stream: _Stream) -> None:
        idle = int((self.claim_idle or 0.0) * 1000)
        while stream.claim is not None and not self._ready:
            asked = self._typed.xautoclaim(
                stream.key,
                self._group,
                self._consumer,
                idle,
                stream.claim,
                count=self._room_for(),
            )
            claimed: Claimed = await self._wait(asked)
            done = claimed.cursor == b"0-0"
            stream.claim = None if done else claimed.cursor
            await self._take(stream, claimed.entries, claimed=True)

    async def _take(
        self, stream: _Stream, entries: list[StreamEntry], claimed: bool
    ) -> None:
        gone = []
        for entry in entries:
            if (stream.key, entry.id) in self._unacked:
                continue
            if entry.items:
                place = (stream.key, entry.id)
                self._ready.append(Delivery(*place, entry.items, claimed, self, place))
            else:
                gone.append(entry.id)
        if gone:
            # Deleted before anybody dealt with them.
            await self._wait(self._typed.xack(stream.key, self._group, *gone))


def _decoded(delivery: Delivery, encoding: str) -> Delivery:
    stream, id_, items = decode_reply(
        [delivery.stream, delivery.id, delivery.items], encoding
    )
    return evolve(delivery, stream=stream, id=id_, items=items)


def _as_bytes(key: Key) -> bytes:
    return key.encode() if isinstance(key, str) else key
