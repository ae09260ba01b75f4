"""
Codecs, sessions and hubs in bytes that atheris thinks of, in processes of its own.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5


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
