"""
The reactor of workers is of the kind of the host's.
"""

from __future__ import annotations

from twisted.internet.threads import deferToThread

from sockhost.sockets.blocking import BlockingClient
from tests.functional.hosts import TWISTD, HostCase, Running

CONFIG = """
    [host]
    run_dir = "run"

    [unit.kinds]
    kind = "socket"
    path = "run/kinds.sock"
    handler = "naming:Handler"
    workers = 2
"""

HANDLER = """
    class Handler:
        def __init__(self, host):
            self.reactor = host.reactor

        def received(self, client, frame):
            return type(self.reactor).__name__.encode()
"""


class ReactorTests(HostCase):
    """Tests for the reactor that workers have."""

    async def kind(self, *options: str) -> bytes:
        """Run a host; ask a worker for the kind of its reactor."""
        self.write("sockhost.toml", CONFIG)
        self.write("naming.py", HANDLER)
        sockhost = ("-n", "sockhost", "--config", "sockhost.toml")
        running: Running = self.spawn([*TWISTD, *options, *sockhost])
        await running.says("ready")
        answer: bytes = await deferToThread(self.ask_worker)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)
        return answer

    def ask_worker(self) -> bytes:
        """Make a request."""
        with BlockingClient(str(self.run_dir / "kinds.sock"), 20) as client:
            return client.request(b"which?")

    async def test_epoll(self) -> None:
        """It is Twisted's usual one as a rule."""
        self.assertEqual(await self.kind(), b"EPollReactor")

    async def test_hub(self) -> None:
        """It is the hub's where the host runs on that."""
        self.assertEqual(await self.kind("--reactor=sockhost"), b"HubReactor")
