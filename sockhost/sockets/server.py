# -*- test-case-name: tests.sockets.test_server -*-
"""
All the clients of one framed socket in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from attrs import asdict, define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IReactorTime,
)
from zope.interface import implementer

from sockhost.interfaces import IClient, ICodec
from sockhost.sockets.answers import cancel
from sockhost.sockets.around import CLOSING, Carrier, Quiet, QuietOnes
from sockhost.sockets.beside import Beside
from sockhost.sockets.credentials import (
    HasSocketOptions,
    PeerCredentials,
    peer_of,
)
from sockhost.sockets.descriptors import Kept, copy_number
from sockhost.sockets.door import DESCRIPTORS, DRAINING, TOO_MANY, Door
from sockhost.sockets.frameprotocol import FinishingFrameProtocol, FrameProtocol
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.holdings import Holdings
from sockhost.sockets.latency import TimedHandler
from sockhost.sockets.limits import Counters, Limits, Transport
from sockhost.sockets.outbox import Outbox
from sockhost.sockets.patience import Patience
from sockhost.sockets.peer import Client
from sockhost.sockets.pushed import as_stream
from sockhost.sockets.session import Session
from sockhost.sockets.trace import Trace, TracingCodec

Received = Callable[[IClient, bytes], object]
ReceivedBatch = Callable[[IClient, Sequence[bytes]], object]
MakeCodec = Callable[[int], ICodec]

FAREWELL = 5.0
"""Seconds that the handler's C{disconnected} gets when the socket is closed."""


@define(eq=False)
class _Wait:
    """Somebody waits until something is true."""

    met: Callable[[], bool]
    fired: Deferred[None] = field(factory=Deferred)

    def fire(self) -> None:
        if not self.fired.called:
            self.fired.callback(None)


@implementer(IProtocolFactory)
class FrameServer:
    """
    Gives the frames of all clients of a socket to one handler, and the
    handler's answers to the clients.

    @ivar name: what the log calls this socket.
    @ivar handler: an L{ISocketHandler<sockhost.interfaces.ISocketHandler>};
        C{connected} and C{disconnected} may be missing.
    @ivar totals: what has happened, without what is counted by the sessions
        of those who are connected now.
    @ivar door: who may come in.
    @ivar kept: the descriptors that no client may have.
    @ivar max_fds: how many untaken descriptors of a client are held; C{None} if
        nothing comes beside the bytes.  For clients that connect later.
    @ivar trace: where all frames of clients that connect later are noted.
    @ivar transport: what a listener is to carry the bytes by.
    @ivar draining: C{True} once L{drain} was called.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        handler: Any,
        limits: Limits | None = None,
        name: str = "socket",
        codec: MakeCodec = Length32Codec,
    ) -> None:
        """
        @param codec: makes a codec for each client, given C{max_frame}.
        """
        self.name = name
        self.reactor = reactor
        self.handler = handler
        self.received: Received | None = getattr(handler, "received", None)
        self.received_batch: ReceivedBatch | None = getattr(
            handler, "received_batch", None
        )
        self._limits = limits or Limits()
        self.totals = Counters()
        self.door = Door()
        self.kept = Kept(name, reactor)
        self.max_fds: int | None = None
        self.trace: Trace | None = None
        self.transport: Transport = "protocol"
        self.make_codec = codec
        self.draining = False
        self._hurried = False
        self._sessions: set[Session] = set()
        self._quiet: list[QuietOnes] = []
        self._holdings = Holdings(
            reactor, lambda: self._limits.max_buffered, self._holders, self._go_on
        )
        self._patience = Patience(reactor, lambda: self._limits, lambda: self._sessions)
        self._farewells: set[Deferred[None]] = set()
        self._waits: list[_Wait] = []

    def doStart(self) -> None:
        """A listener hands its clients over from now on."""

    def doStop(self) -> None:
        """A listener has stopped; its clients stay."""

    def buildProtocol(self, addr: IAddress) -> FrameProtocol | None:
        """Take a client, or C{None} if there are too many."""
        # A listener has asked about the client before; an endpoint's has not.
        if self.draining or self.door.is_full(self.limits):
            self.totals.refuse(DRAINING if self.draining else TOO_MANY)
            return None
        if self.limits.half_close == "finish":
            return FinishingFrameProtocol(self)
        return FrameProtocol(self)

    def admit_socket(self, accepted: HasSocketOptions) -> bool:
        """
        Decide as L{admit} does, and keep descriptors back for the process.
        """
        return self._admit(accepted, accepted.fileno())

    def admit_copied(self, accepted: HasSocketOptions) -> bool:
        """The same, of a client whose socket a reactor makes a copy of."""
        return self._admit(accepted, copy_number(accepted.fileno()))

    def _admit(self, accepted: HasSocketOptions, number: int) -> bool:
        if not self.kept.take(number):
            self.totals.refuse(DESCRIPTORS)
            return False
        return self.admit(accepted)

    def admit(self, connection: HasSocketOptions) -> bool:
        """
        Decide about a client that was accepted, and count one that may not
        come in.

        @param connection: its Unix socket.
        @raise OSError: the kernel does not tell who it is.
        """
        why = self.door.refusal(connection, self.limits)
        if why is not None:
            self.totals.refuse(why)
        return why is None

    @property
    def limits(self) -> Limits:
        """
        What is allowed.  Another value is in force at once, but for
        C{max_frame} and C{half_close}, which are for clients that connect
        later.
        """
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        for each in self._quiet:
            each.reconsider()
        self._go_on()
        self._patience.reconsider()

    @property
    def clients(self) -> list[IClient]:
        """Those who are connected now, in no particular order."""
        everybody = chain(self._sessions, *self._quiet)
        return [each.client for each in everybody if each.client.connected]

    @property
    def counters(self) -> Counters:
        """What has happened, up to now."""
        sums = evolve(self.totals)
        for each in chain(self._sessions, *self._quiet):
            _add(each, sums)
            sums.in_flight += each.in_flight
        return sums

    @property
    def tight(self) -> bool:
        """See L{Surroundings<sockhost.sockets.around.Surroundings>}."""
        return self._holdings.tight

    def drain(self, seconds: float) -> Deferred[None]:
        """
        Give no further frame to the handler, let it answer those that it has,
        and close every connection: each as soon as nothing is outstanding on
        it.  A handler may call this; what it returns then is an answer, too.

        @param seconds: how long answers and what is queued are waited for.
        @return: fires when no connection is left and every C{disconnected} has
            ended, or has been cancelled because it takes too long.  Does not
            fail.
        """
        return Deferred.fromCoroutine(self._drain(seconds))

    def abort(self) -> None:
        """Cut short a L{drain} that is under way, or that comes."""
        self._hurried = True
        self._cancel_farewells()
        self._recheck()

    def status(self) -> Mapping[str, object]:
        """The counters, and how many clients there are."""
        status = {
            "clients": len(self._sessions) + sum(map(len, self._quiet)),
            **asdict(self.counters),
            "buffered": self._holdings.total,
        }
        if isinstance(self.handler, TimedHandler):
            status["latency"] = self.handler.latency.status()
        return status

    def open_session(self, transport: Any) -> Session | None:
        """
        Make the session of a connection, for its protocol.

        @return: C{None} if the client has a descriptor that is kept, which is
            seen only now where an endpoint has accepted it.
        """
        fileno = getattr(transport, "fileno", None)
        if fileno is not None and fileno() >= self.kept.first:
            self.totals.refuse(DESCRIPTORS)
            self.kept.tell("refuses clients")
            return None
        outbox = Outbox(as_stream(transport, self.reactor))
        peer = peer_of(transport)
        session = self.make_session(outbox, peer, self.limits.max_frame)
        if self.max_fds is not None:
            session.client.beside = Beside(outbox.attach, self.max_fds, self.kept)
        self.door.enter(peer.uid)
        return session

    def make_session(
        self,
        carrier: Carrier,
        peer: PeerCredentials,
        max_frame: int,
        client: Client | None = None,
    ) -> Session:
        """
        Make a session for a client who is in already.

        @param client: what the handler is given; C{None} for a new one.
        """
        codec = self.make_codec(max_frame)
        tracing = None if self.trace is None else TracingCodec(codec, self.trace)
        given = {} if client is None else {"client": client}
        session = Session(self, carrier, peer, tracing or codec, **given)
        if tracing is not None:
            tracing.who = f"client {session.client.id} {session.peer}"
        self._sessions.add(session)
        self._patience.watch()
        return session

    def attend(self, quiet: QuietOnes) -> None:
        """Count also those clients, and those who come to be among them."""
        # Those who came under rules that have changed since may all have gone.
        self._quiet = [each for each in self._quiet if not each.retire()]
        self._quiet.append(quiet)

    def dismiss(self, session: Session) -> None:
        """A session's client does without it from now on."""
        self._sessions.discard(session)
        self._patience.forget(session)

    def quiet_gone(self, quiet: Quiet, uid: int | None) -> None:
        """A client that did without a session is gone."""
        self._leave(uid)
        _add(quiet, self.totals)
        if self._waits:
            self._recheck()

    def session_changed(self) -> None:
        """See L{Surroundings<sockhost.sockets.around.Surroundings>}."""
        if self._waits:
            self._recheck()

    def session_holds(self, difference: int) -> None:
        """See L{Surroundings<sockhost.sockets.around.Surroundings>}."""
        self._holdings.change(difference)

    def session_gone(self, session: Session, farewell: Deferred[None] | None) -> None:
        """See L{Surroundings<sockhost.sockets.around.Surroundings>}."""
        if session in self._sessions:
            self._sessions.discard(session)
            self._leave(session.peer.uid)
            self._patience.forget(session)
            _add(session, self.totals)
        if farewell is not None:
            self._farewells.add(farewell)
            farewell.addCallback(self._said_farewell, farewell)
        self._recheck()

    def _leave(self, uid: int | None) -> None:
        self.door.leave(uid)
        if self.door.is_empty:
            # There is nobody left to be read from again.
            self._holdings.close()

    async def _drain(self, seconds: float) -> None:
        self.draining = True
        for quiet in self._quiet:
            quiet.wake()
        for session in list(self._sessions):
            session.progress()
        await self._until(self._idle, seconds)
        for session in list(self._sessions):
            if session.busy:
                session.abort(CLOSING, None)
            else:
                session.end(CLOSING, None)
        await self._until(self._empty, FAREWELL)
        for session in list(self._sessions):
            # TLS waits for the other side to close the connection, too.
            session.abort(CLOSING, None)
        await self._until(self._deserted, FAREWELL)
        self._cancel_farewells()
        self._holdings.close()
        if self.trace is not None:
            self.trace.close()

    def _go_on(self) -> None:
        # They may be allowed more than before, and be waiting for that.
        for quiet in self._quiet:
            quiet.go_on()
        for session in list(self._sessions):
            session.progress()

    def _holders(self) -> Iterable[Session]:
        for quiet in self._quiet:
            quiet.wake_holders()
        return self._sessions

    def _idle(self) -> bool:
        return self._hurried or not any(each.busy for each in self._sessions)

    def _empty(self) -> bool:
        return self._hurried or not (self._sessions or self._farewells)

    def _deserted(self) -> bool:
        return not self._sessions

    def _said_farewell(self, _: None, farewell: Deferred[None]) -> None:
        self._farewells.discard(farewell)
        self._recheck()

    def _cancel_farewells(self) -> None:
        for farewell in list(self._farewells):
            cancel(farewell)

    async def _until(self, met: Callable[[], bool], seconds: float) -> None:
        if met():
            return
        wait = _Wait(met)
        self._waits.append(wait)
        timer = self.reactor.callLater(seconds, wait.fire)
        try:
            await wait.fired
        finally:
            self._waits.remove(wait)
            if timer.active():
                timer.cancel()

    def _recheck(self) -> None:
        for wait in list(self._waits):
            if wait.met():
                wait.fire()


def _add(session: Session | Quiet, sums: Counters) -> None:
    sums.frames_in += session.frames_in
    sums.frames_out += session.frames_out
    sums.bytes_in += session.bytes_in
    sums.bytes_out += session.bytes_out
