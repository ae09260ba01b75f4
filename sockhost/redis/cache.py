# -*- test-case-name: tests.redis.test_cache,tests.redis.test_cache_opt_in -*-
"""
What was read from a server, kept for as long as the server says that it is
still true.

Theory of operation
===================

The server remembers what a connection reads (or is told which keys interest
it), and pushes the keys that change, on the same connection and in order with
the replies.  So what was read can be handed out again until its key is pushed.
Four things could make it untrue:

    - the key changes while the reply to a read is on its way: the read is
      marked when the push comes, and its reply handed out but not kept;
    - the connection is lost, and with it the pushes: everything is forgotten at
      once, and nothing is kept before the server tracks the next connection;
    - the client itself writes, and reads again before the push has come: what
      is written through the cache is forgotten as it is sent, and the pushes of
      a read are looked at before any reply in front of them is handed out, for
      the push that a write leads to comes behind its reply;
    - the server is to remember only what it is told to, and was not told to
      remember this read: that is decided when the read is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import RedisConnectionError, RedisReplyError
from sockhost.redis.cacheable import Request, as_request, keys_of
from sockhost.redis.connection import RedisConnection
from sockhost.redis.decoding import decode_reply
from sockhost.redis.push import PushRouter
from sockhost.redis.resp import Argument, Push, encode_command

INVALIDATE = b"invalidate"
_WIPES = frozenset({b"FLUSHALL", b"FLUSHDB", b"SWAPDB"})
_KEEP_NEXT = encode_command(("CLIENT", "CACHING", "YES"))
_SIMPLE = (bytes, str, int, float, type(None))


@frozen
class CacheStats:
    """
    @ivar hits: reads that were answered from memory.
    @ivar misses: reads that could have been, and were not there.
    @ivar invalidations: answers that were forgotten because a key changed.
    @ivar evictions: answers that were forgotten to make room.
    @ivar entries: answers that are kept now.
    """

    hits: int
    misses: int
    invalidations: int
    evictions: int
    entries: int

    @property
    def hit_ratio(self) -> float:
        """Of those that could be answered from memory, how many were: 0 to 1."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0


@define(eq=False)
class _Read:
    """
    A read whose reply is on its way.

    @ivar stale: C{True} if what it reads has changed meanwhile, or nobody would
        tell of it.
    """

    keys: tuple[bytes, ...]
    stale: bool = False


class Owner(Protocol):
    """What of the client is used here."""

    attached: list[Callable[[RedisConnection], object]]

    @property
    def connection(self) -> RedisConnection | None:
        """The connection that all share, or C{None}."""

    def execute(self, *args: Argument) -> Deferred[Any]:
        """Send a command."""

    def send_many(self, count: int, data: bytes) -> Deferred[list[Any]]:
        """Send encoded commands in one piece."""


def _undecoded() -> str | None:
    return None


def _nothing(_: Push) -> None:
    """It is known already."""


def _copy(value: Any) -> Any:
    # Who gets a list may change it.
    return value if isinstance(value, _SIMPLE) else deepcopy(value)


@define(eq=False)
class Cache:
    """
    Answers what it can from memory, and everything else as the client does.

    Where the server does not track (it speaks RESP2 only, or does not permit
    it), nothing is kept, and every command goes to the server.  An answer is
    as old as what the server has told: a loss of the connection without a word
    is noticed after C{ping_interval}, and a key that expires is told of when
    the server gets to it.

    @ivar tracking: whether the server tells of changes now.
    @ivar _asked: whether it was asked to, on this connection, and has not refused.
    @ivar _opt_in: whether the server is told of each read that it is to
        remember.
    @ivar _encoding: says how replies are decoded.
    """

    _owner: Owner
    _router: PushRouter
    _max_entries: int
    _broadcast: bool = False
    _prefixes: tuple[bytes, ...] = ()
    _opt_in: bool = False
    _encoding: Callable[[], str | None] = _undecoded
    tracking: bool = False
    _asked: bool = False
    _closed: bool = False
    _connection: RedisConnection | None = None
    # The one that was used last is the last.
    _entries: dict[Request, Any] = field(factory=dict)
    _requests: dict[bytes, set[Request]] = field(factory=dict)
    _reads: dict[bytes, set[_Read]] = field(factory=dict)
    _hits: int = 0
    _misses: int = 0
    _invalidations: int = 0
    _evictions: int = 0

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        # What it says is known already when its turn comes.
        self._router.handle(INVALIDATE, _nothing)
        self._owner.attached.append(self._attached)
        connection = self._owner.connection
        if connection is not None and connection.open:
            self._attached(connection)

    @staticmethod
    def check_options(
        broadcast: bool, prefixes: Sequence[bytes | str], opt_in: bool
    ) -> None:
        """
        Look at options.

        @raise ValueError: they do not go together.
        """
        if prefixes and not broadcast:
            raise ValueError("prefixes are for a cache that is told by broadcast")
        if opt_in and broadcast:
            raise ValueError("with broadcast there is nothing to opt in to")

    # -- commands -----------------------------------------------------------

    def execute(self, *args: Argument) -> Deferred[Any]:
        """
        Answer a command from memory, or send it.

        What only reads keys that it names is kept.  Anything else is sent, and
        what was kept of the keys that it names is forgotten.

        @return: like L{IRedis.execute<sockhost.interfaces.IRedis.execute>}.
        """
        try:
            request = as_request(args)
            keys = keys_of(request)
        except (IndexError, ValueError):
            return self._owner.execute(*args)
        if not keys:
            self._written(request)
        if not keys or not self._covered(keys):
            return self._owner.execute(*args)
        if request in self._entries:
            self._hits += 1
            value = self._entries[request] = self._entries.pop(request)
            return succeed(_copy(value))
        self._misses += 1
        return self._read(request, keys, args)

    def _covered(self, keys: Sequence[bytes]) -> bool:
        prefixes = self._prefixes
        return not prefixes or all(key.startswith(prefixes) for key in keys)

    def _read(
        self, request: Request, keys: tuple[bytes, ...], args: tuple[Argument, ...]
    ) -> Deferred[Any]:
        read = _Read(keys)
        for key in keys:
            self._reads.setdefault(key, set()).add(read)
        return self._send(args, read).addBoth(self._came, request, read)

    def _send(self, args: tuple[Argument, ...], read: _Read) -> Deferred[Any]:
        if not (self._opt_in and self._asked):
            read.stale = self._opt_in
            return self._owner.execute(*args)
        try:
            data = _KEEP_NEXT + encode_command(args)
        except (TypeError, ValueError):
            return fail()
        return self._owner.send_many(2, data).addCallback(self._opted, read)

    def _opted(self, replies: list[Any], read: _Read) -> Any:
        permitted, reply = replies
        # What the server does not remember it does not tell of.
        read.stale = read.stale or isinstance(permitted, RedisReplyError)
        if isinstance(reply, RedisReplyError):
            raise reply
        encoding = self._encoding()
        return reply if encoding is None else decode_reply(reply, encoding)

    def forget(self, *args: Argument) -> None:
        """Forget what was read of all that a command names."""
        try:
            request = as_request(args)
        except ValueError:
            return
        if request:
            self._written(request)

    def _came(self, reply: Any, request: Request, read: _Read) -> Any:
        for key in read.keys:
            self._discard(self._reads, key, read)
        keep = self.tracking and not read.stale and not isinstance(reply, Failure)
        if keep and self._max_entries:
            self._keep(request, read.keys, _copy(reply))
        return reply

    def _keep(self, request: Request, keys: tuple[bytes, ...], value: Any) -> None:
        self._entries.pop(request, None)
        self._entries[request] = value
        for key in keys:
            self._requests.setdefault(key, set()).add(request)
        if len(self._entries) > self._max_entries:
            self._evictions += 1
            self._forget(next(iter(self._entries)))

    def _written(self, request: Request) -> None:
        if request[0].upper() in _WIPES:
            self.clear()
        for word in request[1:]:
            self._changed(word)

    # -- what changes -------------------------------------------------------

    def _changed(self, key: bytes) -> None:
        for read in self._reads.get(key, ()):
            read.stale = True
        for request in list(self._requests.get(key, ())):
            self._invalidations += 1
            self._forget(request)

    def _forget(self, request: Request) -> None:
        del self._entries[request]
        for key in keys_of(request):
            self._discard(self._requests, key, request)

    def _discard(self, index: dict[bytes, set[Any]], key: bytes, item: object) -> None:
        items = index.get(key)
        if items is not None:
            items.discard(item)
            if not items:
                del index[key]

    def _look_ahead(self, messages: list[Any]) -> None:
        for message in messages:
            if type(message) is Push and message and message[0] == INVALIDATE:
                self._invalidated(message)

    def _invalidated(self, push: Push) -> None:
        keys = push[1] if len(push) == 2 else None
        if isinstance(keys, list):
            for key in keys:
                if type(key) is bytes:
                    self._changed(key)
        else:
            # None stands for everything: FLUSHDB and FLUSHALL.
            self._invalidations += len(self._entries)
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._requests.clear()
        for reads in self._reads.values():
            for read in reads:
                read.stale = True

    # -- connections --------------------------------------------------------

    def _attached(self, connection: RedisConnection) -> None:
        self._connection = connection
        self.tracking = False
        self._asked = connection.protocol >= 3
        self.clear()
        connection.when_disconnected().addCallback(self._lost, connection)
        if self._asked:
            connection.look_ahead(self._look_ahead)
            words = ["BCAST"] * self._broadcast + ["OPTIN"] * self._opt_in
            prefixes = [
                each for prefix in self._prefixes for each in (b"PREFIX", prefix)
            ]
            started = connection.execute("CLIENT", "TRACKING", "ON", *words, *prefixes)
            started.addCallbacks(
                self._started, self._not_started, (connection,), {}, (connection,)
            )
        else:
            self._log.warn("the server does not speak RESP3: nothing is cached")

    def _started(self, _: object, connection: RedisConnection) -> None:
        self.tracking = self._connection is connection and not self._closed

    def _not_started(self, failure: Failure, connection: RedisConnection) -> None:
        if self._connection is connection:
            self._asked = False
        if failure.check(RedisReplyError):
            self._log.warn("nothing is cached: {error}", error=failure.value)
        else:
            # The end of the connection is told elsewhere.
            failure.trap(RedisConnectionError)

    def _lost(self, _: object, connection: RedisConnection) -> None:
        if self._connection is connection:
            self._connection = None
            self.tracking = self._asked = False
            self.clear()

    # -- the rest -----------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def stats(self) -> CacheStats:
        """What it has been good for."""
        return CacheStats(
            hits=self._hits,
            misses=self._misses,
            invalidations=self._invalidations,
            evictions=self._evictions,
            entries=len(self._entries),
        )

    def close(self) -> Deferred[None]:
        """
        Forget everything and keep nothing any more: commands go on being sent.

        @return: fires when the server tracks no more, or is not connected.
        """
        if self._closed:
            return succeed(None)
        self._closed = True
        self.tracking = self._asked = False
        self.clear()
        self._owner.attached.remove(self._attached)
        self._router.release(INVALIDATE)
        if self._connection is not None:
            self._connection.look_ahead(None)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        connection = self._connection
        if connection is not None and connection.open and connection.protocol >= 3:
            try:
                await connection.execute("CLIENT", "TRACKING", "OFF")
            except (RedisConnectionError, RedisReplyError):
                # There is nothing to stop.
                return
