"""
Tests for L{sockhost.workers.orders}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.workers.orders import (
    MAX_MESSAGE,
    MAX_TEXT,
    BadMessage,
    Exited,
    Failed,
    Forked,
    Message,
    NotForked,
    Prepare,
    Prepared,
    Spawn,
    pack,
    tail,
    unpack,
)

NUMBERS = st.integers(0, 2**31)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Prepare),
    st.builds(Prepared),
    st.builds(Failed, reason=st.text().map(tail)),
    st.builds(Spawn, stream=NUMBERS, index=NUMBERS),
    st.builds(Forked, stream=NUMBERS, pid=NUMBERS),
    st.builds(NotForked, stream=NUMBERS, reason=st.text().map(tail)),
    st.builds(
        Exited, pid=NUMBERS, code=st.none() | NUMBERS, signal=st.none() | NUMBERS
    ),
)


class OrderTests(SynchronousTestCase):
    """
    Tests for L{pack} and L{unpack}.
    """

    @given(MESSAGES)
    def test_round_trip(self, message: Message) -> None:
        """A message arrives as it was sent, and fits into a packet."""
        data = pack(message)
        self.assertLessEqual(len(data), MAX_MESSAGE)
        self.assertEqual(unpack(data), message)

    @given(st.binary() | st.sampled_from([b'{"Spawn": {}}', b"{}", b'{"Exit": 1}']))
    def test_bad_bytes(self, data: bytes) -> None:
        """Bytes that are no message are refused with one exception."""
        self.assertRaises(BadMessage, unpack, data)

    def test_longest_text(self) -> None:
        """The longest text fits even if each character is escaped."""
        reason = tail("\U0001f600" * 5000)
        self.assertEqual(len(reason), MAX_TEXT)
        self.assertLessEqual(len(pack(Failed(reason))), MAX_MESSAGE)
