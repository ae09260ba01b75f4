# -*- test-case-name: tests.functional.test_host_descriptors -*-
"""
A host whose clients want all of its descriptors.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
from contextlib import ExitStack

from twisted.internet.defer import Deferred

from sockhost.sockets.wire import pack
from tests.functional.hosts import SOCKHOST, HostCase, Running, pause

LIMIT, KEPT, MOST = 160, 20, 300

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

    timeout = 100

    def setUp(self) -> None:
        """Leave this process what it needs of its own descriptors."""
        super().setUp()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = min(MOST, soft - len(os.listdir("/proc/self/fd")) - 30)

    async def start(self, transport: str) -> Running:
        """Start a host that may have few descriptors."""
        self.write("sockhost.toml", CONFIG.replace("{transport}", transport))
        self.write("handlers.py", HANDLER)
        command = " ".join([*SOCKHOST, "run", "--config", "sockhost.toml"])
        host = self.spawn(["/bin/sh", "-c", f"ulimit -n {LIMIT}; exec {command}"])
        await host.says("ready; steer it with")
        return host

    def hold(self, stack: ExitStack, held: list[socket.socket]) -> None:
        """Connect, as often as that is possible, and stay."""
        while len(held) < self.most:
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            if client.connect_ex(str(self.run_dir / "kv.sock")):
                return
            held.append(client)

    async def works(self, transport: str) -> None:
        """
        While clients hold all, the host answers and keeps its units up; others
        wait, and get in when some have gone.
        """
        host = await self.start(transport)
        before = (await self.unit("sleep"))["details"]["pid"]
        with ExitStack() as clients:
            await self.until("kv", state="up")
            held: list[socket.socket] = []
            while "accepts no clients for now" not in host.output:
                self.hold(clients, held)
                await pause(0.05)
            self.hold(clients, held)
            status, output = await self.cli("status")
            self.assertEqual(status, 0, output)
            os.kill(before, signal.SIGKILL)
            await self.until("sleep", state="up", restarts=1)
            told = (await self.unit("kv"))["details"]
            self.assertGreater(told["clients"], LIMIT // 2)
            self.assertLess(told["clients"], LIMIT - KEPT)
            self.assertEqual(told["refused"], 0, told)
            await self.wait(held, told["clients"])
        with socket.socket(socket.AF_UNIX) as client:
            await self.served(client)
        self.assertEqual(host.output.count("accepts no clients for now"), 1)
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0, host.output)

    async def wait(self, held: list[socket.socket], served: int) -> None:
        """Those who were not served yet are when others go."""
        # A few more may have got in since, for what the host has closed.
        waiting = held[served + KEPT]
        waiting.send(pack(b"x"))
        await pause(1.0)
        self.assertRaises(BlockingIOError, waiting.recv, 100)
        for client in held[: served // 2]:
            client.close()
        while True:
            try:
                self.assertEqual(waiting.recv(100), pack(b"x"))
                return
            except BlockingIOError:
                await pause(0.05)

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
