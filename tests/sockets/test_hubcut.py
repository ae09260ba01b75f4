"""
Tests for L{sockhost.sockets.hubcut}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.hubcut import Partial, run_of
from sockhost.sockets.wire import HEADER, pack


class RunTests(SynchronousTestCase):
    """Tests for L{run_of}."""

    def test_run(self) -> None:
        """Frames of one length are cut at once, as many as fit: 64, 16 or 8."""
        payloads = [b"%03d" % number for number in range(100)]
        data = b"??" + b"".join(map(pack, payloads))
        for most, cut in ((100, 64), (64, 64), (63, 16), (15, 8), (8, 8), (7, 0)):
            self.assertEqual(list(run_of(data, 2, 7, most)), payloads[:cut])

    def test_other_length(self) -> None:
        """If one of them has another length there is no run."""
        data = pack(b"abc") * 7 + pack(b"abcd") + pack(b"abc") * 8
        self.assertEqual(run_of(data, 0, 7, 8), ())

    def test_empty(self) -> None:
        """Frames without a payload have one that is empty."""
        self.assertEqual(run_of(pack(b"") * 8, 0, 4, 8), (b"",) * 8)

    def test_many_lengths(self) -> None:
        """What is kept for each length is not kept for all lengths ever."""
        for size in range(1200):
            data = pack(b"x" * size) * 8
            self.assertEqual(run_of(data, 0, size + 4, 8), (b"x" * size,) * 8)


class PartialTests(SynchronousTestCase):
    """Tests for L{Partial}."""

    @given(st.binary(min_size=1, max_size=20_000), st.integers(1, 9000))
    def test_pieces(self, payload: bytes, step: int) -> None:
        """It is complete with its last piece, whatever the pieces are."""
        partial = Partial(len(payload) + 4, b"")
        for offset in range(0, len(payload), step):
            self.assertEqual(partial.have, offset)
            self.assertEqual(partial.missing, len(payload) - offset)
            self.assertEqual(partial.so_far(), pack(payload)[: 4 + offset])
            whole = partial.add(payload[offset : offset + step])
        self.assertEqual(whole, payload)

    def test_announced(self) -> None:
        """Nothing is committed by what a header says."""
        partial = Partial(1 << 31, b"abc")
        self.assertEqual(partial.so_far(), HEADER.pack(1 << 31) + b"abc")
        self.assertEqual(partial.missing, (1 << 31) - 7)

    def test_small_pieces(self) -> None:
        """Many small pieces are not kept one by one."""
        partial = Partial(100_000, b"")
        for _ in range(50_000):
            partial.add(b"x")
        self.assertLess(len(partial._pieces), 20)
