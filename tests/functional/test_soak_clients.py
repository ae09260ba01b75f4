# -*- test-case-name: tests.functional.test_soak_clients -*-
"""
Tests for L{benchmarks.soak_clients}: that the clients see what they are there to see.
"""

from __future__ import annotations

import asyncio
import random
import socket

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.soak_clients import (
    BEHAVIOURS,
    MAY_BE_CUT,
    Behaviour,
    Crowd,
    Line,
    Wrong,
)


class CrowdTests(SynchronousTestCase):
    """Tests for L{Crowd}, which judges what becomes of each client."""

    def setUp(self) -> None:
        """Listen, so that clients connect."""
        path = self.mktemp()[-90:]
        self.listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listening.close)
        self.listening.bind(f"\0{path}")
        self.listening.listen(10)
        self.crowd = Crowd(f"\0{path}", 1)

    def do(self, name: str, error: Exception) -> None:
        """Behave in a way that comes to this end."""

        async def behave(line: Line, chance: random.Random) -> None:
            raise error

        done: Behaviour = behave
        asyncio.run(self.crowd._do(name, done, random.Random(0)))

    def test_may_be_cut(self) -> None:
        """The server may end a connection of who behaves badly."""
        for name in sorted(MAY_BE_CUT):
            self.do(name, ConnectionResetError("reset"))
        self.assertEqual((self.crowd.cut, self.crowd.problems), (5, []))

    def test_must_not_be_cut(self) -> None:
        """That of who behaves well it may not: there is an answer that is missing."""
        names = sorted({name for name, _ in BEHAVIOURS} - MAY_BE_CUT)
        self.assertEqual(names, ["ask", "dribble", "half_close", "idle", "pipeline"])
        for name in names:
            self.do(name, BrokenPipeError("broken"))
        self.assertEqual(
            (self.crowd.cut, self.crowd.problems),
            (0, [f"{name} was cut: broken" for name in names]),
        )

    def test_wrong(self) -> None:
        """A wrong answer is a problem for everybody."""
        self.do("garbage", Wrong("it was answered"))
        self.assertEqual(self.crowd.problems, ["garbage: it was answered"])
