# -*- test-case-name: tests.sockets.test_session -*-
"""
One client of a framed socket, from C{connected} to C{disconnected}.

A session is told of bytes and of the loss of its connection, and tells the
handler.  It knows nothing of how bytes arrive, and leaves to its L{Outbox} how
they go.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import chain, count
from typing import Any, Protocol

from attrs import Factory, define, field
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import Disconnected, FrameError, IClient, ICodec, Refused
from sockhost.sockets.answers import invoke, settle
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.limits import Counters, Limits
from sockhost.sockets.outbox import IStream, Outbox

LINGER = 30.0
"""Seconds that a dropped client gets to take what was queued for it."""

_ids = count(1)


class Phase(Enum):
    """How far a session is."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    GONE = "gone"


class Surroundings(Protocol):
    """
    What a session needs of the server that it belongs to.

    @ivar draining: C{True} when no further frame is to be given to the handler.
    """

    name: str
    reactor: IReactorTime
    handler: Any
    limits: Limits
    counters: Counters
    draining: bool

    def session_changed(self) -> None:
        """A session may have become idle."""

    def session_gone(self, session: Session, farewell: Deferred[None] | None) -> None:
        """
        A session has ended.

        @param farewell: fires when the handler's C{disconnected} has ended, if
            it is called; it does not fail.
        """


@implementer(IClient)
@define(eq=False)
class Client:
    """A client as its handler sees it."""

    _session: Session
    pid: int | None
    uid: int | None
    gid: int | None
    connected_at: float
    data: Any = None
    id: int = field(factory=lambda: next(_ids), init=False)

    @property
    def connected(self) -> bool:
        """C{False} once the client is gone or was dropped."""
        return self._session.phase in (Phase.CONNECTING, Phase.OPEN)

    def send(self, payload: bytes) -> Deferred[None]:
        """Send one frame; fires when the kernel has taken it."""
        return self._session.send(payload)

    def drop(self, reason: str) -> None:
        """End the connection once what was queued before is sent."""
        self._session.end(reason)


def _client(session: Session) -> Client:
    peer = session.peer
    now = session.server.reactor.seconds()
    return Client(session, peer.pid, peer.uid, peer.gid, now)


def _outbox(session: Session) -> Outbox:
    return Outbox(session.stream, session.progress)


@define(eq=False)
class Session:
    """
    The state of one connection.

    @ivar client: what the handler is given.
    @ivar phase: how far it is.
    """

    server: Surroundings
    stream: IStream
    peer: PeerCredentials
    codec: ICodec
    client: Client = field(default=Factory(_client, takes_self=True), init=False)
    phase: Phase = field(default=Phase.CONNECTING, init=False)
    _outbox: Outbox = field(default=Factory(_outbox, takes_self=True), init=False)
    _reason: Disconnected | None = field(default=None, init=False)
    # Set once "connected" has ended without refusing: a farewell is due.
    _welcomed: bool = field(default=False, init=False)
    _connecting: Deferred[Any] | None = field(default=None, init=False)
    _work: set[Deferred[Any]] = field(factory=set, init=False)
    # Frames that were read; with a backlog, the handler was not given all yet.
    _frames: Iterator[bytes] = field(default=iter(()), init=False)
    _backlog: bool = field(default=False, init=False)
    _delivering: bool = field(default=False, init=False)
    _reading: bool = field(default=True, init=False)
    _linger: IDelayedCall | None = field(default=None, init=False)

    _log = Logger()

    @property
    def busy(self) -> bool:
        """Whether answers are being worked on or are not sent yet."""
        return bool(self._work) or self._outbox.queued > 0

    def begin(self) -> None:
        """Introduce the client to the handler.  Nothing is read meanwhile."""
        self._outbox.start()
        connected = getattr(self.server.handler, "connected", None)
        if connected is None:
            self._welcome(None)
            return
        try:
            result = settle(connected(self.client))
        except Exception:
            self._turn_away(Failure())
            return
        if isinstance(result, Deferred):
            self._read(False)
            self._connecting = result
            result.addCallbacks(self._welcome, self._turn_away)
            result.addErrback(self._broken)
        else:
            self._welcome(result)

    def feed(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self.phase in (Phase.CLOSING, Phase.GONE):
            return
        self.server.counters.bytes_in += len(data)
        frames = self.codec.feed(data)
        # More can arrive after a pause, where a transport had it already.
        self._frames = chain(self._frames, frames) if self._backlog else iter(frames)
        self._backlog = True
        self._deliver()

    def send(self, payload: bytes) -> Deferred[None]:
        """Queue a frame; see L{IClient.send}."""
        if self.phase in (Phase.CLOSING, Phase.GONE):
            return fail(self._reason or Disconnected("the client is gone"))
        try:
            self._put(payload)
        except FrameError:
            return fail()
        sent = self._outbox.when_sent()
        self._balance()
        return sent

    def end(self, reason: str) -> None:
        """
        Close the connection once what is queued is sent.  Unanswered requests
        are cancelled; no further frame is given to the handler.
        """
        if self.phase in (Phase.CLOSING, Phase.GONE):
            return
        self._close(Disconnected(reason))

    def abort(self, reason: str) -> None:
        """Close the connection now, whatever is queued."""
        self.end(reason)
        if self.phase is not Phase.GONE:
            self.stream.abortConnection()

    def lost(self, reason: Disconnected) -> None:
        """The connection is gone."""
        if self._reason is None:
            self._reason = reason
        self.phase = Phase.GONE
        self._frames = iter(())
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._cancel_work()
        self._outbox.lose(self._reason)
        farewell = self._say_farewell() if self._welcomed else None
        self.server.session_gone(self, farewell)

    def progress(self) -> None:
        """Something was answered or sent: go on with what waited for that."""
        if self._backlog:
            self._deliver()
        else:
            self._balance()
        self.server.session_changed()

    def _welcome(self, result: object) -> None:
        self._connecting = None
        if result is False:
            self._refuse(Disconnected("the handler refused the client"))
            return
        self._welcomed = True
        self.server.counters.accepted += 1
        if self.phase is Phase.GONE:
            self.server.session_gone(self, self._say_farewell())
        elif self.phase is Phase.CONNECTING:
            self.phase = Phase.OPEN
            self._backlog = True
            self._deliver()

    def _turn_away(self, failure: Failure) -> None:
        self._connecting = None
        if self.phase is Phase.GONE and failure.check(CancelledError):
            return
        if failure.check(Refused) is None:
            self._blame("connected", failure)
        self._refuse(Disconnected(failure.getErrorMessage()))

    def _refuse(self, reason: Disconnected) -> None:
        self.server.counters.refused += 1
        if self.phase is Phase.CONNECTING:
            self._close(reason)

    def _deliver(self) -> None:
        if self._delivering or self.phase is not Phase.OPEN:
            return
        self._delivering = True
        self._outbox.hold()
        try:
            self._hand_over_frames()
        finally:
            self._delivering = False
            self._outbox.release()
        self._balance()

    def _hand_over_frames(self) -> None:
        received = self.server.handler.received
        while not self._full():
            frame = next(self._frames, None)
            if frame is None:
                self._backlog = False
                break
            self.server.counters.frames_in += 1
            try:
                answer = received(self.client, frame)
                if type(answer) is not bytes:
                    answer = settle(answer)
            except Exception:
                self._fault(Failure())
            else:
                self._take(answer)
        if self.codec.error is not None and not self._backlog:
            self.end(str(self.codec.error))

    def _take(self, answer: object) -> None:
        if isinstance(answer, Deferred):
            self._await(answer)
        else:
            self._reply(answer)

    def _await(self, answer: Deferred[Any]) -> None:
        self._work.add(answer)
        self.server.counters.in_flight += 1
        answer.addBoth(self._answered, answer)
        answer.addErrback(self._broken)

    def _answered(self, result: object, answer: Deferred[Any]) -> None:
        self._work.discard(answer)
        self.server.counters.in_flight -= 1
        if self.phase in (Phase.CLOSING, Phase.GONE):
            self._too_late(result)
        elif isinstance(result, Failure):
            self._fault(result)
        else:
            self._reply(result)
        self.progress()

    def _reply(self, answer: object) -> None:
        if answer is None:
            return
        try:
            if not isinstance(answer, bytes):
                raise TypeError(
                    f"a handler answers with bytes or None, not {answer!r:.60}"
                )
            self._put(answer)
        except (TypeError, FrameError):
            self._fault(Failure())

    def _put(self, payload: bytes) -> None:
        data = self.codec.encode(payload)
        self.server.counters.frames_out += 1
        self.server.counters.bytes_out += len(data)
        self._outbox.put(data)

    def _fault(self, failure: Failure) -> None:
        self._blame("received", failure)
        self.end(f"the handler failed: {failure.getErrorMessage()}")

    def _too_late(self, result: object) -> None:
        # Cancelling is what ended it, or its answer has nowhere to go.
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._blame("received", result)

    def _blame(self, method: str, failure: Failure) -> None:
        self.server.counters.errors += 1
        self._log.failure(
            "{socket}: {method} failed for client {client}",
            failure,
            socket=self.server.name,
            method=method,
            client=self.client.id,
        )

    def _broken(self, failure: Failure) -> None:
        # A defect of ours, not the handler's: end what it may have damaged.
        self._log.failure("{socket}: a session broke", failure, socket=self.server.name)
        self.abort("internal error")

    def _close(self, reason: Disconnected) -> None:
        self._reason = reason
        self.phase = Phase.CLOSING
        self._frames = iter(())
        self._read(False)
        self._cancel_work()
        self._linger = self.server.reactor.callLater(LINGER, self._give_up)
        self._outbox.close()

    def _give_up(self) -> None:
        self._linger = None
        self.stream.abortConnection()

    def _cancel_work(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        for answer in list(self._work):
            answer.cancel()

    def _say_farewell(self) -> Deferred[None] | None:
        disconnected = getattr(self.server.handler, "disconnected", None)
        if disconnected is None:
            return None
        done = invoke(disconnected, self.client, self._reason)
        return done.addCallbacks(lambda _: None, self._farewell_failed)

    def _farewell_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._blame("disconnected", failure)

    def _full(self) -> bool:
        limits = self.server.limits
        queue, work = limits.high_water, limits.max_in_flight
        if not self._reading:
            queue, work = limits.low_water, limits.few_in_flight
        return (
            self.phase is not Phase.OPEN
            or self.server.draining
            or self._outbox.queued > queue
            or len(self._work) >= work
        )

    def _balance(self) -> None:
        if self.phase is Phase.OPEN:
            self._read(not self._backlog and not self._full())

    def _read(self, wanted: bool) -> None:
        if wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self.stream.resumeProducing()
        else:
            self.stream.pauseProducing()
