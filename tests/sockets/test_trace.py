"""
Tests for L{sockhost.sockets.trace}.
"""

from __future__ import annotations

import os
import re
import stat

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, ICodec
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.trace import IN, LARGEST, OUT, Trace, TracingCodec
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Served

_HEAD = re.compile(r"([IO]) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")
_LINE = re.compile(r"([0-9a-f]{6})((?: [0-9a-f]{2}){1,16})")


def read_dump(text: str) -> list[tuple[str, str, bytes]]:
    """
    Read a file as C{text2pcap} does: an offset of 0 begins a packet, other
    offsets must be those of the bytes so far, C{#} is a comment.
    """
    packets: list[tuple[str, str, bytearray]] = []
    head: tuple[str, str] | None = None
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _HEAD.fullmatch(line)
        if match is not None:
            # Otherwise it would be one preamble of two lines.
            assert head is None, line
            head = (match[1], match[2])
            continue
        match = _LINE.fullmatch(line)
        assert match is not None, line
        offset = int(match[1], 16)
        if offset == 0:
            assert head is not None
            packets.append((*head, bytearray()))
            head = None
        assert offset == len(packets[-1][2])
        packets[-1][2].extend(bytes.fromhex(match[2]))
    return [(way, at, bytes(data)) for way, at, data in packets]


class TraceTests(SynchronousTestCase):
    """Tests for L{Trace}."""

    def setUp(self) -> None:
        """Write to a file of the test."""
        self.path = self.mktemp()

    def trace(self, max_size: int = 1 << 20) -> Trace:
        """Make a trace whose clock stands still."""
        made = Trace(self.path, max_size, lambda: 1_700_000_000.25)
        self.addCleanup(made.close)
        return made

    def content(self, more: str = "") -> str:
        """What is in the file."""
        with open(self.path + more, encoding="ascii") as file:
            return file.read()

    def test_packets(self) -> None:
        """Each frame is a packet with direction, time and bytes."""
        trace = self.trace()
        trace.note(IN, "client 3", bytes(range(20)))
        trace.note(OUT, "client 3", b"\xff")
        at = "2023-11-14T22:13:20.250000Z"
        self.assertEqual(
            read_dump(self.content()),
            [("I", at, bytes(range(20))), ("O", at, b"\xff")],
        )
        self.assertTrue(self.content().startswith("# client 3\nI 2023"))

    def test_private(self) -> None:
        """Nobody else may read what was said."""
        self.trace().note(IN, "x", b"secret")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_private_already(self) -> None:
        """Nor what is added to a file that was there and was readable."""
        os.close(os.open(self.path, os.O_CREAT, 0o644))
        self.trace().note(IN, "x", b"secret")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_no_file(self) -> None:
        """What is no regular file is not written to, nor waited for."""
        os.mkfifo(self.path)
        reader = None
        for _ in range(2):
            self.trace().note(IN, "x", b"secret")
            self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
            if reader is None:
                reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
                self.addCleanup(os.close, reader)
        assert reader is not None
        self.assertEqual(os.read(reader, 100), b"")

    def test_of_somebody_else(self) -> None:
        """Nor is the file of another user, which they could read."""
        os.close(os.open(self.path, os.O_CREAT, 0o600))
        self.patch(os, "geteuid", lambda: os.stat(self.path).st_uid + 1)
        self.trace().note(IN, "x", b"secret")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.content(), "")

    def test_empty(self) -> None:
        """A frame without a payload is there for people, and is no packet."""
        trace = self.trace()
        trace.note(IN, "client 3", b"")
        trace.note(OUT, "client 3", b"x")
        ((way, _, data),) = read_dump(self.content())
        self.assertEqual((way, data), ("O", b"x"))
        empty = "# client 3\n# empty frame I 2023-11-14T22:13:20.250000Z\n"
        self.assertIn(empty, self.content())

    def test_bounded(self) -> None:
        """However much is said, two files of that size are all there is."""
        trace = self.trace(5000)
        for number in range(300):
            trace.note(IN, "x", b"%010d" % number * 10)
        self.assertLessEqual(os.path.getsize(self.path), 5000)
        self.assertLessEqual(os.path.getsize(self.path + ".1"), 5000)
        packets = read_dump(self.content(".1")) + read_dump(self.content())
        numbers = [int(data[:10]) for _, _, data in packets]
        self.assertEqual(numbers, list(range(numbers[0], 300)))

    def test_large(self) -> None:
        """Of a frame that is too large for a packet the beginning is kept."""
        self.trace(1 << 24).note(IN, "x", b"x" * (LARGEST + 5))
        ((_, _, data),) = read_dump(self.content())
        self.assertEqual(len(data), LARGEST)
        self.assertIn("# and 5 bytes more", self.content())

    def test_goes_on(self) -> None:
        """A file that is there already is added to, also after closing."""
        for _ in range(2):
            trace = self.trace()
            trace.note(IN, "x", b"a")
            trace.close()
            trace.note(IN, "x", b"b")
            trace.close()
        self.assertEqual(
            [data for _, _, data in read_dump(self.content())], [b"a", b"b"] * 2
        )

    def test_fails(self) -> None:
        """A trace that cannot be written is given up, and that is logged once."""
        trace = Trace(os.path.join(self.mktemp(), "no"), 5000)
        trace.note(IN, "x", b"a")
        trace.note(IN, "x", b"b")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_symbolic_link(self) -> None:
        """It is not written through a symbolic link."""
        os.symlink("elsewhere", self.path)
        self.trace().note(IN, "x", b"a")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.sampled_from((IN, OUT)), st.binary())))
    def test_round_trip(self, frames: list[tuple[str, bytes]]) -> None:
        """Whatever was said can be read again."""
        self.path = self.mktemp()
        trace = self.trace()
        for way, payload in frames:
            trace.note(way, "x", payload)
        trace.close()
        read = read_dump(self.content()) if frames else []
        said = [(way, payload) for way, payload in frames if payload]
        self.assertEqual([(way, data) for way, _, data in read], said)


class TracingCodecTests(SynchronousTestCase):
    """Tests for L{TracingCodec}."""

    def setUp(self) -> None:
        """Trace a codec."""
        self.path = self.mktemp()
        self.trace = Trace(self.path, 1 << 20)
        self.addCleanup(self.trace.close)

    def packets(self) -> list[tuple[str, bytes]]:
        """What the file has."""
        with open(self.path, encoding="ascii") as file:
            return [(way, data) for way, _, data in read_dump(file.read())]

    def test_codec(self) -> None:
        """It cuts and makes what the other one does."""
        codec = TracingCodec(Length32Codec(100), self.trace)
        verifyObject(ICodec, codec)
        self.assertEqual(codec.feed(pack(b"in") + b"\x00"), [b"in"])
        self.assertEqual(codec.buffered, 1)
        self.assertEqual(codec.encode(b"out"), pack(b"out"))
        self.assertIsNone(codec.error)
        self.assertEqual(self.packets(), [("I", b"in"), ("O", b"out")])
        codec.feed(b"\xff" * 10)
        self.assertIsNotNone(codec.error)

    def test_served(self) -> None:
        """All frames of a server's clients are there, with who they are."""
        served = Served()
        served.server.trace = self.trace
        connection = served.connect()
        connection.send(b"ask")
        sent = served.handler.clients[0].send(b"news")
        connection.lose()
        self.failureResultOf(sent, Disconnected)
        self.assertEqual(self.packets(), [("I", b"ask"), ("O", b"ask"), ("O", b"news")])
        with open(self.path) as file:
            self.assertIn(f"# client {served.handler.clients[0].id} ", file.read())
        self.successResultOf(served.server.drain(0))
        self.assertIsNone(self.trace._file)
