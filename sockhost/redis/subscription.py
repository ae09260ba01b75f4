# -*- test-case-name: tests.redis.test_hub -*-
"""
What one listener of published messages listens to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from sockhost.interfaces import RedisConnectionError
from sockhost.redis.mailbox import Mailbox, Overflow

Listener = Callable[[bytes, Any], object]
Name = bytes | str
T = TypeVar("T")

TOO_LATE = "messages were not read in time"


@frozen
class _Words:
    """
    @ivar kind: of the messages.
    """

    kind: str
    subscribe: bytes
    unsubscribe: bytes


class Mode(Enum):
    """In which of three ways something is listened to."""

    CHANNEL = _Words("message", b"subscribe", b"unsubscribe")
    PATTERN = _Words("pmessage", b"psubscribe", b"punsubscribe")
    SHARD = _Words("smessage", b"ssubscribe", b"sunsubscribe")


@frozen(kw_only=True)
class Gap:
    """
    Messages may have been missed.

    @ivar reason: why, for people.
    @ivar dropped: how many were received and dropped because the listener did
        not take them in time.  0 where the connection was lost: then nobody
        knows how many there were.
    @ivar refused: channels and patterns that the server does not let be
        listened to any more.  They are asked for again on the next connection.
    """

    reason: str
    dropped: int = 0
    refused: tuple[bytes, ...] = ()


class Message(NamedTuple):
    """
    A published message.

    @ivar kind: C{"message"}, C{"pmessage"} where a pattern matched, or
        C{"smessage"} from a sharded channel.
    @ivar pattern: the pattern that matched, or C{None}.
    @ivar gap: says that messages may be missing right before this one, and why;
        otherwise C{None}.
    """

    kind: str
    channel: bytes
    data: Any
    pattern: bytes | None = None
    gap: Gap | None = None


class Hub(Protocol):
    """What a subscription needs of what sends its commands."""

    def enter(self, subscription: Subscription) -> None:
        """Have a subscription end when everything does."""

    def subscribe(
        self, subscription: Subscription, mode: Mode, names: Sequence[bytes]
    ) -> Deferred[None]:
        """Begin to listen; fires when the server has acknowledged all."""

    def unsubscribe(
        self, subscription: Subscription, mode: Mode, names: Sequence[bytes]
    ) -> Deferred[None]:
        """Cease to listen; fires when the server has acknowledged all."""

    def names(self, subscription: Subscription, mode: Mode) -> list[bytes]:
        """Say what a subscription wishes to listen to."""

    def pause(self) -> None:
        """Read no more messages for now."""

    def resume(self) -> None:
        """Read again."""


async def gather(outcomes: Sequence[Deferred[T]]) -> list[T]:
    """Wait for all, and raise what the first of them failed with."""
    results = await DeferredList(outcomes, consumeErrors=True)
    for success, value in results:
        if not success:
            cast(Failure, value).raiseException()
    return [value for _, value in results]


def _encoded(names: Sequence[Name]) -> list[bytes]:
    raw = [name.encode() if isinstance(name, str) else bytes(name) for name in names]
    return list(dict.fromkeys(raw))


class Subscription:
    """
    Channels, patterns and sharded channels that belong together because one
    listener gets what is published to them: a callback, or whoever iterates::

        async for message in subscription:
            print(message.channel, message.data)

    What a subscription listens to stays wished through every loss of the
    connection, until it is unsubscribed from or closed.

    @ivar gaps: how many times messages may have been missed.
    @ivar closed: C{True} once it has been closed, by L{close} or with the client.
    """

    def __init__(
        self,
        hub: Hub,
        listener: Listener | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        max_buffered: int = 1000,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> None:
        self._hub = hub
        self._listener = listener
        self.on_gap = on_gap
        self.gaps = 0
        self.closed = False
        self._missed: str | None = None
        self._lost = ""
        self._told = 0
        self._mailbox: Mailbox[Message] = Mailbox(
            max_buffered, overflow, on_full=self._full, on_space=self._space
        )
        hub.enter(self)

    # -- what is listened to ------------------------------------------------

    @property
    def channels(self) -> frozenset[bytes]:
        """The channels that are wished."""
        return frozenset(self._hub.names(self, Mode.CHANNEL))

    @property
    def patterns(self) -> frozenset[bytes]:
        """The patterns that are wished."""
        return frozenset(self._hub.names(self, Mode.PATTERN))

    @property
    def shards(self) -> frozenset[bytes]:
        """The sharded channels that are wished."""
        return frozenset(self._hub.names(self, Mode.SHARD))

    def subscribe(self, *channels: Name) -> Deferred[None]:
        """
        Listen to channels.  What they carry is heard from the server's
        acknowledgement on, before this fires.

        @return: fires when the server has acknowledged all of them.  While
            there is no connection it waits for one, for as long as that takes.
            Fails with L{RedisReplyError<sockhost.interfaces.RedisReplyError>}
            if the server refuses: then none of those in this call is listened
            to by it, and everything else goes on.  Cancelling withdraws the
            wish.
        """
        return self._subscribe(Mode.CHANNEL, channels)

    def psubscribe(self, *patterns: Name) -> Deferred[None]:
        """Listen to all channels that match one of the patterns, like L{subscribe}."""
        return self._subscribe(Mode.PATTERN, patterns)

    def ssubscribe(self, *channels: Name) -> Deferred[None]:
        """Listen to sharded channels, like L{subscribe}."""
        return self._subscribe(Mode.SHARD, channels)

    def unsubscribe(self, *channels: Name) -> Deferred[None]:
        """
        Listen to channels no more: from now on nothing of them is heard.

        @param channels: without any, all channels of this subscription.  Those
            that it does not listen to are ignored.
        @return: fires when the server has acknowledged it for those that no
            other listener wants; at once if there are none or the server is
            not connected.  While a full buffer keeps the connection from being
            read and other names are left, it waits for that to be read.  Fails
            like a command, and is done with all the same.
        """
        return self._unsubscribe(Mode.CHANNEL, channels)

    def punsubscribe(self, *patterns: Name) -> Deferred[None]:
        """Listen to patterns no more, like L{unsubscribe}."""
        return self._unsubscribe(Mode.PATTERN, patterns)

    def sunsubscribe(self, *channels: Name) -> Deferred[None]:
        """Listen to sharded channels no more, like L{unsubscribe}."""
        return self._unsubscribe(Mode.SHARD, channels)

    def close(self) -> Deferred[None]:
        """
        Listen to nothing any more.  Iterating ends after what was received
        before.

        @return: fires when the server has acknowledged it.
        """
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self.end(StopAsyncIteration())
        await gather([self._unsubscribe(mode, ()) for mode in Mode])

    def _subscribe(self, mode: Mode, names: Sequence[Name]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._subscribed(mode, names))

    async def _subscribed(self, mode: Mode, names: Sequence[Name]) -> None:
        if self.closed:
            raise RedisConnectionError("the subscription is closed")
        if names:
            await self._hub.subscribe(self, mode, _encoded(names))

    def _unsubscribe(self, mode: Mode, names: Sequence[Name]) -> Deferred[None]:
        mine = self._hub.names(self, mode)
        if names:
            given = set(_encoded(names))
            mine = [name for name in mine if name in given]
        return self._hub.unsubscribe(self, mode, mine)

    # -- reading ------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """How many messages wait to be read."""
        return len(self._mailbox)

    @property
    def dropped(self) -> int:
        """How many messages were dropped because they were not read in time."""
        return self._mailbox.dropped

    def __aiter__(self) -> Subscription:
        return self

    def __anext__(self) -> Deferred[Message]:
        return self.next()

    def next(self) -> Deferred[Message]:
        """
        Take the next message, of a subscription without a callback.

        @return: fires with it.  After the end, fails with
            C{StopAsyncIteration} if the subscription was closed, and with
            L{RedisConnectionError<sockhost.interfaces.RedisConnectionError>}
            if the client was.  Cancelling loses no message.
        """
        return self._mailbox.get().addCallback(self._taken)

    def _taken(self, message: Message) -> Message:
        if self._mailbox.overflow is Overflow.DROP_OLDEST:
            dropped = self._count_dropped()
            if dropped:
                reason = TOO_LATE if message.gap is None else message.gap.reason
                return message._replace(gap=Gap(reason=reason, dropped=dropped))
        return message

    def _count_dropped(self) -> int:
        """Say how many were dropped since this was asked the last time."""
        count = self._mailbox.dropped - self._told
        self._told = self._mailbox.dropped
        return count

    # -- for the hub --------------------------------------------------------

    def sink(self, mode: Mode, name: bytes) -> Listener:
        """Make what takes the messages of one channel or pattern."""
        if self._listener is not None:
            return self._listener
        pattern = name if mode is Mode.PATTERN else None
        return partial(self._put, mode.value.kind, pattern)

    def _put(self, kind: str, pattern: bytes | None, channel: bytes, data: Any) -> None:
        # Of the oldest, those that are dropped are missing in front of what is
        # taken next, and are told there.
        newest = self._mailbox.overflow is Overflow.DROP_NEWEST
        gap = None
        if self._missed is not None:
            dropped = self._mailbox.dropped - self._told if newest else 0
            gap = Gap(reason=self._missed, dropped=dropped)
        if not self._mailbox.put(Message(kind, channel, data, pattern, gap)):
            self._missed = self._missed or TOO_LATE
        elif gap is not None:
            self._missed = None
            if newest:
                self._told = self._mailbox.dropped

    def _full(self) -> None:
        if self._mailbox.overflow is Overflow.PAUSE:
            self._hub.pause()

    def _space(self) -> None:
        if self._mailbox.overflow is Overflow.PAUSE:
            self._hub.resume()

    def lost(self, reason: str) -> None:
        """Take note that from now on messages may be missed."""
        self._missed = self._lost = reason

    def resumed(self, refused: tuple[bytes, ...]) -> object:
        """
        Take note that messages come again, and tell the listener of the gap.

        @return: what C{on_gap} has returned.
        """
        self.gaps += 1
        gap = Gap(reason=self._lost, refused=refused)
        return None if self.on_gap is None else self.on_gap(gap)

    def end(self, reason: BaseException) -> None:
        """Nothing comes any more."""
        self.closed = True
        self._mailbox.end(reason)
