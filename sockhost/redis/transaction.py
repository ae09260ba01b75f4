# -*- test-case-name: tests.redis.test_transaction -*-
"""
Commands that are executed all or not at all, with nothing of others between
them.

Theory of operation
===================

C{MULTI}, the commands and C{EXEC} are sent in one piece, so nobody's commands
come between them on a connection that is shared, and whoever cancels withdraws
all of it or nothing.

Only what is watched needs a connection of its own: C{WATCH} is a state of the
connection, between the reads and C{EXEC}.  That connection goes back only when
it is known to watch nothing; in doubt it is closed, which ends the watch too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisError, RedisReplyError, TransactionConflict
from sockhost.redis.commands import Commands
from sockhost.redis.decoding import decode_reply
from sockhost.redis.names import Place, command_name, place_of, remedy
from sockhost.redis.pipeline import Batching
from sockhost.redis.resp import Argument, encode_command
from sockhost.redis.scripts import Script

_MULTI = encode_command(("MULTI",))
_EXEC = encode_command(("EXEC",))


class Transaction(Batching):
    """
    Commands that are executed together.  When it has been run it is empty, and
    may be used again, but for one that a L{Watch} has made.
    """

    def _check(self, place: Place, args: tuple[Argument, ...]) -> None:
        super()._check(place, args)
        if place is Place.BEHIND:
            name = command_name(args)
            raise RedisError(
                f"{name} waits for nothing in a transaction: execute it behind that, "
                "on the connection of a watch()"
            )

    def run(self, timeout: float | None = None) -> Deferred[list[Any]]:
        """
        Execute all that is kept.

        @param timeout: seconds that the replies are waited for, instead of
            those of the client; 0 for no limit.
        @return: fires with the replies in the order of the commands; a command
            that failed when it was executed has its L{RedisReplyError} in its
            place, and the others were executed all the same.  Nothing was
            executed if it fails with L{TransactionConflict}, as a watched key
            has changed, or with L{RedisReplyError}, as the server takes one of
            the commands for none; its text says what is wrong with it.  Only
            where the server refuses C{MULTI} itself to this user, and takes the
            commands one by one, they were executed: the text says so then.  Fails
            with L{RedisConnectionError<sockhost.interfaces.RedisConnectionError>}
            and L{MaybeExecuted<sockhost.interfaces.MaybeExecuted>} as a whole,
            as single commands do.  Cancelling withdraws all that was not sent,
            or none.
        """
        return Deferred.fromCoroutine(self._run(timeout))

    async def _run(self, timeout: float | None) -> list[Any]:
        data, shaped = [_MULTI, *self._data, _EXEC], self._shaper()
        self.clear()
        replies = await self._send(len(data), b"".join(data), timeout)
        if isinstance(replies[0], RedisReplyError):
            raise _untransacted(replies[0], replies[1:-1])
        return shaped(_results(replies))


def _results(replies: list[Any]) -> list[Any]:
    results = replies[-1]
    if results is None:
        raise TransactionConflict("a key that was watched has changed")
    if isinstance(results, RedisReplyError):
        raise _explained(results, replies[1:-1])
    return list(results)


def _untransacted(error: RedisReplyError, replies: list[Any]) -> RedisReplyError:
    # There is no transaction, so the commands were executed one by one, or
    # refused for the same reason: only their own replies know.
    executed = sum(not isinstance(each, RedisReplyError) for each in replies)
    if not executed:
        return error
    return type(error)(
        f"{error} (there was no transaction: {executed} of {len(replies)} commands "
        "were executed one by one)"
    )


def _explained(error: RedisReplyError, replies: list[Any]) -> RedisReplyError:
    refused = [each for each in replies if isinstance(each, RedisReplyError)]
    return RedisReplyError(f"{error} {refused[0]}") if refused else error


class Lends(Protocol):
    """What lends connections: the client."""

    def dedicated(self) -> Deferred[Any]:
        """Lend a connection."""

    def release(self, connection: Any) -> None:
        """Take it back."""


class Watch(Commands):
    """
    A connection of its own that watches keys::

        async with client.watch("stock") as watch:
            left = int(await watch.get("stock"))
            await watch.transaction().set("stock", left - 1).run()

    The commands of it are executed at once, those of its L{transaction} only if
    no watched key was changed by anybody since it was watched.
    """

    def __init__(
        self, lender: Lends, keys: tuple[Argument, ...], decode: str | None = None
    ) -> None:
        self._lender = lender
        self._keys = keys
        self._decode = decode
        self._connection: Any = None
        # How often the connection was told to watch something, and how much of
        # that has ended.
        self._begun = 0
        self._over = 0

    async def __aenter__(self) -> Watch:
        self._connection = await self._lender.dedicated()
        try:
            await self.watch(*self._keys)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._begun > self._over:
                await self.unwatch()
        except RedisError:
            # The body has succeeded, and what may be watched still ends below.
            pass
        finally:
            self._end()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if self._begun > self._over:
            connection.abort()
        self._lender.release(connection)

    def execute(self, *args: Argument) -> Deferred[Any]:
        """
        Execute a command at once.

        @raise RedisError: it is one that would change the state of the
            connection, or the watch has ended.
        """
        if place_of(args) is Place.NOWHERE:
            name = command_name(args)
            raise RedisError(
                f"{name} is not possible beside a transaction{remedy(name)}"
            )
        sent: Deferred[Any] = self._open().execute(*args)
        if self._decode is not None:
            sent.addCallback(decode_reply, self._decode)
        return sent

    def watch(self, *keys: Argument) -> Deferred[Any]:
        """Watch keys, besides those that are watched."""
        connection = self._open()
        self._begun += 1
        sent: Deferred[Any] = connection.execute("WATCH", *keys)
        return sent

    def unwatch(self) -> Deferred[Any]:
        """Watch nothing any more."""
        sent: Deferred[Any] = self._open().execute("UNWATCH")
        return sent.addCallback(self._unwatched, self._begun)

    def script(
        self,
        script: Script | str | bytes,
        keys: tuple[Argument, ...] = (),
        args: tuple[Argument, ...] = (),
    ) -> Deferred[Any]:
        """Run a script at once, as L{Script.run} does."""
        return Script.of(script).run(self, keys, args)

    def transaction(self) -> Transaction:
        """Begin a transaction that depends on what is watched."""
        self._open()
        return Transaction(self._send_many, self._decode)

    def _send_many(
        self, count: int, data: bytes, timeout: float | None
    ) -> Deferred[list[Any]]:
        sent: Deferred[list[Any]] = self._open().send_many(count, data, timeout)
        return sent.addCallback(self._executed, self._begun)

    def _open(self) -> Any:
        if self._connection is None:
            raise RedisError("the watch has ended")
        return self._connection

    def _unwatched(self, reply: Any, begun: int) -> Any:
        # What was watched since stays so.
        self._over = max(self._over, begun)
        return reply

    def _executed(self, replies: list[Any], begun: int) -> list[Any]:
        if not isinstance(replies[0], RedisReplyError):
            self._over = max(self._over, begun)
        return replies


Body = Callable[[Watch, Transaction], Awaitable[object]]


async def transact(watch: Callable[[], Watch], body: Body, attempts: int) -> list[Any]:
    """
    Run a body with a watch and a transaction, and then the transaction; again
    if a watched key has changed.
    """
    while True:
        attempts -= 1
        try:
            async with watch() as watched:
                transaction = watched.transaction()
                await body(watched, transaction)
                return await transaction.run()
        except TransactionConflict:
            if attempts <= 0:
                raise
