"""Tests of talking to a framed socket."""

from __future__ import annotations

import json
from tempfile import NamedTemporaryFile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import Disconnected, FrameError
from sockhost.sockets import blocking
from sockhost.sockets.wire import MAX_FRAME
from tests.cli.memory import Outcome, invoke


class _Server:
    """Answers each frame with itself, or as the test says."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.replies: list[bytes | Exception] | None = None
        self.refuses: Exception | None = None
        self.timeouts: list[float] = []
        self.closed = 0
        self.codecs: list[Any] = []
        self.limits: list[int | None] = []

    def __call__(
        self,
        path: str,
        timeout: float,
        max_frame: int | None = None,
        codec: Any = None,
    ) -> Any:
        """Be connected to."""
        self.codecs.append(codec)
        self.limits.append(max_frame)
        self.timeouts.append(timeout)
        if self.refuses is not None:
            raise self.refuses
        return self

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def receive(self) -> bytes:
        replies = self.sent if self.replies is None else self.replies
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        self.closed += 1


class SendTests(SynchronousTestCase):
    """sockhost send"""

    def setUp(self) -> None:
        """Have a server."""
        self.server = _Server()
        self.patch(blocking, "BlockingClient", self.server)

    def test_replies(self) -> None:
        """Each text is a frame, and each reply a line."""
        self.assertEqual(invoke("send", "s", "a b", "c"), Outcome(0, "a b\nc\n", ""))
        self.assertEqual(self.server.closed, 1)

    def test_hex(self) -> None:
        """Hexadecimal in, hexadecimal out."""
        self.assertEqual(invoke("send", "s", "--hex", "00 ff").out, "00ff\n")
        self.assertEqual(invoke("send", "s", "--hex", "xy").status, 64)

    def test_file(self) -> None:
        """A file is sent as one frame."""
        with NamedTemporaryFile() as file:
            file.write(b"a\nb")
            file.flush()
            self.assertEqual(invoke("send", "s", "--file", file.name).out, "a\nb\n")

    def test_json(self) -> None:
        """As JSON each reply is one line, text or not."""
        self.server.replies = [b"a\nb", b"\xff"]
        out = invoke("send", "s", "--json", "x", "y").out
        told = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(told, [{"text": "a\nb"}, {"hex": "ff"}])

    def test_from_json(self) -> None:
        """Frames are given as JSON, in the form in which replies are printed."""
        frames = (
            '{"text": "a\\nb"}',
            '{"hex": "00 ff"}',
            '{"json": {"k": ["\u00e9", 1.5]}}',
        )
        self.server.replies = [b"a\nb", b"\0\xff", b""]
        outcome = invoke("send", "s", "--from-json", "--json", *frames)
        self.assertEqual(
            self.server.sent, [b"a\nb", b"\0\xff", '{"k":["\u00e9",1.5]}'.encode()]
        )
        self.assertEqual(outcome.out.splitlines()[:2], [frames[0], '{"hex": "00ff"}'])

    def test_lines_of_json(self) -> None:
        """Each line of a file is a frame, and empty ones are none."""
        with NamedTemporaryFile() as file:
            file.write(b'{"text": "a"}\n\n{"json": null}\n')
            file.flush()
            outcome = invoke("send", "s", "--from-json", "--file", file.name)
        self.assertEqual(outcome, Outcome(0, "a\nnull\n", ""))

    def test_bad_json(self) -> None:
        """What is of no such form is said, and nothing is sent."""
        for bad in (
            *("a", "[]", "{}", '"text"', '{"text": 1}', '{"hex": "0"}'),
            *('{"smoke": ""}', '{"text": "a", "hex": "00"}'),
        ):
            outcome = invoke("send", "s", "--from-json", '{"text": "a"}', bad)
            self.assertEqual(outcome.status, 64, bad)
            self.assertIn("frame 2: ", outcome.err)
        self.assertEqual(self.server.sent, [])
        self.assertEqual(invoke("send", "s", "--from-json", "--hex", "{}").status, 64)
        self.assertEqual(invoke("send", "s", "--from-json").status, 64)

    def test_framing(self) -> None:
        """The framing is the socket's, and one that there is not is refused."""
        self.assertEqual(invoke("send", "s", "--framing", "line", "x").out, "x\n")
        (codec,) = self.server.codecs
        self.assertEqual(codec.encode(b"x"), b"x\n")
        outcome = invoke("send", "s", "--framing", "smoke", "x")
        self.assertEqual(outcome.status, 64)
        self.assertIn("length32, length32be-exclusive, netstring, line", outcome.err)

    def test_max_frame(self) -> None:
        """The greatest frame is the socket's too, whatever its framing."""
        invoke("send", "s", "x")
        invoke("send", "s", "--max-frame", "99999999", "x")
        self.assertEqual(self.server.limits, [MAX_FRAME, 99999999])
        invoke("send", "s", "--max-frame", "20", "--framing", "line", "x")
        self.assertEqual(self.server.codecs[-1].max_frame, 20)
        self.assertEqual(invoke("send", "s", "--max-frame", "3", "x").status, 64)

    def test_count(self) -> None:
        """A count of replies is waited for when all was sent."""
        self.server.replies = [b"1", b"2", b"3"]
        self.assertEqual(invoke("send", "s", "x", "--count", "3").out, "1\n2\n3\n")
        self.assertEqual(invoke("send", "s", "x", "--count", "0"), Outcome(0, "", ""))

    def test_usage(self) -> None:
        """There is one thing to send, and one way to print."""
        self.assertEqual(invoke("send", "s").status, 64)
        self.assertEqual(invoke("send", "s", "a", "--file", "-").status, 64)
        self.assertEqual(invoke("send", "s", "a", "--hex", "--json").status, 64)

    def test_bytes_of_the_command_line(self) -> None:
        """What is not UTF-8 on the command line is sent as it is."""
        self.server.replies = [b""]
        invoke("send", "s", "a\udcff")
        self.assertEqual(self.server.sent, [b"a\xff"])

    def test_failures(self) -> None:
        """Each way of getting no reply has one line and a status."""
        too_long = OSError("AF_UNIX path too long")
        for error, status, text in (
            (FileNotFoundError(2, "no"), 69, "nobody listens on s"),
            (ConnectionRefusedError(111, "no"), 69, "nobody listens on s"),
            (TimeoutError("x"), 75, "no reply from s within 2.5 s"),
            (PermissionError(13, "Permission denied"), 1, "s: Permission denied"),
            (too_long, 1, "s: AF_UNIX path too long"),
        ):
            self.server.refuses = error
            outcome = invoke("send", "s", "a", "--timeout", "2.5")
            self.assertEqual(outcome, Outcome(status, "", f"sockhost: {text}\n"))

    def test_failures_after_replies(self) -> None:
        """The replies before a failure are printed."""
        for error, status in (
            (Disconnected("the server closed the connection"), 1),
            (FrameError("that is no frame"), 1),
            (TimeoutError(), 75),
        ):
            self.server.replies = [b"1", error]
            outcome = invoke("send", "s", "a", "b")
            self.assertEqual((outcome.status, outcome.out), (status, "1\n"))
            self.assertEqual(outcome.err.count("\n"), 1)
        self.assertEqual(self.server.closed, 3)
