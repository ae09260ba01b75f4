# -*- test-case-name: tests.sockets.test_descriptors -*-
"""
Tests for L{sockhost.sockets.descriptors}.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.descriptors import Kept, copy_number, first_kept, limit
from sockhost.sockets.server import FrameServer
from tests.sockets.test_access import FakePeer


class LimitTests(SynchronousTestCase):
    """How many there are, and how many of them are kept."""

    def test_kept(self) -> None:
        """As many as a host needs, but not all of few."""
        for of, first in ((64, 56), (256, 224), (1024, 992), (1_048_576, 1_048_544)):
            self.assertEqual(first_kept(of), first)

    def test_limit(self) -> None:
        """It is the soft limit, or as good as none."""
        self.patch(resource, "getrlimit", lambda _: (1024, 4096))
        self.assertEqual(limit(), 1024)
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.patch(resource, "getrlimit", lambda _: unlimited)
        self.assertEqual(limit(), sys.maxsize)

    def test_copy_number(self) -> None:
        """A copy gets the lowest number that is free, or none."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        copy = os.dup(writer)
        os.close(copy)
        self.assertEqual(copy_number(writer), copy)
        self.assertEqual(copy_number(writer), copy)
        self.assertGreater(copy_number(writer, 1), copy)
        os.close(writer)
        self.assertEqual(copy_number(writer), sys.maxsize)


class KeptTests(SynchronousTestCase):
    """Knowing that there are none left for clients, and saying so."""

    def test_take(self) -> None:
        """They are used up by the last, which still is a client's."""
        kept = Kept("kv", Clock(), lambda: 1024)
        for number, may, few, used_up in (
            (5, True, False, False),
            (959, True, False, False),
            (960, True, True, False),
            (990, True, True, False),
            (991, True, True, True),
            (992, False, True, True),
            (1023, False, True, True),
            (7, True, False, False),
        ):
            self.assertEqual(kept.take(number), may)
            self.assertEqual((kept.few, kept.used_up), (few, used_up))

    def test_logged_once(self) -> None:
        """An episode is logged once, until there was quiet for a while."""
        clock = Clock()
        kept = Kept("kv", clock, lambda: 1024)
        self.assertEqual(kept.first, 992)
        with capturedLogs() as logs:
            for pause in (0, 1, 59, 59.5):
                clock.advance(pause)
                kept.tell("refuses clients")
        self.assertEqual(len(logs), 1)
        self.assertIn("kv refuses clients: 992 desc", str(formatEvent(logs[0])))
        with capturedLogs() as logs:
            clock.advance(60)
            kept.tell("refuses clients")
        self.assertEqual(len(logs), 1)


class Accepted(FakePeer):
    """A socket with a number."""

    number = 0

    def fileno(self) -> int:
        """Its number."""
        return self.number


class AdmitTests(SynchronousTestCase):
    """A server that is asked about a client."""

    def test_admit(self) -> None:
        """A client with one of those descriptors is refused and counted."""
        clock: Any = Clock()
        server = FrameServer(clock, object(), name="kv")
        one = Accepted(1, 1)
        one.number = server.kept.first - 1
        self.assertTrue(server.admit_socket(one))
        one.number += 1
        self.assertFalse(server.admit_socket(one))
        self.assertEqual(server.totals.refused_for, {"descriptors": 1})
