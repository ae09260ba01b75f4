# -*- test-case-name: tests.sockets.test_listener -*-
"""
Accepting connections on a bound Unix socket.

Twisted's own port for adopted sockets makes their files writable for everybody
and removes them when it is closed, whoever they belong to.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocolFactory,
    IReactorFDSet,
    IReactorSocket,
    IReactorTime,
    IReadDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.descriptors import KEPT, Kept, copy_number

ACCEPT_BURST = 32
"""How many connections are accepted before the reactor's other work goes on."""

PAUSE = 0.5
"""Seconds without accepting when the system has run out of something."""

_NOTHING_THERE = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})
# The client is gone already, or the call was interrupted: take the next one.
_NEXT = frozenset({errno.ECONNABORTED, errno.EINTR, errno.EPERM, errno.EPROTO})
# The last is what an epoll says that may watch no more (max_user_watches).
_EXHAUSTED = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC}
)


class IListenerReactor(IReactorFDSet, IReactorSocket, IReactorTime):
    """What a listener needs of a reactor."""


Adopt = Callable[[Any, socket.socket, IProtocolFactory], object]
"""
Makes the transport of an accepted connection, called with the reactor, the
socket, which it must duplicate, and the factory, which may refuse.
"""


def _by_reactor(
    reactor: IListenerReactor, accepted: socket.socket, factory: IProtocolFactory
) -> None:
    reactor.adoptStreamConnection(
        accepted.fileno(),
        socket.AF_UNIX,
        # Declared as ServerFactory; only buildProtocol is called.
        factory,  # type: ignore[arg-type]
    )


@implementer(IReadDescriptor)
class UnixListener:
    """
    Accepts the clients of one listening socket and hands each to a factory.
    Several processes may accept on the same socket at the same time.

    When descriptors or memory run out, accepting pauses (the clients wait in
    the backlog) and goes on by itself; that is logged once until a client has
    been accepted again.  So it does when all descriptors are in use but those
    that are kept from clients.

    @ivar bound: the socket.
    """

    _log = Logger()

    # How many descriptors a client has for a moment before it has its own.
    _copies = 1

    def __init__(
        self,
        reactor: IListenerReactor,
        bound: BoundSocket,
        factory: IProtocolFactory,
        on_lost: Callable[[Failure], None] | None = None,
        admit: Callable[[socket.socket], bool] | None = None,
        adopt: Adopt | None = None,
        kept: Kept | None = None,
    ) -> None:
        """
        @param bound: a listening socket; the listener closes it when it stops.
        @param factory: makes a protocol for each client.
        @param on_lost: called once if accepting has ended without L{stop},
            while the socket is still open.
        @param admit: decides about each client before the factory hears of it;
            one that it returns C{False} for is closed at once.
        @param adopt: makes the transport of a client; C{None} for the
            reactor's own.
        @param kept: knows from what C{admit} asks it whether descriptors are
            used up.
        """
        self.bound = bound
        self._reactor = reactor
        self._factory = factory
        self._on_lost = on_lost
        self._admit = admit
        self._adopt: Adopt = adopt or _by_reactor
        self._kept = kept
        # Whether few are left, so that it is looked before others are accepted.
        self._few = False
        self._resume: IDelayedCall | None = None
        self._exhausted = False
        self._running = False

    def start(self) -> None:
        """Begin to accept."""
        self._running = True
        self._factory.doStart()
        self._reactor.addReader(self)

    def stop(self) -> None:
        """
        Stop accepting and close the socket.  All of it is done when this
        returns.  Connections that were accepted go on; the socket's file stays
        (L{BoundSocket.unlink} removes it).  Stopping again does nothing.
        """
        self._end()
        self.bound.close()

    def fileno(self) -> int:
        """The descriptor that the reactor watches."""
        return self.bound.fileno()

    def logPrefix(self) -> str:
        """What the reactor logs as the place of an error in here."""
        return f"UnixListener({self.bound.path})"

    def doRead(self) -> None:
        """Accept those who wait, up to a number that leaves others their turn."""
        if self._taken_meanwhile():
            return
        for _ in range(ACCEPT_BURST):
            if not self._accept_one():
                return

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives the socket up: it ends, or the socket is broken."""
        self._lost(reason)

    def _accept_one(self) -> bool:
        try:
            accepted, _ = self.bound.socket.accept()
        except OSError as error:
            return self._not_accepted(error)
        with accepted:
            accepted.setblocking(False)
            more = not self._admitted(accepted) or self._hand_over(accepted)
        kept = self._kept
        if kept is None or not self._running:
            return more
        self._few = self._few or kept.few
        if not self._few or not (kept.used_up or self._nothing_free()):
            return more
        self._spare(kept)
        return False

    def _taken_meanwhile(self) -> bool:
        # What was left when somebody was accepted last may be in use by now.
        if not self._few or self._kept is None:
            return False
        if self._nothing_free():
            self._spare(self._kept)
            return True
        # A low number tells nothing now: it may be free among many that are not.
        self._few = copy_number(self.fileno(), KEPT) >= self._kept.first
        return False

    def _admitted(self, accepted: socket.socket) -> bool:
        if self._admit is None:
            return True
        try:
            return self._admit(accepted)
        except OSError:
            self._log.failure("a client of {path} was refused", path=self.bound.path)
            return False

    def _not_accepted(self, error: OSError) -> bool:
        if error.errno in _NOTHING_THERE:
            return False
        if error.errno in _NEXT:
            return True
        self._hindered(error)
        return False

    def _hindered(self, error: OSError) -> None:
        if error.errno in _EXHAUSTED:
            self._pause(error)
        else:
            self._lost(Failure(error))

    def _hand_over(self, accepted: socket.socket) -> bool:
        # The reactor takes a duplicate, so descriptors can run out here too;
        # this client is then lost, as there is no way to give it back.
        try:
            self._adopt(self._reactor, accepted, self._factory)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._pause(error)
                return False
            self._log.failure("a client of {path} was lost", path=self.bound.path)
        except Exception:
            self._log.failure("a client of {path} was lost", path=self.bound.path)
        else:
            self._exhausted = False
        return self._running

    def _pause(self, error: OSError) -> None:
        if not self._exhausted:
            self._exhausted = True
            self._log.error(
                "{path} accepts no clients for now: {error}",
                path=self.bound.path,
                error=error,
            )
        self._wait()

    def _spare(self, kept: Kept) -> None:
        # Before one of them is taken: who waits in the backlog gets in later,
        # who is accepted and closed tries again and again.
        kept.tell("accepts no clients for now")
        self._wait()

    def _wait(self) -> None:
        # A handler that was given a client may have stopped it.
        if self._running and self._resume is None:
            self._reactor.removeReader(self)
            self._resume = self._reactor.callLater(PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._resume = None
        if self._nothing_free():
            self._wait()
            return
        try:
            self._reactor.addReader(self)
        except OSError as error:
            # Being watched takes something of the system, too.
            self._hindered(error)

    def _nothing_free(self) -> bool:
        if self._kept is None:
            return False
        return copy_number(self.fileno(), self._copies) >= self._kept.first

    def _lost(self, reason: Failure) -> None:
        if not self._running:
            return
        self._end()
        try:
            if self._on_lost is not None:
                # As long as it is open, no other file at its path can have
                # been given its inode, so that it may be unlinked.
                self._on_lost(reason)
        finally:
            self.bound.close()

    def _end(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        if self._running:
            self._running = False
            self._reactor.removeReader(self)
            self._factory.doStop()
