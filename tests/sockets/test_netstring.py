"""
Tests for L{sockhost.sockets.netstring}.
"""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import FrameError
from sockhost.sockets.netstring import NetstringCodec
from sockhost.testing.contracts.codecs import codec_contract_tests
from tests.sockets.cuts import cut

NetstringContractTests = codec_contract_tests(
    lambda: NetstringCodec(2000), garbage=b"3:abcd", too_large=b"x" * 1995
)


class NetstringCodecTests(SynchronousTestCase):
    """Tests for L{NetstringCodec}."""

    def test_bytes(self) -> None:
        """The bytes are those of the specification."""
        codec = NetstringCodec()
        self.assertEqual(codec.encode(b"hello world!"), b"12:hello world!,")
        self.assertEqual(codec.encode(b""), b"0:,")

    def test_not_one(self) -> None:
        """What is no netstring ends the stream, as soon as it shows."""
        for bad in (b",", b"x", b"-1:", b"+1:", b"01:", b"00:,", b" 1:", b":", b"1_0:"):
            codec = NetstringCodec()
            self.assertEqual(list(codec.feed(bad)), [])
            self.assertIsInstance(codec.error, FrameError, bad)

    def test_no_comma(self) -> None:
        """A payload must be followed by a comma."""
        codec = NetstringCodec()
        self.assertEqual(list(codec.feed(b"1:a,1:b;1:c,")), [b"a"])
        self.assertEqual(str(codec.error), "a netstring does not end with a comma")

    def test_refused_by_header(self) -> None:
        """One above the limit is refused before any of its payload has come."""
        codec = NetstringCodec(100)
        codec.feed(b"96:")
        self.assertIsNone(codec.error)
        codec = NetstringCodec(100)
        codec.feed(b"97:")
        self.assertEqual(
            str(codec.error), "a netstring is longer than the limit of 100"
        )

    def test_endless_digits(self) -> None:
        """Digits are not collected for ever."""
        codec = NetstringCodec(100)
        for _ in range(4):
            codec.feed(b"9")
        self.assertIsInstance(codec.error, FrameError)
        self.assertEqual(codec.buffered, 0)

    def test_header_commits_nothing(self) -> None:
        """A header that announces much costs no memory."""
        codec = NetstringCodec(2**32 - 1)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        codec.feed(b"4000000000:")
        self.assertIsNone(codec.error)
        self.assertLess(tracemalloc.get_traced_memory()[1], 10_000)

    @given(st.lists(st.binary(max_size=300)), st.lists(st.integers(min_value=0)))
    def test_any_cut(self, sent: list[bytes], places: list[int]) -> None:
        """What is encoded comes out, wherever the stream is cut."""
        codec = NetstringCodec()
        stream = b"".join(map(codec.encode, sent))
        got = [frame for piece in cut(stream, places) for frame in codec.feed(piece)]
        self.assertEqual((got, codec.buffered, codec.error), (sent, 0, None))

    @given(
        st.lists(st.binary(max_size=50) | st.from_regex(rb"\A[0-9]{0,4}[:,a]{0,2}\Z"))
    )
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """No bytes raise, or are held beyond the limit."""
        codec = NetstringCodec(64)
        for piece in pieces:
            failed = codec.error
            frames = codec.feed(piece)
            self.assertTrue(all(len(frame) <= 60 for frame in frames))
            self.assertLessEqual(codec.buffered, 64)
            if failed is not None:
                self.assertEqual((list(frames), codec.error), ([], failed))
