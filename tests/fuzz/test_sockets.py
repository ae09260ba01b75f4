"""
Codecs, sessions and hubs in any bytes.  L{tests.functional.test_hub_fuzz} has
hypothesis think of those for hubs.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.fuzz.codec_target import check_codec
from tests.fuzz.session_target import check_session

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5


class HypothesisTests(SynchronousTestCase):
    """Bytes that hypothesis thinks of."""

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=400))
    @example(b"\x00\x00" + b"\x04\0\0\0" * 3)
    @example(b"\x02\x05" + b"0:,1:a,3:abc,")
    @example(b"\x03\x01" + b"\n\nab\n\n")
    def test_codec(self, data: bytes) -> None:
        """No bytes break a codec, and no cut makes a difference."""
        check_codec(data)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=400))
    def test_session(self, data: bytes) -> None:
        """No order of events breaks a session, or leaves anything of it."""
        check_session(data)
        self.flushLoggedErrors(ValueError)


class AtherisTests(SynchronousTestCase):
    """Bytes that atheris thinks of, in a few seconds."""

    timeout = 120

    def run_target(self, name: str) -> None:
        """Run it for a while, in a process of its own."""
        if find_spec("atheris") is None:
            raise SkipTest("atheris is not installed")
        directory = Path(self.mktemp())
        directory.mkdir()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.with_atheris", name),
                f"-max_total_time={SECONDS}",
                "-max_len=400",
                f"-artifact_prefix={directory.absolute()}/",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        self.assertIn("Done", done.stderr)

    def test_codec(self) -> None:
        """It finds nothing that breaks a codec."""
        self.run_target("codec")

    def test_session(self) -> None:
        """It finds nothing that breaks a session."""
        self.run_target("session")

    def test_hub(self) -> None:
        """It finds nothing that breaks a hub on real sockets."""
        self.run_target("hub")
