# -*- test-case-name: tests.sockets.test_hubconnection -*-
"""
A client on a raw descriptor.

What happens all the time is done here: whole frames come, the handler answers
them with bytes or with Deferreds, the kernel takes the answers or some of
them.  Whatever else happens is the business of a L{Session
<sockhost.sockets.session.Session>}, which is made when it is needed and
dropped when all is quiet again.  So a client costs 0.4 KiB, and a frame of a
ping-pong half a microsecond more than reading and writing it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from os import read, write
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, FrameError, ICodec
from sockhost.sockets.answers import settle
from sockhost.sockets.around import Phase
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.hubclients import READ, HubClients, Run
from sockhost.sockets.hubcut import LARGEST_IN_RUN, Partial, run_of
from sockhost.sockets.hubwriter import ABORTED, LARGE, OPEN, RawWriter
from sockhost.sockets.peer import Client
from sockhost.sockets.session import Session
from sockhost.sockets.wire import HEADER, HEADER_SIZE, pack

UNTOLD = 4096
"""
Bytes that a client may make the process hold without its server's being told:
telling costs half a microsecond, which is much for small frames.
"""
_NOBODY = Disconnected("the client is gone")

_unpack, _pack = HEADER.unpack_from, HEADER.pack


class HubConnection(RawWriter):
    """
    One client.

    @ivar clients: what it shares with others.
    @ivar client: what the handler is given.
    @ivar peer: who it is.
    @ivar session: takes care of it now, or C{None}.
    @ivar rest: the beginning of a frame, or C{None}.
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
        "in_flight_bytes",
        "late",
        "peer",
        "rest",
        "session",
        "work",
    )

    def __init__(self, clients: HubClients, fd: int, peer: PeerCredentials) -> None:
        # Not by super(): it is a tenth of what a short connection costs.
        self.hub = clients.hub
        self.fd = fd
        self.events = EPOLLIN
        self.state = OPEN
        self.corked: list[bytes] | None = None
        self.queue: deque[bytes | memoryview] | None = None
        self.queued = self.bytes_out = 0
        self.waiting: deque[tuple[int, Deferred[None]]] | None = None
        self.clients = clients
        self.peer = peer
        self.session: Session | None = None
        self.rest: bytes | Partial | None = None
        # Requests that are not answered.
        self.work: set[Deferred[Any]] | None = None
        self.in_flight_bytes = 0
        # Answers that came later in this turn, without their headers.
        self.late: list[bytes] | None = None
        self.frames_in = self.frames_out = self.bytes_in = self.held = 0
        self.client = Client(self, clients.server.reactor.seconds())

    # -- what the hub says ---------------------------------------------------

    def event(self, events: int) -> None:
        """See L{Watched<sockhost.sockets.hub.Watched>}."""
        if events != EPOLLIN and not self._is_readable(events):
            return
        if self.session is not None or self.rest is not None:
            self._read_on()
            return
        clients = self.clients
        try:
            data = read(self.fd, clients.read)
        except BlockingIOError:
            return
        except OSError as error:
            self.broken(error)
            return
        size = len(data)
        if size < HEADER_SIZE or _unpack(data)[0] != size:
            self._got(data)
            return
        # Exactly one frame, as in any ping-pong: cut, answered and written
        # with nothing between.
        self.frames_in += 1
        self.bytes_in += size
        try:
            answer = clients.received(self.client, data[HEADER_SIZE:])
        except Exception:
            self.wake().fault(Failure())
            return
        if (
            type(answer) is not bytes
            or len(answer) > clients.small
            or self.corked is not None
            or self.queue is not None
            or self.session is not None
        ):
            self._take(answer, size - HEADER_SIZE)
            self._end_of_read()
            return
        data = _pack(len(answer) + HEADER_SIZE) + answer
        size = len(data)
        self.frames_out += 1
        self.bytes_out += size
        try:
            sent = write(self.fd, data)
            if sent == size:
                return
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.broken(error)
            return
        self.refused(data[sent:])
        self._balance()

    def shut(self, reason: Failure) -> None:
        """See L{Watched<sockhost.sockets.hub.Watched>}."""
        self.lost(Disconnected(f"the connection was lost: {reason.getErrorMessage()}"))

    def _is_readable(self, events: int) -> bool:
        if events & EPOLLOUT:
            self.writable()
        if events & EPOLLIN and self.events & EPOLLIN:
            return True
        if events & (EPOLLHUP | EPOLLERR):
            self.lost(Disconnected("the connection was lost: the client is gone"))
        return False

    # -- reading -------------------------------------------------------------

    def _read_on(self) -> None:
        rest, most = self.rest, self.clients.read
        if type(rest) is Partial:
            most = min(READ, rest.missing)
        elif type(rest) is bytes:
            most = READ - len(rest)
        try:
            data = read(self.fd, most)
        except BlockingIOError:
            return
        except OSError as error:
            self.broken(error)
            return
        if self.session is None or not data:
            self._got(data)
        else:
            self.session.feed(data)
            self._sleep()

    def _got(self, data: bytes) -> None:
        if not data:
            self._ended_by_client()
            return
        self.bytes_in += len(data)
        rest, self.rest = self.rest, None
        self.hold()
        if rest is None:
            self._cut(data)
        elif type(rest) is bytes:
            # So small beginnings are put in front of the next read: a buffer
            # of its own for each made frames of 3 KB 5 to 14 times slower.
            self._cut(rest + data)
        elif type(rest) is Partial:
            frame = rest.add(data)
            if frame is None:
                self.rest = rest
            else:
                self._give(frame)
        self._end_of_read()

    def _cut(self, data: bytes) -> None:
        offset = self._give_frames(data)
        left = len(data) - offset
        if not left:
            return
        length = _unpack(data, offset)[0] if left >= HEADER_SIZE else HEADER_SIZE + 1
        whole = not left < length <= self.clients.max_frame
        if self.session is not None or whole or length < HEADER_SIZE:
            # Too much is owed to the client, it is ended, or this is no frame.
            self._hand_on(data[offset:])
        elif length < LARGE:
            self.rest = data[offset:]
        else:
            self.rest = Partial(length, data[offset + HEADER_SIZE :])

    def _hand_on(self, data: bytes) -> None:
        session = self.wake()
        # It counts again what was counted when it was read.
        session.bytes_in -= len(data)
        session.feed(data)

    def _give_frames(self, data: bytes) -> int:
        """Give whole frames to the handler; say where the first other is."""
        clients = self.clients
        largest, high = clients.max_frame, clients.server.limits.high_water
        offset, end, no_run_before = 0, len(data), 0
        while end - offset >= HEADER_SIZE and self.session is None:
            if self.queued > high or (self.work is not None and self._full()):
                break
            (length,) = _unpack(data, offset)
            stop = offset + length
            if stop > end or not HEADER_SIZE <= length <= largest:
                break
            if stop + 7 * length <= end and length <= LARGEST_IN_RUN:
                if offset >= no_run_before:
                    most = self._most((end - offset) // length, length)
                    frames = run_of(data, offset, length, most)
                    if frames:
                        offset += self._give_run(frames, length - HEADER_SIZE) * length
                        continue
                    # Cutting 64 in vain takes as long as 5 one by one.
                    no_run_before = offset + 64 * length
            self._give(data[offset + HEADER_SIZE : stop])
            offset = stop
        return offset

    def _most(self, most: int, length: int) -> int:
        """Say how many frames may be given to the handler without a look."""
        clients = self.clients
        limits = clients.server.limits
        if self.work is not None or limits.max_in_flight < 64:
            most = min(most, limits.max_in_flight - self.in_flight)
        free = limits.max_in_flight_bytes - self.in_flight_bytes
        if free < 64 * LARGEST_IN_RUN:
            most = min(most, free // length)
        return min(most, (limits.high_water - self.queued) // clients.room)

    # -- the handler ---------------------------------------------------------

    def _give(self, frame: bytes) -> None:
        self.frames_in += 1
        try:
            answer = self.clients.received(self.client, frame)
        except Exception:
            self.wake().fault(Failure())
        else:
            self._take(answer, len(frame))

    def _give_run(self, frames: Sequence[bytes], size: int) -> int:
        """Give frames of one size to the handler; say how many it got."""
        clients = self.clients
        answers: list[Any] = []
        left = iter(frames)
        clients.run = Run(self, answers, left, size)
        clients.emitted = 0
        failure = None
        try:
            # What was answered before an exception is in the list then.
            answers.extend(map(clients.received, repeat(self.client), left))
        except Exception:
            failure = Failure()
        clients.run = None
        given = len(answers)
        self.frames_in += given
        self._emit(answers[clients.emitted :] if clients.emitted else answers, size)
        if failure is None:
            return given
        self.frames_in += 1
        self.wake().fault(failure)
        return given + 1

    def _emit(self, answers: list[Any], size: int) -> None:
        # Answers of one length are joined by their header: 35 nanoseconds for
        # each.  Asking all for their type would take 20 more; what is not bytes
        # but can be joined shows by its length if it would spoil the frames.
        if self.session is None and answers and type(answers[0]) is bytes:
            try:
                sizes = set(map(len, answers))
                length = sizes.pop() + HEADER_SIZE
                header = _pack(length)
                data = header.join((b"", *answers))
            except TypeError:
                pass
            else:
                count = len(answers)
                if len(data) == count * length <= count * self.clients.max_frame:
                    if not sizes:
                        self.frames_out += count
                        self.put(data)
                        if length > self.clients.room:
                            self.clients.room = length
                        return
        if self.session is None and answers and type(answers[0]) is Deferred:
            self._await_all(answers, size)
            return
        for answer in answers:
            self._take(answer, size)

    def _await_all(self, answers: list[Any], size: int) -> None:
        if self.work is None:
            self.work = set()
        answered, work = self._answered, self.work
        for answer in answers:
            if type(answer) is Deferred and self.work is work:
                self.in_flight_bytes += size
                work.add(answer)
                answer.addBoth(answered, answer, size)
            else:
                self._take(answer, size)

    def _emit_late(self) -> None:
        late, self.late = self.late, None
        if late:
            self._emit(late, 0)

    def _emit_run(self, run: Run) -> None:
        # No run meanwhile: queueing these must not come back here.
        clients = self.clients
        clients.run = None
        first, clients.emitted = clients.emitted, len(run.answers)
        self._emit(run.answers[first:], run.size)
        clients.run = run

    def _take(self, answer: object, size: int) -> None:
        kind = type(answer)
        if self.session is not None:
            self._take_with_session(answer, size)
        elif kind is bytes and len(answer) <= self.clients.largest:  # type: ignore[arg-type]
            self.frames_out += 1
            self.put(_pack(len(answer) + HEADER_SIZE) + answer)  # type: ignore[arg-type, operator]
        elif kind is Deferred:
            if self.work is None:
                self.work = set()
            self.work.add(answer)  # type: ignore[arg-type]
            self.in_flight_bytes += size
            answer.addBoth(self._answered, answer, size)  # type: ignore[attr-defined]
        elif answer is not None:
            self._take_other(answer, size)

    def _take_other(self, answer: object, size: int) -> None:
        try:
            settled = settle(answer)
        except Exception:
            self.wake().fault(Failure())
            return
        if type(settled) in (bytes, Deferred) and settled is not answer:
            self._take(settled, size)
        elif settled is not None:
            self.wake().take(settled, size)

    def _take_with_session(self, answer: object, size: int) -> None:
        session = self.wake()
        try:
            session.take(settle(answer), size)
        except Exception:
            session.fault(Failure())

    def _answered(self, result: object, answer: Deferred[Any], size: int) -> None:
        if self.session is not None:
            self.session.answered(result, answer, size)
            self._sleep()
            return
        work = self.work
        assert work is not None
        work.discard(answer)
        if not work:
            self.work = None
        self.in_flight_bytes -= size
        if type(result) is bytes:
            # Framed at the end of the turn, all at once like a run: of the 1.5
            # microseconds that such an answer costs, 1 is Twisted's.
            if self.late is None:
                self.late = [result]
                self.hold()
                self.hub.later(self.flush)
            else:
                self.late.append(result)
        elif result is not None:
            self._odd_answer(result, size)
        if not self.events & EPOLLIN:
            self._balance()

    def _odd_answer(self, result: object, size: int) -> None:
        session = self.wake()
        if isinstance(result, Failure):
            session.fault(result)
        else:
            session.take(result, size)
        session.progress()

    def send(self, payload: bytes) -> Deferred[None]:
        """See L{IClient.send<sockhost.interfaces.IClient.send>}."""
        if self.state != OPEN:
            return fail(Disconnected("the client is gone"))
        try:
            data = pack(payload, self.clients.max_frame)
        except FrameError:
            return fail()
        self.frames_out += 1
        self.put(data)
        sent = self.when_sent()
        self._balance()
        return sent

    def end(self, reason: str) -> None:
        """See L{Session.end}."""
        if self.state == OPEN:
            self.wake().end(reason)

    # -- writing -------------------------------------------------------------

    def put(self, data: bytes) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""
        if self.late is not None:
            self._emit_late()
        run = self.clients.run
        if run is not None and run.connection is self:
            # The handler sends something besides, in the middle of a run: what
            # it has answered goes before.
            self._emit_run(run)
        RawWriter.put(self, data)

    def refused(self, data: bytes) -> None:
        """Queue what the kernel has not taken of the only thing to send."""
        self.queued = len(data)
        self.queue = deque((data,))
        self._wait_for(self.events | EPOLLOUT)

    def flush(self) -> None:
        """Write what was collected, at the end of a turn."""
        if self.late is not None:
            self._emit_late()
        if self.corked is not None:
            self._write_corked()
            self.progressed()

    def progressed(self) -> None:
        """See L{RawWriter.progressed}."""
        if self.session is not None:
            self.session.progress()
            self._sleep()
        elif self.held or self.queued or not self.events & EPOLLIN:
            self._balance()

    def broken(self, error: OSError) -> None:
        """See L{RawWriter.broken}."""
        if self.state < ABORTED:
            self.state = ABORTED
            reason = Disconnected(f"the connection was lost: {error.strerror}")
            self.hub.later(partial(self.lost, reason))

    def _end_of_read(self) -> None:
        if self.late is not None:
            self._emit_late()
        self._write_corked()
        if self.session is not None:
            self._sleep()
        elif (
            self.queued
            or self.rest
            or self.held
            or self.in_flight_bytes >= UNTOLD
            or not self.events & EPOLLIN
            or (self.work is not None and len(self.work) >= self.clients.few)
        ):
            self._balance()

    def _balance(self) -> None:
        if self.state != OPEN or self.session is not None:
            return
        server, owed = self.clients.server, self.queued or self.work is not None
        full = owed and (self._full() or server.tight)
        if full == self.reading:
            self._wait_for(self.events ^ EPOLLIN)
        held = self.queued + self.in_flight_bytes
        if self.rest is not None:
            rest = self.rest
            held += rest.have if type(rest) is Partial else len(rest)
        if abs(held - self.held) >= UNTOLD or (self.held and not held):
            difference, self.held = held - self.held, held
            server.session_holds(difference)

    def _full(self) -> bool:
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
    def carrier(self) -> HubConnection:
        """What carries its bytes: itself."""
        return self

    @property
    def codec(self) -> ICodec:
        """What its frames are made with, while there is no session to ask."""
        return self.clients.codec

    @property
    def in_flight(self) -> int:
        """Requests that are not answered, while there is no session to ask."""
        return 0 if self.work is None else len(self.work)

    def start(self, progress: Callable[[], None]) -> None:
        """See L{Carrier<sockhost.sockets.around.Carrier>}."""

    def wake(self) -> Session:
        """Leave the rest to a session, if one does not have it already."""
        session = self.session
        if session is None:
            run = self.clients.run
            if run is not None and run.connection is self:
                # Nothing more of this run for a handler that has dropped the
                # client, or after what it should not have answered.
                self._emit_run(run)
                deque(run.left, maxlen=0)
            if self.late is not None:
                self._emit_late()
            if self.session is not None:
                return self.session
            session = self.clients.wake_one(self)
            self.rest = None
            self.in_flight_bytes = 0
        return session

    def _sleep(self) -> None:
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
            session, self.session = self.session, None
            session.lost(reason or session.farewell_reason())
        else:
            self.lose(_NOBODY)
            clients.gone(self)

    def _ended_by_client(self) -> None:
        if self.clients.finishing:
            # The end would be told again and again.
            self._wait_for(self.events & ~EPOLLIN)
            self.wake().half_close()
        else:
            self.lost(None)
