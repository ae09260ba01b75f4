# -*- test-case-name: tests.sockets.test_hubwriter -*-
"""
The way out of a connection on a raw descriptor.

    - What is put in during a turn is written at the end of it with one call,
      in the turn itself.  A transport of Twisted waits to be told that it may
      write: that takes two changes of the epoll, a wait and a second turn, in
      all 4.5 of the 14 microseconds of a ping-pong.
    - Only what the kernel refuses is queued, and only while something is, the
      kernel is asked for room.
    - From L{LARGE} on the pieces are given to the kernel as they are: joining
      64 KiB answers makes the heap grow and shrink every turn, which costs 40
      microseconds in page faults.
"""

from __future__ import annotations

import os
from collections import deque
from itertools import islice
from os import write, writev
from select import EPOLLIN, EPOLLOUT
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from sockhost.interfaces import Disconnected

if TYPE_CHECKING:
    from sockhost.sockets.hub import Hub

LARGE = 32 * 1024
"""Bytes from which on pieces are not joined before they are written."""

_MOST_PIECES = os.sysconf("SC_IOV_MAX")

OPEN, CLOSING, ABORTED, GONE = range(4)

_Piece = bytes | memoryview


class RawWriter:
    """
    Writes to a descriptor, and keeps account of what the kernel has not taken.

    @ivar fd: the descriptor; -1 once it is closed.
    @ivar state: L{OPEN}, then one of the others; from then on what is put in
        is discarded.
    @ivar events: what the hub waits for.
    @ivar corked: what is written at the end of the turn; C{None} if nothing is.
    @ivar queue: what the kernel has refused; C{None} if it has taken all.
    @ivar queued: the bytes of both.
    @ivar bytes_out: bytes that were ever put in.
    """

    __slots__ = (
        "bytes_out",
        "corked",
        "events",
        "fd",
        "hub",
        "queue",
        "queued",
        "state",
        "waiting",
    )

    def __init__(self, hub: Hub, fd: int) -> None:
        """
        @param fd: a connected socket that does not block; it is closed with
            this.
        """
        self.hub = hub
        self.fd = fd
        self.events = EPOLLIN
        self.state = OPEN
        self.corked: list[bytes] | None = None
        self.queue: deque[_Piece] | None = None
        self.queued = 0
        self.bytes_out = 0
        # Who waits, with the value of bytes_out that they wait for.
        self.waiting: deque[tuple[int, Deferred[None]]] | None = None

    def fileno(self) -> int:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        return self.fd

    @property
    def taken(self) -> int:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        return self.bytes_out - self.queued

    def put(self, data: bytes) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        if self.state != OPEN:
            return
        self.bytes_out += len(data)
        self.queued += len(data)
        if self.corked is None:
            self.corked = [data]
            self.hub.later(self.flush)
        else:
            self.corked.append(data)

    def when_sent(self) -> Deferred[None]:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        waiter: Deferred[None] = Deferred()
        if self.waiting is None:
            self.waiting = deque()
        self.waiting.append((self.bytes_out, waiter))
        # After an error nothing more is sent, and L{lose} tells that soon.
        if not self.queued and self.state < ABORTED:
            self._tell_senders()
        return waiter

    def hold(self) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        if self.corked is None:
            self.corked = []

    def release(self) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        self.write_corked()

    def pause(self) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        self.wait_for(self.events & ~EPOLLIN)

    def resume(self) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        self.wait_for(self.events | EPOLLIN)

    def close(self) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        if self.state == OPEN:
            self.state = CLOSING
            if not self.queued:
                self.hub.later(self.ended)

    def abort(self) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        if self.state < ABORTED:
            self.state = ABORTED
            self.hub.later(self.ended)

    def lose(self, reason: Disconnected) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        self.state = GONE
        self.corked = self.queue = None
        self.queued = 0
        waiting, self.waiting = self.waiting, None
        for _, waiter in waiting or ():
            waiter.errback(reason)

    # -- for those who inherit -----------------------------------------------

    def ended(self) -> None:
        """We have closed the connection, and everything is sent."""
        raise NotImplementedError

    def broken(self, error: OSError) -> None:
        """The connection is not usable any more.  Called from anywhere."""
        raise NotImplementedError

    def progressed(self) -> None:
        """The kernel has taken something in a later turn."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what was corked, at the end of a turn."""
        if self.corked is not None:
            self.write_corked()
            self.progressed()

    def writable(self) -> None:
        """The kernel has room for what is queued."""
        if self.queue is not None and self.state < ABORTED:
            self._write_queue()
            self.progressed()

    def refused(self, data: bytes) -> None:
        """Queue what the kernel has not taken of the only thing to send."""
        self.queued = len(data)
        self.queue = deque((data,))
        self.wait_for(self.events | EPOLLOUT)

    def write_corked(self) -> None:
        corked, self.corked = self.corked, None
        if not corked or self.state >= ABORTED:
            return
        if self.queue is not None:
            if sum(map(len, corked)) < LARGE:
                corked = [b"".join(corked)]
            self.queue.extend(corked)
        elif self.queued < LARGE:
            self._write_at_once(b"".join(corked))
        else:
            self.queue = deque(corked)
            self._write_queue()

    def _write_at_once(self, data: bytes) -> None:
        try:
            sent = write(self.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.broken(error)
            return
        self.queued -= sent
        if self.queued:
            self.queue = deque((memoryview(data)[sent:],))
            self.wait_for(self.events | EPOLLOUT)
        self._sent()

    def _write_queue(self) -> None:
        queue = self.queue
        assert queue is not None
        try:
            while queue:
                if len(queue) == 1:
                    sent = write(self.fd, queue[0])
                else:
                    sent = writev(self.fd, tuple(islice(queue, _MOST_PIECES)))
                self.queued -= sent
                _discard(queue, sent)
        except BlockingIOError:
            pass
        except OSError as error:
            self.broken(error)
            return
        if queue:
            self.wait_for(self.events | EPOLLOUT)
        else:
            self.queue = None
            self.wait_for(self.events & ~EPOLLOUT)
        self._sent()

    def _sent(self) -> None:
        if self.waiting is not None:
            self._tell_senders()
        if self.state == CLOSING and not self.queued:
            self.hub.later(self.ended)

    def wait_for(self, events: int) -> None:
        if events != self.events and self.fd >= 0:
            self.events = events
            self.hub.change(self.fd, events)

    def _tell_senders(self) -> None:
        waiting, taken = self.waiting, self.taken
        ready = []
        while waiting and waiting[0][0] <= taken:
            ready.append(waiting.popleft()[1])
        if not waiting:
            self.waiting = None
        for waiter in ready:
            waiter.callback(None)


def _discard(queue: deque[_Piece], sent: int) -> None:
    while sent:
        first = queue.popleft()
        if sent < len(first):
            queue.appendleft(memoryview(first)[sent:])
            return
        sent -= len(first)
