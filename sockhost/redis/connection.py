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

from collections.abc import Callable
from enum import Enum
from functools import partial
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisError
from sockhost.redis.deadlines import Deadlines
from sockhost.redis.ending import Ending
from sockhost.redis.inbox import Inbox
from sockhost.redis.line import Line
from sockhost.redis.outlet import Outlet
from sockhost.redis.pulse import Pulse
from sockhost.redis.resp import Argument, Push, RespReader, encode_command
from sockhost.redis.slots import Acked, Batch, Slot
from sockhost.redis.wire import cut, read_directly, set_no_delay


class _State(Enum):
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


_OPEN, _CLOSING, _CLOSED = _State


class RedisConnection(Protocol):
    """
    One connection.

    @ivar open: C{True} while commands are taken.
    @ivar line: what is owed, and not sent.
    @ivar stalled: C{True} if it was ended because the server said nothing.
    @ivar protocol: 2 or 3.
    @ivar server_version: as the server said it, or C{None}.
    @ivar client_id: the number of this at the server, or C{None}.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float = 0.0,
        ping_interval: float = 0.0,
        on_push: Callable[[Push], object] | None = None,
        reader: RespReader | None = None,
    ) -> None:
        """
        @param timeout: seconds after which a command fails with
            L{MaybeExecuted} if its reply has not come; 0 for no limit.  The
            connection goes on.
        @param ping_interval: seconds between pings.  If a whole interval
            passes without a sign of life, the connection is given up; 0 for no
            pings.
        """
        self._clock = clock
        self.protocol = 2
        self.server_version: str | None = None
        self.client_id: int | None = None
        self._reader = reader or RespReader()
        self._feed = self._reader.feed
        self._state = _CLOSED
        self.open = False
        self.stalled = False
        self.line = Line()
        self._slots = self.line.slots
        self._unsent = self.line.unsent
        self._inbox = Inbox(self.line, on_push=on_push)
        self._outlet = Outlet(clock, self.line)
        self._reason: RedisError | None = None
        self._ending = Ending(clock, self.abort, self._close_if_drained)
        self._pulse = Pulse(
            clock, ping_interval, lambda: self.execute("PING"), self._stalled
        )
        self._deadlines = Deadlines(clock, timeout, self.line, self._ending.look_soon)

    # -- what is ------------------------------------------------------------

    @property
    def reusable(self) -> bool:
        """C{True} if it is open and owes nothing."""
        return self.open and not self._slots

    @property
    def outstanding(self) -> int:
        """How many commands have no reply."""
        return len(self._slots) + self.line.beyond

    @property
    def latency(self) -> float | None:
        """Seconds that the last ping took, or C{None} before the first."""
        return self._pulse.latency

    @property
    def on_push(self) -> Callable[[Push], object] | None:
        """What is called with each push, or C{None}."""
        return self._inbox.on_push

    @on_push.setter
    def on_push(self, listener: Callable[[Push], object] | None) -> None:
        self._inbox.on_push = listener

    @property
    def on_message(self) -> Callable[[Any], bool] | None:
        """
        What is called with each other message first, or C{None}; where it
        returns C{True}, the message answers nothing that is in the queue.  For
        what a connection is after C{MONITOR}, or after C{SUBSCRIBE} in RESP2.
        """
        return self._inbox.on_message

    @on_message.setter
    def on_message(self, listener: Callable[[Any], bool] | None) -> None:
        self._inbox.on_message = listener

    def route_channels(
        self, channels: dict[bytes, Callable[[bytes, Any], object]]
    ) -> None:
        """
        Have what is published on a channel handed to what is here under its
        name, with the channel and the data, instead of to C{on_push}.
        """
        self._inbox.channels = channels

    def look_ahead(self, look: Callable[[list[Any]], object] | None) -> None:
        """
        Have something called with all messages of each read before any of them
        is handed out, or with C{None} nothing any more.
        """
        reader = self._reader
        self._feed = reader.feed if look is None else partial(reader.show, look)

    # -- commands -----------------------------------------------------------

    def execute(self, *args: Argument, timeout: float | None = None) -> Deferred[Any]:
        """
        Send one command.

        @param timeout: seconds, instead of those of the connection.
        @return: like L{IRedis.execute<sockhost.interfaces.IRedis.execute>},
            except that nothing is waited for where the connection is not open:
            then it has failed with L{RedisConnectionError}.
        """
        try:
            data = encode_command(args)
        except (TypeError, ValueError):
            return fail()
        return self.enqueue(Slot(self.withdraw), data, timeout)

    def send_many(
        self, count: int, data: bytes, timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """
        Send commands that are encoded already, in one piece.

        @param count: how many there are, at least one.
        @return: fires with all their replies in order, error replies as
            L{RedisReplyError} values among them.  Fails and cancels like one
            command.
        """
        return self.enqueue(Batch(count).slot(self.withdraw), data, timeout)

    def send_acked(
        self,
        data: bytes,
        acknowledged: Callable[[Push], bool],
        timeout: float | None = None,
    ) -> Deferred[Any]:
        """
        Send one encoded command that is answered by pushes.

        @param acknowledged: is called, after C{on_push}, with each push that
            comes while this is what the server owes first; says whether that
            was the last one for it.
        @return: fires with the last push.  Fails with L{RedisReplyError} if
            the server refuses the command.
        """
        slot = Acked(acknowledged).slot(self.withdraw)
        return self.enqueue(slot, data, timeout)

    def enqueue(
        self, slot: Slot, data: bytes, timeout: float | None = None
    ) -> Deferred[Any]:
        """
        Send encoded commands whose slot exists already.

        @param slot: fires with what the server answers.  It must not have
            fired.
        @return: the slot.
        """
        if not self.accept(slot, data, timeout):
            slot.errback(self._refusal())
        elif slot.taker is not None:
            self.line.owe(slot.beyond)
        return slot

    def accept(
        self, slot: Slot, data: bytes, timeout: float | None = None, limit: float = inf
    ) -> bool:
        """
        Like L{enqueue}, but do nothing if this is not open, or owes so many
        replies.

        @return: whether it was done.
        """
        slots = self._slots
        if not self.open or len(slots) >= limit:
            return False
        deadlines = self._deadlines
        if timeout is None and deadlines.coming:
            slot.expires = deadlines.coming
        else:
            deadlines.limit(slot, deadlines.usual if timeout is None else timeout)
        slots.append(slot)
        self._unsent.append(data)
        if not self._outlet.awaited:
            self._outlet.wake(len(slots) == 1)
        return True

    def withdraw(self, slot: Deferred[Any]) -> None:
        """
        Take note that a slot is being cancelled: if its bytes are still here,
        they are not sent.
        """
        self.line.withdrawn = True
        self._ending.look_soon()

    def _refusal(self) -> RedisConnectionError:
        if self._state is _CLOSING:
            return RedisConnectionError("the connection is being closed")
        return RedisConnectionError(f"not connected: {self._reason or 'closed'}")

    # -- reading ------------------------------------------------------------

    def pause_reading(self) -> None:
        """
        Leave what the server sends where it is, until L{resume_reading}.  What
        was read already is handed out.  No pings are sent meanwhile.
        """
        if self._state is not _CLOSED:
            self._pulse.stop()
            self._wire.pauseProducing()

    def resume_reading(self) -> None:
        """Read again what the server sends."""
        if self._state is not _CLOSED:
            self._pulse.stop()
            self._pulse.silent = False
            self._pulse.start()
            self._wire.resumeProducing()

    @property
    def _wire(self) -> Any:
        # Of several interfaces: a transport's, a consumer's.
        return self.transport

    # -- replies ------------------------------------------------------------

    def connectionMade(self) -> None:
        self._state = _OPEN
        self.open = True
        set_no_delay(self.transport)
        self._outlet.open(self.transport)
        read_directly(self.transport, self.dataReceived)
        self._pulse.start()

    def dataReceived(self, data: bytes) -> None:
        self._pulse.silent = False
        self._outlet.awaited = True
        wrong = self._inbox.take(self._feed(data)) or self._reader.error
        if self._state is _CLOSED:
            return
        if wrong is not None:
            self.abort(wrong)
            return
        if self.line.on_room is not None:
            self.line.make_room()
        self._outlet.end_turn()
        if self._state is _CLOSING:
            self._close_if_drained()

    def take_push(self, message: Push) -> None:
        """
        Take a message that answers no command, as if it had been received as a
        push.
        """
        self._inbox.push(message)

    def hold_pings(self, held: bool) -> None:
        """
        Say that the server is busy with one command and will answer nothing
        else until that is done, or that it is not any more.
        """
        self._pulse.held = held

    def _stalled(self) -> None:
        self.stalled = True
        self.abort(RedisConnectionError("the server does not answer a ping"))

    # -- the end ------------------------------------------------------------

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """
        Refuse new commands, wait for the replies that are owed, and close.
        Legal at any time, from callbacks too.

        @param timeout: seconds after which what is outstanding fails with
            L{MaybeExecuted}.  Of several calls the one that is over first counts.
        @return: fires after everything else of the connection has.
        """
        if self._state is _OPEN:
            self._state = _CLOSING
            self.open = False
            self._ending.limit(timeout)
            self._outlet.flush()
            self._close_if_drained()
        elif self._state is _CLOSING:
            self._ending.limit(timeout)
        return self.when_disconnected().addCallback(lambda _: None)

    def _close_if_drained(self) -> None:
        if self._state is _CLOSING and not self._owes():
            self._outlet.end_production()
            self._wire.loseConnection()

    def abort(self, reason: RedisError | None = None) -> None:
        """
        Close at once.  What is outstanding fails with L{MaybeExecuted}, in
        order.  Legal at any time, from callbacks too; replies that were
        received but not handed out yet are dropped.

        @param reason: what is told of it.
        """
        if self.transport is None or self._state is _CLOSED:
            return
        self._state = _CLOSED
        self.open = False
        self._reason = reason or RedisConnectionError("the connection was aborted")
        self._inbox.ended = True
        self._outlet.close()
        cut(self._wire)

    def when_disconnected(self) -> Deferred[RedisError | None]:
        """
        @return: fires when the connection has ended and after every command's
            Deferred, with the reason, or with C{None} after a L{close} that
            drained everything.  Never fails.
        """
        return self._ending.when()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        clean = self._state is _CLOSING and not self._owes()
        self._state = _CLOSED
        self.open = False
        if self._reason is None and not clean:
            self._reason = RedisConnectionError(
                f"the connection was lost: {reason.getErrorMessage()}"
            )
        self._pulse.stop()
        self._deadlines.stop()
        self._outlet.close()
        self._ending.stop()
        for slot, sent in self.line.end():
            slot.errback(self._loss(sent))
        self._ending.tell(self._reason)

    def _owes(self) -> bool:
        return any(not slot.called for slot in self._slots)

    def _loss(self, sent: bool) -> RedisConnectionError:
        if sent:
            return MaybeExecuted(f"the reply was lost: {self._reason}")
        return RedisConnectionError(f"not sent: {self._reason}")
