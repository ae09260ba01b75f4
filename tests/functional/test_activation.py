"""
A real host that systemd, or what plays its part here, has handed sockets to.
"""

from __future__ import annotations

import os
import socket
import sys

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from sockhost.sockets.blocking import BlockingClient
from tests.functional.hosts import SOCKHOST, HostCase

HANDLER = """
import os

class Handler:
    def __init__(self, host):
        pass

    def received(self, client, frame):
        return frame + b" " + str(os.getpid()).encode()
"""

CONFIG = """
[host]
run_dir = "run"

[unit.inside]
kind = "socket"
systemd = "one"
handler = "plugged:Handler"

[unit.workers]
kind = "socket"
systemd = "two"
handler = "plugged:Handler"
workers = 1

[unit.child]
kind = "process"
argv = ["sh", "-c", "env; ls -l /proc/self/fd; echo done; exec sleep 600"]

[unit.missing]
kind = "socket"
systemd = "three"
handler = "plugged:Handler"
restart = "never"
"""

ACTIVATE = """
import os, sys
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="one:two")
os.execv(sys.argv[1], sys.argv[1:])
"""


class ActivationTests(HostCase):
    """Sockets that were there before the host."""

    def setUp(self) -> None:
        """Make two sockets, as systemd does."""
        super().setUp()
        self.write("sockhost.toml", CONFIG)
        self.write("plugged.py", HANDLER)
        self.made = []
        for name in ("one", "two"):
            listening = socket.socket(socket.AF_UNIX)
            self.addCleanup(listening.close)
            listening.bind(self.path(name))
            listening.listen()
            self.made.append(listening)

    def path(self, name: str) -> str:
        """Where a socket is."""
        return str(self.directory / name)

    def _ask(self, name: str) -> bytes:
        with BlockingClient(self.path(name), 20) as client:
            return client.request(b"hi")

    async def ask_socket(self, name: str) -> list[bytes]:
        """Ask the handler behind a socket."""
        answer: bytes = await deferToThread(self._ask, name)
        return answer.split()

    async def test_activated(self) -> None:
        """They are served by name, outlive the host, and are nobody else's."""
        host = self.spawn(
            [
                *(sys.executable, "-c", ACTIVATE, *SOCKHOST),
                *("run", "--config", "sockhost.toml"),
            ],
            fds={3: self.made[0].fileno(), 4: self.made[1].fileno()},
        )
        # A client may come before the host does.
        early = deferToThread(self._ask, "one")
        await self.early_and_late(early, host.pid)
        await self.check_child()
        missing = await self.until("missing", state="failed")
        self.assertIn("sockets here: one, two", missing["reason"])
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0)
        self.assertTrue(os.path.exists(self.path("one")))
        self.assertTrue(os.path.exists(self.path("two")))

    async def early_and_late(self, early: Deferred[bytes], host: int) -> None:
        """Ask both, also after a restart."""
        self.assertEqual((await early).split(), [b"hi", str(host).encode()])
        _, worker = await self.ask_socket("two")
        self.assertNotEqual(int(worker), host)
        await self.ask("POST", "/units/inside/restart")
        self.assertEqual(await self.ask_socket("one"), [b"hi", str(host).encode()])
        status = await self.unit("inside")
        self.assertEqual(status["details"]["path"], "systemd:one")

    async def check_child(self) -> None:
        """A child has neither the variables nor the sockets."""
        log = self.run_dir / "log" / "child.log"
        while not log.exists() or "done" not in log.read_text():
            await self.unit("child")
        text = log.read_text()
        self.assertNotIn("LISTEN_", text)
        self.assertNotIn("socket:", text)
