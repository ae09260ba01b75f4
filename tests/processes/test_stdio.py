# -*- test-case-name: tests.processes.test_stdio -*-
"""Tests for L{sockhost.processes.stdio}."""

from __future__ import annotations

import gc
import os
import subprocess
from typing import Any

from twisted.internet import main
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.processes.spec import ChildSpec
from sockhost.processes.stdio import OutputReader, Stdio


def open_for(**options: Any) -> Stdio:
    """Open what a child needs."""
    return Stdio.open(ChildSpec(argv=("prog",), **options))


class StdioTests(SynchronousTestCase):
    """The pipes of a child."""

    def opened(self, **options: Any) -> Stdio:
        """Open what a child needs, and close it in the end."""
        stdio = open_for(**options)
        self.addCleanup(stdio.close)
        return stdio

    def test_merged(self) -> None:
        """By default there is one pipe for both outputs, and no input."""
        stdio = self.opened()
        self.assertEqual(list(stdio.ours), [1])
        self.assertEqual(stdio.stdin, subprocess.DEVNULL)
        self.assertEqual(stdio.stderr, subprocess.STDOUT)

    def test_separate(self) -> None:
        """Each output may have its own pipe, and the input one too."""
        stdio = self.opened(output="separate", stdin="pipe")
        self.assertEqual(sorted(stdio.ours), [0, 1, 2])

    def test_none(self) -> None:
        """Output may go nowhere, where the host's goes, or to a descriptor."""
        for output, stdout in (("null", subprocess.DEVNULL), ("inherit", None), (7, 7)):
            stdio = self.opened(output=output)
            self.assertEqual((stdio.ours, stdio.stdout), ({}, stdout))

    def test_no_descriptors(self) -> None:
        """If a pipe cannot be opened, the others are closed."""
        # What an earlier test left to the collector may go at any time.
        gc.collect()
        before = os.listdir("/proc/self/fd")
        pipe, pipes = os.pipe, [1, 2]

        def scarce() -> tuple[int, int]:
            if not pipes:
                raise OSError("no descriptor")
            pipes.pop()
            return pipe()

        self.patch(os, "pipe", scarce)
        self.assertRaises(OSError, open_for, output="separate", stdin="pipe")
        self.assertEqual(os.listdir("/proc/self/fd"), before)


class OutputReaderTests(SynchronousTestCase):
    """The reader of a pipe."""

    def setUp(self) -> None:
        reactor: Any = MemoryReactorClock()
        self.reactor = reactor
        fd, self.writer = os.pipe()
        os.set_blocking(fd, False)
        self.data: list[bytes] = []
        self.lost: list[str] = []
        self.reader = OutputReader(
            self.reactor, fd, self.data.append, lambda: self.lost.append("lost")
        )
        self.addCleanup(self.reader.close)

    def write(self, data: bytes) -> None:
        """Write, and close the other end."""
        os.write(self.writer, data)
        os.close(self.writer)

    def test_interface(self) -> None:
        """It is what reactors read."""
        self.assertTrue(verifyObject(IReadDescriptor, self.reader))
        os.close(self.writer)

    def test_nothing_there(self) -> None:
        """A wake-up without data is none."""
        self.assertIsNone(self.reader.doRead())
        os.close(self.writer)

    def test_end(self) -> None:
        """The end follows the data."""
        self.write(b"data")
        self.assertIsNone(self.reader.doRead())
        self.assertIs(self.reader.doRead(), main.CONNECTION_DONE)
        self.assertEqual(self.data, [b"data"])

    def test_finish(self) -> None:
        """Finishing takes what is there, closes, and says so once."""
        self.write(b"last")
        self.reader.finish()
        self.reactor.advance(0)
        self.reader.close()
        self.assertEqual((self.data, self.lost), ([b"last"], ["lost"]))
        self.assertEqual(self.reader.fileno(), -1)

    def test_number_is_kept(self) -> None:
        """In the turn in which it is finished nobody else gets its number."""
        self.write(b"last")
        number = self.reader.fileno()
        self.reader.finish()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertTrue(os.path.exists(f"/proc/self/fd/{number}"))
        self.reactor.advance(0)
        self.assertFalse(os.path.exists(f"/proc/self/fd/{number}"))
