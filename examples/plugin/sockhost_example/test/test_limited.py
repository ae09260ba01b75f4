"""
Tests for L{sockhost_example.limited}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import Refused
from sockhost.testing.units import MemoryUnitHost
from sockhost_example.limited import Limited


class LimitedTests(SynchronousTestCase):
    """Tests for L{Limited}."""

    def setUp(self) -> None:
        """Make a handler that allows two frames in ten seconds."""
        self.host = MemoryUnitHost(self.mktemp())
        self.handler = Limited(self.host, limit=2, per=10.0)

    def client(self, uid: int | None = 1000) -> Any:
        """A client that has connected."""
        client: Any = SimpleNamespace(uid=uid, data=None)
        self.handler.connected(client)
        return client

    def test_counts_for_everybody(self) -> None:
        """The count is one for all clients."""
        self.assertEqual(self.handler.received(self.client(), b"x"), b"1")
        self.assertEqual(self.handler.received(self.client(), b"x"), b"2")

    def test_too_often(self) -> None:
        """A client that is too fast is told so, and is not counted."""
        client = self.client()
        answers = [self.handler.received(client, b"x") for _ in range(3)]
        self.assertEqual(answers, [b"1", b"2", b"slow down"])
        self.assertEqual(self.handler.total, 2)

    def test_limit_is_per_client(self) -> None:
        """One client's haste costs another nothing."""
        hasty, other = self.client(), self.client()
        for _ in range(3):
            self.handler.received(hasty, b"x")
        self.assertEqual(self.handler.received(other, b"x"), b"3")

    def test_time_heals(self) -> None:
        """A client that was too fast may go on when its time is over."""
        client = self.client()
        for _ in range(3):
            self.handler.received(client, b"x")
        self.host.reactor.advance(10.0)
        self.assertEqual(self.handler.received(client, b"x"), b"3")

    def test_nobody(self) -> None:
        """A client that the kernel cannot name is refused."""
        with self.assertRaises(Refused):
            self.client(uid=None)
