# -*- test-case-name: tests.redis.test_client,tests.redis.test_supply -*-
"""
The connection that a client has, or waits for: it comes from outside, and
commands wait here while there is none, or no room on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from sockhost.interfaces import RedisConnectionError, RedisError, RedisQueueFull
from sockhost.redis.connection import RedisConnection
from sockhost.redis.slots import Slot
from sockhost.redis.unsent import unsent
from sockhost.redis.waiting import Waiting

Told = Callable[[RedisConnection], object]


@define(eq=False)
class Supply:
    """
    What a client sends its commands by.

    @ivar wait: seconds that a command waits for a connection; 0 to fail at
        once.
    @ivar max_queued: how many commands may be sent and unanswered, and how many
        may wait: see L{bound}.
    @ivar room: how many slots there may be on the connection for that, as some
        of them stand for many commands.
    @ivar wait_when_full: whether commands above that wait for room, as they do
        for a connection.
    @ivar connection: the one there is, or C{None}.
    @ivar ready: the same, while commands may go to it straight.
    @ivar reason: why there is none, or C{None}.
    @ivar why: the error that this is the text of, if it is one.
    @ivar closed: C{True} while commands are refused.
    """

    _clock: IReactorTime
    wait: float
    max_queued: int
    wait_when_full: bool = False
    connection: RedisConnection | None = None
    ready: RedisConnection | None = None
    reason: str | None = None
    why: BaseException | None = None
    closed: bool = False
    attached: list[Told] = field(factory=list)
    detached: list[Told] = field(factory=list)
    room: int = field(init=False)
    _waiting: Waiting = field(init=False)
    _connected: dict[Deferred[None], None] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._waiting = Waiting(self._clock, self._late)
        self.room = self.max_queued

    def bound(self, max_queued: int) -> None:
        """Change how many commands there may be."""
        self.max_queued = max_queued
        self._stand_for(0 if self.connection is None else self.connection.line.beyond)

    @property
    def connected(self) -> bool:
        """C{True} while there is a usable connection."""
        return self.connection is not None and self.connection.open

    @property
    def queued(self) -> int:
        """How many commands wait."""
        return len(self._waiting)

    # -- commands -----------------------------------------------------------

    def submit(self, slot: Slot, data: bytes, timeout: float | None = None) -> None:
        """Send encoded commands whose slot exists, or let them wait."""
        connection = self.ready
        if connection is None or not connection.open:
            self._queue(slot, data, timeout)
        elif connection.outstanding >= self.max_queued:
            self._full(slot, data, timeout)
        else:
            connection.enqueue(slot, data, timeout)

    def withdraw(self, slot: Deferred[Any]) -> None:
        """
        Take note that a slot is being cancelled.  What was sent keeps its place.
        """
        if self._waiting.withdraw(slot):
            self._consider_ready()
        elif self.connection is not None:
            self.connection.withdraw(slot)

    def when_connected(self) -> Deferred[None]:
        """
        Fires when there is a connection.  Fails with L{RedisConnectionError}
        when this is closed.  Cancelling detaches the caller.
        """
        # First: those who are told of a close hear of it before the connection.
        if self.closed:
            return fail(self.closed_error())
        if self.connected:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._forget)
        self._connected[waiting] = None
        return waiting

    def when_soon_connected(self) -> Deferred[None]:
        """
        The same, but it fails with L{RedisConnectionError} after C{wait}
        seconds too.
        """
        waiting = self.when_connected()
        if waiting.called:
            return waiting
        if self.wait <= 0:
            waiting.addErrback(lambda failure: None)
            waiting.cancel()
            return fail(self._absence("not connected"))
        return waiting.addTimeout(self.wait, self._clock, self._too_late)

    # -- connections --------------------------------------------------------

    def attach(self, connection: RedisConnection) -> None:
        """Use a connection, which is open and prepared, until it ends."""
        self.closed = False
        self.reason = self.why = None
        if self.connection is not None:
            self.connection.line.on_beyond = int
        self.connection = connection
        connection.line.on_beyond = self._stand_for
        self._stand_for(connection.line.beyond)
        connection.when_disconnected().addCallback(self._lost, connection)
        for tell in self.attached:
            tell(connection)
        self._send_waiting()
        connected, self._connected = self._connected, {}
        for each in connected:
            if not each.called:
                each.callback(None)

    def close(self) -> None:
        """Refuse commands until the next L{attach} or L{reopen}."""
        self.closed = True
        self.ready = None
        connected, self._connected = self._connected, {}
        for slot in self._waiting.take_all():
            slot.errback(self.closed_error())
        for each in connected:
            if not each.called:
                each.errback(self.closed_error())

    def reopen(self) -> None:
        """Take commands, to wait for a connection that is being made."""
        self.closed = False
        self._consider_ready()

    def closed_error(self) -> RedisConnectionError:
        """Say that commands are refused."""
        return RedisConnectionError("the client is closed")

    def _stand_for(self, beyond: int) -> None:
        self.room = self.max_queued - beyond

    def _lost(self, reason: RedisError | None, connection: RedisConnection) -> None:
        if self.connection is connection:
            self.connection = self.ready = None
            self.reason = str(reason) if reason is not None else "closed"
            self.why = reason
            for tell in self.detached:
                tell(connection)

    # -- waiting ------------------------------------------------------------

    def _consider_ready(self) -> None:
        # What waits goes first.
        free = not self.closed and not self._waiting
        self.ready = self.connection if free else None

    def _queue(self, slot: Slot, data: bytes, timeout: float | None) -> None:
        if self.closed:
            slot.errback(self.closed_error())
        elif self.wait <= 0:
            slot.errback(self._absence("not connected"))
        elif len(self._waiting) >= self.max_queued:
            slot.errback(RedisQueueFull(f"{self.max_queued} commands wait already"))
        else:
            self._waiting.add(slot, data, timeout, self.wait)
            self.ready = None

    def _full(self, slot: Slot, data: bytes, timeout: float | None) -> None:
        if self.wait_when_full:
            self._queue(slot, data, timeout)
            self._await_room()
        else:
            slot.errback(RedisQueueFull(f"{self.max_queued} commands are unanswered"))

    def _await_room(self) -> None:
        if self.connection is not None:
            self.connection.line.on_room = self._send_waiting

    def _send_waiting(self) -> None:
        connection = self.connection
        while connection is not None and connection.open:
            if connection.outstanding >= self.max_queued:
                self._await_room()
                return
            first = self._waiting.take()
            if first is None:
                break
            connection.enqueue(*first)
        self._consider_ready()

    def _forget(self, waiting: Deferred[None]) -> None:
        self._connected.pop(waiting, None)

    def _too_late(self, _result: object, _seconds: float) -> Failure:
        return Failure(self._late())

    def _late(self) -> RedisConnectionError:
        self._consider_ready()
        if self.connected:
            return RedisQueueFull(f"no room within {self.wait} s")
        return self._absence(f"no connection within {self.wait} s")

    def _absence(self, text: str) -> RedisConnectionError:
        return unsent(f"{text}: {self.reason}" if self.reason else text, self.why)
