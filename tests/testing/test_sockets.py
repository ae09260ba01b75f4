"""
Tests for L{sockhost.testing.sockets}.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import Disconnected, Refused
from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.limits import Limits
from sockhost.testing.sockets import connected_pair
from tests.sockets.fakes import Later, Scripted


class ConnectedPairTests(SynchronousTestCase):
    """Tests for L{connected_pair}."""

    def setUp(self) -> None:
        """Make a handler that echoes."""
        self.handler = Scripted()

    def test_request(self) -> None:
        """What the handler answers at once has come when C{request} returns."""
        pair = connected_pair(self.handler)
        self.assertEqual(self.successResultOf(pair.request(b"hello")), b"hello")

    def test_answer_later(self) -> None:
        """A later answer comes with the next flush."""
        later = Later()
        self.handler.answer = later
        pair = connected_pair(self.handler)
        answer = pair.request(b"hello")
        later[0].callback(b"well")
        self.assertNoResult(answer)
        pair.flush()
        self.assertEqual(self.successResultOf(answer), b"well")

    def test_myself(self) -> None:
        """For the handler, the client is this process."""
        connected_pair(self.handler)
        (client,) = self.handler.clients
        self.assertEqual(
            (client.pid, client.uid, client.gid),
            (os.getpid(), os.geteuid(), os.getegid()),
        )

    def test_somebody(self) -> None:
        """It can be anybody else, and nobody."""
        for peer in (PeerCredentials(7, 8, 9), PeerCredentials()):
            pair = connected_pair(self.handler, peer=peer)
            pair.another()
            for client in self.handler.clients[-2:]:
                found = PeerCredentials(client.pid, client.uid, client.gid)
                self.assertEqual(found, peer)

    def test_another(self) -> None:
        """More clients may connect to the same server, each its own."""
        first = connected_pair(self.handler)
        second = first.another()
        self.assertIs(first.server, second.server)
        self.assertEqual([first.peer, second.peer], self.handler.clients)
        second.close()
        self.assertEqual(first.server.clients, [first.peer])

    def test_close(self) -> None:
        """A client that closes between frames leaves cleanly."""
        pair = connected_pair(self.handler)
        pair.close()
        ((_, reason),) = self.handler.gone
        self.assertTrue(reason.clean)

    def test_send_bytes(self) -> None:
        """Bytes can be sent that are no whole frame."""
        pair = connected_pair(self.handler)
        whole = Length32Codec().encode(b"hello")
        pair.send_bytes(whole[:-1])
        self.assertEqual(self.handler.frames, [])
        pair.close()
        ((_, reason),) = self.handler.gone
        self.assertFalse(reason.clean)

    def test_refused(self) -> None:
        """A client that the handler refuses sees the connection close."""

        def refuse(_: object) -> None:
            raise Refused("not you")

        self.handler.greet = refuse
        pair = connected_pair(self.handler)
        self.failureResultOf(pair.request(b"hello"), Disconnected)

    def test_too_many(self) -> None:
        """A client that the server does not take has no peer, and is closed."""
        first = connected_pair(self.handler, limits=Limits(max_clients=1))
        second = first.another()
        self.assertIsNone(second.peer)
        self.failureResultOf(second.request(b"hello"), Disconnected)

    def test_clock(self) -> None:
        """The server's time is the test's."""
        clock = Clock()
        clock.advance(1000)
        pair = connected_pair(self.handler, clock)
        self.assertIs(pair.clock, clock)
        self.assertEqual(self.handler.clients[0].connected_at, 1000)
