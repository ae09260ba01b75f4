# -*- test-case-name: tests.functional.test_host_exit -*-
"""
Leaving a real process with a status that was decided late.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

ROOT = Path(__file__).resolve().parents[2]
LEAVE = "from sockhost.host.exit import leave_with; leave_with(75)"


class LeaveWithTests(TestCase):
    """A process that says C{leave_with}, and ends."""

    timeout = 100

    def run_python(self, *lines: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        begin = ("import atexit, sys", "from sockhost.host.exit import leave_with")
        return subprocess.run(
            [sys.executable, "-c", "\n".join((*begin, *lines))],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def test_status(self) -> None:
        """The status is the one that was asked for."""
        self.assertEqual(self.run_python("leave_with(75)").returncode, 75)
        self.assertEqual(self.run_python("leave_with(0)").returncode, 0)

    def test_exit_functions(self) -> None:
        """All other exit functions run once, in their order."""
        done = self.run_python(
            "atexit.register(print, 'first')",
            "atexit.register(print, 'second')",
            "leave_with(75)",
        )
        self.assertEqual((done.returncode, done.stdout), (75, "second\nfirst\n"))

    def test_failing_exit_function(self) -> None:
        """One that raises is told, and changes nothing."""
        done = self.run_python(
            "atexit.register(print, 'early')",
            "atexit.register(lambda: 1 / 0)",
            "leave_with(75)",
        )
        self.assertEqual((done.returncode, done.stdout), (75, "early\n"))
        self.assertIn("ZeroDivisionError", done.stderr)

    def test_flushed(self) -> None:
        """What was written and not flushed arrives."""
        done = self.run_python("sys.stdout.write('last words')", "leave_with(70)")
        self.assertEqual((done.returncode, done.stdout), (70, "last words"))

    def test_no_stdout(self) -> None:
        """A process that was started without a stdout leaves with it too."""
        done = subprocess.run(
            ["/bin/sh", "-c", '"$0" -c "$1" >&-', sys.executable, LEAVE],
            cwd=ROOT,
            timeout=50,
            check=False,
        )
        self.assertEqual(done.returncode, 75)

    def test_twice(self) -> None:
        """The last word counts."""
        done = self.run_python("leave_with(70)", "leave_with(75)")
        self.assertEqual(done.returncode, 75)

    def test_beyond_an_exit(self) -> None:
        """It also prevails over an ordinary exit, such as the one of twistd."""
        done = self.run_python("leave_with(69)", "sys.exit(0)")
        self.assertEqual(done.returncode, 69)
