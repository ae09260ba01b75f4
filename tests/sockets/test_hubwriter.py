"""
Tests for L{sockhost.sockets.hubwriter}, on a kernel that takes what it likes.
"""

from __future__ import annotations

import errno
import os
from select import EPOLLIN, EPOLLOUT
from typing import Any
from unittest import TestResult as Result
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import Disconnected
from sockhost.sockets import hubwriter
from sockhost.sockets.hubwriter import ABORTED, CLOSING, GONE, LARGE, RawWriter


class FakeHub:
    """
    @ivar events: what is waited for.
    @ivar calls: what is to be done at the end of the turn.
    """

    def __init__(self) -> None:
        self.events = EPOLLIN
        self.calls: list[Any] = []

    def change(self, fd: int, events: int) -> None:
        """Note it."""
        self.events = events

    def later(self, call: Any) -> None:
        """Note it."""
        self.calls.append(call)

    def settle(self) -> None:
        """End the turn."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class Writer(RawWriter):
    """Notes what it is told."""

    def __init__(self, hub: Any) -> None:
        super().__init__(hub, 7)
        self.told: list[object] = []

    def ended(self) -> None:
        """Note it."""
        self.told.append("ended")

    def broken(self, error: OSError) -> None:
        """Note it."""
        self.told.append(error.errno)

    def progressed(self) -> None:
        """Note it."""
        self.told.append("progressed")


class RawWriterTests(SynchronousTestCase):
    """Tests for L{RawWriter}."""

    def run(self, result: Result | None = None) -> Result | None:
        """Run with this kernel."""
        with (
            mock.patch.object(hubwriter, "write", self.write),
            mock.patch.object(hubwriter, "writev", self.writev),
        ):
            super().run(result)
        return result

    def setUp(self) -> None:
        """Make a writer."""
        self.hub = FakeHub()
        self.writer = Writer(self.hub)
        self.taken: list[bytes] = []
        self.room = 1 << 30
        self.error: OSError | None = None

    def write(self, fd: int, data: bytes) -> int:
        """Take what there is room for."""
        if self.error is not None:
            raise self.error
        if not self.room:
            raise BlockingIOError
        part = bytes(data[: self.room])
        self.room -= len(part)
        self.taken.append(part)
        return len(part)

    def writev(self, fd: int, pieces: Any) -> int:
        """Take what there is room for."""
        return self.write(fd, b"".join(pieces))

    def test_end_of_turn(self) -> None:
        """What is put in during a turn is written at its end, in one piece."""
        self.writer.put(b"a")
        self.writer.put(b"b")
        self.assertEqual((self.taken, self.writer.queued), ([], 2))
        self.hub.settle()
        self.assertEqual((self.taken, self.writer.queued), ([b"ab"], 0))
        self.assertEqual(self.hub.events, EPOLLIN)
        self.assertEqual(self.writer.taken, 2)

    def test_held(self) -> None:
        """What is held is written when it is released."""
        self.writer.hold()
        self.writer.put(b"a")
        self.assertEqual(self.hub.calls, [])
        self.writer.release()
        self.assertEqual(self.taken, [b"a"])
        self.writer.hold()
        self.writer.release()
        self.assertEqual(self.taken, [b"a"])

    def test_refused(self) -> None:
        """What the kernel refuses is queued; room is waited for until it is gone."""
        self.room = 2
        self.writer.put(b"abcdef")
        self.hub.settle()
        self.assertEqual((self.taken, self.writer.queued), ([b"ab"], 4))
        self.assertEqual(self.hub.events, EPOLLIN | EPOLLOUT)
        self.room = 3
        self.writer.writable()
        self.assertEqual(self.writer.queued, 1)
        self.room = 3
        self.writer.writable()
        self.assertEqual(b"".join(self.taken), b"abcdef")
        self.assertEqual(self.hub.events, EPOLLIN)
        self.assertIsNone(self.writer.queue)

    def test_behind(self) -> None:
        """What is put in behind a queue is not tried before it."""
        self.room = 0
        self.writer.put(b"a")
        self.hub.settle()
        self.room = 100
        self.writer.put(b"b")
        self.hub.settle()
        self.assertEqual(self.taken, [])
        self.writer.writable()
        self.assertEqual(b"".join(self.taken), b"ab")

    def test_large(self) -> None:
        """Large pieces are given as they are, however many."""
        pieces = [bytes([n % 256]) * (LARGE // 1000) for n in range(3000)]
        for piece in pieces:
            self.writer.put(piece)
        self.hub.settle()
        self.assertEqual(b"".join(self.taken), b"".join(pieces))
        self.assertEqual(self.writer.queued, 0)

    def test_when_sent(self) -> None:
        """Who waits is told when the kernel has what was put in before."""
        self.room = 3
        self.writer.put(b"ab")
        first = self.writer.when_sent()
        self.writer.put(b"cd")
        second = self.writer.when_sent()
        self.assertNoResult(first)
        self.hub.settle()
        self.assertIsNone(self.successResultOf(first))
        self.assertNoResult(second)
        self.room = 3
        self.writer.writable()
        self.assertIsNone(self.successResultOf(second))
        self.assertIsNone(self.successResultOf(self.writer.when_sent()))

    def test_close(self) -> None:
        """It ends when everything is sent, and takes nothing more."""
        self.room = 1
        self.writer.put(b"ab")
        self.writer.close()
        self.writer.put(b"never")
        self.assertEqual(self.writer.state, CLOSING)
        self.hub.settle()
        self.assertNotIn("ended", self.writer.told)
        self.room = 1
        self.writer.writable()
        self.hub.settle()
        self.assertEqual(b"".join(self.taken), b"ab")
        self.assertEqual(self.writer.told.count("ended"), 1)

    def test_close_idle(self) -> None:
        """With nothing to send it ends at the end of the turn."""
        self.writer.close()
        self.writer.close()
        self.assertEqual(self.writer.told, [])
        self.hub.settle()
        self.assertEqual(self.writer.told, ["ended"])

    def test_abort(self) -> None:
        """It ends without what was not sent."""
        self.writer.put(b"ab")
        self.writer.close()
        self.writer.abort()
        self.writer.abort()
        self.assertEqual(self.writer.state, ABORTED)
        self.hub.settle()
        self.writer.writable()
        self.assertEqual(self.taken, [])
        self.assertEqual(self.writer.told.count("ended"), 1)

    def test_when_sent_after_error(self) -> None:
        """What is put in after an error was not sent."""
        self.writer.abort()
        self.writer.put(b"ab")
        waiting = self.writer.when_sent()
        self.assertNoResult(waiting)
        self.writer.lose(Disconnected("gone"))
        self.failureResultOf(waiting, Disconnected)

    def test_lose(self) -> None:
        """Who waits is told that the connection is gone."""
        self.writer.put(b"ab")
        waiting = self.writer.when_sent()
        self.writer.lose(Disconnected("gone"))
        self.failureResultOf(waiting, Disconnected)
        self.assertEqual((self.writer.state, self.writer.queued), (GONE, 0))
        self.hub.settle()
        self.assertEqual(self.taken, [])

    def test_broken(self) -> None:
        """A failure of the kernel is told, small and large."""
        for size in (1, LARGE):
            self.error = OSError(errno.EPIPE, os.strerror(errno.EPIPE))
            self.writer.put(b"x" * size)
            self.hub.settle()
            self.assertIn(errno.EPIPE, self.writer.told)
            self.writer = Writer(self.hub)

    def test_reading(self) -> None:
        """Reading pauses and goes on whatever is to be written."""
        self.room = 0
        self.writer.put(b"a")
        self.hub.settle()
        self.writer.pause()
        self.assertEqual(self.hub.events, EPOLLOUT)
        self.writer.resume()
        self.assertEqual(self.hub.events, EPOLLIN | EPOLLOUT)

    @given(
        st.lists(
            st.one_of(
                st.binary(min_size=1, max_size=50),
                st.integers(0, 60),
                st.integers(LARGE, 2 * LARGE),
                st.just("turn"),
            )
        )
    )
    def test_any_order(self, steps: list[bytes | int | str]) -> None:
        """Whatever the kernel takes and when, all bytes go out in order."""
        self.setUp()
        self.room = 0
        expected = b""
        for step in steps:
            if step == "turn":
                self.hub.settle()
            elif isinstance(step, bytes):
                data = step * (LARGE // 40)
                expected += data
                self.writer.put(data)
            elif isinstance(step, int):
                self.room += step
                if self.hub.events & EPOLLOUT:
                    self.writer.writable()
            taken = len(b"".join(self.taken))
            self.assertEqual(self.writer.queued, len(expected) - taken)
            self.assertEqual(self.writer.taken, taken)
        self.room = 1 << 30
        self.hub.settle()
        self.writer.writable()
        self.assertEqual(b"".join(self.taken), expected)
