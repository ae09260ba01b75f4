# -*- test-case-name: tests.sockets.test_session -*-
"""
One client of a framed socket, from C{connected} to C{disconnected}.

A session is told of bytes and of the loss of its connection, and tells the
handler.  It knows nothing of how bytes arrive and go: that is left to its
L{Carrier<sockhost.sockets.around.Carrier>}.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, Refused
from sockhost.sockets.answers import cancel, settle
from sockhost.sockets.around import Phase, Quiet
from sockhost.sockets.door import BY_HANDLER
from sockhost.sockets.ends import HANDLER
from sockhost.sockets.exchange import Exchange
from sockhost.sockets.past import NOWHERE, Past
from sockhost.sockets.peer import Client

__all__ = ["LINGER", "Phase", "Session"]

LINGER = 30.0
"""Seconds that a dropped client gets to take what was queued for it."""

CLOSED = "the client closed the connection"
CLOSED_WITHIN = "the client closed the connection in the middle of a frame"


def _client(session: Session) -> Client:
    return Client(session, session.server.reactor.seconds())


@define(eq=False)
class Session(Exchange):
    """
    The state of one connection.

    @ivar client: what the handler is given.
    """

    client: Client = field(default=Factory(_client, takes_self=True), kw_only=True)
    _reason: Disconnected | None = field(default=None, init=False)
    # Set once "connected" has ended without refusing: a farewell is due.
    _welcomed: bool = field(default=False, init=False)
    # Set once what is to be done when the connection is gone is begun.
    _parted: bool = field(default=False, init=False)
    _connecting: Deferred[Any] | None = field(default=None, init=False)
    _linger: IDelayedCall | None = field(default=None, init=False)

    def begin(self) -> None:
        """Introduce the client to the handler.  Nothing is read meanwhile."""
        self.carrier.start(self.progress)
        connected = getattr(self.server.handler, "connected", None)
        if connected is None:
            self._welcome(None)
            return
        try:
            result = settle(connected(self.client))
        except BaseException:
            self._turn_away(Failure())
            return
        if isinstance(result, Deferred):
            self._read(False)
            self._connecting = result
            result.addCallbacks(self._welcome, self._turn_away)
            result.addErrback(self._broken)
        else:
            self._welcome(result)

    def take_over(self, other: Quiet) -> None:
        """Go on in place of a connection that did without a session so far."""
        self._welcomed = True
        self.phase = Phase.OPEN
        self.frames_in, self.frames_out = other.frames_in, other.frames_out
        self.bytes_in, self.bytes_out = other.bytes_in, other.bytes_out
        self.in_flight, self.in_flight_bytes = other.in_flight, other.in_flight_bytes
        self._work = set(other.work) if other.work else None
        self._reading = other.reading
        self._held = other.held
        self.carrier.start(self.progress)

    def end(self, reason: str, why: str | None = HANDLER) -> None:
        """
        Close the connection once what is queued is sent.  Unanswered requests
        are cancelled; no further frame is given to the handler.

        @param reason: what the handler is told.
        @param why: what it is counted as; C{None} if it is not.
        """
        if self.phase not in (Phase.CLOSING, Phase.GONE):
            if why is not None:
                self.server.totals.drop(why)
            self._close(Disconnected(reason))

    def abort(self, reason: str, why: str | None = HANDLER) -> None:
        """Close the connection now, whatever is queued."""
        self.end(reason, why)
        if self.phase is not Phase.GONE:
            self._stop_accounting()
            self.carrier.abort()

    def half_close(self) -> None:
        """
        The client sends no more, but may be reading yet: answer what it asked
        for, then close the connection.
        """
        self.finished = True
        if self.phase is Phase.OPEN:
            self._balance()

    def finish(self) -> None:
        """Close the connection of a client that sends no more."""
        self._close(self.farewell_reason())

    def farewell_reason(self) -> Disconnected:
        """Why the client is gone, if it closed the connection."""
        if self.codec.buffered:
            return Disconnected(CLOSED_WITHIN)
        return Disconnected(CLOSED, clean=True)

    def gone_reason(self) -> Disconnected:
        """Why nothing can be sent any more."""
        return self._reason or Disconnected("the client is gone")

    def lost(self, reason: Disconnected) -> None:
        """The connection is gone."""
        if self._reason is None:
            self._reason = reason
        self.phase = Phase.GONE
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._drop_backlog()
        self.carrier.lose(self._reason)
        self.carrier = NOWHERE
        self._stop_accounting()
        self._cancel_all()
        self._part()

    def _welcome(self, result: object) -> None:
        self._connecting = None
        if result is False:
            self._refuse(Disconnected("the handler refused the client"))
            return
        self._welcomed = True
        self.server.totals.accepted += 1
        if self.phase is Phase.GONE:
            # If it is its being cancelled that lets it in, we come to that yet.
            if self._parted:
                self._part()
        elif self.phase is Phase.CONNECTING:
            self.phase = Phase.OPEN
            self._deliver()

    def _turn_away(self, failure: Failure) -> None:
        self._connecting = None
        if self.phase is not Phase.CONNECTING and failure.check(CancelledError):
            return
        if failure.check(Refused) is None:
            self._blame("connected", failure)
        self._refuse(Disconnected(failure.getErrorMessage()))

    def _refuse(self, reason: Disconnected) -> None:
        self.server.totals.refuse(BY_HANDLER)
        if self.phase is Phase.CONNECTING:
            self._close(reason)

    def _close(self, reason: Disconnected) -> None:
        self._reason = reason
        self.phase = Phase.CLOSING
        self._drop_backlog()
        self._read(False)
        self._linger = self.server.reactor.callLater(LINGER, self._give_up)
        self.carrier.close()
        self._account()
        self._cancel_all()

    def _cancel_all(self) -> None:
        self._cancel_work()
        if self._connecting is not None:
            cancel(self._connecting)

    def _give_up(self) -> None:
        self._linger = None
        self._stop_accounting()
        self.carrier.abort()

    def _part(self) -> None:
        # It may be welcomed late, in spite of being cancelled; never twice.
        self._parted = True
        welcomed, self._welcomed = self._welcomed, False
        farewell = self._say_farewell() if welcomed else None
        if farewell is None:
            self._forget()
        else:
            farewell.addCallback(lambda _: self._forget())
        self.server.session_gone(self, farewell)

    def _forget(self) -> None:
        self.client.forget()
        self.client.belong_to(Past.of(self))

    def _say_farewell(self) -> Deferred[None] | None:
        disconnected = getattr(self.server.handler, "disconnected", None)
        if disconnected is None:
            return None
        try:
            done = settle(disconnected(self.client, self._reason))
        except BaseException:
            self._blame("disconnected", Failure())
            return None
        if not isinstance(done, Deferred):
            return None
        return done.addCallbacks(lambda _: None, self._farewell_failed)

    def _farewell_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._blame("disconnected", failure)
