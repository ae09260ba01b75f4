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
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import (
    IRedis,
    RedisConnectionError,
    RedisError,
    RedisQueueFull,
)
from sockhost.redis.alone import execute_alone
from sockhost.redis.connection import RedisConnection
from sockhost.redis.decoding import decode_reply
from sockhost.redis.dedicated import Connector, Dedicated
from sockhost.redis.listening import ListeningClient
from sockhost.redis.names import Place, command_name, place_of
from sockhost.redis.resp import Argument, encode_command
from sockhost.redis.retrying import send_again
from sockhost.redis.slots import Batch, Pending, Slot
from sockhost.redis.waiting import Waiting


@implementer(IRedis)
class RedisClient(ListeningClient):
    """
    A Redis client.  Between the loss of a connection and the next, commands
    wait for up to C{wait} seconds, up to C{max_queued} of them.

    Commands that block (C{BLPOP}, C{XREAD} with C{BLOCK}, C{WAIT}, …) go to
    connections of their own, and hold nothing up.  The commands that change
    what the connection's replies mean, or who and where it is (C{SUBSCRIBE},
    C{MONITOR}, C{SELECT}, …), fail with L{RedisError}.

    @ivar reason: why there is no connection, or C{None} if there is one or
        none was tried yet.
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
        @param max_queued: how many commands may be unanswered, sent or not.
        @param on_close: ends what hands in connections; given a time in
            seconds, fires when it has ended.
        @param connector: makes greeted connections: those of L{dedicated}.
        @param decode: the encoding of replies, or C{None} for bytes.
        @param wait_when_full: C{True} for commands above C{max_queued} to wait
            for room, as they do for a connection, instead of failing at once.
        """
        self._clock = clock
        self._wait = wait
        self._max_queued = max_queued
        self._wait_when_full = wait_when_full
        self._decode = decode
        self.on_close = on_close
        self.reason: str | None = None
        self.attached: list[Callable[[RedisConnection], object]] = []
        self.detached: list[Callable[[RedisConnection], object]] = []
        self._closed = False
        self._connection: RedisConnection | None = None
        self._waiting = Waiting(clock, self._late)
        self._dedicated = Dedicated(clock, wait=wait, connector=connector)
        self._connected: dict[Deferred[None], None] = {}
        self._begin_to_listen()

    # -- IRedis -------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """C{True} while there is a usable connection."""
        return self._connection is not None and self._connection.open

    @property
    def connection(self) -> RedisConnection | None:
        """The connection that all share, or C{None}."""
        return self._connection

    @property
    def queued(self) -> int:
        """How many commands wait for a connection."""
        return len(self._waiting)

    @property
    def outstanding(self) -> int:
        """How many replies the server owes."""
        return 0 if self._connection is None else self._connection.outstanding

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
        @param decode: the encoding of the reply, instead of that of the client.
        @param retry: how many times it is sent again when its reply was lost or
            it could not be sent.  Only for what may be executed twice.
        """
        try:
            data = encode_command(args)
        except (TypeError, ValueError):
            return fail()
        place = place_of(args)
        if place is not Place.SHARED or retry:
            return self._special(place, args, data, timeout, decode, retry)
        sent = self.submit(Pending(self._withdraw), data, timeout)
        encoding = decode or self._decode
        if encoding is not None:
            sent.addCallback(decode_reply, encoding)
        return sent

    def execute_raw(
        self, data: bytes, count: int = 1, timeout: float | None = None
    ) -> Deferred[Any]:
        """
        Send commands that L{encode_command
        <sockhost.redis.resp.encode_command>} or L{format_command
        <sockhost.redis.resp.format_command>} has made.  It is not looked at
        what they are.

        @param count: how many they are.
        @return: like L{execute}; for more than one command, fires with the list
            of all replies, error replies as values in it.
        """
        if count != 1:
            return self.send_many(count, data, timeout)
        return self.submit(Pending(self._withdraw), data, timeout)

    def send_many(
        self, count: int, data: bytes, timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """
        Send encoded commands in one piece, as L{RedisConnection.send_many}
        does.  They wait for a connection together.
        """
        return self.submit(Batch(count, self._withdraw), data, timeout)

    def submit(
        self, slot: Slot, data: bytes, timeout: float | None = None
    ) -> Deferred[Any]:
        """
        Send encoded commands whose slot exists already.

        @return: the slot.
        """
        connection = self._connection
        if connection is None or not connection.open or self._closed or self._waiting:
            self._queue(slot, data, timeout)
        elif connection.outstanding >= self._max_queued:
            self._full(slot, data, timeout)
        else:
            connection.enqueue(slot, data, timeout)
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
        if self.connected:
            return succeed(None)
        if self._closed:
            return fail(self._closed_error())
        waiting: Deferred[None] = Deferred(self._forget)
        self._connected[waiting] = None
        return waiting

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """
        See L{IRedis.close<sockhost.interfaces.IRedis.close>}.  In a host the
        connection is the unit's, which is started again as its C{restart}
        says, and the client with it.
        """
        self._refuse_all()
        self._end_listening(self._closed_error())
        if self.on_close is not None:
            return self.on_close(timeout)
        return self.drain(timeout)

    def abort(self) -> Deferred[None]:
        """
        Close without waiting for anything: commands that were sent fail with
        L{MaybeExecuted<sockhost.interfaces.MaybeExecuted>}.

        @return: like that of L{close}.
        """
        self._refuse_all()
        if self._connection is not None:
            self._connection.abort()
        self._dedicated.abort(self._closed_error())
        return self.close(0.0)

    # -- for what owns the connection ---------------------------------------

    def drain(self, timeout: float) -> Deferred[None]:
        """
        Refuse commands until the next L{attach} or L{reopen}, and close the
        connections as L{close} does.
        """
        self._refuse_all()
        return Deferred.fromCoroutine(self._drain(timeout))

    async def _drain(self, timeout: float) -> None:
        others = self._dedicated.close(timeout)
        if self._connection is not None:
            await self._connection.close(timeout)
        await others

    def reopen(self) -> None:
        """Take commands, to wait for a connection that is being made."""
        self._closed = False
        self._dedicated.open()

    def configure(
        self,
        wait: float,
        max_queued: int,
        connector: Connector | None = None,
        decode: str | None = None,
        wait_when_full: bool = False,
    ) -> None:
        """Change what holds for the commands that come from now on."""
        self._wait = self._dedicated.wait = wait
        self._max_queued = max_queued
        self._dedicated.connector = connector
        self._decode = decode
        self._wait_when_full = wait_when_full

    def attach(self, connection: RedisConnection) -> None:
        """
        Use a connection, which is open and has been prepared, until it ends.
        """
        self.reopen()
        self.reason = None
        self._connection = connection
        connection.when_disconnected().addCallback(self._lost, connection)
        for tell in self.attached:
            tell(connection)
        self._send_waiting()
        connected, self._connected = self._connected, {}
        for each in connected:
            if not each.called:
                each.callback(None)

    def refused(self, reason: str) -> None:
        """Take note of why an attempt to connect failed."""
        self.reason = reason

    # -- the ways that few commands take ------------------------------------

    def _special(
        self,
        place: Place,
        args: tuple[Argument, ...],
        data: bytes,
        timeout: float | None,
        decode: str | None,
        retry: int,
    ) -> Deferred[Any]:
        if place is Place.NOWHERE:
            name = command_name(args)
            return fail(
                RedisError(f"{name} is not possible on a connection that is shared")
            )

        def send() -> Deferred[Any]:
            if place is Place.ALONE:
                return execute_alone(self, data, timeout)
            return self.submit(Pending(self._withdraw), data, timeout)

        sent = send_again(send, retry, self._clock) if retry else send()
        encoding = decode or self._decode
        return sent if encoding is None else sent.addCallback(decode_reply, encoding)

    async def _borrow(self) -> RedisConnection:
        waiting = self.when_connected()
        if not waiting.called:
            if self._wait <= 0:
                waiting.cancel()
                waiting.addErrback(Failure.trap, CancelledError)
                raise self._absence("not connected")
            waiting.addTimeout(self._wait, self._clock, self._too_late)
        await waiting
        return await self._dedicated.borrow()

    def _too_late(self, _result: object, _seconds: float) -> Failure:
        return Failure(self._late())

    # -- waiting ------------------------------------------------------------

    def _queue(self, slot: Slot, data: bytes, timeout: float | None) -> None:
        if self._closed:
            slot.errback(self._closed_error())
        elif self._wait <= 0:
            slot.errback(self._absence("not connected"))
        elif len(self._waiting) >= self._max_queued:
            slot.errback(RedisQueueFull(f"{self._max_queued} commands wait already"))
        else:
            self._waiting.add(slot, data, timeout, self._wait)

    def _full(self, slot: Slot, data: bytes, timeout: float | None) -> None:
        if self._wait_when_full:
            self._queue(slot, data, timeout)
            self._await_room()
        else:
            slot.errback(RedisQueueFull(f"{self._max_queued} commands are unanswered"))

    def _await_room(self) -> None:
        if self._connection is not None:
            self._connection.on_room = self._send_waiting

    def _send_waiting(self) -> None:
        connection = self._connection
        while connection is not None and connection.open:
            if connection.outstanding >= self._max_queued:
                self._await_room()
                return
            first = self._waiting.take()
            if first is None:
                return
            connection.enqueue(*first)

    def _withdraw(self, slot: Deferred[Any]) -> None:
        # What was sent is not here any more and keeps its place.
        if not self._waiting.withdraw(slot) and self._connection is not None:
            self._connection.withdraw(slot)

    def _forget(self, waiting: Deferred[None]) -> None:
        self._connected.pop(waiting, None)

    def _late(self) -> RedisConnectionError:
        if self.connected:
            return RedisQueueFull(f"no room within {self._wait} s")
        return self._absence(f"no connection within {self._wait} s")

    def _absence(self, text: str) -> RedisConnectionError:
        return RedisConnectionError(f"{text}: {self.reason}" if self.reason else text)

    def _closed_error(self) -> RedisConnectionError:
        return RedisConnectionError("the client is closed")

    def _refuse_all(self) -> None:
        self._closed = True
        connected, self._connected = self._connected, {}
        for slot in self._waiting.take_all():
            slot.errback(self._closed_error())
        for each in connected:
            if not each.called:
                each.errback(self._closed_error())

    def _lost(self, reason: RedisError | None, connection: RedisConnection) -> None:
        if self._connection is connection:
            self._connection = None
            self.reason = str(reason) if reason is not None else "closed"
            for tell in self.detached:
                tell(connection)
