# -*- test-case-name: tests.functional.test_blocking_client -*-
"""
A client of framed sockets that blocks, and loads the standard library only.
"""

from __future__ import annotations

import socket
import time
from types import TracebackType

# Not from sockhost.interfaces, which loads zope.interface.
from sockhost._errors import Disconnected
from sockhost.sockets.wire import (
    HEADER,
    HEADER_SIZE,
    MAX_FRAME,
    check_length,
    pack,
)


class BlockingClient:
    """
    A connection to a framed socket.  Close it, or use it in a C{with}.
    """

    def __init__(
        self, path: str, timeout: float | None = None, max_frame: int = MAX_FRAME
    ) -> None:
        """
        Connect.

        @param timeout: seconds that connecting, and each L{send} and
            L{receive} as a whole, may take; C{None} for no limit.
        @raise OSError: there is nobody to connect to.
        @raise TimeoutError: nobody accepts.
        """
        self._timeout = timeout
        self._max_frame = max_frame
        self._read = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
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

    def send(self, payload: bytes) -> None:
        """
        Send one frame.

        @raise FrameError: it is too large; nothing was sent.
        @raise Disconnected: the server is gone.
        @raise TimeoutError: the server does not take it; the connection is of
            no use any more, as a part may have been sent.
        """
        self._socket.settimeout(self._timeout)
        try:
            self._socket.sendall(pack(payload, self._max_frame))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Disconnected("the server closed the connection") from error

    def receive(self) -> bytes:
        """
        Wait for one frame.

        @return: its payload.
        @raise Disconnected: the server closed the connection; C{clean} says
            whether between two frames.
        @raise FrameError: what came is no frame.
        @raise TimeoutError: it has not come whole; calling this again goes on
            waiting for it.
        """
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
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
        Send one frame and wait for the next that comes.  Raises what L{send}
        and L{receive} raise.
        """
        self.send(payload)
        return self.receive()

    def close(self) -> None:
        """Close the connection.  Closing it again does nothing."""
        self._socket.close()

    def _fill(self, size: int, deadline: float | None) -> None:
        while len(self._read) < size:
            self._read += self._some(deadline)

    def _some(self, deadline: float | None) -> bytes:
        if deadline is not None:
            # Zero would make the socket non-blocking.
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-6))
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Disconnected("the server closed the connection", clean=not self._read)
        return data
