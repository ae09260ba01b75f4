"""Tests of the command as a whole."""

from __future__ import annotations

import os
import sys

from twisted.trial.unittest import SynchronousTestCase

import sockhost
from sockhost.cli import command
from tests.cli.memory import Outcome, invoke

NAMES = (
    "run",
    "check",
    "status",
    "start",
    "stop",
    "restart",
    "reload",
    "logs",
    "events",
    "metrics",
    "send",
    "reconfigure",
    "reopen-logs",
    "shutdown",
)


class CommandTests(SynchronousTestCase):
    """How every command ends."""

    def test_version(self) -> None:
        """The version is that of the package."""
        self.assertEqual(
            invoke("--version"), Outcome(0, f"sockhost {sockhost.__version__}\n", "")
        )

    def test_no_number(self) -> None:
        """A time that is no number is a mistake in the command line."""
        for name, *more in (("stop", "kv"), ("shutdown",), ("send", "s", "x")):
            for seconds in ("nan", "inf"):
                outcome = invoke(name, *more, f"--timeout={seconds}")
                self.assertEqual(outcome.status, 64, (name, seconds))
                self.assertIn("--timeout", outcome.err)

    def test_help(self) -> None:
        """The help names every command."""
        text = invoke("--help").out
        for name in NAMES:
            self.assertIn(f"\n  {name} ", text)
            self.assertEqual(invoke(name, "--help").status, 0)

    def test_usage(self) -> None:
        """A command line that makes no sense has status 64."""
        for arguments in ([], ["fly"], ["status", "--fly"], ["logs"]):
            outcome = invoke(*arguments)
            self.assertEqual((outcome.status, outcome.out), (64, ""))
            self.assertIn("Usage: sockhost", outcome.err)

    def test_main(self) -> None:
        """The script exits with the status."""
        self.patch(sys, "argv", ["sockhost", "--version"])
        self.patch(command, "run", lambda: 78)
        error = self.assertRaises(SystemExit, command.main)
        self.assertEqual(error.code, 78)

    def test_broken_pipe(self) -> None:
        """When nobody reads on, what is left to flush goes nowhere."""
        self.patch(command, "run", lambda: 141)
        dups: list[tuple[int, int]] = []
        self.patch(os, "dup2", lambda a, b: dups.append((a, b)))
        self.patch(os, "open", lambda path, _: {os.devnull: 99}[path])
        self.patch(sys, "stdout", sys.__stdout__)
        error = self.assertRaises(SystemExit, command.main)
        self.assertEqual((error.code, dups), (141, [(99, 1)]))
