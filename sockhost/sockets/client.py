# -*- test-case-name: tests.sockets.test_client -*-
"""
A client of framed sockets for programs on Twisted: one connection.  One that
is made again when it is lost is in L{reconnecting
<sockhost.sockets.reconnecting>}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.interfaces import IFileDescriptorReceiver, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import Disconnected, FrameError, ICodec, NoAnswer
from sockhost.sockets.bound import system_address
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.matching import InOrder, MakeMatcher
from sockhost.sockets.wire import MAX_FRAME

MAX_FDS = 16
"""How many descriptors may wait to be taken before the connection is closed."""

MakeCodec = Callable[[int], ICodec]


@implementer(IFileDescriptorReceiver)
class FrameClient(Protocol):
    """
    One connection to a framed socket.  Its matcher says which of the frames
    that come answer which L{request}; those that answer none go to
    L{on_frame}.

    @ivar on_frame: is called with each frame that nobody has asked for;
        C{None} to discard them.
    """

    _log = Logger()

    def __init__(
        self,
        max_frame: int = MAX_FRAME,
        codec: MakeCodec = Length32Codec,
        matcher: MakeMatcher = InOrder,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param codec: makes the codec, given C{max_frame}.
        @param matcher: makes what tells which answer is whose.
        @param clock: measures deadlines; not needed if there are none.
        """
        self.on_frame: Callable[[bytes], object] | None = None
        self._codec = codec(max_frame)
        self._matcher = matcher()
        self._clock = clock
        self._unanswered: dict[int, Deferred[bytes]] = {}
        self._closed: list[Deferred[None]] = []
        self._watching: list[Deferred[Disconnected]] = []
        self._lost: Disconnected | None = None
        self._error: FrameError | NoAnswer | None = None
        self._descriptors: list[int] = []

    @property
    def is_connected(self) -> bool:
        """C{False} once the connection is lost, or cut off for an error."""
        return self._lost is None and self._error is None

    def request(self, payload: bytes, timeout: float | None = None) -> Deferred[bytes]:
        """
        Send one frame and wait for its answer.

        @param timeout: seconds that the answer may take; C{None} for no limit.
        @return: fires with the answer.  Fails with L{Disconnected} if the
            connection is lost before, with L{NoAnswer} if it does not come in
            time, and with L{FrameError} if the payload is too large.
            Cancelling discards the answer when it comes.  If one does not come
            in time and answers are told apart by their order, the connection
            is closed, as all later ones might be somebody else's.
        """
        if self._lost is not None:
            return fail(self._lost)
        key, frame = self._matcher.outgoing(payload)
        try:
            data = self._codec.encode(frame)
        except FrameError:
            self._matcher.unsent(key)
            return fail()
        answer: Deferred[bytes] = Deferred(lambda _: self._forget(key))
        self._unanswered[key] = answer
        self._transport.write(data)
        return answer if timeout is None else self._in_time(answer, timeout)

    def send(self, payload: bytes, descriptors: Sequence[int] = ()) -> None:
        """
        Send one frame that has no answer.

        @param descriptors: are passed with it; they must stay open until the
            server has shown that it has them.
        @raise Disconnected: the connection is lost.
        @raise FrameError: the payload is too large.
        """
        if self._lost is not None:
            raise self._lost
        data = self._codec.encode(payload)
        for descriptor in descriptors:
            self._transport.sendFileDescriptor(descriptor)
        self._transport.write(data)

    def take_fds(self) -> list[int]:
        """
        Get the descriptors that the server has passed and that nobody has
        taken yet, to close them.
        """
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> Deferred[None]:
        """
        Send what is queued and close the connection.

        @return: fires when it is closed, at once if it is.
        """
        done: Deferred[None] = Deferred()
        if self._lost is not None:
            done.callback(None)
            return done
        self._closed.append(done)
        self._transport.loseConnection()
        return done

    def when_lost(self) -> Deferred[Disconnected]:
        """
        Wait for the end of the connection.

        @return: fires with why it has ended, at once if it has.
        """
        lost: Deferred[Disconnected] = Deferred()
        if self._lost is not None:
            lost.callback(self._lost)
        else:
            self._watching.append(lost)
        return lost

    def abort(self) -> None:
        """Close the connection now."""
        if self._lost is None:
            self._transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """The server sent something."""
        try:
            for frame in self._codec.feed(data):
                self._take(frame)
            self._error = self._error or self._codec.error
        except FrameError as error:
            self._error = error
        if self._error is not None:
            self._transport.abortConnection()

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """The server passed a descriptor."""
        os.set_inheritable(descriptor, False)
        self._descriptors.append(descriptor)
        if len(self._descriptors) > MAX_FDS:
            self._error = FrameError("the server passed too many descriptors")
            self._transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: nothing is answered any more."""
        why = self._error or reason.getErrorMessage()
        self._lost = lost = Disconnected(
            f"the connection to the server is gone: {why}",
            clean=not (self._error or self._codec.buffered),
        )
        unanswered, self._unanswered = self._unanswered, {}
        for answer in unanswered.values():
            # One of them may have cancelled another.
            if not answer.called:
                answer.errback(lost)
        watching, self._watching = self._watching, []
        for watcher in watching:
            watcher.callback(lost)
        closed, self._closed = self._closed, []
        for done in closed:
            done.callback(None)
        for descriptor in self.take_fds():
            os.close(descriptor)

    @property
    def _transport(self) -> Any:
        return self.transport

    def _in_time(self, answer: Deferred[bytes], timeout: float) -> Deferred[bytes]:
        assert self._clock is not None, "a client with deadlines needs a clock"
        return answer.addTimeout(timeout, self._clock, self._too_late)

    def _too_late(self, result: Any, timeout: float) -> Any:
        if isinstance(result, Failure):
            result.trap(CancelledError)
        why = f"no answer within {timeout:g} s"
        if not self._matcher.tells_apart and self._lost is None:
            self._error = NoAnswer(f"{why}, and so no later one can be told apart")
            self._transport.abortConnection()
        raise NoAnswer(why)

    def _forget(self, key: int) -> None:
        self._unanswered.pop(key, None)
        self._matcher.abandon(key)

    def _take(self, frame: bytes) -> None:
        key, answer = self._matcher.incoming(frame)
        if key is None:
            if self.on_frame is not None:
                self._tell(self.on_frame, answer)
            return
        waiting = self._unanswered.pop(key, None)
        if waiting is not None:
            waiting.callback(answer)

    def _tell(self, on_frame: Callable[[bytes], object], frame: bytes) -> None:
        try:
            on_frame(frame)
        except Exception:
            self._log.failure("taking a frame failed")


def connect(
    reactor: Any,
    path: str,
    max_frame: int = MAX_FRAME,
    timeout: float = 30.0,
    codec: MakeCodec = Length32Codec,
    matcher: MakeMatcher = InOrder,
) -> Deferred[FrameClient]:
    """
    Connect to a framed socket.

    @param path: where it is; C{"@name"} for an abstract one.
    @param max_frame: the greatest length of a frame, its header included.
    @param timeout: seconds that this may take.
    @param codec: makes the codec, given C{max_frame}.
    @param matcher: makes what tells which answer is whose; L{ByNumber
        <sockhost.sockets.matching.ByNumber>} where they may overtake, or where
        some requests get none.
    @return: fires with a client; fails with
        L{ConnectError<twisted.internet.error.ConnectError>}.  Cancelling gives
        up the attempt.
    """
    endpoint = UNIXClientEndpoint(reactor, system_address(path), timeout)
    made = FrameClient(max_frame, codec, matcher, reactor)
    client: Deferred[FrameClient] = connectProtocol(endpoint, made)
    return client
