# -*- test-case-name: tests.sockets.test_hubconnection -*-
"""
A client on a raw descriptor: what is known of it, and its session if it has one.

What happens all the time needs no L{Session<sockhost.sockets.session.Session>}:
whole frames come, the handler answers them with bytes or with Deferreds, the
kernel takes the answers or some of them.  Whatever else happens is the business
of one, which is made when it is needed and dropped when all is quiet again.  A
client without a session costs 0.4 KiB, and one with a session a kilobyte.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from select import EPOLLIN
from typing import Any

from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, ICodec
from sockhost.sockets.around import Phase
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.hubclients import HubClients
from sockhost.sockets.hubcut import Partial
from sockhost.sockets.hubwaiting import Waiting
from sockhost.sockets.hubwriter import ABORTED, GONE, OPEN, RawWriter
from sockhost.sockets.limits import REQUEST
from sockhost.sockets.peer import Client
from sockhost.sockets.session import Session


class QuietConnection(RawWriter):
    """
    One client.

    @ivar clients: what it shares with others.
    @ivar client: what the handler is given.
    @ivar peer: who it is.
    @ivar session: takes care of it now, or C{None}.
    @ivar rest: the beginning of a frame, or C{None}.
    @ivar work: its requests that are not answered, or C{None}.
    @ivar in_flight: how many these are, as long as there is no session.
    @ivar in_flight_bytes: what these have, together.
    @ivar late: answers that came later in this turn, without their headers.
    @ivar held: bytes that the server was told that it makes the process hold.
    @ivar frames_in: frames that were given to the handler, as long as there
        was no session; so are the other counters.
    """

    __slots__ = (
        "bytes_in",
        "client",
        "clients",
        "frames_in",
        "frames_out",
        "held",
        "in_flight",
        "in_flight_bytes",
        "late",
        "peer",
        "rest",
        "session",
        "work",
    )

    def __init__(self, clients: HubClients, fd: int, peer: PeerCredentials) -> None:
        # super() takes longer to find the same.
        RawWriter.__init__(self, clients.hub, fd)
        self.clients = clients
        self.peer = peer
        self.session: Session | None = None
        self.rest: bytes | Partial | None = None
        self.work: set[Waiting] | None = None
        self.in_flight = self.in_flight_bytes = 0
        self.late: list[bytes] | None = None
        self.frames_in = self.frames_out = self.bytes_in = self.held = 0
        # It has what a client asks of its session.
        like_session: Any = self
        self.client = Client(like_session, clients.server.reactor.seconds())

    def shut(self, reason: Failure) -> None:
        """See L{Watched<sockhost.sockets.hub.Watched>}."""
        self.lost(Disconnected(f"the connection was lost: {reason.getErrorMessage()}"))

    def progressed(self) -> None:
        """See L{RawWriter.progressed}."""
        if self.session is not None:
            self.session.progress()
            self.sleep()
        elif self.held or self.queued or not self.events & EPOLLIN:
            self.balance()

    def balance(self) -> None:
        if self.state != OPEN or self.session is not None:
            return
        server, owed = self.clients.server, self.queued or self.in_flight
        full = owed and (self.is_full() or server.tight)
        if full == self.reading:
            self.wait_for(self.events ^ EPOLLIN)
        held = self.queued + self.in_flight_bytes
        if self.in_flight > 1:
            held += (self.in_flight - 1) * REQUEST
        if self.rest is not None:
            rest = self.rest
            held += rest.have if isinstance(rest, Partial) else len(rest)
        if abs(held - self.held) >= self.clients.untold or (self.held and not held):
            difference, self.held = held - self.held, held
            server.session_holds(difference)

    def is_full(self) -> bool:
        return self.clients.server.limits.reached(
            self.reading, self.queued, self.in_flight, self.in_flight_bytes
        )

    # -- with a session, and without -----------------------------------------

    @property
    def reading(self) -> bool:
        """Whether the hub waits for bytes from it."""
        return bool(self.events & EPOLLIN)

    @property
    def phase(self) -> Phase:
        """How far it is, while there is no session to ask."""
        return Phase.OPEN if self.state == OPEN else Phase.GONE

    @property
    def carrier(self) -> QuietConnection:
        """What carries its bytes: itself."""
        return self

    @property
    def codec(self) -> ICodec:
        """What its frames are made with, while there is no session to ask."""
        return self.clients.codec

    def emit(self) -> None:
        """Frame all answers that there are, and stop what makes more."""
        raise NotImplementedError

    def start(self, progress: Callable[[], None]) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""

    def wake(self) -> Session:
        """Leave the rest to a session, if one does not have it already."""
        session = self.session
        if session is None:
            self.emit()
            if self.session is not None:
                return self.session
            session = self.clients.wake_one(self)
            self.rest = self.work = None
            self.in_flight = self.in_flight_bytes = 0
        return session

    def sleep(self) -> None:
        """Do without a session, if all is quiet."""
        session = self.session
        if session is not None and session.quiet and self.clients.simple:
            self.clients.sleep_one(self, session)

    # -- the end -------------------------------------------------------------

    def ended(self) -> None:
        """See L{RawWriter.ended}."""
        self.lost(None)

    def broken(self, error: OSError) -> None:
        """See L{RawWriter.broken}."""
        if self.state < ABORTED:
            self.state = ABORTED
            reason = Disconnected(f"the connection was lost: {error.strerror}")
            self.hub.later(partial(self.lost, reason))

    def lost(self, reason: Disconnected | None) -> None:
        """
        The connection is gone.

        @param reason: why, or C{None} if the client has closed it.
        """
        if self.fd < 0:
            return
        clients = self.clients
        if self.work or self.waiting or clients.farewell:
            self.wake()
        fd, self.fd = self.fd, -1
        self.hub.forget(fd)
        os.close(fd)
        if self.session is not None:
            self.session.lost(reason or self.session.farewell_reason())
        else:
            # Nobody waits and nobody is to be told.
            self.state = GONE
            self.corked = self.queue = None
            self.queued = 0
            clients.gone(self)
