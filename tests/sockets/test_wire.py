"""
Tests for L{sockhost.sockets.wire}.
"""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import FrameError
from sockhost.sockets.wire import check_length, pack


class PackTests(SynchronousTestCase):
    """Tests for L{pack}."""

    def test_length_counts_itself(self) -> None:
        """The length is native endian and includes its own four bytes."""
        length = (7).to_bytes(4, sys.byteorder)
        self.assertEqual(pack(b"abc"), length + b"abc")

    def test_empty(self) -> None:
        """A frame may carry nothing."""
        self.assertEqual(pack(b""), (4).to_bytes(4, sys.byteorder))

    def test_limit(self) -> None:
        """The limit is for the whole frame, and a frame of that size is good."""
        self.assertEqual(len(pack(b"abcd", 8)), 8)
        error = self.assertRaises(FrameError, pack, b"abcde", 8)
        self.assertEqual(str(error), "a frame of 9 bytes is more than the limit of 8")


class CheckLengthTests(SynchronousTestCase):
    """Tests for L{check_length}."""

    def test_good(self) -> None:
        """From the header alone up to the limit, a length is good."""
        self.assertIsNone(check_length(4, 100))
        self.assertIsNone(check_length(100, 100))

    def test_bad(self) -> None:
        """Less than a header, and more than the limit, is an error."""
        self.assertIn("3 bytes long", str(check_length(3, 100)))
        self.assertIn("limit of 100", str(check_length(101, 100)))
