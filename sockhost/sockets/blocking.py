# -*- test-case-name: tests.functional.test_blocking_client -*-
"""
A client of framed sockets that blocks, and loads the standard library only.
"""

from __future__ import annotations

import os
import socket
import time
from array import array
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

# Not from sockhost.interfaces, which loads zope.interface.
from sockhost._errors import Disconnected, FrameError
from sockhost.sockets.wire import (
    HEADER,
    HEADER_SIZE,
    MAX_FRAME,
    check_length,
    pack,
)

_FULL = 0.005
"""Seconds between two looks whether a full backlog has a place."""

# The system passes no more descriptors at once.
_ROOM = socket.CMSG_SPACE(253 * array("i").itemsize)


class Codec(Protocol):
    """What it needs of an C{ICodec}, which it must not import."""

    @property
    def error(self) -> FrameError | None:
        """What ended the stream."""

    @property
    def buffered(self) -> int:
        """How many bytes of an incomplete message are held."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Take bytes; return the payloads that are complete."""

    def encode(self, payload: bytes) -> bytes:
        """Make the bytes of one frame."""


class BlockingClient:
    """
    A connection to a framed socket.  Close it, or use it in a C{with}.

    Which answer is whose is known by order alone.  So a L{request} that fails
    closes the connection: an answer that comes late would be taken for the next
    one's.
    """

    def __init__(
        self,
        path: str,
        timeout: float | None = None,
        max_frame: int = MAX_FRAME,
        codec: Codec | None = None,
    ) -> None:
        """
        Connect.

        @param path: where the socket is; C{"@name"} for an abstract one.
        @param timeout: seconds that connecting, and each L{send} and
            L{receive} as a whole, may take; C{None} for no limit.
        @param max_frame: the greatest length of a frame, if there is no
            C{codec}.
        @param codec: an C{ICodec}, for a server with another C{framing}.
        @raise OSError: there is nobody to connect to.
        @raise TimeoutError: nobody accepts.
        """
        self._timeout = timeout
        self._max_frame = max_frame
        self._codec = codec
        self._frames: deque[bytes] = deque()
        self._read = bytearray()
        self._descriptors: list[int] = []
        # Why it is of no use any more.
        self._over: str | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect("\0" + path[1:] if path[:1] == "@" else path)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, payload: bytes, descriptors: Sequence[int] = ()) -> None:
        """
        Send one frame.

        @param descriptors: are passed with it, and stay open here.
        @raise FrameError: it is too large; nothing was sent.
        @raise Disconnected: the server is gone, or the connection was closed
            here.
        @raise TimeoutError: the server does not take it; the connection is
            closed, as a part may have been sent.
        """
        self._check_open()
        self._send(self._encode(payload), descriptors)

    def receive(self) -> bytes:
        """
        Wait for one frame.

        @return: its payload.
        @raise Disconnected: the server closed the connection; C{clean} says
            whether between two frames.  Or it was closed here, which it is when
            the system has no number left for descriptors that come.
        @raise FrameError: what came is no frame.
        @raise TimeoutError: it has not come whole; calling this again goes on
            waiting for it.
        """
        self._check_open()
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        if self._codec is not None:
            return self._next(self._codec, deadline)
        self._fill(HEADER_SIZE, deadline)
        (length,) = HEADER.unpack_from(self._read)
        problem = check_length(length, self._max_frame)
        if problem is not None:
            raise problem
        self._fill(length, deadline)
        payload = bytes(self._read[HEADER_SIZE:length])
        del self._read[:length]
        return payload

    def request(self, payload: bytes) -> bytes:
        """
        Send one frame and wait for the next that comes.

        @return: its payload.
        @raise FrameError: the frame is too large; nothing was sent.
        @raise Disconnected: the server is gone, or the connection was closed
            here.
        @raise Exception: what else L{send} and L{receive} raise; the connection
            is closed then.
        """
        self._check_open()
        data = self._encode(payload)
        try:
            self._send(data, ())
            return self.receive()
        except Disconnected:
            # Nothing comes late.  What the server had said before can be received.
            raise
        except BaseException:
            # Whoever is interrupted while waiting has not had the answer, either.
            self._end("a request has had no answer")
            raise

    def take_fds(self) -> list[int]:
        """
        Get the descriptors that came with the frames so far, to close them.
        Those that are not taken are closed with the connection.
        """
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> None:
        """Close the connection.  Closing it again does nothing."""
        self._end("this client was closed")

    def _end(self, why: str) -> None:
        if self._over is None:
            self._over = why
        self._socket.close()
        for descriptor in self.take_fds():
            os.close(descriptor)

    def _check_open(self) -> None:
        if self._over is not None:
            raise Disconnected(f"the connection was closed here: {self._over}")

    def _connect(self, address: str) -> None:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        self._socket.settimeout(self._timeout)
        while True:
            try:
                return self._socket.connect(address)
            except BlockingIOError:
                # With a timeout, connecting does not wait for a place in the
                # backlog, and there is nothing to wait for but time.
                if deadline is None or time.monotonic() > deadline:
                    raise TimeoutError("nobody accepts") from None
                time.sleep(_FULL)

    def _encode(self, payload: bytes) -> bytes:
        if self._codec is not None:
            return self._codec.encode(payload)
        return pack(payload, self._max_frame)

    def _next(self, codec: Codec, deadline: float | None) -> bytes:
        while not self._frames:
            if codec.error is not None:
                raise codec.error
            try:
                self._frames.extend(codec.feed(self._some(deadline)))
            except Disconnected as error:
                raise Disconnected(str(error), clean=not codec.buffered) from None
        return self._frames.popleft()

    def _send(self, data: bytes, descriptors: Sequence[int]) -> None:
        self._socket.settimeout(self._timeout)
        try:
            self._write(data, descriptors)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Disconnected("the server closed the connection") from error
        except TimeoutError:
            self._end("the server did not take a frame in time")
            raise

    def _write(self, data: bytes, descriptors: Sequence[int]) -> None:
        sent = 0
        if descriptors:
            rights = array("i", descriptors)
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            sent = self._socket.sendmsg([data], ancillary)
        self._socket.sendall(memoryview(data)[sent:])

    def _fill(self, size: int, deadline: float | None) -> None:
        while len(self._read) < size:
            self._read += self._some(deadline)

    def _some(self, deadline: float | None) -> bytes:
        if deadline is not None:
            # Zero would make the socket non-blocking.
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-6))
        try:
            # Not socket.recv_fds(), which drops the flags that it is given.
            data, ancillary, flags, _ = self._socket.recvmsg(
                65536, _ROOM, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            data, ancillary, flags = b"", [], 0
        self._descriptors += _passed(ancillary)
        if flags & socket.MSG_CTRUNC:
            # Nobody could say which frame's those are that have come.
            self._end("descriptors came when the system had none left")
            self._check_open()
        if not data:
            raise Disconnected("the server closed the connection", clean=not self._read)
        return data


def _passed(ancillary: Sequence[tuple[int, int, bytes]]) -> array[int]:
    passed = array("i")
    for _, kind, content in ancillary:
        if kind == socket.SCM_RIGHTS:
            passed.frombytes(content[: len(content) // 4 * 4])
    return passed
