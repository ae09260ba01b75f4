# -*- test-case-name: tests.sockets.test_session -*-
"""
The frames of one client on their way to the handler, and its answers on their
way back.

A client is not read from while too much is owed to it: bytes that it has not
taken, or requests that are not answered.  Nothing of it is given to the handler
then either, so that what one read brought cannot exceed the limits by much.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, FrameError, IClient, ICodec
from sockhost.sockets.answers import check_batch, settle
from sockhost.sockets.around import Cancellable, Carrier, Phase, Surroundings
from sockhost.sockets.credentials import PeerCredentials

_OVER = (Phase.CLOSING, Phase.GONE)


@define(eq=False)
class Exchange(ABC):
    """
    What is exchanged with one client.

    @ivar phase: how far the session is.
    @ivar frames_in: frames that were given to the handler.
    @ivar frames_out: frames that were queued.
    @ivar bytes_in: bytes that were read.
    @ivar bytes_out: bytes that were queued.
    @ivar in_flight: requests that are not answered.
    @ivar in_flight_bytes: what those have, together.
    @ivar finished: C{True} once the client has said that it sends no more.
    """

    server: Surroundings
    carrier: Carrier
    peer: PeerCredentials
    codec: ICodec
    phase: Phase = field(default=Phase.CONNECTING, init=False)
    frames_in: int = field(default=0, init=False)
    frames_out: int = field(default=0, init=False)
    bytes_in: int = field(default=0, init=False)
    bytes_out: int = field(default=0, init=False)
    in_flight: int = field(default=0, init=False)
    in_flight_bytes: int = field(default=0, init=False)
    finished: bool = field(default=False, init=False)
    # There are very many sessions that need neither of these now.
    _work: set[Cancellable] | None = field(default=None, init=False)
    _backlog: deque[bytes] | None = field(default=None, init=False)
    _backlog_bytes: int = field(default=0, init=False)
    _delivering: bool = field(default=False, init=False)
    _reading: bool = field(default=True, init=False)
    # What the server was told that this session holds; it is not told any more
    # once this is below 0.
    _held: int = field(default=0, init=False)

    _log = Logger()

    @property
    @abstractmethod
    def client(self) -> IClient:
        """What the handler is given."""

    @abstractmethod
    def end(self, reason: str) -> None:
        """Close the connection once what is queued is sent."""

    @abstractmethod
    def abort(self, reason: str) -> None:
        """Close the connection now, whatever is queued."""

    @abstractmethod
    def gone_reason(self) -> Disconnected:
        """Why nothing can be sent any more."""

    @abstractmethod
    def finish(self) -> None:
        """The client sends no more, and nothing is owed to it any more."""

    @property
    def reading(self) -> bool:
        """Whether the client is read from."""
        return self._reading

    @property
    def held(self) -> int:
        """Bytes that this client makes the process hold, as far as counted."""
        return max(0, self._held)

    @property
    def busy(self) -> bool:
        """Whether answers are being worked on or are not sent yet."""
        return self.in_flight > 0 or self.carrier.queued > 0

    @property
    def quiet(self) -> bool:
        """Whether it is open, and all that it holds is what it has counted."""
        owing = self.busy or self._backlog or self._delivering or self._held
        over = self.codec.buffered or self.codec.error or self.finished
        open_still = self.phase is Phase.OPEN and not self.server.draining
        return open_still and self._reading and not (owing or over)

    def feed(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self.phase in _OVER:
            return
        self.bytes_in += len(data)
        frames = self.codec.feed(data)
        if frames:
            # More can arrive after a pause, where a transport had it already.
            if self._backlog is None:
                self._backlog = deque(frames)
            else:
                self._backlog.extend(frames)
            self._backlog_bytes += sum(map(len, frames))
        self._deliver()

    def send(self, payload: bytes) -> Deferred[None]:
        """Queue a frame; see L{IClient.send}."""
        if self.phase in _OVER:
            return fail(self.gone_reason())
        try:
            self._put(payload)
        except FrameError:
            return fail()
        sent = self.carrier.when_sent()
        self._balance()
        return sent

    def progress(self) -> None:
        """Something was answered or sent: go on with what waited for that."""
        if self._backlog:
            self._deliver()
        else:
            self._balance()
        self.server.session_changed()

    def _deliver(self) -> None:
        if self._delivering or self.phase is not Phase.OPEN:
            return
        self._delivering = True
        try:
            self._hand_over()
            # A carrier that writes at once has room again, and will not tell.
            while self._backlog and not self._full():
                self._hand_over()
        finally:
            self._delivering = False
        self._balance()

    def _hand_over(self) -> None:
        if not self._backlog:
            return
        self.carrier.hold()
        try:
            if self.server.received_batch is not None:
                self._hand_over_batches(self._backlog, self.server.received_batch)
            elif self.server.received is not None:
                self._hand_over_frames(self._backlog, self.server.received)
            else:
                # A handler that takes none: they are read and forgotten.
                self._drop_backlog()
        finally:
            self.carrier.release()
        if self._backlog is not None and not self._backlog:
            self._backlog = None

    def _hand_over_frames(
        self, backlog: deque[bytes], received: Callable[[IClient, bytes], object]
    ) -> None:
        client, server, carrier = self.client, self.server, self.carrier
        while backlog and not self._full():
            most = 0 if server.tight else server.limits.most_queued(self._reading)
            # All else that makes it full comes by answers of another kind.
            while backlog and carrier.queued <= most and not server.draining:
                frame = backlog.popleft()
                self._backlog_bytes -= len(frame)
                self.frames_in += 1
                try:
                    answer = received(client, frame)
                    if type(answer) is bytes:
                        self._put(answer)
                        continue
                    self.take(settle(answer), len(frame))
                except BaseException:
                    self.fault(Failure())
                break

    def _hand_over_batches(
        self,
        backlog: deque[bytes],
        received: Callable[[IClient, Sequence[bytes]], object],
    ) -> None:
        while backlog and not self._full():
            room = self.server.limits.max_in_flight - self.in_flight
            frames = [backlog.popleft() for _ in range(min(room, len(backlog)))]
            sizes = list(map(len, frames))
            self._backlog_bytes -= sum(sizes)
            self.frames_in += len(frames)
            try:
                answers = received(self.client, frames)
            except BaseException:
                self.fault(Failure())
            else:
                self.take_batch(answers, sizes)

    def take_batch(self, answers: object, sizes: Sequence[int]) -> None:
        """The handler has returned something for frames of these sizes."""
        reply = partial(self._reply_all, sizes)
        try:
            answers = settle(answers)
        except BaseException:
            self.fault(Failure())
        else:
            if isinstance(answers, Deferred):
                self._await(answers, len(sizes), sum(sizes), reply)
            else:
                reply(answers)

    def take(self, answer: object, size: int) -> None:
        """The handler has returned something for a frame of this size."""
        if isinstance(answer, Deferred):
            self._await(answer, 1, size, self.reply)
        else:
            self.reply(answer)

    def _await(
        self,
        answer: Deferred[Any],
        frames: int,
        size: int,
        reply: Callable[[Any], None],
    ) -> None:
        if self._work is None:
            self._work = set()
        self._work.add(answer)
        self.in_flight += frames
        self.in_flight_bytes += size
        answer.addBoth(self.answered, answer, frames, size, reply)
        answer.addErrback(self._broken)

    def answered(
        self,
        result: object,
        answer: Cancellable | None,
        frames: int,
        size: int,
        reply: Callable[[Any], None],
    ) -> None:
        """A Deferred that the handler had returned has fired."""
        if self._work is not None and answer is not None:
            self._work.discard(answer)
            self._work = self._work or None
        self.in_flight -= frames
        self.in_flight_bytes -= size
        if self.phase in _OVER:
            self._too_late(result)
        elif isinstance(result, Failure):
            self.fault(result)
        else:
            reply(result)
        self.progress()

    def reply(self, answer: object) -> None:
        """Send an answer, if it is one."""
        if answer is None:
            return
        try:
            if not isinstance(answer, bytes):
                raise TypeError(
                    f"a handler answers with bytes or None, not {answer!r:.60}"
                )
            self._put(answer)
        except (TypeError, FrameError):
            self.fault(Failure())

    def _reply_all(self, sizes: Sequence[int], answers: Any) -> None:
        if answers is None:
            return
        try:
            check_batch(answers, len(sizes))
            for answer, size in zip(answers, sizes, strict=True):
                if self.phase is Phase.OPEN:
                    self.take(settle(answer), size)
                else:
                    self.discard(answer)
        except BaseException:
            self.fault(Failure())

    def discard(self, answer: object) -> None:
        """End what was begun for a frame behind one that was the last."""
        if isinstance(answer, Coroutine):
            answer.close()
        elif isinstance(answer, Deferred):
            answer.addErrback(self._too_late)
            answer.cancel()

    def _put(self, payload: bytes) -> None:
        data = self.codec.encode(payload)
        self.frames_out += 1
        self.bytes_out += len(data)
        self.carrier.put(data)

    def fault(self, failure: Failure) -> None:
        """The handler has failed: log it and drop the client."""
        self._blame("received", failure)
        self.end(f"the handler failed: {failure.getErrorMessage()}")

    def _too_late(self, result: object) -> None:
        # Cancelling is what ended it, or its answer has nowhere to go.
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._blame("received", result)

    def _blame(self, method: str, failure: Failure) -> None:
        self.server.totals.errors += 1
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

    def _cancel_work(self) -> None:
        for answer in list(self._work or ()):
            answer.cancel()

    def _drop_backlog(self) -> None:
        if self._backlog is not None:
            # A loop that hands them over has this one in its hands.
            self._backlog.clear()
        self._backlog_bytes = 0

    def _full(self) -> bool:
        queued, in_flight = self.carrier.queued, self.in_flight
        if self.phase is not Phase.OPEN or self.server.draining:
            return True
        if self.server.tight and (queued or in_flight):
            return True
        return self.server.limits.reached(
            self._reading, queued, in_flight, self.in_flight_bytes
        )

    def _balance(self) -> None:
        if self.phase is Phase.OPEN:
            if self.codec.error is not None:
                self._read(False)
                if not (self.in_flight or self._backlog):
                    self.end(str(self.codec.error))
            elif self.finished:
                if not (self.busy or self._backlog):
                    self.finish()
            else:
                self._read(not self._backlog and not self._full())
        self._account()

    def _account(self) -> None:
        if self._held < 0:
            return
        held = (
            self.carrier.queued
            + self.codec.buffered
            + self._backlog_bytes
            + self.in_flight_bytes
        )
        difference, self._held = held - self._held, held
        if difference:
            self.server.session_holds(difference)

    def _stop_accounting(self) -> None:
        if self._held > 0:
            self.server.session_holds(-self._held)
        self._held = -1

    def _read(self, wanted: bool) -> None:
        if wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self.carrier.resume()
        else:
            self.carrier.pause()
