"""
Tests for what clients in a hub may hold without their server's being told.
"""

from __future__ import annotations

from sockhost.sockets import hubclients
from sockhost.sockets.hubclients import FEW, PART
from sockhost.sockets.limits import REQUEST, Limits
from sockhost.sockets.wire import HEADER
from tests.sockets.fakes import Later, Scripted
from tests.sockets.hub_fakes import HubConnected, HubServed, HubTestCase

UNTOLD = hubclients.UNTOLD
MUCH = 2 * FEW * REQUEST
"""Who may hold that much untold may hold all that anybody may."""


class UntoldTests(HubTestCase):
    """Many clients, each with little."""

    def setUp(self) -> None:
        """Tell as little as there is told."""
        self.patch(hubclients, "UNTOLD", UNTOLD)

    def serve(self, limit: int, handler: Scripted | None = None) -> HubServed:
        """Make a server."""
        limits = Limits(max_buffered=limit, max_frame=limit)
        self.served = HubServed(handler or Scripted(), limits)
        return self.served

    def begin_frame(self, size: int) -> HubConnected:
        """Connect a client that sends the beginning of a frame."""
        connected = self.served.connect()
        connected.dataReceived(HEADER.pack(20_000) + bytes(size - 4))
        return connected

    @property
    def told(self) -> object:
        """What the server knows of."""
        return self.served.server.status()["buffered"]

    def test_few(self) -> None:
        """As long as they are few, nobody is told of a little."""
        self.serve(16 * PART * MUCH)
        for _ in range(15):
            self.begin_frame(UNTOLD - 1)
        self.assertEqual(self.told, 0)
        self.begin_frame(UNTOLD)
        self.assertEqual(self.told, UNTOLD)

    def test_many(self) -> None:
        """All that many clients hold stays within reach of the limit."""
        limit = 200_000
        self.serve(limit)
        everybody = [self.begin_frame(UNTOLD - 1) for _ in range(200)]
        self.served.hub.settle()
        left = [each for each in everybody if each.connection.fd >= 0]
        self.assertLess(len(left), 100)
        self.assertLess(len(left) * (UNTOLD - 1), 1.5 * limit)

    def test_requests(self) -> None:
        """So it is for requests that are never answered, as empty as they may be."""
        limit = 200_000
        self.serve(limit, Scripted(answer=Later()))
        everybody = [self.served.connect() for _ in range(200)]
        for each in everybody:
            each.send(*[b""] * (FEW - 1))
        self.served.hub.settle()
        counters = self.served.server.counters
        self.assertLess(counters.in_flight * REQUEST, 1.5 * limit)

    def test_no_limit(self) -> None:
        """Without a limit nothing becomes less."""
        clients = self.serve(0).clients
        self.assertEqual((clients.few, clients.untold), (FEW, UNTOLD))
        for _ in range(3):
            self.served.connect()
        self.assertEqual((clients.few, clients.untold), (FEW, UNTOLD))

    def test_reload(self) -> None:
        """Another limit is in force at once, for those who are there."""
        clients = self.serve(2 * PART * MUCH).clients
        for _ in range(3):
            self.served.connect()
        self.assertEqual(clients.few, FEW // 2)
        self.served.server.limits = Limits(max_buffered=4 * PART * MUCH)
        self.assertEqual((clients.few, clients.untold), (FEW, UNTOLD))
