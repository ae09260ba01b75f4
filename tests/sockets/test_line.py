"""
Tests for L{sockhost.sockets.line}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import FrameError
from sockhost.sockets.line import LineCodec
from sockhost.testing.contracts.codecs import codec_contract_tests
from tests.sockets.cuts import cut

LineContractTests = codec_contract_tests(
    lambda: LineCodec(100),
    payloads=(b"a", b"", b"two words", b"carriage return\r"),
    garbage=b"x" * 200,
    too_large=b"x" * 100,
)


class LineCodecTests(SynchronousTestCase):
    """Tests for L{LineCodec}."""

    def test_line_feed(self) -> None:
        """A payload with a line feed would be two: it is not encoded."""
        self.assertRaises(FrameError, LineCodec().encode, b"a\nb")

    def test_limit(self) -> None:
        """The limit counts the line feed, both ways."""
        codec = LineCodec(4)
        self.assertEqual(codec.encode(b"abc"), b"abc\n")
        self.assertEqual(list(codec.feed(b"abc\n")), [b"abc"])
        self.assertRaises(FrameError, codec.encode, b"abcd")

    def test_too_long(self) -> None:
        """A line above the limit is refused before it has ended."""
        codec = LineCodec(4)
        self.assertEqual(list(codec.feed(b"ab\nabcd")), [b"ab"])
        self.assertEqual(str(codec.error), "a line is longer than the limit of 4")
        self.assertEqual(codec.buffered, 0)

    def test_lines_before_error(self) -> None:
        """Lines in front of one that is too long come out, those behind do not."""
        codec = LineCodec(4)
        self.assertEqual(list(codec.feed(b"a\nb\nlonger\nc\n")), [b"a", b"b"])
        self.assertEqual(list(codec.feed(b"d\n")), [])

    def test_small_pieces(self) -> None:
        """The limit holds for a line that comes in pieces, too."""
        codec = LineCodec(100)
        for _ in range(99):
            codec.feed(b"x")
        self.assertIsNone(codec.error)
        codec.feed(b"x")
        self.assertIsInstance(codec.error, FrameError)

    @given(st.lists(st.binary(max_size=300).map(lambda each: each.replace(b"\n", b""))))
    def test_every_cut(self, sent: list[bytes]) -> None:
        """What is encoded comes out, wherever the stream is cut."""
        codec = LineCodec()
        stream = b"".join(map(codec.encode, sent))
        for size in (1, 2, 3, 7, 1000):
            pieces = cut(stream, range(0, len(stream), size))
            got = [frame for piece in pieces for frame in codec.feed(piece)]
            self.assertEqual((got, codec.buffered, codec.error), (sent, 0, None))

    @given(st.lists(st.binary(max_size=50)))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """No bytes raise, or are held beyond the limit."""
        codec = LineCodec(64)
        for piece in pieces:
            self.assertTrue(all(len(frame) < 64 for frame in codec.feed(piece)))
            self.assertLess(codec.buffered, 64)
