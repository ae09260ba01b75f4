# -*- test-case-name: tests.redis.test_pubsub -*-
"""
What a client has for those who listen: published messages, the commands that a
server is given, its pushes, and a cache that it keeps right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sockhost.interfaces import RedisError
from sockhost.redis.cache import Cache
from sockhost.redis.connection import RedisConnection
from sockhost.redis.mailbox import Overflow
from sockhost.redis.monitor import Monitor, MonitorListener, monitor
from sockhost.redis.pubsub import PubSub
from sockhost.redis.push import PushHandler, PushRouter
from sockhost.redis.resp import Argument


class ListeningClient:
    """
    The part of a client that is for those who listen.  Whoever extends it has
    what is declared here, and calls L{_begin_to_listen} when it is made,
    L{_listen} with each new connection and L{_end_listening} at the end.
    """

    _clock: IReactorTime
    attached: list[Callable[[RedisConnection], object]]
    _decode: str | None
    _pubsub: PubSub | None = None
    _cache: Cache | None = None
    # Why nobody can listen.
    _unheard: BaseException | None = None

    if TYPE_CHECKING:

        @property
        def connection(self) -> RedisConnection | None:
            """The connection that all share, or C{None}."""

        def execute(self, *args: Argument) -> Deferred[Any]:
            """Send a command."""

        def send_many(self, count: int, data: bytes) -> Deferred[list[Any]]:
            """Send encoded commands in one piece."""

        def dedicated(self) -> Deferred[RedisConnection]:
            """Get a connection to oneself."""

        def when_connected(self) -> Deferred[None]:
            """Wait for the shared connection."""

    def _begin_to_listen(self) -> None:
        self._pushes = PushRouter()
        self.attached.append(self._listen)

    def _listen(self, connection: RedisConnection) -> None:
        self._listen_again()
        self._pushes.attach(connection)

    def _decode_as(self, encoding: str | None) -> None:
        if encoding != self._decode and self._cache is not None:
            # It keeps replies as they were handed out.
            self._cache.clear()
        self._decode = encoding

    def _listen_again(self) -> None:
        self._unheard = None
        if self._pubsub is not None:
            self._pubsub.reopen()

    def _end_listening(self, reason: BaseException) -> None:
        self._unheard = reason
        if self._pubsub is not None:
            self._pubsub.end(reason)

    @property
    def on_push(self) -> PushHandler | None:
        """
        What is called with each message of the server that answers no command
        and is of a kind that nothing else handles: a list, the kind first.
        C{None} drops them.  There are none with a server that speaks RESP2.
        """
        return self._pushes.on_push

    @on_push.setter
    def on_push(self, handler: PushHandler | None) -> None:
        self._pushes.on_push = handler

    @property
    def pubsub(self) -> PubSub:
        """Published messages."""
        if self._pubsub is None:
            self._pubsub = PubSub(self, self._clock, self._pushes)
            if self._unheard is not None:
                self._pubsub.end(self._unheard)
        return self._pubsub

    def monitor(
        self,
        listener: MonitorListener | None = None,
        max_buffered: int = 10_000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
    ) -> Deferred[Monitor]:
        """
        Hear of every command that the server executes from now on, on a
        connection of its own.

        @param listener: is called with each; what it raises is logged.  Without
            one, they are for those who iterate.
        @param max_buffered: how many may wait for the iterator.
        @param overflow: what happens beyond that: like that of
            L{PubSub.subscription}.
        @return: fires when the server has said that it tells them.  Fails like
            a command.  Cancelling gives up.  When its connection is lost, the
            monitor ends with the reason: see L{Monitor.when_ended}.
        """
        kind = Overflow(overflow)
        return Deferred.fromCoroutine(
            monitor({"": self.dedicated}, listener, max_buffered, kind)
        )

    def cache(
        self,
        max_entries: int = 10_000,
        broadcast: bool = False,
        prefixes: Sequence[bytes | str] = (),
        opt_in: bool = False,
    ) -> Cache:
        """
        Have reads that go through the cache answered from memory while the
        server says that they are still true.

        @param max_entries: how many answers are kept; those that were not
            asked for the longest are forgotten first.
        @param broadcast: C{True} for the server not to remember what was read,
            and to tell of all keys that change, or of those with a prefix.
        @param prefixes: with C{broadcast}, what the keys begin with that are
            cached.  No prefix may be the beginning of another.
        @param opt_in: C{True} for the server to remember only what is read
            through the cache, and not what else the client reads.
        @raise RedisError: the client has a cache that is not closed.
        @raise ValueError: there are prefixes without C{broadcast}, or
            C{opt_in} with it.
        """
        Cache.check_options(broadcast, prefixes, opt_in)
        if self._cache is not None and not self._cache.closed:
            raise RedisError("the client has a cache already")
        raw = tuple(
            each.encode() if isinstance(each, str) else each for each in prefixes
        )
        self._cache = Cache(
            self,
            self._pushes,
            max_entries,
            broadcast,
            raw,
            opt_in,
            lambda: self._decode,
        )
        return self._cache
