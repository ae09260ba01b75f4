"""
Codecs, sessions and hubs in bytes that atheris thinks of, in processes of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
RUNS = {"codec": 30_000, "session": 10_000, "hub": 2_000}
"""What takes a few seconds: the same bytes each time, on a fast machine or a slow."""


class AtherisTests(SynchronousTestCase):
    """Bytes that atheris thinks of, beginning in the same place each time."""

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
                f"-runs={RUNS[name]}",
                "-seed=1",
                "-max_len=400",
                f"-artifact_prefix={directory.absolute()}/",
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
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
