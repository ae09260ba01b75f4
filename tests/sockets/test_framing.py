"""
Tests for L{sockhost.sockets.framing}.
"""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import FrameError, ICodec
from sockhost.sockets.framing import Int32Codec, Length32Codec
from sockhost.sockets.wire import HEADER, pack
from sockhost.testing.contracts.codecs import codec_contract_tests
from tests.sockets.cuts import cut

Length32ContractTests = codec_contract_tests(
    lambda: Length32Codec(1000), garbage=HEADER.pack(3), too_large=b"x" * 997
)
Int32ContractTests = codec_contract_tests(
    lambda: Int32Codec(1000), garbage=b"\xff\xff\xff\xff", too_large=b"x" * 997
)

payloads = st.lists(st.binary(max_size=200), max_size=20)


class Length32CodecTests(SynchronousTestCase):
    """Tests for L{Length32Codec}."""

    def test_interface(self) -> None:
        """It provides L{ICodec}."""
        verifyObject(ICodec, Length32Codec())

    @given(payloads, st.lists(st.integers(0, 4000), max_size=30))
    def test_any_cut(self, sent: list[bytes], places: list[int]) -> None:
        """However the stream is cut, the same frames come out in order."""
        codec = Length32Codec()
        got: list[bytes] = []
        for piece in cut(b"".join(map(codec.encode, sent)), places):
            got.extend(codec.feed(piece))
        self.assertEqual(got, sent)
        self.assertEqual(codec.buffered, 0)
        self.assertIsNone(codec.error)

    @given(st.lists(st.binary(max_size=50)))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """No bytes raise; after an error nothing comes out any more."""
        codec = Length32Codec(max_frame=64)
        for piece in pieces:
            failed = codec.error
            frames = codec.feed(piece)
            self.assertTrue(all(len(frame) <= 60 for frame in frames))
            if failed is not None:
                self.assertEqual(list(frames), [])
                self.assertIs(codec.error, failed)
            self.assertLessEqual(codec.buffered, 64)

    def test_one_byte_at_a_time(self) -> None:
        """A frame that comes byte by byte comes out with its last byte."""
        codec = Length32Codec()
        data = pack(b"slow")
        early = [codec.feed(data[n : n + 1]) for n in range(len(data) - 1)]
        self.assertEqual([list(each) for each in early], [[]] * 7)
        self.assertEqual(codec.buffered, 7)
        self.assertEqual(list(codec.feed(data[-1:])), [b"slow"])

    def test_too_short(self) -> None:
        """A length that does not even hold the header ends the stream."""
        for length in range(4):
            codec = Length32Codec()
            self.assertEqual(list(codec.feed(HEADER.pack(length))), [])
            self.assertIsInstance(codec.error, FrameError)

    def test_refused_by_header(self) -> None:
        """A frame above the limit is refused before any of it has come."""
        codec = Length32Codec(max_frame=100)
        codec.feed(HEADER.pack(101))
        self.assertEqual(
            str(codec.error), "a frame of 101 bytes is more than the limit of 100"
        )

    def test_frames_before_error(self) -> None:
        """Frames in front of a bad header come out, those behind do not."""
        codec = Length32Codec()
        data = pack(b"a") + pack(b"b") + HEADER.pack(2) + pack(b"c")
        self.assertEqual(list(codec.feed(data)), [b"a", b"b"])
        self.assertEqual(list(codec.feed(pack(b"d"))), [])
        self.assertEqual(codec.buffered, 0)

    def test_header_commits_nothing(self) -> None:
        """A header that announces much costs no memory."""
        codec = Length32Codec()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        codec.feed(HEADER.pack(16 * 1024 * 1024))
        _, most = tracemalloc.get_traced_memory()
        self.assertLess(most - before, 10_000)

    def test_greatest(self) -> None:
        """The greatest length there is can be allowed, and costs nothing yet."""
        codec = Length32Codec(2**32 - 1)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertEqual(list(codec.feed(b"\xff" * 4 + b"begin")), [])
        self.assertIsNone(codec.error)
        self.assertEqual(codec.buffered, 9)
        self.assertLess(tracemalloc.get_traced_memory()[1], 10_000)

    def test_small_pieces_of_a_big_frame(self) -> None:
        """A big frame in tiny pieces costs about its size, not its square."""
        codec = Length32Codec()
        data = pack(b"x" * 300_000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        got = [f for n in range(0, len(data), 3) for f in codec.feed(data[n : n + 3])]
        _, most = tracemalloc.get_traced_memory()
        self.assertEqual([len(each) for each in got], [300_000])
        self.assertLess(most, 1_500_000)

    def test_too_large_to_send(self) -> None:
        """A payload above the limit is not encoded."""
        self.assertRaises(FrameError, Length32Codec(max_frame=8).encode, b"12345")


class Int32CodecTests(SynchronousTestCase):
    """Tests for L{Int32Codec}."""

    def test_like_twisted(self) -> None:
        """The bytes are those of C{Int32StringReceiver}, both ways."""
        codec = Int32Codec()
        self.assertEqual(codec.encode(b"abc"), b"\0\0\0\3abc")
        self.assertEqual(list(codec.feed(b"\0\0\0\0\0\0\0\1x")), [b"", b"x"])

    def test_limit(self) -> None:
        """The limit counts the header, both ways."""
        codec = Int32Codec(7)
        self.assertEqual(list(codec.feed(codec.encode(b"abc"))), [b"abc"])
        self.assertRaises(FrameError, codec.encode, b"abcd")
        codec.feed(b"\0\0\0\4")
        self.assertEqual(
            str(codec.error), "a frame of 8 bytes is more than the limit of 7"
        )

    @given(payloads, st.lists(st.integers(0, 4000), max_size=30))
    def test_any_cut(self, sent: list[bytes], places: list[int]) -> None:
        """However the stream is cut, the same frames come out in order."""
        codec = Int32Codec()
        stream = b"".join(map(codec.encode, sent))
        got = [frame for piece in cut(stream, places) for frame in codec.feed(piece)]
        self.assertEqual((got, codec.buffered, codec.error), (sent, 0, None))
