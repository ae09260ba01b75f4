"""
What comes beside the bytes of a socket unit, and what can be seen of its
clients: real sockets, real descriptors.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from sockhost.interfaces import Disconnected
from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.client import connect
from sockhost.sockets.reconnecting import ReconnectingClient
from tests.functional.reaching import Handler, ReachCase, reactor
from tests.functional.test_sockets import until
from tests.functional.traces import without_collector


class PassingTests(ReachCase):
    """Descriptors and credentials, from end to end."""

    def setUp(self) -> None:
        """Count what is open."""
        super().setUp()
        without_collector(self)

    async def open_files(self) -> list[str]:
        """What this process has open while the reactor runs."""
        await deferLater(reactor, 0)
        found = []
        for name in os.listdir("/proc/self/fd"):
            # The one that lists the directory is gone by now.
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/self/fd/{name}"))
        return sorted(found)

    async def test_both_ways(self) -> None:
        """A descriptor goes to the handler and comes back."""
        await self.serve(pass_fds=True)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)

        def exchange() -> int:
            with BlockingClient(self.path, 10) as client:
                client.send(b"take this", [writer])
                os.close(writer)
                assert client.receive() == b"take this"
                (copy,) = client.take_fds()
                return copy

        copy = await deferToThread(exchange)
        self.assertFalse(os.get_inheritable(copy))
        os.write(copy, b"through")
        os.close(copy)
        self.assertEqual(os.read(reader, 99), b"through")

    async def test_twisted_client(self) -> None:
        """A client on Twisted can do so too."""
        await self.serve(pass_fds=True)
        client = await connect(reactor, self.path)
        heard: list[bytes] = []
        client.on_frame = heard.append
        reader, writer = os.pipe()
        client.send(b"take this", [writer])
        await until(lambda: bool(heard))
        (copy,) = client.take_fds()
        for descriptor in (reader, writer, copy):
            os.close(descriptor)
        await client.close()

    async def test_untaken(self) -> None:
        """What the handler does not take is closed with the client."""
        await self.serve(pass_fds=True)
        before = await self.open_files()

        def leave() -> None:
            with open("/dev/null") as null, BlockingClient(self.path, 10) as client:
                client.send(b"keep", [null.fileno()] * 3)
                client.receive()

        await deferToThread(leave)
        await until(lambda: len(Handler.made.gone) == 1)
        self.assertEqual(await self.open_files(), before)

    async def test_flood(self) -> None:
        """One who passes more than the handler takes is dropped."""
        await self.serve(pass_fds=True, max_fds=4)
        before = await self.open_files()

        def flood() -> None:
            with open("/dev/null") as null, BlockingClient(self.path, 10) as client:
                for _ in range(10):
                    client.send(b"keep", [null.fileno()])
                    client.receive()

        with self.assertRaises(Disconnected):
            await deferToThread(flood)
        await until(lambda: len(Handler.made.gone) == 1)
        self.assertIn("max_fds", Handler.made.gone[0])
        self.assertEqual(await self.open_files(), before)

    async def test_not_wanted(self) -> None:
        """Where none are passed, those that come are closed."""
        await self.serve()
        before = await self.open_files()

        def send() -> bytes:
            with open("/dev/null") as null, BlockingClient(self.path, 10) as client:
                client.send(b"x", [null.fileno()] * 20)
                return client.receive()

        self.assertEqual(await deferToThread(send), b"x")
        await until(lambda: len(Handler.made.gone) == 1)
        self.assertEqual(await self.open_files(), before)

    async def test_credentials(self) -> None:
        """The kernel tells who writes, which need not be who connected."""
        await self.serve(pass_credentials=True)
        await self.ask()
        (sender,) = Handler.made.senders
        self.assertEqual(
            (sender.pid, sender.uid, sender.gid),
            (os.getpid(), os.getuid(), os.getgid()),
        )
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        pid = os.fork()
        if pid == 0:
            client.send(b"\5\0\0\0x")
            os._exit(0)
        client.close()
        await deferToThread(os.waitpid, pid, 0)
        await until(lambda: len(Handler.made.senders) == 2)
        self.assertEqual(Handler.made.senders[1].pid, pid)
        self.assertEqual(Handler.made.clients[1].pid, os.getpid())


class SeenTests(ReachCase):
    """What can be seen of the clients."""

    async def test_clients(self) -> None:
        """They can be listed and be kicked."""
        unit = await self.serve()
        client = await connect(reactor, self.path)
        await client.request(b"abc")
        (told,) = await unit.clients()
        self.assertEqual(told["pid"], os.getpid())
        self.assertEqual((told["frames_in"], told["bytes_out"]), (1, 7))
        self.assertFalse(await unit.kick("no such client"))
        self.assertTrue(await unit.kick(str(told["id"])))
        await client.when_lost()
        await until(lambda: bool(Handler.made.gone))
        self.assertEqual(Handler.made.gone, ["kicked by the administrator"])
        self.assertEqual(await unit.clients(), [])

    async def test_latency(self) -> None:
        """The time of every answer is counted, if that is wanted."""
        unit = await self.serve(latency=True)
        for _ in range(5):
            await self.ask()
        latency: Any = unit.status()["latency"]
        self.assertEqual(latency["count"], 5)
        self.assertEqual(sum(latency["below_us"].values()), 5)
        self.assertIn("accepted", unit.status())

    async def test_trace(self) -> None:
        """Every frame is in the trace, in both directions."""
        trace = self.mktemp()
        unit = await self.serve(trace=trace)
        await self.ask(b"hello")
        await unit.stop()
        with open(trace) as file:
            lines = file.read().splitlines()
        hello = "000000 68 65 6c 6c 6f"
        self.assertEqual(lines.count(hello), 2)
        ways = [line[0] for line in lines if line[:2] in ("I ", "O ")]
        self.assertEqual(ways, ["I", "O"])

    async def test_reconnecting(self) -> None:
        """A client that stays finds the socket again after a restart."""
        unit = await self.serve()
        staying = ReconnectingClient.make(reactor, self.path)
        await staying.start()
        self.assertEqual(await staying.client.request(b"1"), b"1")
        await unit.stop()
        await until(lambda: not staying.client.connected)
        asked = staying.client.request(b"2")
        await self.serve()
        self.assertEqual(await asked, b"2")
        await staying.stop()
