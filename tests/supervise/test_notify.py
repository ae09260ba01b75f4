# -*- test-case-name: tests.supervise.test_notify -*-
"""Tests for L{sockhost.supervise.notify}."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.supervise.notify import NotifySocket, notify_path


class Flood:
    """A socket that never runs out of datagrams."""

    taken = 0

    def recv(self, size: int) -> bytes:
        """Give one more, but not for ever."""
        self.taken += 1
        if self.taken > 1000:
            raise BlockingIOError()
        return b"STATUS=again"


class NotifySocketTests(SynchronousTestCase):
    """What a program says of itself."""

    def setUp(self) -> None:
        reactor: Any = MemoryReactor()
        self.notify = NotifySocket(reactor, "unused")

    def test_interface(self) -> None:
        """It is what reactors read."""
        self.assertTrue(verifyObject(IReadDescriptor, self.notify))
        self.assertEqual(self.notify.fileno(), -1)

    def test_ready(self) -> None:
        """It is ready when it says so, once."""
        self.notify.message(b"READY=0")
        self.assertFalse(self.notify.ready.fired)
        self.notify.message(b"X=1\nREADY=1\n")
        self.notify.message(b"READY=1")
        self.assertTrue(self.notify.ready.fired)

    def test_status(self) -> None:
        """The status is the newest, and there when it is ready."""
        seen: list[str | None] = []
        ready = self.notify.ready.wait()
        ready.addCallback(lambda _: seen.append(self.notify.status))
        self.notify.message(b"STATUS=old")
        self.notify.message(b"READY=1\nSTATUS=now=serving")
        self.assertEqual(seen, ["now=serving"])
        self.notify.message(b"STATUS=")
        self.assertIsNone(self.notify.status)

    def test_nonsense(self) -> None:
        """What cannot be decoded hurts nobody."""
        self.notify.message(b"\xff\xfe\n\nSTATUS=\xff")
        self.assertFalse(self.notify.ready.fired)

    def test_flood(self) -> None:
        """A program that never stops talking does not have the host to itself."""
        flood = Flood()
        self.patch(self.notify, "_socket", flood)
        self.notify.doRead()
        self.assertLessEqual(flood.taken, 100)
        self.assertEqual(self.notify.status, "again")

    def test_close(self) -> None:
        """Closing what was never opened does nothing."""
        self.notify.close()
        self.assertEqual(self.notify.fileno(), -1)

    def test_long_path(self) -> None:
        """A path that the system has no room for is refused."""
        self.assertEqual(notify_path("/run", "web"), "/run/notify/web")
        error = self.assertRaises(ValueError, notify_path, "/" + "x" * 100, "web")
        self.assertIn("use a shorter run_dir", str(error))
