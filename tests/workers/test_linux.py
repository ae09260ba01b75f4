"""
Tests for L{sockhost.workers.linux}.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.workers.linux import die_with_parent, thread_count


class Libc:
    """A C library that remembers how C{prctl} was called."""

    def __init__(self, result: int) -> None:
        self.calls: list[tuple[int, ...]] = []
        self.result = result

    def prctl(self, *args: int) -> int:
        """Remember a call."""
        self.calls.append(args)
        return self.result


class DieWithParentTests(SynchronousTestCase):
    """
    Tests for L{die_with_parent}.
    """

    def libc(self, result: int = 0) -> Libc:
        """Put a C library in place of the real one."""
        libc = Libc(result)
        self.patch(ctypes, "CDLL", lambda *_args, **_options: libc)
        return libc

    def test_asks_for_sigkill(self) -> None:
        """The kernel is told to send C{SIGKILL}."""
        libc = self.libc()
        die_with_parent(os.getppid())
        self.assertEqual(libc.calls, [(1, 9, 0, 0, 0)])

    def test_parent_died_before(self) -> None:
        """If the parent is already another one, the process ends at once."""
        self.libc()
        exits: list[int] = []
        self.patch(os, "_exit", exits.append)
        die_with_parent(os.getppid() + 1)
        self.assertEqual(exits, [1])

    def test_refused(self) -> None:
        """If the kernel refuses, that is an error."""
        self.libc(-1)
        error: Any = self.assertRaises(OSError, die_with_parent)
        self.assertIn("PR_SET_PDEATHSIG", str(error))


class ThreadCountTests(SynchronousTestCase):
    """
    Tests for L{thread_count}.
    """

    def test_counts(self) -> None:
        """A thread that waits is counted."""
        before, end = thread_count(), threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        self.assertEqual(thread_count(), before + 1)
        end.set()
        thread.join()
