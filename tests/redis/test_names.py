"""
Tests for L{sockhost.redis.names}.
"""

from __future__ import annotations

from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis import names
from sockhost.redis.names import (
    ORDINARY,
    Place,
    command_name,
    longest,
    place_of,
    refusal,
)


class PlaceTests(SynchronousTestCase):
    """Where commands may be sent."""

    def test_shared(self) -> None:
        """Most go to the shared connection, however they are written."""
        for name in ("GET", b"get", "GeT", "CONFIG", "PUBLISH"):
            self.assertIs(place_of([name, "a"]), Place.SHARED)
            self.assertIs(place_of([name, "a"]), Place.SHARED)

    def test_odd_names(self) -> None:
        """What is no name of a command is for the server to refuse."""
        for name in (bytearray(b"x"), b"\xff", 1, 1.5, ""):
            self.assertIs(place_of([name]), Place.SHARED)  # type: ignore[list-item]

    def test_odd_ways_to_write(self) -> None:
        """Those that are special are known in any type that can be sent."""
        for name in ("blpop", b"BLPOP", bytearray(b"BlPop"), memoryview(b"BLPOP")):
            place = place_of([name, "a", 0])  # type: ignore[list-item]
            self.assertIs(place, Place.ALONE)

    def test_longest(self) -> None:
        """How long a command may block stands where its kind has it."""
        limits: list[tuple[list[Any], float]] = [
            (["BLPOP", "a", "b", 1.5], 1.5),
            ([b"brpop", "a", b"2"], 2.0),
            (["BLMPOP", 3, 1, "a", "LEFT"], 3.0),
            (["XREAD", "COUNT", 1, "BLOCK", 4000, "STREAMS", "a", "$"], 4.0),
            (["BLMOVE", "a", "b", "LEFT", "LEFT", 0], inf),
            (["xreadgroup", "GROUP", "g", "c", "block", b"0", "STREAMS", "a"], inf),
            (["BLPOP", "a", "soon"], inf),
            (["XREAD", "BLOCK"], inf),
        ]
        for args, seconds in limits:
            self.assertEqual(longest(args), seconds, args)

    def test_part(self) -> None:
        """Where it is the second word that counts, that is looked at."""
        self.assertIs(place_of(["CLIENT", "reply", "OFF"]), Place.NOWHERE)
        self.assertIs(place_of(["client", "ID"]), Place.SHARED)
        self.assertIs(place_of(["CLIENT"]), Place.SHARED)
        self.assertEqual(command_name(["client", b"Tracking"]), "CLIENT TRACKING")

    def test_forgotten(self) -> None:
        """What is lost with a connection is refused, with what to do instead."""
        for part, remedy in (
            ("setname", "client_name"),
            ("NO-EVICT", "client.attached"),
            (b"no-touch", "client.attached"),
        ):
            words = ["CLIENT", part, "x"]
            self.assertIs(place_of(words), Place.NOWHERE)
            self.assertIn(remedy, refusal(words))
        self.assertNotIn(":", refusal(["SELECT", 1]))

    def test_behind(self) -> None:
        """What is about the writes in front of it belongs behind them."""
        for name in ("wait", b"WAITAOF"):
            self.assertIs(place_of([name, 1, 0]), Place.BEHIND)
            self.assertIn("pipeline()", refusal([name, 1, 0]))

    def test_memory(self) -> None:
        """Names are remembered, but not without end and not without measure."""
        place_of(["Q" * 1000])
        self.assertNotIn("Q" * 1000, ORDINARY)
        self.patch(names, "_REMEMBERED", len(ORDINARY))
        place_of(["NAMELESS"])
        self.assertNotIn("NAMELESS", ORDINARY)
