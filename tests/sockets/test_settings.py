"""
Tests for L{sockhost.sockets.settings}.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import structure
from sockhost.interfaces import ConfigError
from sockhost.sockets.limits import Limits
from sockhost.sockets.settings import SocketConfig, same_but_live

GOOD = SocketConfig(path="run/kv.sock", handler="quickstart:KeyValue")


class SocketConfigTests(SynchronousTestCase):
    """Tests for L{SocketConfig}."""

    def refused(self, **wrong: Any) -> str:
        """Make one that cannot be."""
        return str(self.assertRaises(ValueError, evolve, GOOD, **wrong))

    def test_defaults(self) -> None:
        """Path and handler are enough; only the owner may connect."""
        self.assertEqual(GOOD.mode_bits, 0o600)
        self.assertEqual(GOOD.workers, 0)
        self.assertEqual(GOOD.limits, Limits())

    def test_from_table(self) -> None:
        """It can be made of a table of a file."""
        table = {"path": "x", "handler": "m:C", "mode": "0660", "drain": 2}
        config = structure(SocketConfig, table)
        self.assertEqual((config.mode_bits, config.drain), (0o660, 2.0))

    def test_limits(self) -> None:
        """The limits are those of the keys."""
        config = evolve(
            GOOD, max_frame=100, high_water=200, max_in_flight=3, max_clients=4
        )
        self.assertEqual(
            config.limits,
            Limits(max_frame=100, high_water=200, max_in_flight=3, max_clients=4),
        )

    def test_path(self) -> None:
        """A path that no socket can have is refused."""
        self.assertIn("107 bytes", self.refused(path="x" * 108))
        self.assertIn("expected", self.refused(path=""))
        self.assertEqual(evolve(GOOD, path="x" * 107).path, "x" * 107)

    def test_handler(self) -> None:
        """A handler is a module and a class."""
        self.assertIn("expected", self.refused(handler="quickstart"))

    def test_mode(self) -> None:
        """Permissions are three octal digits, with or without a zero in front."""
        self.assertEqual(evolve(GOOD, mode="660").mode_bits, 0o660)
        for wrong in ("", "0o600", "rw", "0888", "4755", "00600", "600 "):
            self.assertIn('such as "0600"', self.refused(mode=wrong))

    def test_numbers(self) -> None:
        """Numbers have their least value."""
        for key, wrong in {
            "workers": -1,
            "backlog": 0,
            "max_frame": 3,
            "high_water": 0,
            "max_in_flight": 0,
            "max_clients": -1,
            "drain": -0.1,
            "max_in_flight_bytes": 0,
            "max_buffered": -1,
            "frame_timeout": -1.0,
            "idle_timeout": float("nan"),
            "stall_timeout": float("inf"),
        }.items():
            self.assertIn("expected a number", self.refused(**{key: wrong}), key)

    def test_most_workers(self) -> None:
        """So many processes that they are a mistake are refused before any is made."""
        self.assertEqual(evolve(GOOD, workers=1024).workers, 1024)
        for wrong in (1025, 10**400):
            self.assertIn(
                "expected a number from 0 to 1024", self.refused(workers=wrong)
            )

    def test_greatest_frame(self) -> None:
        """A frame may be as long as a header can say, if there is room for it."""
        most = 2**32 - 1
        config = evolve(GOOD, max_frame=most, max_buffered=most)
        self.assertEqual(config.limits.max_frame, most)
        self.assertEqual(evolve(GOOD, max_frame=most, max_buffered=0).max_buffered, 0)
        self.assertIn("expected", self.refused(max_frame=most + 1, max_buffered=0))
        self.assertIn(f"{most} bytes of max_frame", self.refused(max_frame=most))

    def test_framing(self) -> None:
        """The framing is one that there is, and makes codecs."""
        for name in ("length32", "length32be-exclusive", "netstring", "line"):
            made = evolve(GOOD, framing=name).codec(50)
            self.assertEqual(list(made.feed(made.encode(b"x"))), [b"x"])
        self.assertIn("expected one of length32,", self.refused(framing="length23"))

    def test_half_close(self) -> None:
        """What becomes of half-closed clients is one of two things."""
        table = {"path": "x", "handler": "m:C", "half_close": "finish"}
        config = structure(SocketConfig, table)
        self.assertEqual(config.limits.half_close, "finish")
        self.assertRaises(
            ConfigError, structure, SocketConfig, {**table, "half_close": "linger"}
        )

    def test_timeouts(self) -> None:
        """The time-outs are limits, which can change while the socket is open."""
        config = evolve(GOOD, frame_timeout=1.5, idle_timeout=2, stall_timeout=3)
        limits = Limits(frame_timeout=1.5, idle_timeout=2, stall_timeout=3)
        self.assertEqual(config.limits, limits)
        self.assertTrue(same_but_live(GOOD, config))


class SameButLiveTests(SynchronousTestCase):
    """Tests for L{same_but_live}."""

    def test_same(self) -> None:
        """Limits can change while the socket is open."""
        self.assertTrue(same_but_live(GOOD, GOOD))
        self.assertTrue(same_but_live(GOOD, evolve(GOOD, max_clients=3, drain=1)))

    def test_different(self) -> None:
        """The handler, its options and the path cannot."""
        for change in (
            {"handler": "a:B"},
            {"options": {"a": 1}},
            {"path": "y"},
            {"framing": "line"},
        ):
            self.assertFalse(same_but_live(GOOD, evolve(GOOD, **change)), change)
