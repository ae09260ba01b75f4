# -*- test-case-name: tests.sockets.test_hubconnection -*-
"""
A client on a raw descriptor: its frames given to the handler, and the answers.

Answers of a run of frames, and those that come later in one turn, are framed
together: each by itself would cost as much as everything else that is done for
a small frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import countOf
from select import EPOLLIN
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.answers import check_payload, settle
from sockhost.sockets.around import Phase
from sockhost.sockets.ends import HANDLER
from sockhost.sockets.hubclients import Run
from sockhost.sockets.hubquiet import QuietConnection
from sockhost.sockets.hubwaiting import Waiting
from sockhost.sockets.hubwriter import LARGE, OPEN, RawWriter
from sockhost.sockets.wire import HEADER, HEADER_SIZE, check_length

_pack = HEADER.pack


class AnsweringConnection(QuietConnection):
    """A client whose frames are cut already."""

    __slots__ = ()

    def give(self, frame: bytes) -> None:
        self.frames_in += 1
        try:
            answer = self.clients.received(self.client, frame)
        except BaseException:
            self.wake().fault(Failure())
        else:
            self.take(answer, len(frame))

    def give_run(self, frames: Sequence[bytes], size: int) -> int:
        """Give frames of one size to the handler; say how many it got."""
        if self.late is not None:
            self._emit_late()
        clients = self.clients
        answers: list[Any] = []
        left = iter(frames)
        clients.run = Run(self, answers, left, size)
        clients.emitted = 0
        failure = None
        try:
            # What was answered before an exception is in the list then.
            answers.extend(map(clients.received, repeat(self.client), left))
        except BaseException:
            failure = Failure()
        clients.run = None
        given = len(answers)
        # The handler may have had it woken meanwhile.
        (self.session or self).frames_in += given
        self._emit(answers[clients.emitted :] if clients.emitted else answers, size)
        if failure is None:
            return given
        session = self.wake()
        session.frames_in += 1
        session.fault(failure)
        return given + 1

    def give_batch(
        self,
        received: Callable[[IClient, Sequence[bytes]], Any],
        frames: Sequence[bytes],
    ) -> None:
        """Give frames to the handler all at once."""
        self.frames_in += len(frames)
        try:
            answers = received(self.client, frames)
        except BaseException:
            self.wake().fault(Failure())
            return
        simple = type(answers) is list and len(answers) == len(frames)
        simple = simple and countOf(map(type, answers), bytes) == len(frames)
        if simple and self.session is None:
            self._emit(answers, 0)
        elif answers is not None:
            self.wake().take_batch(answers, list(map(len, frames)))

    def _emit(self, answers: list[Any], size: int) -> None:
        # Answers of one length are joined by their header: 35 nanoseconds for
        # each.  Asking all for their type would take 20 more; what is not bytes
        # but can be joined shows by its length if it would spoil the frames.
        if self.session is None and answers and type(answers[0]) is bytes:
            try:
                payload, count = len(answers[0]), len(answers)
                alike = countOf(map(len, answers), payload)
                length = payload + HEADER_SIZE
                header = _pack(length)
                data = header.join((b"", *answers))
            except TypeError:
                pass
            else:
                clients = self.clients
                if length > clients.room:
                    clients.room = length
                same = alike == count and len(data) == count * length
                if same and length <= min(clients.max_frame, LARGE):
                    self.frames_out += count
                    self.put(data)
                    return
        if self.session is None and answers and type(answers[0]) is Deferred:
            answers = self._await_all(answers, size)
        for answer in answers:
            self.take(answer, size)

    def _await_all(self, answers: list[Any], size: int) -> list[Any]:
        """Wait for those in front that are Deferreds; return the others."""
        kinds = list(map(type, answers))
        count = kinds.count(Deferred)
        if count < len(kinds):
            count = next(at for at, kind in enumerate(kinds) if kind is not Deferred)
        Waiting(self, answers[:count], size).begin()
        return answers[count:]

    def emit(self) -> None:
        """See L{QuietConnection.emit}."""
        run = self.clients.run
        if run is not None and run.connection is self:
            # Nothing more of this run for a handler that has dropped the
            # client, or after what it should not have answered.
            self._emit_run(run)
            deque(run.left, maxlen=0)
        if self.late is not None:
            self._emit_late()

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

    def take(self, answer: object, size: int) -> None:
        kind = type(answer)
        if self.session is not None:
            self._take_with_session(answer, size)
        elif kind is bytes and len(answer) <= self.clients.largest:  # type: ignore[arg-type]
            self._put_frame(answer)  # type: ignore[arg-type]
        elif kind is Deferred:
            Waiting(self, (answer,), size).begin()  # type: ignore[arg-type]
        elif answer is not None:
            self._take_other(answer, size)

    def _take_other(self, answer: object, size: int) -> None:
        # What is asynchronous is to begin before the next frame is given.
        self.clients.runs = False
        try:
            settled = settle(answer)
        except BaseException:
            self.wake().fault(Failure())
            return
        if type(settled) in (bytes, Deferred) and settled is not answer:
            self.take(settled, size)
        elif settled is not None:
            self.wake().take(settled, size)

    def _take_with_session(self, answer: object, size: int) -> None:
        session = self.wake()
        if session.phase is not Phase.OPEN:
            session.discard(answer)
            return
        try:
            session.take(settle(answer), size)
        except BaseException:
            session.fault(Failure())

    def answer_late(self, result: object, size: int) -> None:
        """A Deferred that the handler had returned for so many bytes has fired."""
        kind, run = type(result), self.clients.run
        if kind is bytes and run is not None and run.connection is self:
            self.take(result, size)
        elif kind is bytes and self.late is not None:
            self.late.append(result)  # type: ignore[arg-type]
        elif kind is bytes and not self._answer_alone(result):  # type: ignore[arg-type]
            # Framed at the end of the turn, all at once like a run.
            self.late = [result]  # type: ignore[list-item]
            self.hold()
            self.hub.later(self.flush)
        elif kind is not bytes and result is not None:
            self._odd_answer(result, size)
        if self.held or not self.events & EPOLLIN:
            self.balance()

    def _answer_alone(self, answer: bytes) -> bool:
        """
        Write the answer to the only request that there was: no other can come
        in this turn.  To have it written at the end of the turn costs 1
        microsecond, and 8 where that takes a delayed call of the reactor.
        """
        clients = self.clients
        if self.in_flight or self.corked is not None or self.queue is not None:
            return False
        if len(answer) > clients.small or self.state != OPEN:
            return False
        self.frames_out += 1
        self.bytes_out += len(answer) + HEADER_SIZE
        self.queued = len(answer) + HEADER_SIZE
        self._write_at_once(_pack(self.queued) + answer)
        return True

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
        check_payload(payload)
        problem = check_length(len(payload) + HEADER_SIZE, self.clients.max_frame)
        if problem is not None:
            return fail(problem)
        self._put_frame(payload)
        sent = self.when_sent()
        self.balance()
        return sent

    def end(self, reason: str, why: str | None = HANDLER) -> None:
        """See L{Session.end}."""
        if self.state == OPEN:
            self.wake().end(reason, why)

    def _put_frame(self, payload: bytes) -> None:
        self.frames_out += 1
        header = _pack(len(payload) + HEADER_SIZE)
        if len(payload) < LARGE:
            self.put(header + payload)
        else:
            self.put(header)
            self.put(payload)

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

    def flush(self) -> None:
        """Write what was collected, at the end of a turn."""
        if self.late is not None:
            self._emit_late()
        if self.corked is not None:
            self.write_corked()
            self.progressed()

    def end_of_read(self) -> None:
        if self.late is not None:
            self._emit_late()
        self.write_corked()
        if self.session is not None:
            self.progressed()
        elif (
            self.queued
            or self.rest
            or self.held
            or self.in_flight_bytes >= self.clients.untold
            or not self.events & EPOLLIN
            or self.in_flight >= self.clients.few
        ):
            self.balance()
