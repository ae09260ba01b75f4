# -*- test-case-name: tests.redis.test_client -*-
"""
The client that programs hold: one object through every loss of its connection.

The client does not connect: the unit beside it does, and hands each new
connection in by L{RedisClient.attach}.  Between two connections commands wait
here, unsent.  What was handed to a connection never comes back: whether the
server has run it is not known, and it is not run again, unless its caller has
said that this does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import (
    IRedis,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
)
from sockhost.redis.alone import execute_alone, send_alone
from sockhost.redis.connection import RedisConnection
from sockhost.redis.decoding import decode_reply
from sockhost.redis.dedicated import Connector, Dedicated
from sockhost.redis.listening import ListeningClient
from sockhost.redis.names import ORDINARY, Place, longest, place_of, refusal
from sockhost.redis.resp import Argument, encode_command, pack_command
from sockhost.redis.retrying import send_again
from sockhost.redis.slots import Batch, Slot
from sockhost.redis.supply import Supply
from sockhost.redis.working import WorkingClient


@implementer(IRedis)
class RedisClient(ListeningClient, WorkingClient):
    """
    A Redis client.  Between the loss of a connection and the next, commands
    wait for up to C{wait} seconds, up to C{max_queued} of them.

    Commands that block (C{BLPOP}, C{XREAD} with C{BLOCK}, …) go to connections
    of their own, and hold nothing up.  The commands that change what the
    connection's replies mean, or who and where it is (C{SUBSCRIBE}, C{MONITOR},
    C{SELECT}, …), fail with L{RedisError}; so does C{WAIT} by itself, which is
    about what was written on its own connection: that is for a L{pipeline}.

    @ivar attached: each is called with a new connection before any command is
        sent on it.
    @ivar detached: each is called with a connection that has ended.
    """

    def __init__(
        self,
        clock: IReactorTime,
        wait: float = 1.0,
        max_queued: int = 100_000,
        on_close: Callable[[float], Deferred[None]] | None = None,
        connector: Connector | None = None,
        decode: str | None = None,
        wait_when_full: bool = False,
    ) -> None:
        """
        @param wait: seconds that a command waits for a connection; 0 to fail
            at once.
        @param max_queued: how many commands may be sent and unanswered, and how
            many may wait.  What is sent in one piece is taken while there is
            room for one, and counts for all that it has.
        @param on_close: ends what hands in connections; given a time in
            seconds, fires when it has ended.
        @param connector: makes greeted connections: those of L{dedicated}.
        @param decode: the encoding of replies, or C{None} for bytes.
        @param wait_when_full: C{True} for commands above C{max_queued} to wait
            for room, as they do for a connection, instead of failing at once.
        """
        self._clock = clock
        self._supply = Supply(clock, wait, max_queued, wait_when_full)
        self._dedicated = Dedicated(clock, wait=wait, connector=connector)
        self._decode = decode
        self.on_close = on_close
        self.attached = self._supply.attached
        self.detached = self._supply.detached
        # One for all commands: each would be an object more to collect.
        self._withdraw = self._supply.withdraw
        self.detached.append(self._mistrust)
        self._begin_to_listen()

    # -- IRedis -------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """C{True} while there is a usable connection."""
        return self._supply.connected

    @property
    def connection(self) -> RedisConnection | None:
        """The connection that all share, or C{None}."""
        return self._supply.connection

    @property
    def reason(self) -> str | None:
        """
        Why there is no connection, or C{None} if there is one or none was tried
        yet.
        """
        return self._supply.reason

    @property
    def queued(self) -> int:
        """How many commands wait for a connection, or for room on it."""
        return self._supply.queued

    @property
    def lent(self) -> int:
        """How many connections there are beside the one that all share."""
        return len(self._dedicated)

    @property
    def outstanding(self) -> int:
        """How many replies the server owes."""
        connection = self._supply.connection
        return 0 if connection is None else connection.outstanding

    def execute(
        self,
        *args: Argument,
        timeout: float | None = None,
        decode: str | None = None,
        retry: int = 0,
    ) -> Deferred[Any]:
        """
        Send one command, as L{IRedis.execute
        <sockhost.interfaces.IRedis.execute>} says.  Fails with C{TypeError} or
        C{ValueError} if the arguments make no command.

        @param timeout: seconds that its reply is waited for, instead of those
            of the client; 0 for no limit.
        @param decode: the encoding of the reply, instead of that of the client;
            C{""} for bytes.
        @param retry: how many times it is sent again when its reply was lost or
            it could not be sent.  Only for what may be executed twice.
        """
        # The way that nearly all commands take calls as little as it can.
        connection = self._supply.ready
        try:
            if retry or args[0] not in ORDINARY:
                return self._execute(args, timeout, decode, retry)
            data = pack_command(args)
        except (TypeError, ValueError, IndexError):
            return self._execute(args, timeout, decode, retry)
        sent = Slot(self._withdraw)
        if connection is None or not connection.accept(
            sent, data, timeout, self._supply.room
        ):
            self._supply.submit(sent, data, timeout)
        encoding = self._decode if decode is None else decode
        if encoding:
            sent.addCallback(decode_reply, encoding)
        return sent

    def execute_raw(
        self, data: bytes, count: int = 1, timeout: float | None = None
    ) -> Deferred[Any]:
        """
        Send commands that L{encode_command
        <sockhost.redis.resp.encode_command>} or L{format_command
        <sockhost.redis.formatting.format_command>} has made.  It is not looked at
        what they are.

        @param count: how many they are.
        @return: like L{execute}; for more than one command, fires with the list
            of all replies, error replies as values in it.
        """
        if count != 1:
            return self.send_many(count, data, timeout)
        return self.submit(Slot(self._withdraw), data, timeout)

    def send_many(
        self, count: int, data: bytes, timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """
        Send encoded commands in one piece, as L{RedisConnection.send_many}
        does.  They wait for a connection together.
        """
        return self.submit(Batch(count).slot(self._withdraw), data, timeout)

    def send_alone(
        self, count: int, data: bytes, timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """The same, on a connection to themselves, as one of them blocks."""
        return send_alone(self, count, data, timeout)

    def submit(
        self, slot: Slot, data: bytes, timeout: float | None = None
    ) -> Deferred[Any]:
        """
        Send encoded commands whose slot exists already.

        @return: the slot.
        """
        self._supply.submit(slot, data, timeout)
        return slot

    def dedicated(self) -> Deferred[RedisConnection]:
        """
        Borrow a connection, greeted as the shared one is, for what must have
        one to itself: C{WATCH}, C{MONITOR}, commands that block.

        @return: fires with a connection, to be given to L{release}.  Fails with
            L{RedisConnectionError}.  Cancelling gives up.
        """
        return Deferred.fromCoroutine(self._borrow())

    def release(self, connection: RedisConnection) -> None:
        """
        End the loan of a connection of L{dedicated}.  It is lent again if it
        is open and owes nothing, and closed otherwise.  What it was told
        (C{WATCH}, C{SUBSCRIBE}, C{SELECT}) must have been taken back; where it
        was not, C{abort} the connection instead.
        """
        self._dedicated.give_back(connection)

    def when_connected(self) -> Deferred[None]:
        """
        See L{IRedis.when_connected<sockhost.interfaces.IRedis.when_connected>}.
        Cancelling detaches the caller.
        """
        return self._supply.when_connected()

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """
        See L{IRedis.close<sockhost.interfaces.IRedis.close>}.  The server is
        told to end commands that may block for longer than the timeout; they
        fail with L{RedisConnectionError}, and have done nothing.  In a host the
        connection is the unit's, which is started again as its C{restart}
        says, and the client with it.
        """
        self._supply.close()
        self.lifetime.end()
        self._end_listening(self._supply.closed_error())
        return Deferred.fromCoroutine(self._close(timeout))

    def abort(self) -> Deferred[None]:
        """
        Close without waiting for anything: commands that were sent fail with
        L{MaybeExecuted<sockhost.interfaces.MaybeExecuted>}.

        @return: like that of L{close}.
        """
        self._supply.close()
        self.cut()
        return self.close(0.0)

    # -- for what owns the connection ---------------------------------------

    def drain(self, timeout: float) -> Deferred[None]:
        """
        Refuse commands until the next L{attach} or L{reopen}, and close the
        connections as L{close} does.
        """
        self._supply.close()
        return Deferred.fromCoroutine(self._drain(timeout))

    async def _close(self, timeout: float) -> None:
        ended = None if self.on_close is None else self.on_close(timeout)
        # Also where the connection is being made anew, or closed more slowly.
        await self.drain(timeout)
        await (ended or succeed(None))

    def cut(self) -> None:
        """End all connections at once."""
        if self.connection is not None:
            self.connection.abort()
        self._dedicated.abort(self._supply.closed_error())

    def part(self, reason: RedisError) -> Deferred[None]:
        """
        End what is left when the shared connection was lost.  What wants a
        connection of its own waits for the next L{attach}.

        @return: fires when nothing is left.
        """
        return self._dedicated.part(reason)

    async def _drain(self, timeout: float) -> None:
        self._unblock(timeout)
        others = self._dedicated.close(timeout)
        if self.connection is not None:
            await self.connection.close(timeout)
        await others

    def _unblock(self, timeout: float) -> None:
        # What would be waited for in vain.  To cut it could lose what the server
        # gives it just then.
        connection = self.connection
        if connection is not None and connection.open:
            for number in self._dedicated.blocked(timeout):
                told = connection.execute("CLIENT", "UNBLOCK", number, "ERROR")
                # It is waited for, then.
                told.addErrback(Failure.trap, RedisError)

    def _unblocked(self, failure: Failure) -> Failure:
        error = failure.value
        ended = isinstance(error, RedisReplyError) and error.code == "UNBLOCKED"
        if ended and self._supply.closed:
            raise self._supply.closed_error() from None
        return failure

    def reopen(self) -> None:
        """Take commands, to wait for a connection that is being made."""
        self._supply.reopen()
        self._dedicated.open()
        self.lifetime.begin()
        self._listen_again()

    def configure(
        self,
        wait: float,
        max_queued: int,
        connector: Connector | None = None,
        decode: str | None = None,
        wait_when_full: bool = False,
        max_dedicated: int = 64,
    ) -> None:
        """Change what holds for the commands that come from now on."""
        self._supply.wait = self._dedicated.wait = wait
        self._supply.bound(max_queued)
        self._supply.wait_when_full = wait_when_full
        self._dedicated.connector = connector
        self._dedicated.limit = max_dedicated
        self._decode_as(decode)

    def attach(self, connection: RedisConnection) -> None:
        """
        Use a connection, which is open and has been prepared, until it ends.
        """
        self._dedicated.open()
        self.lifetime.begin()
        self._supply.attach(connection)

    def refused(self, reason: str | Exception) -> None:
        """Take note of why an attempt to connect failed."""
        self._supply.reason = str(reason)
        self._supply.why = reason if isinstance(reason, Exception) else None

    # -- the ways that few commands take ------------------------------------

    def _execute(
        self,
        args: tuple[Argument, ...],
        timeout: float | None,
        decode: str | None,
        retry: int,
    ) -> Deferred[Any]:
        try:
            data = encode_command(args)
        except (TypeError, ValueError):
            return fail()
        place = place_of(args)
        if place in (Place.NOWHERE, Place.BEHIND):
            return fail(RedisError(refusal(args)))

        def send() -> Deferred[Any]:
            if place is Place.ALONE:
                blocks = partial(self._dedicated.block, longest(args))
                sent = execute_alone(self, data, timeout, blocks)
                return sent.addErrback(self._unblocked)
            return self.submit(Slot(self._withdraw), data, timeout)

        sent = send_again(send, retry, self.lifetime) if retry else send()
        encoding = self._decode if decode is None else decode
        return sent.addCallback(decode_reply, encoding) if encoding else sent

    def _mistrust(self, connection: RedisConnection) -> None:
        # Those that wait in a command that blocks cannot ask for themselves.
        if connection.stalled:
            self._dedicated.abort(RedisConnectionError("the server says nothing"))

    async def _borrow(self) -> RedisConnection:
        await self._supply.when_soon_connected()
        return await self._dedicated.borrow()
