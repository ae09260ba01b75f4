"""
Tests for L{sockhost_example.limited}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.sockets.client import FrameClient
from sockhost.sockets.credentials import PeerCredentials
from sockhost.testing.contracts import handler_contract_tests
from sockhost.testing.host import running_host
from sockhost.testing.sockets import ConnectedPair, connected_pair
from sockhost.testing.units import MemoryUnitHost

from ..limited import Limited

# What every handler has to do is tested by what sockhost has for it.
LimitedHandlerTests = handler_contract_tests(
    lambda case: Limited(MemoryUnitHost(case.mktemp()), limit=2),
    [(b"x", b"1"), (b"x", b"2"), (b"x", b"slow down")],
)


class LimitedTests(SynchronousTestCase):
    """Tests for what L{Limited} answers, over a socket in memory."""

    def setUp(self) -> None:
        """Make a handler that allows two frames in ten seconds."""
        self.host = MemoryUnitHost(self.mktemp())
        self.handler = Limited(self.host, limit=2, per=10.0)
        self.client = connected_pair(self.handler)

    def ask(self, client: ConnectedPair | None = None) -> bytes:
        """Send a frame; the result is the answer."""
        return self.successResultOf((client or self.client).request(b"x"))

    def test_too_often(self) -> None:
        """A client that is too fast is told so, and is not counted."""
        self.assertEqual([self.ask() for _ in range(3)], [b"1", b"2", b"slow down"])
        self.assertEqual(self.handler.total, 2)

    def test_limit_is_per_client(self) -> None:
        """The count is one for all; one client's haste costs another nothing."""
        for _ in range(3):
            self.ask()
        self.assertEqual(self.ask(self.client.another()), b"3")

    def test_time_heals(self) -> None:
        """A client that was too fast may go on when its time is over."""
        for _ in range(3):
            self.ask()
        self.host.reactor.advance(10.0)
        self.assertEqual(self.ask(), b"3")

    def test_nobody(self) -> None:
        """A client that the kernel cannot name is refused."""
        nobody = PeerCredentials(None, None, None)
        pair = connected_pair(self.handler, peer=nobody)
        self.assertFalse(pair.peer is not None and pair.peer.connected)


class InAHostTests(TestCase):
    """L{Limited} in a real host, on a real socket."""

    timeout = 30

    async def test_answers(self) -> None:
        """The configuration's options reach the handler."""
        host = await running_host(
            self,
            f"""
            [unit.count]
            kind = "socket"
            path = "{{run_dir}}/count.sock"
            handler = "{Limited.__module__}:Limited"
            options = {{ limit = 1 }}
            """,
        )
        client: FrameClient = await host.connect("count.sock")
        self.assertEqual(await client.request(b"x"), b"1")
        self.assertEqual(await client.request(b"x"), b"slow down")
        client.close()
