"""
Tests for L{sockhost.sockets.reach}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import structure
from sockhost.interfaces import ConfigError, SockhostError
from sockhost.sockets.reach import Reach
from sockhost.sockets.settings import SocketConfig


class PlaceTests(SynchronousTestCase):
    """Where a socket may be."""

    def refused(self, **keys: Any) -> str:
        """Make one that cannot be, as a configuration does."""
        table = {"handler": "a:B", **keys}
        return str(self.assertRaises(ConfigError, structure, SocketConfig, table))

    def test_exactly_one(self) -> None:
        """A socket is at one place."""
        self.assertIn("exactly one of path, systemd, fd, endpoint", self.refused())
        self.assertIn("not path and fd", self.refused(path="x", fd=3))

    def test_where(self) -> None:
        """It is said where that is."""
        for keys, said in (
            ({"path": "run/kv.sock"}, "run/kv.sock"),
            ({"path": "@kv", "allow": ("root",)}, "@kv"),
            ({"systemd": "kv"}, "systemd:kv"),
            ({"fd": 3}, "fd:3"),
            ({"endpoint": "tcp:4000"}, "tcp:4000"),
        ):
            made: Any = Reach
            self.assertEqual(made(**keys).where, said)

    def test_abstract(self) -> None:
        """An abstract socket needs a name, and a rule, as it has no file."""
        self.assertIn("allow", self.refused(path="@kv"))
        self.assertIn("allow", self.refused(path="@kv", deny=["root"]))
        self.assertIn("a name", self.refused(path="@", allow=["*"]))
        Reach(path="@kv", allow=("*",))

    def test_endpoint(self) -> None:
        """Rules about local users make no sense for an endpoint."""
        self.assertIn("such as", self.refused(endpoint="4000"))
        for key, value in (
            ("allow", ["root"]),
            ("deny", ["root"]),
            ("owner", "root"),
            ("group", "adm"),
            ("pass_fds", True),
            ("pass_credentials", True),
            ("max_clients_per_uid", 3),
            ("workers", 2),
        ):
            text = self.refused(endpoint="tcp:4000", **{key: value})
            self.assertIn(f"no {key} beside an endpoint", text)

    def test_values(self) -> None:
        """Every key has its least value and its form."""
        for keys, words in (
            ({"path": ""}, "expected"),
            ({"path": "x" * 108}, "107"),
            ({"systemd": ""}, "expected"),
            ({"fd": -1}, "from 0"),
            ({"endpoint": ""}, "expected"),
            ({"path": "x", "allow": ["a b"]}, "user's name"),
            ({"path": "x", "deny": [""]}, "user's name"),
            ({"path": "x", "max_fds": 0}, "from 1"),
            ({"path": "x", "max_clients_per_uid": -1}, "0 or greater"),
        ):
            given: dict[str, Any] = dict(keys)
            self.assertIn(words, self.refused(**given))

    def test_access(self) -> None:
        """The rules are looked up when they are needed."""
        reach = Reach(path="x", allow=("no-such-user",))
        self.assertRaises(SockhostError, reach.access)
        self.assertIsNone(Reach(path="x").access().allow)

    def test_passing(self) -> None:
        """Either key makes the connections carry more than bytes."""
        self.assertFalse(Reach(path="x").passing)
        self.assertTrue(Reach(path="x", pass_fds=True).passing)
        self.assertTrue(Reach(path="x", pass_credentials=True).passing)
