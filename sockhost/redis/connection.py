# -*- test-case-name: tests.redis.test_connection -*-
"""
One connection to a Redis server: commands out, replies back, in order.

Theory of operation
===================

The server answers commands in the order in which they came.  So the connection
keeps one queue: a command's Deferred is appended when its bytes are appended
to the output, and each reply fires the first of the queue.  Nothing else ever
takes a place from the queue: a command that was cancelled or has run out of
time keeps its place, and its late reply ends there unseen.

Pushes are told from replies by their type and never touch the queue.

When the connection ends, it first stops taking commands and takes the queue
away, and then fires what was in it, so that a command issued from such a
failure can be neither lost nor run into an endless loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import (
    CommandTimeout,
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisProtocolError,
    RedisReplyError,
)
from sockhost.redis.pulse import Pulse
from sockhost.redis.resp import Argument, Push, RespReader, encode_command


class _State(Enum):
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Pending(Deferred[Any]):
    """
    A command that waits for its reply.

    @ivar expires: when it is not waited for any more, by the reactor's clock;
        only looked at where the connection has a C{timeout}.
    """

    expires: float = 0.0


class RedisConnection(Protocol):
    """
    One connection.

    @ivar latency: seconds that the last ping took, or C{None}.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float = 0.0,
        ping_interval: float = 0.0,
        on_push: Callable[[Push], object] | None = None,
    ) -> None:
        """
        @param timeout: seconds after which a command fails with
            L{MaybeExecuted} if its reply has not come; 0 for no limit.  The
            connection goes on.
        @param ping_interval: seconds between pings.  If a whole interval
            passes without a sign of life, the connection is given up; 0 for no
            pings.
        @param on_push: is called with each message that answers no command.
        """
        self._clock = clock
        self._timeout = timeout
        self._on_push = on_push
        self._reader = RespReader()
        self._state = _State.CLOSED
        self._pending: deque[Pending] = deque()
        self._out: list[bytes] = []
        self._reading = False
        self._flush_call: IDelayedCall | None = None
        self._close_call: IDelayedCall | None = None
        self._reason: RedisError | None = None
        self._ended = False
        self._disconnected: list[Deferred[RedisError | None]] = []
        self._pulse = Pulse(
            clock, ping_interval, lambda: self.execute("PING"), self._stalled
        )
        self._expiry_call: IDelayedCall | None = None

    # -- what is ------------------------------------------------------------

    @property
    def open(self) -> bool:
        """C{True} while commands are taken."""
        return self._state is _State.OPEN

    @property
    def outstanding(self) -> int:
        """How many replies the server owes."""
        return len(self._pending)

    @property
    def latency(self) -> float | None:
        """Seconds that the last ping took, or C{None} before the first."""
        return self._pulse.latency

    # -- commands -----------------------------------------------------------

    def execute(self, *args: Argument) -> Deferred[Any]:
        """
        Send one command.

        @return: like L{IRedis.execute<sockhost.interfaces.IRedis.execute>},
            except that nothing is waited for where the connection is not open:
            then it has failed with L{RedisConnectionError}.
        """
        try:
            data = encode_command(args)
        except (TypeError, ValueError):
            return fail()
        pending = Pending()
        self.enqueue(pending, data)
        return pending

    def enqueue(self, pending: Pending, data: bytes) -> None:
        """
        Send an encoded command whose Deferred exists already.

        @param pending: fires with the reply.  It must not have fired.
        """
        if self._state is not _State.OPEN:
            pending.errback(self._refusal())
            return
        idle = not (self._pending or self._reading or self._out)
        self._out.append(data)
        self._pending.append(pending)
        if self._timeout:
            self._limit(pending)
        if idle:
            # Nothing to join this with: the shortest way to the answer.
            self._flush()
        elif not self._reading and self._flush_call is None:
            self._flush_call = self._clock.callLater(0, self._flush_turn)

    def _refusal(self) -> RedisConnectionError:
        if self._state is _State.CLOSING:
            return RedisConnectionError("the connection is being closed")
        return RedisConnectionError(f"not connected: {self._reason or 'closed'}")

    def _flush_turn(self) -> None:
        self._flush_call = None
        self._flush()

    def _flush(self) -> None:
        """Hand everything to the transport, in one write."""
        if self._out and self._state is not _State.CLOSED:
            data = b"".join(self._out)
            self._out.clear()
            self._wire.write(data)

    @property
    def _wire(self) -> ITCPTransport:
        # That of a Unix socket has the same methods.
        return cast(ITCPTransport, self.transport)

    # -- replies ------------------------------------------------------------

    def connectionMade(self) -> None:
        self._state = _State.OPEN
        wire = self.transport
        if ITCPTransport.providedBy(wire) and not IUNIXTransport.providedBy(wire):
            self._wire.setTcpNoDelay(True)
        self._pulse.start()

    def dataReceived(self, data: bytes) -> None:
        self._pulse.heard()
        self._reading = True
        try:
            for message in self._reader.feed(data):
                if self._state is _State.CLOSED:
                    return
                self._take(message)
        finally:
            self._reading = False
        if self._reader.error is not None:
            self.abort(self._reader.error)
            return
        self._flush()
        if self._state is _State.CLOSING:
            self._close_if_drained()

    def _take(self, message: Any) -> None:
        if type(message) is Push:
            self._pushed(message)
        elif not self._pending:
            self._unasked(message)
        else:
            pending = self._pending.popleft()
            if pending.called:
                return
            if isinstance(message, RedisReplyError):
                pending.errback(message)
            else:
                pending.callback(message)

    def _pushed(self, message: Push) -> None:
        if self._on_push is None:
            return
        try:
            self._on_push(message)
        except Exception:
            self._log.failure("a listener for pushes failed")

    def _unasked(self, message: object) -> None:
        # "max number of clients reached" and the like come before any command
        # and are the reason of the end of the connection that follows them.
        if isinstance(message, RedisReplyError):
            self.abort(message)
        else:
            self.abort(RedisProtocolError("the server sent a reply to no command"))

    # -- limits of time -----------------------------------------------------

    def _limit(self, pending: Pending) -> None:
        pending.expires = self._clock.seconds() + self._timeout
        if self._expiry_call is None:
            self._expire_later()

    def _expire_later(self) -> None:
        # One coarse timer: a timer for each command costs more than the command.
        grain = min(self._timeout / 4, 0.25)
        self._expiry_call = self._clock.callLater(grain, self._expire)

    def _expire(self) -> None:
        self._expiry_call = None
        now = self._clock.seconds()
        for pending in [each for each in self._pending if each.expires <= now]:
            # Firing one may end others.
            if not pending.called:
                pending.errback(CommandTimeout(f"no reply within {self._timeout} s"))
        again = self._pending and self._state is not _State.CLOSED
        if again and self._expiry_call is None:
            self._expire_later()

    def _stalled(self) -> None:
        self.abort(RedisConnectionError("the server does not answer a ping"))

    # -- the end ------------------------------------------------------------

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """
        Refuse new commands, wait for the replies that are owed, and close.
        Legal at any time, from callbacks too.

        @param timeout: seconds after which what is outstanding fails with
            L{MaybeExecuted}.
        @return: fires after everything else of the connection has.
        """
        if self._state is _State.OPEN:
            self._state = _State.CLOSING
            self._close_call = self._clock.callLater(
                timeout,
                self.abort,
                RedisConnectionError(f"not drained within {timeout} s"),
            )
            if not self._reading:
                self._flush()
                self._close_if_drained()
        return self.when_disconnected().addCallback(lambda _: None)

    def _close_if_drained(self) -> None:
        if all(pending.called for pending in self._pending):
            self._wire.loseConnection()

    def abort(self, reason: RedisError | None = None) -> None:
        """
        Close at once.  What is outstanding fails with L{MaybeExecuted}, in
        order.  Legal at any time, from callbacks too; replies that were
        received but not handed out yet are dropped.

        @param reason: what is told of it.
        """
        if self.transport is None or self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._reason = reason or RedisConnectionError("the connection was aborted")
        self._wire.abortConnection()

    def when_disconnected(self) -> Deferred[RedisError | None]:
        """
        @return: fires when the connection has ended and after every command's
            Deferred, with the reason, or with C{None} after a L{close} that
            drained everything.  Never fails.
        """
        if self._ended:
            return succeed(self._reason)
        waiting: Deferred[RedisError | None] = Deferred()
        self._disconnected.append(waiting)
        return waiting

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        clean = self._state is _State.CLOSING and not self._owes()
        self._state = _State.CLOSED
        if self._reason is None and not clean:
            self._reason = RedisConnectionError(
                f"the connection was lost: {reason.getErrorMessage()}"
            )
        self._cancel_calls()
        self._fail_pending()
        self._ended = True
        waiting, self._disconnected = self._disconnected, []
        for each in waiting:
            each.callback(self._reason)

    def _owes(self) -> bool:
        return any(not pending.called for pending in self._pending)

    def _cancel_calls(self) -> None:
        self._pulse.stop()
        for call in (self._flush_call, self._close_call, self._expiry_call):
            if call is not None and call.active():
                call.cancel()

    def _fail_pending(self) -> None:
        pending, self._pending = self._pending, deque()
        sent = len(pending) - len(self._out)
        self._out.clear()
        for place, each in enumerate(pending):
            if not each.called:
                each.errback(self._loss(sent=place < sent))

    def _loss(self, sent: bool) -> RedisConnectionError:
        if sent:
            return MaybeExecuted(f"the reply was lost: {self._reason}")
        return RedisConnectionError(f"not sent: {self._reason}")
