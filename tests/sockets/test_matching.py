"""
Tests for L{sockhost.sockets.matching}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import FrameError
from sockhost.sockets.matching import ByNumber, InOrder, pull_number, push_number


class InOrderTests(SynchronousTestCase):
    """Tests for L{InOrder}."""

    def test_order(self) -> None:
        """The first answer is that of the first request."""
        matcher = InOrder()
        first, second = (matcher.outgoing(b"x")[0] for _ in range(2))
        self.assertEqual(matcher.incoming(b"a"), (first, b"a"))
        self.assertEqual(matcher.incoming(b"b"), (second, b"b"))
        self.assertEqual(matcher.incoming(b"c"), (None, b"c"))

    def test_abandoned(self) -> None:
        """The answer to an abandoned request keeps its place."""
        matcher = InOrder()
        first, second = (matcher.outgoing(b"x")[0] for _ in range(2))
        matcher.abandon(first)
        self.assertEqual(matcher.incoming(b"a")[0], first)
        self.assertEqual(matcher.incoming(b"b")[0], second)

    def test_unsent(self) -> None:
        """A request that was not sent has no place."""
        matcher = InOrder()
        first, second = (matcher.outgoing(b"x")[0] for _ in range(2))
        matcher.unsent(second)
        self.assertEqual(matcher.incoming(b"a")[0], first)
        self.assertIsNone(matcher.incoming(b"b")[0])


class ByNumberTests(SynchronousTestCase):
    """Tests for L{ByNumber}."""

    def test_any_order(self) -> None:
        """Answers are matched by number, and come without it."""
        matcher = ByNumber()
        sent = [matcher.outgoing(b"%d" % each) for each in range(3)]
        for key, frame in reversed(sent):
            self.assertEqual(matcher.incoming(frame), (key, frame[4:]))

    def test_own_form(self) -> None:
        """Where the number stands is the user's to say."""
        matcher = ByNumber(
            lambda payload, number: payload + b"#%d" % number,
            lambda frame: (int(frame.split(b"#")[1]), frame.split(b"#")[0]),
        )
        key, frame = matcher.outgoing(b"ask")
        self.assertEqual(frame, b"ask#%d" % key)
        self.assertEqual(matcher.incoming(frame), (key, b"ask"))

    def test_wraps(self) -> None:
        """Numbers begin again, without those that are waited for, or 0."""
        matcher = ByNumber()
        first, _ = matcher.outgoing(b"")
        matcher._last = 2**32 - 2
        self.assertEqual(matcher.outgoing(b"")[0], 2**32 - 1)
        self.assertEqual(first, 1)
        self.assertEqual(matcher.outgoing(b"")[0], 2)

    def test_abandoned(self) -> None:
        """A number that nobody waits for is free."""
        matcher = ByNumber()
        for end in (matcher.abandon, matcher.unsent):
            key, _ = matcher.outgoing(b"")
            end(key)
        self.assertEqual(matcher._unanswered, set())

    def test_short(self) -> None:
        """A frame without a number is an error of the server."""
        self.assertRaises(FrameError, ByNumber().incoming, b"abc")

    @given(st.binary(), st.integers(0, 2**32 - 1))
    def test_round_trip(self, payload: bytes, number: int) -> None:
        """What is pushed is pulled."""
        self.assertEqual(pull_number(push_number(payload, number)), (number, payload))
