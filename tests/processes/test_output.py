# -*- test-case-name: tests.processes.test_output -*-
"""Tests for L{sockhost.processes.output}."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.processes.output import Follower, OutputLog, backup_path, tail


def whole(path: str) -> bytes:
    """Put a log and its older files together."""
    parts = []
    index = 0
    while os.path.exists(backup_path(path, index)):
        parts.append(Path(backup_path(path, index)).read_bytes())
        index += 1
    return b"".join(reversed(parts))


class OutputLogTests(SynchronousTestCase):
    """A log that is appended to and rotated."""

    def setUp(self) -> None:
        self.path = os.path.join(self.mktemp(), "unit.log")

    def log(self, max_bytes: int = 20, backups: int = 3) -> OutputLog:
        """Make a log that is closed in the end."""
        log = OutputLog(self.path, max_bytes, backups)
        self.addCleanup(log.close)
        return log

    def read(self, index: int = 0) -> bytes:
        """Read a file of the log."""
        return Path(backup_path(self.path, index)).read_bytes()

    def test_append(self) -> None:
        """What is written is in the file, behind what was there."""
        self.log().write(b"one\n")
        self.log().write(b"two\n")
        self.assertEqual(self.read(), b"one\ntwo\n")

    def test_rotation(self) -> None:
        """A file is changed between two lines of a chunk."""
        self.log(max_bytes=10).write(b"aaaa\nbbbb\ncccc\ndd")
        self.assertEqual((self.read(1), self.read(0)), (b"aaaa\nbbbb\n", b"cccc\ndd"))

    def test_line_over_two_chunks(self) -> None:
        """A line that comes in pieces is not cut by a rotation."""
        log = self.log(max_bytes=10)
        log.write(b"aaaaaaa")
        log.write(b"aaaaaaa\nbb\n")
        self.assertEqual((self.read(1), self.read(0)), (b"a" * 14 + b"\n", b"bb\n"))

    def test_backups(self) -> None:
        """No more older files are kept than were asked for."""
        log = self.log(max_bytes=4, backups=2)
        for letter in (b"a", b"b", b"c", b"d"):
            log.write(letter * 3 + b"\n")
        self.assertEqual(
            [self.read(i) for i in range(3)], [b"ddd\n", b"ccc\n", b"bbb\n"]
        )
        self.assertFalse(os.path.exists(backup_path(self.path, 3)))

    def test_no_backups(self) -> None:
        """Without older files the log begins anew."""
        log = self.log(max_bytes=4, backups=0)
        log.write(b"aaa\nbbb\n")
        self.assertEqual(whole(self.path), b"bbb\n")

    def test_endless_line(self) -> None:
        """A line without an end does not fill the disk."""
        log = self.log(max_bytes=10, backups=1)
        for _ in range(100):
            log.write(b"x" * 7)
        self.assertLessEqual(len(whole(self.path)), 40)

    def test_reopen(self) -> None:
        """After a reopen the output goes to a new file."""
        log = self.log()
        log.write(b"old\n")
        os.rename(self.path, self.path + ".moved")
        log.reopen()
        log.write(b"new\n")
        self.assertEqual(self.read(), b"new\n")

    def test_full_disk(self) -> None:
        """What a full disk loses is counted, logged once, and noted later."""
        log = self.log(max_bytes=1000)
        log.write(b"before\n")
        full = True

        def write(fd: int, data: memoryview) -> int:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return os.write(fd, data)

        log._write = write
        log.write(b"lost\n")
        log.write(b"lost too\n")
        self.assertEqual(log.dropped, 14)
        full = False
        log.write(b"after\n")
        self.assertEqual(
            self.read(),
            b"before\n[14 bytes of output were lost here: "
            b"No space left on device]\nafter\n",
        )
        self.assertEqual(log.dropped, 0)

    def test_full_disk_again(self) -> None:
        """Each time that a disk is full is logged."""
        outages: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event["log_level"] is LogLevel.error:
                outages.append(event["reason"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        log = self.log(max_bytes=1000)
        full = True

        def write(fd: int, data: memoryview) -> int:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return os.write(fd, data)

        log._write = write
        for count in (1, 2):
            for is_full in (True, True, False):
                full = is_full
                log.write(b"line\n")
                self.assertEqual(len(outages), count)

    def test_unwritable(self) -> None:
        """A log that cannot be opened costs the output only."""
        Path(os.path.dirname(self.path)).write_bytes(b"a file, not a directory")
        log = self.log()
        log.write(b"lost\n")
        self.assertEqual(log.dropped, 5)

    def test_rotation_that_fails(self) -> None:
        """If files cannot be renamed, nothing is lost."""
        log = self.log(max_bytes=4, backups=1)
        log.write(b"aaa\n")
        os.mkdir(backup_path(self.path, 1))
        log.write(b"bbb\n")
        self.assertEqual(self.read(), b"aaa\nbbb\n")

    @settings(max_examples=60)
    @given(
        st.lists(st.text("ab\n", max_size=40).map(str.encode), max_size=20),
        st.integers(1, 30),
    )
    def test_nothing_is_lost(self, chunks: list[bytes], max_bytes: int) -> None:
        """However output is cut, the files together are the output."""
        with tempfile.TemporaryDirectory() as directory:
            log = OutputLog(os.path.join(directory, "log"), max_bytes, 10_000)
            for chunk in chunks:
                log.write(chunk)
            log.close()
            self.assertEqual(whole(log.path), b"".join(chunks))


class TailTests(SynchronousTestCase):
    """The newest lines of a log."""

    def setUp(self) -> None:
        self.path = self.mktemp()

    def test_last_lines(self) -> None:
        """Only so many lines are read."""
        Path(self.path).write_bytes(b"1\n2\n3\n")
        self.assertEqual(tail(self.path, 2), b"2\n3\n")

    def test_carriage_returns(self) -> None:
        """What a progress bar writes over itself is one line."""
        Path(self.path).write_bytes(b"1%\r2%\r3%\ndone\n")
        self.assertEqual(tail(self.path, 2), b"1%\r2%\r3%\ndone\n")

    def test_unfinished(self) -> None:
        """A line without an end is a line."""
        Path(self.path).write_bytes(b"1\n2\n3")
        self.assertEqual(tail(self.path, 2), b"2\n3")

    def test_older_files(self) -> None:
        """What the newest file lacks is taken from the older ones."""
        for index, data in enumerate((b"5\n", b"", b"3\n4\n", b"1\n2\n")):
            Path(backup_path(self.path, index)).write_bytes(data)
        self.assertEqual(tail(self.path, 4), b"2\n3\n4\n5\n")

    def test_most(self) -> None:
        """No more bytes are read than may be, and a line is not begun amid."""
        for index, data in enumerate((b"56\n78\n", b"12\n34\n")):
            Path(backup_path(self.path, index)).write_bytes(data)
        for most, found in (
            (12, b"34\n56\n78\n"),
            (8, b"56\n78\n"),
            (4, b"78\n"),
            (2, b"8\n"),
            (13, b"12\n34\n56\n78\n"),
        ):
            self.assertEqual(tail(self.path, 9, most), found, most)

    def test_large(self) -> None:
        """Lines are found that begin far from the end."""
        data = b"x" * 100_000 + b"\n"
        Path(self.path).write_bytes(b"first\n" + data * 3)
        self.assertEqual(tail(self.path, 2), data * 2)
        self.assertEqual(tail(self.path, 9), b"first\n" + data * 3)

    def test_nothing(self) -> None:
        """No log and no lines are nothing."""
        self.assertEqual(tail(self.path, 5), b"")
        Path(self.path).write_bytes(b"1\n")
        self.assertEqual(tail(self.path, 0), b"")


class FollowerTests(SynchronousTestCase):
    """What is appended to a log."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = os.path.join(self.mktemp(), "log")
        self.log = OutputLog(self.path, 10, 5)
        self.addCleanup(self.log.close)
        self.seen: list[bytes] = []
        self.follower = Follower(self.clock, self.path, self.seen.append)

    def test_appended(self) -> None:
        """What is there already is not told, and what comes is."""
        self.log.write(b"old\n")
        self.follower.start()
        self.log.write(b"new\n")
        self.clock.advance(0.25)
        self.assertEqual(self.seen, [b"new\n"])
        self.follower.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rotations(self) -> None:
        """Nothing is missed, be the log rotated twice meanwhile."""
        self.follower.start()
        for line in (b"aaaaaaa\n", b"bbbbbbb\n", b"ccccccc\n", b"d\n"):
            self.log.write(line)
        self.clock.advance(0.25)
        self.log.write(b"eeeeeee\nf\n")
        self.log.write(b"ggggggg\n")
        self.clock.advance(0.25)
        self.follower.stop()
        self.assertEqual(
            b"".join(self.seen)[-28:], b"ccccccc\nd\neeeeeee\nf\nggggggg\n"[-28:]
        )

    def test_no_file_yet(self) -> None:
        """A log that begins later is told from its beginning."""
        self.follower.start()
        self.clock.advance(0.25)
        self.log.write(b"first\n")
        self.clock.advance(0.25)
        self.follower.stop()
        self.assertEqual(self.seen, [b"first\n"])

    def test_truncated(self) -> None:
        """A log that somebody else truncates is told from its beginning."""
        self.log.write(b"12345678\n")
        self.follower.start()
        os.truncate(self.path, 0)
        self.log.write(b"ab\n")
        self.clock.advance(0.25)
        self.follower.stop()
        self.assertEqual(self.seen, [b"ab\n"])

    def test_stopped_by_the_told(self) -> None:
        """Whoever is told may stop it."""
        self.follower.on_data = lambda _: self.follower.stop()
        self.follower.start()
        self.log.write(b"a\n")
        self.clock.advance(0.25)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.follower._fd)

    def test_told_that_raises(self) -> None:
        """A defect in what is told ends the following, in the log."""

        def broken(data: bytes) -> None:
            raise RuntimeError("broken")

        self.follower.on_data = broken
        self.follower.start()
        self.log.write(b"a\n")
        self.clock.advance(0.25)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OwnLogTests(SynchronousTestCase):
    """A log of the events of this process, which has its own troubles told in it."""

    def test_no_recursion(self) -> None:
        """What is told of a log that cannot be written is not told again in it."""

        def full(_fd: int, _data: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        log = OutputLog(self.mktemp(), write=full)
        told: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            told.append(str(event.get("log_format")))
            log.write(b"an event\n")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        log.write(b"first\n")
        log.write(b"second\n")
        self.assertEqual(
            told, ["{path} cannot be written: {reason}; output is dropped"]
        )
        log.close()
