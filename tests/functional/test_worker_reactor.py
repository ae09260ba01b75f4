"""
The reactor of a host, which is what C{twistd} was told, and that of its workers,
which is of the same kind.
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
    workers = {workers}
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

    workers = 2

    async def kind(self, *options: str) -> bytes:
        """Run a host; ask who serves its socket for the kind of its reactor."""
        self.write("sockhost.toml", CONFIG.format(workers=self.workers))
        self.write("naming.py", HANDLER)
        sockhost = ("-n", "sockhost", "--config", "sockhost.toml")
        running: Running = self.spawn([*TWISTD, *options, *sockhost])
        await running.says("ready")
        answer: bytes = await deferToThread(self.which)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)
        return answer

    def which(self) -> bytes:
        """Make requests, of several clients, which all get the same answer."""
        answers = set()
        for _ in range(3):
            with BlockingClient(str(self.run_dir / "kinds.sock"), 20) as client:
                answers |= {client.request(b"which?") for _ in range(50)}
        (answer,) = answers
        return answer

    async def test_epoll(self) -> None:
        """It is Twisted's usual one as a rule."""
        self.assertEqual(await self.kind(), b"EPollReactor")

    async def test_hub(self) -> None:
        """It is the hub's where the host runs on that."""
        self.assertEqual(await self.kind("--reactor=sockhost"), b"HubReactor")


class HostReactorTests(ReactorTests):
    """The same for the reactor that the host itself serves on."""

    workers = 0
