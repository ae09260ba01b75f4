# -*- test-case-name: tests.redis.test_client -*-
"""
The client that programs hold: one object through every loss of its connection.

The client does not connect: the unit beside it does, and hands each new
connection in by L{RedisClient.attach}.  Between two connections commands wait
here, unsent.  What was handed to a connection never comes back: whether the
server has run it is not known, and it is not run again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from sockhost.interfaces import IRedis, RedisConnectionError, RedisError
from sockhost.redis.connection import Pending, RedisConnection
from sockhost.redis.resp import Argument, encode_command

# These change what the replies of a connection mean, or whose they are.  On a
# connection that is shared and comes back by itself they cannot be true.
NOT_SHARED = frozenset(
    {
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "PSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SSUBSCRIBE",
        "SUNSUBSCRIBE",
        "MONITOR",
        "SYNC",
        "PSYNC",
        "HELLO",
        "AUTH",
        "SELECT",
        "RESET",
        "QUIT",
        "CLIENT REPLY",
    }
)
_FIRST_WORDS = frozenset(name.split()[0] for name in NOT_SHARED)


@implementer(IRedis)
class RedisClient:
    """
    A Redis client.  Between the loss of a connection and the next, commands
    wait for up to C{wait} seconds, up to C{max_queued} of them.

    A command that blocks (C{BLPOP}) or that runs for long keeps all those
    behind it waiting, the pings that look for a dead server too.  The commands
    that change what the connection's replies mean, or who and where it is
    (C{SUBSCRIBE}, C{MONITOR}, C{SELECT}, …), fail with L{RedisError}.

    @ivar reason: why there is no connection, or C{None} if there is one or
        none was tried yet.
    """

    def __init__(
        self,
        clock: IReactorTime,
        wait: float = 1.0,
        max_queued: int = 10_000,
        on_close: Callable[[float], Deferred[None]] | None = None,
    ) -> None:
        """
        @param wait: seconds that a command waits for a connection; 0 to fail
            at once.
        @param max_queued: how many commands may wait.
        @param on_close: ends what hands in connections; given a time in
            seconds, fires when it has ended.
        """
        self._clock = clock
        self._wait = wait
        self._max_queued = max_queued
        self.on_close = on_close
        self.reason: str | None = None
        self._closed = False
        self._connection: RedisConnection | None = None
        # What waits: when it is given up, and its bytes; the oldest first.
        self._waiting: dict[Pending, tuple[float, bytes]] = {}
        self._expiry_call: IDelayedCall | None = None
        self._connected: dict[Deferred[None], None] = {}

    # -- IRedis -------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """C{True} while there is a usable connection."""
        return self._connection is not None and self._connection.open

    @property
    def queued(self) -> int:
        """How many commands wait for a connection."""
        return len(self._waiting)

    @property
    def outstanding(self) -> int:
        """How many replies the server owes."""
        return 0 if self._connection is None else self._connection.outstanding

    def execute(self, *args: Argument) -> Deferred[Any]:
        """
        Send one command, as L{IRedis.execute
        <sockhost.interfaces.IRedis.execute>} says.  Fails with C{TypeError} or
        C{ValueError} if the arguments make no command.
        """
        try:
            data = encode_command(args)
        except (TypeError, ValueError):
            return fail()
        refused = _not_shared(args)
        if refused is not None:
            return fail(refused)
        pending = Pending(self._withdraw)
        connection = self._connection
        if connection is not None and connection.open and not self._closed:
            connection.enqueue(pending, data)
        else:
            self._queue(pending, data)
        return pending

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
        return self.close(0.0)

    # -- for what owns the connection ---------------------------------------

    def drain(self, timeout: float) -> Deferred[None]:
        """
        Refuse commands until the next L{attach} or L{reopen}, and close the
        connection as L{close} does.
        """
        self._refuse_all()
        if self._connection is None:
            return succeed(None)
        return self._connection.close(timeout)

    def reopen(self) -> None:
        """Take commands, to wait for a connection that is being made."""
        self._closed = False

    def configure(self, wait: float, max_queued: int) -> None:
        """Change the limits for the commands that come from now on."""
        self._wait = wait
        self._max_queued = max_queued

    def attach(self, connection: RedisConnection) -> None:
        """
        Use a connection, which is open and has been prepared, until it ends.
        """
        self._closed = False
        self.reason = None
        self._connection = connection
        connection.when_disconnected().addCallback(self._lost, connection)
        waiting, self._waiting = self._waiting, {}
        self._cancel_expiry()
        for pending, (_, data) in waiting.items():
            # Firing one may have cancelled another, or ended the connection.
            if not pending.called:
                connection.enqueue(pending, data)
        connected, self._connected = self._connected, {}
        for each in connected:
            if not each.called:
                each.callback(None)

    def refused(self, reason: str) -> None:
        """Take note of why an attempt to connect failed."""
        self.reason = reason

    # -- waiting ------------------------------------------------------------

    def _queue(self, pending: Pending, data: bytes) -> None:
        if self._closed:
            pending.errback(self._closed_error())
        elif self._wait <= 0:
            pending.errback(self._absence("not connected"))
        elif len(self._waiting) >= self._max_queued:
            pending.errback(self._absence(f"{self._max_queued} commands wait already"))
        else:
            self._waiting[pending] = (self._clock.seconds() + self._wait, data)
            if self._expiry_call is None:
                self._expiry_call = self._clock.callLater(self._wait, self._expire)

    def _withdraw(self, pending: Deferred[Any]) -> None:
        # A command that was sent is not here any more and keeps its place.
        self._waiting.pop(pending, None)  # type: ignore[call-overload]

    def _forget(self, waiting: Deferred[None]) -> None:
        self._connected.pop(waiting, None)

    def _expire(self) -> None:
        self._expiry_call = None
        now = self._clock.seconds()
        late = [each for each, (until, _) in self._waiting.items() if until <= now]
        for pending in late:
            if self._waiting.pop(pending, None) is not None:
                pending.errback(self._absence(f"no connection within {self._wait} s"))
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and self._expiry_call is None:
            delay = max(oldest[0] - now, 0.0)
            self._expiry_call = self._clock.callLater(delay, self._expire)

    def _cancel_expiry(self) -> None:
        call, self._expiry_call = self._expiry_call, None
        if call is not None:
            call.cancel()

    def _absence(self, text: str) -> RedisConnectionError:
        return RedisConnectionError(f"{text}: {self.reason}" if self.reason else text)

    def _closed_error(self) -> RedisConnectionError:
        return RedisConnectionError("the client is closed")

    def _refuse_all(self) -> None:
        self._closed = True
        self._cancel_expiry()
        waiting, self._waiting = self._waiting, {}
        connected, self._connected = self._connected, {}
        for pending in waiting:
            if not pending.called:
                pending.errback(self._closed_error())
        for each in connected:
            if not each.called:
                each.errback(self._closed_error())

    def _lost(self, reason: RedisError | None, connection: RedisConnection) -> None:
        if self._connection is connection:
            self._connection = None
            self.reason = str(reason) if reason is not None else "closed"


def _not_shared(args: tuple[Argument, ...]) -> RedisError | None:
    word = _word(args[0])
    if word not in _FIRST_WORDS:
        return None
    if word == "CLIENT":
        word = f"{word} {_word(args[1])}" if len(args) > 1 else word
        if word not in NOT_SHARED:
            return None
    return RedisError(f"{word} is not possible on a connection that is shared")


def _word(value: Argument) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").upper()
    return value.upper() if isinstance(value, str) else ""
