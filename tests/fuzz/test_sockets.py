"""
Codecs and sessions in any bytes.  L{tests.functional.test_hub_fuzz} has them for
hubs, and L{tests.functional.test_atheris} has atheris think of them.
"""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.codec_target import check_codec
from tests.fuzz.session_target import check_session


class HypothesisTests(SynchronousTestCase):
    """Bytes that hypothesis thinks of."""

    @settings(max_examples=300)
    @given(st.binary(max_size=400))
    @example(b"\x00\x00" + b"\x04\0\0\0" * 3)
    @example(b"\x02\x05" + b"0:,1:a,3:abc,")
    @example(b"\x03\x01" + b"\n\nab\n\n")
    def test_codec(self, data: bytes) -> None:
        """No bytes break a codec, and no cut makes a difference."""
        check_codec(data)

    @settings(max_examples=300)
    @given(st.binary(max_size=400))
    def test_session(self, data: bytes) -> None:
        """No order of events breaks a session, or leaves anything of it."""
        check_session(data)
        self.flushLoggedErrors(ValueError)
