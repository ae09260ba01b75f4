# -*- test-case-name: tests.functional.test_host_descriptors -*-
"""
A host whose clients want all of its descriptors.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from contextlib import ExitStack

from twisted.internet.defer import Deferred

from tests.functional.hosts import SOCKHOST, HostCase, Running, pause

LIMIT, CLIENTS = 160, 300

CONFIG = """
    [unit.kv]
    kind = "socket"
    path = "run/kv.sock"
    handler = "handlers:Quiet"
    transport = "{transport}"

    [unit.sleep]
    kind = "process"
    argv = ["sleep", "1000"]
    restart = "always"
"""

HANDLER = """
    class Quiet:
        def __init__(self, host):
            pass

        def received(self, client, frame):
            client.send(frame)
"""


class UsedUpTests(HostCase):
    """Clients that hold all that they can get."""

    timeout = 30

    async def start(self, transport: str) -> Running:
        """Start a host that may have few descriptors."""
        self.write("sockhost.toml", CONFIG.replace("{transport}", transport))
        self.write("handlers.py", HANDLER)
        command = " ".join([*SOCKHOST, "run", "--config", "sockhost.toml"])
        host = self.spawn(["/bin/sh", "-c", f"ulimit -n {LIMIT}; exec {command}"])
        await host.says("ready; steer it with")
        return host

    async def hold(self, stack: ExitStack) -> None:
        """Connect, as often as the backlog takes, and stay."""
        for _ in range(CLIENTS):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            while client.connect_ex(str(self.run_dir / "kv.sock")) == errno.EAGAIN:
                await pause(0.01)

    async def works(self, transport: str) -> None:
        """While clients hold all, the host answers and keeps its units up."""
        host = await self.start(transport)
        before = (await self.unit("sleep"))["details"]["pid"]
        with ExitStack() as clients:
            await self.hold(clients)
            status, output = await self.cli("status")
            self.assertEqual(status, 0, output)
            os.kill(before, signal.SIGKILL)
            await self.until("sleep", state="up", restarts=1)
            told = (await self.unit("kv"))["details"]
            refused = told["refused_for"]["descriptors"]
            self.assertGreater(refused, CLIENTS - LIMIT)
            self.assertEqual(told["refused"], refused)
            self.assertEqual(host.output.count("refuses clients"), 1)
        with socket.socket(socket.AF_UNIX) as client:
            await self.served(client)
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0, host.output)

    async def served(self, client: socket.socket) -> None:
        """Wait until there is room for one client again."""
        while (await self.unit("kv"))["details"]["clients"]:
            await pause(0.05)
        client.connect(str(self.run_dir / "kv.sock"))
        while not (await self.unit("kv"))["details"]["clients"]:
            await pause(0.05)

    def test_hub(self) -> Deferred[None]:
        """So it is where clients are carried by the hub."""
        return Deferred.fromCoroutine(self.works("hub"))

    def test_protocol(self) -> Deferred[None]:
        """And where each has a protocol of its own."""
        return Deferred.fromCoroutine(self.works("protocol"))
