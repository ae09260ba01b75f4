"""Tests of the blocking client of the control API."""

from __future__ import annotations

import io
import socket
from http.client import HTTPConnection
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from sockhost.control import client as module
from sockhost.control.client import (
    ControlClient,
    ControlError,
    HostNotRunning,
    HostSilent,
    refusal,
    target,
)


class _Written:
    """A socket on which an answer has come, and then what the test says."""

    def __init__(self, data: bytes, then: Exception | None = None) -> None:
        self._reader = _Reader(data, then)
        self.closed = False
        self.sent = b""

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


class _Reader(io.RawIOBase):
    def __init__(self, data: bytes, then: Exception | None) -> None:
        self._data = io.BytesIO(data)
        self._then = then

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._data.readinto(buffer)
        if not count and self._then is not None:
            raise self._then
        return count


def answer(status: str, body: bytes) -> bytes:
    """Write a response."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(*chunks: bytes, end: bool = True) -> bytes:
    """Write a response that comes in pieces."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return head + b"".join(pieces) + (b"0\r\n\r\n" if end else b"")


class TargetTests(SynchronousTestCase):
    """Paths are written so that any name survives."""

    def test_target(self) -> None:
        """Segments and parameters are quoted, and what is not given left out."""
        self.assertEqual(target("units"), "/units")
        self.assertEqual(
            target("units", "a b/c?", "logs", lines=3, x=None),
            "/units/a%20b%2Fc%3F/logs?lines=3",
        )


class RefusalTests(SynchronousTestCase):
    """Refusals are typed."""

    def test_refusal(self) -> None:
        """The kind, the text and the problems are those of the answer."""
        body = b'{"error": "bad", "kind": "config", "problems": ["a", "b"]}'
        error = refusal(422, body)
        self.assertEqual((error.status, error.kind, str(error)), (422, "config", "bad"))
        self.assertEqual(error.problems, ("a", "b"))

    def test_not_ours(self) -> None:
        """An answer that is not the API's still is an error."""
        for body in (b"<html>", b"[]", b"{}", b"3", b"\xff"):
            error = refusal(502, body)
            self.assertEqual((error.status, error.kind), (502, "internal"))
            self.assertEqual(str(error), "the host answered 502")


class ControlClientTests(SynchronousTestCase):
    """Requests end with an answer or a typed error, and closed."""

    def setUp(self) -> None:
        """Have connections that need no host."""
        self.client = ControlClient("run/control.sock", 5.0)

    def host(self, data: bytes, then: Exception | None = None) -> _Written:
        """Have a host that answers this."""
        written = _Written(data, then)

        def connect(connection: HTTPConnection) -> None:
            connection.sock = cast(socket.socket, written)

        self.patch(module._UnixConnection, "connect", connect)
        return written

    def test_request(self) -> None:
        """The answer is what the JSON says."""
        written = self.host(answer("200 OK", b'{"a": 1}'))
        self.assertEqual(self.client.request("POST", "/x?y=1"), {"a": 1})
        self.assertTrue(written.sent.startswith(b"POST /x?y=1 HTTP/1.1\r\n"))
        self.assertTrue(written.closed)

    def test_refused(self) -> None:
        """A refusal is an error with its kind."""
        written = self.host(
            answer("409 No", b'{"error": "no", "kind": "goal-changed"}')
        )
        error = self.assertRaises(ControlError, self.client.request, "GET", "/")
        self.assertEqual((error.status, error.kind), (409, "goal-changed"))
        self.assertTrue(written.closed)

    def test_broken_off(self) -> None:
        """A host that goes away before the answer is complete is not running."""
        for data in (b"", answer("200 OK", b"{}")[:-1], chunked(b"{", end=False)):
            written = self.host(data)
            error = self.assertRaises(HostNotRunning, self.client.read, "GET", "/")
            self.assertIn("the connection was closed before", str(error))
            self.assertEqual(error.path, "run/control.sock")
            self.assertTrue(written.closed)

    def test_reset(self) -> None:
        """So is one whose connection is reset."""
        self.host(b"", ConnectionResetError())
        self.assertRaises(HostNotRunning, self.client.read, "GET", "/")

    def test_silent(self) -> None:
        """A host that does not answer in time is silent."""
        self.host(b"", TimeoutError())
        error = self.assertRaises(HostSilent, self.client.read, "GET", "/")
        self.assertEqual(
            str(error), "the host on run/control.sock did not answer within 5 s"
        )

    def test_stream(self) -> None:
        """Events come out whole, wherever the stream was cut."""
        data = b": open\n\ndata: a\n\ndata: b\ndata: c\n\n: keep-alive\n\ndata:d\n\n"
        for size in (1, 3, 1000):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            written = self.host(chunked(*pieces))
            self.assertEqual(list(self.client.stream("/events")), ["a", "b\nc", "d"])
            self.assertTrue(written.closed)

    def test_stream_breaks_off(self) -> None:
        """The events before a break are told."""
        self.host(chunked(b"data: a\n\ndata: b\n", end=False))
        stream = self.client.stream("/events")
        self.assertEqual(next(stream), "a")
        self.assertRaises(HostNotRunning, next, stream)

    def test_stream_refused(self) -> None:
        """A refused stream is an error like any other."""
        self.host(answer("404 No", b'{"error": "no", "kind": "no-such-unit"}'))
        self.assertRaises(ControlError, next, self.client.stream("/units/x/logs"))

    def test_stream_given_up(self) -> None:
        """Who stops reading closes the connection."""
        written = self.host(chunked(b"data: a\n\n", b"data: b\n\n"))
        stream = cast(Any, self.client.stream("/events"))
        next(stream)
        stream.close()
        self.assertTrue(written.closed)


class ConnectingTests(SynchronousTestCase):
    """What the system says when nobody is there."""

    def test_errors(self) -> None:
        """Each reason is told in words."""
        for error, kind, text in (
            (FileNotFoundError(2, "x"), HostNotRunning, "there is no such socket"),
            (ConnectionRefusedError(111, "x"), HostNotRunning, "nobody listens there"),
            (OSError("AF_UNIX path too long"), HostNotRunning, "AF_UNIX path too long"),
            (PermissionError(13, "x"), ControlError, "permission denied: s"),
        ):

            def fail(_: HTTPConnection, error: Exception = error) -> None:
                raise error

            self.patch(module._UnixConnection, "connect", fail)
            raised: Exception = self.assertRaises(
                kind, ControlClient("s").request, "GET", "/"
            )
            self.assertIn(text, str(raised))
