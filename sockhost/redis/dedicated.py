# -*- test-case-name: tests.redis.test_dedicated -*-
"""
Connections of a client beside the one that all share: for what must have one
to itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.interfaces import RedisConnectionError, RedisError
from sockhost.redis.connection import RedisConnection

#: Makes a connection that has been greeted.  Fails with a L{RedisError}.
#: Cancelling gives up, and leaves nothing.
Connector = Callable[[], Deferred[RedisConnection]]

# How long an idle connection is kept.
IDLE = 30.0


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
    _making: dict[Deferred[RedisConnection], None] = field(factory=dict)
    _waiting: deque[Deferred[None]] = field(factory=deque)
    _closed: bool = False

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
        if connection not in self._lent:
            return
        self._lent.discard(connection)
        if connection.reusable and not self._closed:
            call = self._clock.callLater(IDLE, self._drop, connection)
            self._idle[connection] = call
        else:
            connection.abort()
        self._next()

    def open(self) -> None:
        """Lend again, after L{close}."""
        self._closed = False

    def abort(self, reason: RedisError) -> None:
        """End all connections at once, those that are lent too."""
        for connection in [*self._idle, *self._lent]:
            connection.abort(reason)
        for making in list(self._making):
            making.cancel()

    def close(self, timeout: float) -> Deferred[None]:
        """
        Lend no more, and close as L{RedisConnection.close} does.

        @return: fires when all are gone.
        """
        return Deferred.fromCoroutine(self._close(timeout))

    async def _close(self, timeout: float) -> None:
        self._closed = True
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.errback(_closed())
        for making in list(self._making):
            making.cancel()
        closing = [each.close(timeout) for each in [*self._idle, *self._lent]]
        for each in closing:
            await each

    async def _borrow(self) -> RedisConnection:
        while not self._closed:
            if self._idle:
                return self._lend_idle()
            if len(self) < self.limit:
                return await self._make()
            await self._free()
        raise _closed()

    def _lend_idle(self) -> RedisConnection:
        connection, call = self._idle.popitem()
        call.cancel()
        self._lent.add(connection)
        return connection

    async def _make(self) -> RedisConnection:
        if self.connector is None:
            raise RedisConnectionError("not connected")
        making = self.connector()
        self._making[making] = None
        try:
            connection = await making
        except BaseException:
            del self._making[making]
            self._next()
            if self._closed:
                raise _closed() from None
            raise
        del self._making[making]
        if self._closed:
            connection.abort()
            await connection.when_disconnected()
            raise _closed()
        self._lent.add(connection)
        connection.when_disconnected().addCallback(self._gone, connection)
        return connection

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
        connection.abort()

    def _gone(self, _: RedisError | None, connection: RedisConnection) -> None:
        self._lent.discard(connection)
        call = self._idle.pop(connection, None)
        if call is not None and call.active():
            call.cancel()
        self._next()


def _closed() -> RedisConnectionError:
    return RedisConnectionError("the client is closed")
