# -*- test-case-name: tests.sockets.test_client -*-
"""
A client of framed sockets for programs on Twisted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, FrameError
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.wire import MAX_FRAME


class FrameClient(Protocol):
    """
    One connection to a framed socket.  Frames that come are the answers to
    L{request}s, in the order of these, and go to L{on_frame} when no request
    is unanswered.

    @ivar on_frame: is called with each frame that nobody has asked for;
        C{None} to discard them.
    """

    _log = Logger()

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.on_frame: Callable[[bytes], object] | None = None
        self._codec = Length32Codec(max_frame)
        self._unanswered: deque[Deferred[bytes]] = deque()
        self._closed: list[Deferred[None]] = []
        self._lost: Disconnected | None = None

    def request(self, payload: bytes) -> Deferred[bytes]:
        """
        Send one frame and wait for its answer.

        @return: fires with the next frame that answers no earlier request.
            Fails with L{Disconnected} if the connection is lost before, and
            with L{FrameError} if the payload is too large.  Cancelling
            discards the answer when it comes.
        """
        try:
            self.send(payload)
        except (Disconnected, FrameError):
            return fail()
        answer: Deferred[bytes] = Deferred()
        self._unanswered.append(answer)
        return answer

    def send(self, payload: bytes) -> None:
        """
        Send one frame that has no answer.

        @raise Disconnected: the connection is lost.
        @raise FrameError: the payload is too large.
        """
        if self._lost is not None:
            raise self._lost
        self._transport.write(self._codec.encode(payload))

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

    def dataReceived(self, data: bytes) -> None:
        """The server sent something."""
        for frame in self._codec.feed(data):
            self._take(frame)
        if self._codec.error is not None:
            self._transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: nothing is answered any more."""
        why = self._codec.error or reason.getErrorMessage()
        self._lost = lost = Disconnected(
            f"the connection to the server is gone: {why}",
            clean=not (self._codec.error or self._codec.buffered),
        )
        unanswered, self._unanswered = self._unanswered, deque()
        for answer in unanswered:
            answer.errback(lost)
        closed, self._closed = self._closed, []
        for done in closed:
            done.callback(None)

    @property
    def _transport(self) -> Any:
        return self.transport

    def _take(self, frame: bytes) -> None:
        if self._unanswered:
            self._unanswered.popleft().callback(frame)
        elif self.on_frame is not None:
            self._tell(self.on_frame, frame)

    def _tell(self, on_frame: Callable[[bytes], object], frame: bytes) -> None:
        try:
            on_frame(frame)
        except Exception:
            self._log.failure("taking a frame failed")


def connect(
    reactor: Any, path: str, max_frame: int = MAX_FRAME, timeout: float = 30.0
) -> Deferred[FrameClient]:
    """
    Connect to a framed socket.

    @param max_frame: the greatest length of a frame, its header included.
    @param timeout: seconds that this may take.
    @return: fires with a client; fails with
        L{ConnectError<twisted.internet.error.ConnectError>}.  Cancelling gives
        up the attempt.
    """
    endpoint = UNIXClientEndpoint(reactor, path, timeout)
    client: Deferred[FrameClient] = connectProtocol(endpoint, FrameClient(max_frame))
    return client
