"""
Tests for L{sockhost.sockets.settings}.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import structure
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
        self.assertEqual(len(evolve(GOOD, path="x" * 107).path), 107)

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
        }.items():
            self.assertIn("expected a number", self.refused(**{key: wrong}), key)


class SameButLiveTests(SynchronousTestCase):
    """Tests for L{same_but_live}."""

    def test_same(self) -> None:
        """Limits can change while the socket is open."""
        self.assertTrue(same_but_live(GOOD, GOOD))
        self.assertTrue(same_but_live(GOOD, evolve(GOOD, max_clients=3, drain=1)))

    def test_different(self) -> None:
        """The handler, its options and the path cannot."""
        for change in ({"handler": "a:B"}, {"options": {"a": 1}}, {"path": "y"}):
            self.assertFalse(same_but_live(GOOD, evolve(GOOD, **change)), change)
