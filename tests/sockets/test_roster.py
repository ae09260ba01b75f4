"""
Tests for L{sockhost.sockets.roster}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.roster import KICKED, describe_all, kick
from tests.sockets.fakes import Later, Served


class RosterTests(SynchronousTestCase):
    """Describing clients and dropping them."""

    def setUp(self) -> None:
        """Let three clients connect."""
        self.served = Served()
        self.connections = [self.served.connect() for _ in range(3)]
        self.clients: list[Any] = self.served.handler.clients

    def described(self) -> list[Any]:
        """Describe them."""
        return list(describe_all(self.served.server.clients))

    def test_order(self) -> None:
        """Those who came first stand first."""
        self.assertEqual(
            [each["id"] for each in self.described()],
            [str(client.id) for client in self.clients],
        )

    def test_facts(self) -> None:
        """What it has sent and has not taken yet is counted."""
        later = Later()
        self.connections[0].send(b"abc")
        self.served.handler.answer = later
        self.connections[0].send(b"defgh")
        facts = self.described()[0]
        self.assertEqual((facts["frames_in"], facts["bytes_in"]), (2, 16))
        self.assertEqual((facts["frames_out"], facts["bytes_out"]), (1, 7))
        self.assertEqual((facts["in_flight"], facts["queued"]), (1, 7))
        json.dumps(facts)

    def test_kick(self) -> None:
        """A client is dropped, and its handler is told why; the others stay."""
        self.assertTrue(kick(self.served.server.clients, str(self.clients[1].id)))
        self.connections[1].lose()
        ((client, reason),) = self.served.handler.gone
        self.assertIs(client, self.clients[1])
        self.assertEqual(str(reason), KICKED)
        self.assertEqual(len(self.described()), 2)

    def test_kick_unknown(self) -> None:
        """There may be no such client, whatever it is called."""
        for name in ("0", "x", "", "1.1"):
            self.assertFalse(kick(self.served.server.clients, name))
        self.assertEqual(len(self.described()), 3)
