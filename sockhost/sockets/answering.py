# -*- test-case-name: tests.sockets.test_session -*-
"""
What a handler has answered to the frames of one client, on its way back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import FrameError, IClient, ICodec
from sockhost.sockets.answers import cancel, check_batch, settle
from sockhost.sockets.around import Cancellable, Carrier, Phase, Surroundings
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.ends import FAILURE, HANDLER

OVER = (Phase.CLOSING, Phase.GONE)
"""When nothing more is taken from a client, and nothing more is sent to it."""


@define(eq=False)
class Answering(ABC):
    """
    What is answered to one client, and what is not answered yet.

    @ivar phase: how far the session is.
    @ivar frames_in: frames that were given to the handler.
    @ivar frames_out: frames that were queued.
    @ivar bytes_in: bytes that were read.
    @ivar bytes_out: bytes that were queued.
    @ivar in_flight: requests that are not answered.
    @ivar in_flight_bytes: what those have, together.
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
    # There are very many sessions, and few of them need this now.
    _work: set[Cancellable] | None = field(default=None, init=False)

    _log = Logger()

    @property
    @abstractmethod
    def client(self) -> IClient:
        """What the handler is given."""

    @abstractmethod
    def end(self, reason: str, why: str | None = HANDLER) -> None:
        """
        Close the connection once what is queued is sent.

        @param reason: what the handler is told.
        @param why: what it is counted as; C{None} if it is not.
        """

    @abstractmethod
    def abort(self, reason: str, why: str | None = HANDLER) -> None:
        """Close the connection now, whatever is queued."""

    @abstractmethod
    def progress(self) -> None:
        """Something was answered or sent: go on with what waited for that."""

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
        if self.phase in OVER:
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
        except TypeError:
            self.fault(Failure())
            self.discard(answers)
            return
        for answer, size in zip(answers, sizes, strict=True):
            if self.phase is Phase.OPEN:
                self._take_one(answer, size)
            else:
                self.discard(answer)

    def _take_one(self, answer: object, size: int) -> None:
        try:
            self.take(settle(answer), size)
        except BaseException:
            self.fault(Failure())

    def discard(self, answer: object) -> None:
        """End what was begun for a frame behind one that was the last."""
        if isinstance(answer, Coroutine):
            answer.close()
        elif isinstance(answer, Deferred):
            answer.addBoth(self._too_late)
            cancel(answer)
        elif isinstance(answer, (list, tuple)):
            for each in answer:
                self.discard(each)

    def _put(self, payload: bytes) -> None:
        data = self.codec.encode(payload)
        self.frames_out += 1
        self.bytes_out += len(data)
        self.carrier.put(data)

    def fault(self, failure: Failure) -> None:
        """The handler has failed: log it and drop the client."""
        self._blame("received", failure)
        self.end(f"the handler failed: {failure.getErrorMessage()}", FAILURE)

    def _too_late(self, result: object) -> None:
        # Cancelling is what ended it, or its answer has nowhere to go.
        if not isinstance(result, Failure):
            self.discard(result)
        elif not result.check(CancelledError):
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
        self.abort("internal error", FAILURE)

    def _cancel_work(self) -> None:
        for answer in list(self._work or ()):
            if isinstance(answer, Deferred):
                cancel(answer)
            else:
                answer.cancel()
