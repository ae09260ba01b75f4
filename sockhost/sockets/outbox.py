# -*- test-case-name: tests.sockets.test_outbox -*-
"""
What is queued towards one client, and who waits until it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IPullProducer,
    IPushProducer,
    ITransport,
)
from zope.interface import implementer

from sockhost.interfaces import Disconnected

BATCH = 64 * 1024
"""
How much is handed to the transport before waiting until it has sent all of
that.  A transport only tells when it has nothing left, so this is also how
exactly L{Outbox.put} tells when something was sent.
"""

PIECE = 256 * 1024
"""
The most that is handed to the transport at once, so that a client that takes
a large frame slowly can be told from one that takes nothing.
"""


class IStream(ITransport, IConsumer, IPushProducer):
    """What is needed of the transport of a client."""

    def abortConnection() -> None:
        """Close at once, discarding what is not sent."""


@implementer(IPullProducer)
@define(eq=False)
class Outbox:
    """
    Writes to a transport and keeps account of what the kernel has not taken.

    Between L{hold} and L{release} nothing is written; L{release} then writes
    it all at once.

    @ivar queued: bytes that were put in and that the kernel is not known to
        have taken.
    """

    _transport: IStream
    _progress: Callable[[], None] | None = field(default=None, init=False)
    queued: int = field(default=0, init=False)
    # What the transport has, and may not have sent yet.
    _given: int = field(default=0, init=False)
    _chunks: list[bytes] = field(factory=list, init=False)
    # The end of a large frame whose beginning was given.
    _rest: memoryview | None = field(default=None, init=False)
    # Who waits, with how many bytes were put in up to and with theirs.
    _waiting: list[tuple[int, Deferred[None]]] = field(factory=list, init=False)
    # What was ever put in.
    _total: int = field(default=0, init=False)
    _held: bool = field(default=False, init=False)
    _closing: bool = field(default=False, init=False)
    _lost: bool = field(default=False, init=False)

    @property
    def transport(self) -> IStream:
        """What it writes to."""
        return self._transport

    @property
    def taken(self) -> int:
        """Bytes that the kernel is known to have taken."""
        return self._total - self.queued

    @property
    def _waits(self) -> bool:
        return bool(self._chunks) or self._rest is not None

    def start(self, progress: Callable[[], None]) -> None:
        """
        Begin to be told when the transport has sent everything.

        @param progress: is called after each time.
        """
        self._progress = progress
        self._transport.registerProducer(self, False)

    def fileno(self) -> int:
        """The descriptor of the connection, or -1 if there is none."""
        fileno = getattr(self._transport, "fileno", None)
        return -1 if fileno is None or self._lost else fileno()

    def pause(self) -> None:
        """Do not read from the client."""
        self._transport.pauseProducing()

    def resume(self) -> None:
        """Read from the client again."""
        self._transport.resumeProducing()

    def abort(self) -> None:
        """End the connection, whatever is not sent."""
        self._transport.abortConnection()

    def put(self, data: bytes) -> None:
        """Queue bytes.  After L{close} or L{lose} they are discarded."""
        if self._closing or self._lost:
            return
        self._chunks.append(data)
        self._total += len(data)
        self.queued += len(data)
        if not self._held and self._given < BATCH:
            self._give()

    def attach(self, descriptors: Sequence[int]) -> None:
        """
        Send descriptors with what is put in next, on a L{PassingTransport
        <sockhost.sockets.passing.PassingTransport>}.

        @raise OSError: one of them is none.
        @raise ValueError: they are too many.
        """
        transport: Any = self._transport
        transport.attach(descriptors, after=self.queued - self._given)

    def when_sent(self) -> Deferred[None]:
        """
        Wait for what was put in so far.

        @return: fires when the kernel has taken all of it; fails with
            L{Disconnected} if the connection is lost before.
        """
        waiter: Deferred[None] = Deferred()
        self._waiting.append((self._total, waiter))
        if not self.queued:
            self._tell_senders()
        return waiter

    def hold(self) -> None:
        """Collect what is put in from now on instead of writing it."""
        self._held = True

    def release(self) -> None:
        """Write what was collected, with one write."""
        self._held = False
        if self._waits and self._given < BATCH:
            self._give()

    def close(self) -> None:
        """End the connection as soon as everything is sent."""
        self._closing = True
        if not self.queued:
            self._finish()

    def lose(self, reason: Disconnected) -> None:
        """The connection is gone: nobody waits any longer."""
        self._lost = True
        self._progress = None
        self._chunks.clear()
        self._rest = None
        self.queued = self._given = 0
        waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            waiter.errback(reason)

    def resumeProducing(self) -> None:
        """The transport has sent everything that it had."""
        self.queued -= self._given
        self._given = 0
        if self._waits:
            self._give()
        self._tell_senders()
        if self._closing and not self.queued:
            self._finish()
        if self._progress is not None:
            self._progress()

    def stopProducing(self) -> None:
        """The transport is closed; L{lose} follows with the reason."""

    def _give(self) -> None:
        data = self._next()
        self._given += len(data)
        self._transport.write(data)

    def _next(self) -> bytes:
        if self._rest is None:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks.clear()
            if len(data) <= PIECE:
                return data
            self._rest = memoryview(data)
        piece, self._rest = bytes(self._rest[:PIECE]), self._rest[PIECE:] or None
        return piece

    def _tell_senders(self) -> None:
        sent = self._total - self.queued
        ready = 0
        while ready < len(self._waiting) and self._waiting[ready][0] <= sent:
            ready += 1
        told, self._waiting = self._waiting[:ready], self._waiting[ready:]
        for _, waiter in told:
            waiter.callback(None)

    def _finish(self) -> None:
        if self._lost:
            return
        self._lost = True
        self._transport.unregisterProducer()
        self._transport.loseConnection()
