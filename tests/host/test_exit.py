# -*- test-case-name: tests.host.test_exit -*-
"""
Tests for L{sockhost.host.exit}, as far as a process that goes on can see it.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.host import exit as _host_exit
from sockhost.host.exit import ExitStatus, leave_with


class ExitStatusTests(SynchronousTestCase):
    """The numbers that scripts rely on."""

    def test_numbers(self) -> None:
        """Each is the one that the documentation promises."""
        self.assertEqual(
            {status.name: int(status) for status in ExitStatus},
            {
                "CLEAN": 0,
                "WAIT_FAILED": 1,
                "USAGE": 64,
                "WATCHED_PID_GONE": 69,
                "STARTUP_FAILED": 70,
                "LOCKED": 73,
                "UNIT_FAILED": 75,
                "CONFIG": 78,
            },
        )

    def test_documented(self) -> None:
        """Each says what it means."""
        for status in ExitStatus:
            self.assertIn(f"@cvar {status.name}:", ExitStatus.__doc__ or "")


class LeaveTests(SynchronousTestCase):
    """Leaving late."""

    def setUp(self) -> None:
        self.registered: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self.left: list[int] = []
        self.patch(atexit, "register", self.register)
        self.patch(atexit, "unregister", lambda what: None)
        self.patch(atexit, "_run_exitfuncs", lambda: None)
        self.patch(os, "_exit", self.left.append)

    def register(self, what: Callable[..., Any], *args: Any) -> None:
        """Stand in for L{atexit.register}."""
        self.registered.append((what, args))

    def leave(self, status: int) -> None:
        """Come to the end of the process."""
        leave_with(status)
        for what, args in self.registered:
            what(*args)

    def test_clean(self) -> None:
        """A clean end is left to the interpreter."""
        self.leave(ExitStatus.CLEAN)
        self.assertEqual((self.registered, self.left), ([], []))

    def test_status(self) -> None:
        """Any other status is the one that the process leaves with, at its end."""
        leave_with(ExitStatus.UNIT_FAILED)
        self.assertEqual(self.left, [])
        self.registered[0][0](*self.registered[0][1])
        self.assertEqual(self.left, [75])

    def test_flushed(self) -> None:
        """What was printed last is not lost."""
        below = io.BytesIO()
        self.patch(sys, "stdout", io.TextIOWrapper(below, write_through=False))
        print("the last words")
        self.leave(70)
        self.assertEqual(below.getvalue(), b"the last words\n")

    def test_closed_stream(self) -> None:
        """A stream that is closed, broken or absent does not change the status."""

        class Broken(io.StringIO):
            def flush(self) -> None:
                raise BrokenPipeError(32, "Broken pipe")

        closed = io.StringIO()
        closed.close()
        for stream in (closed, Broken(), None):
            self.left.clear()
            self.registered.clear()
            self.patch(_host_exit.sys, "stdout", stream)  # type: ignore[attr-defined]
            self.leave(70)
            self.assertEqual(self.left, [70])
