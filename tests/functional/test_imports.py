"""
What importing a room brings along, in a fresh interpreter.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase


class ImportTests(SynchronousTestCase):
    """Rooms that need little."""

    def test_config_without_twisted(self) -> None:
        """Reading a configuration needs nothing of Twisted."""
        program = (
            "import sys, sockhost.config; "
            "sys.exit([m for m in sys.modules if m.split('.')[0] == 'twisted'] != [])"
        )
        done = subprocess.run([sys.executable, "-c", program], check=False)
        self.assertEqual(done.returncode, 0)
