# -*- test-case-name: tests.redis.test_dedicated -*-
"""
Connections of a client beside the one that all share: for what must have one
to itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.interfaces import RedisConnectionError, RedisError, RedisReplyError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.unsent import unsent

#: Makes a connection that has been greeted.  Fails with a L{RedisError}.
#: Cancelling gives up, and leaves nothing.
Connector = Callable[[], Deferred[RedisConnection]]

# How long an idle connection is kept.
IDLE = 30.0


@define(eq=False)
class _Making:
    """
    A connection that is being made.

    @ivar why: why it was given up, or C{None}.
    @ivar over: are fired when nothing of the attempt is left.
    """

    work: Deferred[RedisConnection]
    why: str | None = None
    over: list[Deferred[None]] = field(factory=list)

    def give_up(self, why: str) -> None:
        """Have the attempt fail."""
        if self.why is None:
            self.why = why
            self.work.cancel()

    def when_over(self) -> Deferred[None]:
        """Fires when nothing of it is left."""
        over: Deferred[None] = Deferred()
        self.over.append(over)
        return over


@define
class Dedicated:
    """
    Lends connections, up to a number at a time, and keeps idle ones for a
    while.

    @ivar connector: makes connections, or C{None} if there is none yet.
    @ivar limit: how many there may be.
    @ivar wait: seconds that a borrower waits for one to be free.
    """

    _clock: IReactorTime
    limit: int = 64
    wait: float = 1.0
    connector: Connector | None = None
    _idle: dict[RedisConnection, IDelayedCall] = field(factory=dict)
    _lent: set[RedisConnection] = field(factory=set)
    # Those whose server waits with its answer, and until when at most.
    _blocked: dict[RedisConnection, float] = field(factory=dict)
    # Those that were ended, until they are gone.
    _ending: set[RedisConnection] = field(factory=set)
    _making: dict[_Making, None] = field(factory=dict)
    _waiting: deque[Deferred[None]] = field(factory=deque)
    # Why nothing is lent.
    _refusal: str | None = None

    def __len__(self) -> int:
        return len(self._idle) + len(self._lent) + len(self._making)

    def borrow(self) -> Deferred[RedisConnection]:
        """
        Get a connection to oneself, to be given to L{give_back}, or ended.

        @return: fails with L{RedisConnectionError} if there is none within
            C{wait} seconds, or it cannot be made.  Cancelling gives up.
        """
        return Deferred.fromCoroutine(self._borrow())

    def give_back(self, connection: RedisConnection) -> None:
        """
        End the loan.  A connection that owes nothing is kept for the next
        borrower: what it was told must have been taken back by then.
        """
        self._blocked.pop(connection, None)
        if connection not in self._lent:
            return
        self._lent.discard(connection)
        if connection.reusable and self._refusal is None:
            call = self._clock.callLater(IDLE, self._drop, connection)
            self._idle[connection] = call
        else:
            self._end(connection)
        self._next()

    def block(self, seconds: float, connection: RedisConnection) -> None:
        """
        Take note that the server will let one that is lent wait, for so many
        seconds at most, until it is given back.
        """
        self._blocked[connection] = self._clock.seconds() + seconds

    def blocked(self, seconds: float) -> list[int]:
        """
        Say what the server calls those that it may let wait for longer than so
        many seconds from now on.
        """
        until = self._clock.seconds() + seconds
        those = (each for each, limit in self._blocked.items() if limit > until)
        return [each.client_id for each in those if each.client_id is not None]

    def open(self) -> None:
        """Lend again, after L{close} or L{part}."""
        self._refusal = None

    def abort(self, reason: RedisError) -> None:
        """End all connections at once, those that are lent too."""
        for connection in [*self._idle, *self._lent]:
            connection.abort(reason)
        for making in list(self._making):
            making.give_up(str(reason))

    def part(self, reason: RedisError) -> Deferred[None]:
        """
        Lend no more before L{open}, and end all connections at once, unless
        they are being closed already.

        @return: fires when all are gone.
        """
        if self._refusal is None:
            self._refuse(str(reason))
            self.abort(reason)
        return Deferred.fromCoroutine(self._gather(self._ends()))

    def close(self, timeout: float) -> Deferred[None]:
        """
        Lend no more, and close as L{RedisConnection.close} does.

        @return: fires when all are gone.
        """
        closed = "the client is closed"
        self._refuse(closed)
        ends = self._ends()
        for each in [*self._idle, *self._lent]:
            each.close(timeout)
        for making in list(self._making):
            making.give_up(closed)
        return Deferred.fromCoroutine(self._gather(ends))

    def _refuse(self, reason: str) -> None:
        self._refusal = reason
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            # Firing one may have cancelled another.
            if not each.called:
                each.errback(RedisConnectionError(reason))

    def _ends(self) -> list[Deferred[Any]]:
        there = [*self._idle, *self._lent, *self._ending]
        ends: list[Deferred[Any]] = [each.when_disconnected() for each in there]
        return ends + [making.when_over() for making in self._making]

    async def _gather(self, ends: list[Deferred[Any]]) -> None:
        for each in ends:
            await each

    async def _borrow(self) -> RedisConnection:
        while self._refusal is None:
            connection = self._lend_idle()
            if connection is not None:
                return connection
            if len(self) < self.limit:
                return await self._make()
            await self._free()
        raise RedisConnectionError(self._refusal)

    def _lend_idle(self) -> RedisConnection | None:
        while self._idle:
            connection, call = self._idle.popitem()
            call.cancel()
            if connection.reusable:
                self._lent.add(connection)
                return connection
            # It is closing, or ends within this turn.
            self._end(connection)
        return None

    async def _make(self) -> RedisConnection:
        if self.connector is None:
            raise RedisConnectionError("not connected")
        making = _Making(self.connector())
        self._making[making] = None
        try:
            connection = await self._made(making)
        except BaseException as error:
            self._forget_making(making)
            self._next()
            if isinstance(error, RedisReplyError):
                # To us, and not to what is to be sent.
                raise unsent(str(error), error) from error
            raise
        self._lent.add(connection)
        self._forget_making(making)
        connection.when_disconnected().addCallback(self._gone, connection)
        return connection

    async def _made(self, making: _Making) -> RedisConnection:
        try:
            connection = await making.work
        except BaseException:
            if making.why is not None:
                raise RedisConnectionError(making.why) from None
            raise
        if making.why is not None:
            connection.abort()
            await connection.when_disconnected()
            raise RedisConnectionError(making.why)
        return connection

    def _forget_making(self, making: _Making) -> None:
        del self._making[making]
        for each in making.over:
            each.callback(None)

    async def _free(self) -> None:
        if self.wait <= 0:
            raise self._none_free()
        free: Deferred[None] = Deferred(self._forget)
        self._waiting.append(free)
        late = self._clock.callLater(self.wait, self._late, free)
        try:
            await free
        finally:
            if late.active():
                late.cancel()

    def _forget(self, waiting: Deferred[None]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def _late(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)
        waiting.errback(self._none_free())

    def _none_free(self) -> RedisConnectionError:
        return RedisConnectionError(f"all {self.limit} connections are in use")

    def _next(self) -> None:
        if self._waiting:
            self._waiting.popleft().callback(None)

    def _drop(self, connection: RedisConnection) -> None:
        # A loan does not end it.
        del self._idle[connection]
        self._end(connection)
        self._next()

    def _end(self, connection: RedisConnection) -> None:
        self._ending.add(connection)
        connection.abort()

    def _gone(self, _: RedisError | None, connection: RedisConnection) -> None:
        self._ending.discard(connection)
        self._blocked.pop(connection, None)
        call = self._idle.pop(connection, None)
        if call is not None:
            call.cancel()
        elif connection not in self._lent:
            # Its place was given to another already.
            return
        self._lent.discard(connection)
        self._next()
