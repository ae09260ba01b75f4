# -*- test-case-name: tests.functional.test_examples -*-
"""
What the documentation has people type, with the examples that it is about.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import time
from collections.abc import Iterator

from twisted.internet.threads import deferToThread

from sockhost.sockets.client import connect
from tests.functional.hosts import (
    REPOSITORY,
    TWISTD,
    HostCase,
    Running,
    pause,
    reactor,
)

SESSION = REPOSITORY / "docs" / "listings" / "session.sh"
EXAMPLES = REPOSITORY / "examples"
HELLO = """
[unit.hello]
kind = "socket"
path = "{run_dir}/hello.sock"
handler = "hello:Hello"
uses = ["store"]
"""


def session() -> Iterator[tuple[list[str], str]]:
    """Give the arguments of each command of the session, and what it answers."""
    for line in SESSION.read_text().splitlines():
        command, _, answer = line.partition("#")
        yield shlex.split(command)[1:], answer.strip()


def listen_to(path: str) -> bytes:
    """Get all that somebody says at a Unix socket before hanging up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        return b"".join(iter(lambda: client.recv(1000), b""))


class QuickstartTests(HostCase):
    """The main job, as the README tells it."""

    timeout = 100

    def setUp(self) -> None:
        super().setUp()
        (self.directory / "examples").symlink_to(EXAMPLES)

    async def start(self) -> Running:
        """Start the host by the command of the README."""
        config = "examples/quickstart/sockhost.toml"
        running = self.spawn([*TWISTD, "-n", "sockhost", "--config", config])
        await running.says("ready; steer it")
        return running

    async def test_session(self) -> None:
        """Each command of the session does what stands beside it."""
        running = await self.start()
        for arguments, answer in session():
            status, output = await self.cli(*arguments)
            self.assertEqual(status, 0, (arguments, output))
            if answer.isalnum():
                self.assertEqual(output.strip(), answer)
        self.assertEqual(await running.ends(), 0)
        self.assertFalse((self.run_dir / "sockhost.pid").exists())

    async def test_terminal(self) -> None:
        """The terminal tells what is up, where to connect, and how to go on."""
        running = await self.start()
        told = [line.split("] ", 1)[-1] for line in running.output.splitlines()]
        for line in (
            "valkey is up",
            f"store is up at unix://{self.run_dir}/valkey.sock",
            f"kv is up at {self.run_dir}/kv.sock",
            "beat is up",
            "ready; steer it with: sockhost --run-dir run status",
        ):
            self.assertIn(line, told)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)

    async def test_metrics(self) -> None:
        """The numbers of the host are those of its units and of their workers."""
        running = await self.start()
        await self.cli("send", "run/kv.sock", "set a 1")
        status, text = await self.cli("metrics")
        self.assertEqual(status, 0)
        for line in (
            "sockhost_ready 1.0",
            'sockhost_unit_state{kind="redis",state="up",unit="store"} 1.0',
            'sockhost_redis_connected{unit="store"} 1.0',
            'sockhost_redis_reconnects_total{unit="store"} 0.0',
        ):
            self.assertIn(f"\n{line}\n", text)
        self.assertIn('sockhost_socket_frames_in_total{part="2",unit="kv"}', text)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)

    async def test_killed_child(self) -> None:
        """A server that is killed is back, and so is what was written to it."""
        running = await self.start()
        self.assertEqual(await self.cli("send", "run/kv.sock", "set a 1"), (0, "ok\n"))
        server = (await self.unit("valkey"))["details"]["pid"]
        os.kill(server, signal.SIGKILL)
        await self.until("valkey", state="up", restarts=1)
        await self.until("store", state="up")
        # Each worker has a connection of its own, which comes back in its time.
        while await self.cli("send", "run/kv.sock", "get a") != (0, "1\n"):
            await pause(0.05)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)

    async def test_gap(self) -> None:
        """Clients that are connected while the server is killed stay so."""
        running = await self.start()
        path = str(self.run_dir / "kv.sock")
        clients = [await connect(reactor, path) for _ in range(4)]
        for client in clients:
            self.addCleanup(client.close)
        server = (await self.unit("valkey"))["details"]["pid"]
        os.kill(server, signal.SIGKILL)
        waiting, answers = list(clients), []
        while waiting:
            for client in list(waiting):
                answers.append(await client.request(b"set a 1"))
                if answers[-1] == b"ok":
                    waiting.remove(client)
            await pause(0.02)
        await self.until("valkey", state="up", restarts=1)
        errors = {answer for answer in answers if answer != b"ok"}
        self.assertTrue(all(error.startswith(b"error: ") for error in errors), errors)
        self.assertTrue(all(client.is_connected for client in clients))
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)


class HandlerOfReadmeTests(HostCase):
    """The handler that the README shows, beside the units that it needs."""

    timeout = 100

    async def test_answers(self) -> None:
        """Each frame is counted in the store and answered."""
        config = (EXAMPLES / "quickstart" / "sockhost.toml").read_text()
        units, _, _ = config.partition("# The service:")
        self.write("sockhost.toml", units + HELLO)
        listing = REPOSITORY / "docs" / "listings" / "hello.py"
        self.write("hello.py", listing.read_text())
        running = self.sockhost_run()
        await running.says("ready; steer it")
        for times in (1, 2):
            status, output = await self.cli("send", "run/hello.sock", "you")
            expected = (0, f"hello you, for the {times}th time\n")
            self.assertEqual((status, output), expected)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)


class ExamplePackageTests(HostCase):
    """The package that plugin authors start from."""

    timeout = 100

    async def test_all_of_it(self) -> None:
        """Its handler, its kind of unit and its tap run in one host."""
        text = (EXAMPLES / "plugin" / "sockhost.toml").read_text()
        self.write("sockhost.toml", text)
        path = os.pathsep.join([str(EXAMPLES / "plugin"), str(REPOSITORY)])
        running = self.twistd(env={"PYTHONPATH": path})
        await running.says("ready; steer it")
        units = {u["name"]: u["state"] for u in await self.ask("GET", "/units")}
        self.assertEqual(units, {"count": "up", "pulse": "up", "clock": "up"})
        status, output = await self.cli("send", "run/count.sock", "x")
        self.assertEqual(status, 0, output)
        said = await deferToThread(listen_to, str(self.run_dir / "clock.sock"))
        self.assertLess(abs(time.time() - int(said)), 30)
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)
