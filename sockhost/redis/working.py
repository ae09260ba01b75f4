# -*- test-case-name: tests.redis.test_working -*-
"""
What a client has for those who work with the data: the typed commands, and
what is made of several of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sockhost.redis.commands import Commands, TypedRedis
from sockhost.redis.commands.base import Key
from sockhost.redis.lifetime import Lifetime
from sockhost.redis.lock import Lock
from sockhost.redis.pipeline import Pipeline
from sockhost.redis.resp import Argument
from sockhost.redis.scan import Scan
from sockhost.redis.scripts import Library, Script
from sockhost.redis.streams import GroupReader
from sockhost.redis.transaction import Body, Transaction, Watch, transact


class WorkingClient(Commands):
    """
    The part of a client that is for those who work with the data.  Whoever
    extends it has what is declared here.
    """

    _clock: IReactorTime
    _decode: str | None = None
    _lifetime: Lifetime | None = None

    if TYPE_CHECKING:

        def send_many(
            self, count: int, data: bytes, timeout: float | None = None
        ) -> Deferred[list[Any]]:
            """Send encoded commands in one piece."""

        def send_alone(
            self, count: int, data: bytes, timeout: float | None = None
        ) -> Deferred[list[Any]]:
            """The same, on a connection to themselves."""

        def dedicated(self) -> Deferred[Any]:
            """Get a connection to oneself."""

        def release(self, connection: Any) -> None:
            """Give it back."""

    @property
    def lifetime(self) -> Lifetime:
        """What ends with this client; whoever extends it says when."""
        if self._lifetime is None:
            self._lifetime = Lifetime(self._clock)
        return self._lifetime

    def having(self, **options: Any) -> TypedRedis:
        """
        Make the typed commands with other options of C{execute}::

            await client.having(timeout=60.0, retry=2).keys("*")
        """
        return TypedRedis(self, **options)

    # -- several commands ---------------------------------------------------

    def pipeline(self) -> Pipeline:
        """Begin to collect commands that are sent together."""
        return Pipeline(self.send_many, self._decode, self.send_alone)

    def transaction(self) -> Transaction:
        """
        Begin to collect commands that are executed together, without anything
        of others between them.  Needs no connection of its own.
        """
        return Transaction(self.send_many, self._decode)

    def watch(self, *keys: Key) -> Watch:
        """
        Watch keys, on a connection of its own, for a transaction that is only
        executed if they do not change until then.

        @return: for C{async with}.
        """
        return Watch(self, keys, self._decode)

    def transact(
        self, body: Body, *keys: Key, attempts: int = 16
    ) -> Deferred[list[Any]]:
        """
        Watch keys, run a body that reads what it needs and fills a transaction,
        and execute that.  If a key has changed meanwhile, all of this is done
        again.

        @param body: is called with a L{Watch} and a L{Transaction}, and
            returns something to wait for.
        @param attempts: how many times, at most.
        @return: fires with the replies of the transaction.  Fails with
            L{TransactionConflict<sockhost.interfaces.TransactionConflict>} if
            the last attempt did, and with whatever the body fails with.
        """
        return Deferred.fromCoroutine(
            transact(lambda: self.watch(*keys), body, attempts)
        )

    # -- what runs in the server --------------------------------------------

    def script(
        self,
        script: Script | str | bytes,
        keys: Iterable[Argument] = (),
        args: Iterable[Argument] = (),
    ) -> Deferred[Any]:
        """Run a script, as L{Script.run} does."""
        return Script.of(script).run(self, keys, args)

    def call(
        self,
        library: Library,
        function: str,
        keys: Iterable[Argument] = (),
        args: Iterable[Argument] = (),
        read_only: bool = False,
    ) -> Deferred[Any]:
        """Call a function of a library, as L{Library.call} does."""
        return library.call(self, function, keys, args, read_only)

    # -- locks and streams --------------------------------------------------

    def lock(self, name: str, ttl: float = 10.0, wait: float | None = None) -> Lock:
        """
        Make a lock that all who use its name share.

        @param ttl: seconds after which it is free if its holder is gone.
        @param wait: seconds that it is waited for; C{None} for ever.
        @return: for C{async with}, or L{Lock.acquire}.
        """
        return Lock(self, self._clock, name, ttl, wait, lifetime=self.lifetime)

    def group_reader(
        self,
        streams: Key | Sequence[Key],
        group: Key,
        consumer: Key,
        **options: Any,
    ) -> GroupReader:
        """
        Read streams as a member of a group.

        @param streams: their keys, or one.
        @param consumer: a name that no other living member of the group has.
        @param options: what else L{GroupReader} has.
        @return: for C{async for}.
        """
        keys = [streams] if isinstance(streams, str | bytes) else list(streams)
        options = {"decode": self._decode, "lifetime": self.lifetime, **options}
        return GroupReader(self, self._clock, keys, group, consumer, **options)

    # -- all of many --------------------------------------------------------

    def scan_keys(
        self,
        match: Key | None = None,
        count: int | None = None,
        type: str | None = None,  # noqa: A002
    ) -> Scan[bytes]:
        """
        Go through the keys of the database.

        @param match: a pattern for them.
        @param count: about how many the server looks at at once.
        @param type: the type of what they name.
        @return: for C{async for}.
        """
        return Scan(
            lambda cursor: self.scan(cursor, match=match, count=count, type=type)
        )

    def scan_hash(
        self, key: Key, match: Key | None = None, count: int | None = None
    ) -> Scan[tuple[bytes, bytes]]:
        """Go through the fields of a hash, with their values."""
        return Scan(lambda cursor: self.hscan(key, cursor, match=match, count=count))

    def scan_set(
        self, key: Key, match: Key | None = None, count: int | None = None
    ) -> Scan[bytes]:
        """Go through the members of a set."""
        return Scan(lambda cursor: self.sscan(key, cursor, match=match, count=count))

    def scan_sorted_set(
        self, key: Key, match: Key | None = None, count: int | None = None
    ) -> Scan[tuple[bytes, float]]:
        """Go through the members of a sorted set, with their scores."""
        return Scan(lambda cursor: self.zscan(key, cursor, match=match, count=count))
