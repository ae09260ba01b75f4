# -*- test-case-name: tests.sockets.test_session -*-
"""
The frames of one client on their way to the handler.

A client is not read from while too much is owed to it: bytes that it has not
taken, or requests that are not answered.  Nothing of it is given to the handler
then either, so that what one read brought cannot exceed the limits by much.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, FrameError, IClient
from sockhost.sockets.answering import OVER, Answering
from sockhost.sockets.answers import check_payload, settle
from sockhost.sockets.around import CLOSING, Phase
from sockhost.sockets.ends import BAD_FRAME
from sockhost.sockets.limits import REQUEST


@define(eq=False)
class Exchange(Answering):
    """
    What is exchanged with one client.

    @ivar finished: C{True} once the client has said that it sends no more.
    """

    finished: bool = field(default=False, init=False)
    _backlog: deque[bytes] | None = field(default=None, init=False)
    _backlog_bytes: int = field(default=0, init=False)
    _delivering: bool = field(default=False, init=False)
    _reading: bool = field(default=True, init=False)
    # What the server was told that this session holds; it is not told any more
    # once this is below 0.
    _held: int = field(default=0, init=False)

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
        return self.in_flight > 0 or self.carrier.queued > 0 or self._delivering

    @property
    def waits(self) -> bool:
        """Whether frames were read that the handler may not have yet."""
        return bool(self._backlog) and self.codec.error is None

    @property
    def quiet(self) -> bool:
        """Whether it is open, and all that it holds is what it has counted."""
        owing = self.busy or self._backlog or self._held
        over = self.codec.buffered or self.codec.error or self.finished
        open_still = self.phase is Phase.OPEN and not self.server.draining
        return open_still and self._reading and not (owing or over)

    def feed(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self.phase not in OVER:
            self.bytes_in += len(data)
            self.digest(data)

    def digest(self, data: bytes) -> None:
        """Take bytes that are counted already."""
        if self.phase in OVER:
            return
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
        if self.phase in OVER:
            return fail(self.gone_reason())
        check_payload(payload)
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

    def handler_called(self) -> None:
        """The handler has a frame that it was not given here."""
        self._delivering = True

    def handler_returned(self) -> None:
        """That call is over."""
        self._delivering = False
        self.progress()

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
            if self.server.draining and not self.busy:
                self.end(CLOSING, None)
            elif self.codec.error is not None:
                self._read(False)
                if not (self.in_flight or self._backlog):
                    self.end(str(self.codec.error), BAD_FRAME)
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
        if self.in_flight > 1:
            held += (self.in_flight - 1) * REQUEST
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
