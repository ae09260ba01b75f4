"""
Tests for how much L{sockhost.sockets.hubconnection} reads at once.
"""

from __future__ import annotations

from unittest import mock

from sockhost.interfaces import IClient
from sockhost.sockets import hubconnection
from sockhost.sockets.hubclients import PACE, READ, SMALL
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Scripted
from tests.sockets.hub_fakes import HubConnected, HubServed, HubTestCase


class PaceTests(HubTestCase):
    """Tests for the pace of a handler."""

    def setUp(self) -> None:
        """Make a clock, and a handler that takes its time for each frame."""
        self.now, self.takes = 0.0, 0.0
        clock = mock.patch.object(hubconnection, "perf_counter", self.clock)
        clock.start()
        self.addCleanup(clock.stop)

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    def connect(self) -> HubConnected:
        """Connect a client."""
        self.served = HubServed(Scripted(answer=self.answer))
        return self.served.connect()

    def answer(self, _: IClient, frame: bytes) -> None:
        """Take a while for a frame."""
        self.now += self.takes

    def flood(self, connected: HubConnected, reads: int = 1) -> None:
        """Send more than one read brings."""
        most = self.served.clients.most
        frames = pack(b"x" * 12) * (reads * most // 16)
        connected.dataReceived(frames[: reads * most])

    def test_slow(self) -> None:
        """Of what is worked on slowly less is read at once, to a limit."""
        connected = self.connect()
        self.takes = PACE / 100
        self.assertEqual(self.served.clients.most, READ)
        self.flood(connected)
        self.assertEqual(self.served.clients.most, READ // 2)
        self.takes = PACE
        for _ in range(10):
            self.flood(connected)
        self.assertEqual(self.served.clients.most, SMALL)

    def test_fast_again(self) -> None:
        """When it is worked on fast more is read again."""
        connected = self.connect()
        self.takes = PACE
        self.flood(connected)
        self.takes = 0.0
        self.flood(connected)
        self.assertEqual(self.served.clients.most, READ)
        self.flood(connected)
        self.assertEqual(self.served.clients.most, READ)

    def test_steady(self) -> None:
        """As long as it is neither, as much is read as before."""
        connected = self.connect()
        self.takes = PACE
        self.flood(connected)
        self.takes = PACE / 2 / (self.served.clients.most // 16)
        self.flood(connected)
        self.assertEqual(self.served.clients.most, READ // 2)

    def test_greedy(self) -> None:
        """Whoever has sent all that one read brings is taken for greedy."""
        connected = self.connect()
        fd = connected.connection.fd
        connected.send(b"a", b"b")
        self.assertEqual(self.served.hub.greedy, {})
        self.flood(connected)
        self.assertEqual(self.served.hub.greedy, {fd: None})
        connected.lose()
        self.assertEqual(self.served.hub.greedy, {})

    def test_greedy_with_session(self) -> None:
        """So is one with a session."""
        connected = self.connect()
        fd = connected.connection.fd
        connected.connection.wake()
        self.takes = PACE
        self.flood(connected)
        self.assertEqual(self.served.hub.greedy, {fd: None})
        self.assertEqual(self.served.clients.most, READ // 2)
        self.assertEqual(self.served.handler.frames.count(b"x" * 12), READ // 16)
