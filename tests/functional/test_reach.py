"""
Socket units wherever they can be, and whoever may reach them: real sockets,
real descriptors, real TLS.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from grp import getgrgid
from pwd import getpwuid
from types import SimpleNamespace
from typing import Any, cast

from attrs import evolve
from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import (
    SSL4ClientEndpoint,
    TCP4ClientEndpoint,
    connectProtocol,
)
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from sockhost.interfaces import Disconnected, IClient, SockhostError
from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.client import FrameClient, connect
from sockhost.sockets.reconnecting import ReconnectingClient
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.unit import SocketUnit
from tests.functional.test_sockets import ROOT, short_directory, until

reactor = cast(Any, installed_reactor)


class Handler:
    """
    Sends back what it gets, and the descriptors that come with it.
    """

    made: Handler

    def __init__(self, host: object) -> None:
        Handler.made = self
        self.clients: list[IClient] = []
        self.senders: list[Any] = []
        self.gone: list[str] = []
        self.groups: list[tuple[int, ...]] = []

    def connected(self, client: IClient) -> None:
        """Note it."""
        self.clients.append(client)

    def received(self, client: IClient, frame: bytes) -> bytes | None:
        """Answer."""
        self.senders.append(client.sender)
        self.groups.append(client.groups)
        if frame == b"keep":
            return frame
        descriptors = client.take_fds()
        if not descriptors:
            return frame
        client.send_fds(frame, descriptors).addErrback(lambda _: None)
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Note it."""
        self.gone.append(str(reason))


class ReachCase(TestCase):
    """A test with a socket unit."""

    timeout = 30

    def setUp(self) -> None:
        """Have a place for the socket."""
        self.path = os.path.join(short_directory(self), "s")

    async def serve(self, **keys: Any) -> SocketUnit:
        """Bring a unit up, which is stopped after the test."""
        host: Any = SimpleNamespace(reactor=reactor, config_dir=ROOT)
        place = {} if {"fd", "systemd", "endpoint", "path"} & set(keys) else self.place
        config = SocketConfig(**{"handler": f"{__name__}:Handler", **place, **keys})
        unit = SocketUnit("kv", config, host)
        await unit.start(lambda failure: self.fail(str(failure)))
        self.addCleanup(unit.stop)
        return unit

    @property
    def place(self) -> dict[str, Any]:
        """The usual one."""
        return {"path": self.path}

    async def ask(self, frame: bytes = b"x", path: str | None = None) -> bytes:
        """Connect, ask, and close."""
        client = await connect(reactor, path or self.path)
        try:
            return await client.request(frame)
        finally:
            await client.close()


class AccessTests(ReachCase):
    """Who may connect."""

    async def test_allowed(self) -> None:
        """Those who are allowed are served."""
        await self.serve(allow=(str(os.getuid()),))
        self.assertEqual(await self.ask(), b"x")

    async def test_by_name(self) -> None:
        """Users and groups can be meant by their names."""
        user, group = getpwuid(os.getuid()).pw_name, getgrgid(os.getgid()).gr_name
        for rule in (user, f"%{group}"):
            unit = await self.serve(allow=(rule,))
            self.assertEqual(await self.ask(), b"x")
            await unit.stop()
            unit = await self.serve(allow=("*",), deny=(rule,))
            with self.assertRaises(Disconnected):
                await self.ask()
            await unit.stop()

    async def test_not_allowed(self) -> None:
        """Others are gone before the handler has seen them, and are counted."""
        unit = await self.serve(allow=("4711", "%4711"))
        with self.assertRaises(Disconnected):
            await self.ask()
        self.assertEqual(Handler.made.clients, [])
        self.assertEqual(unit.status()["refused_for"], {"access": 1})

    async def test_reload(self) -> None:
        """New rules are in force at once; rules about nobody change nothing."""
        unit = await self.serve()
        denied = evolve(unit.config, deny=(str(os.getuid()),))
        self.assertTrue(await unit.reload(denied))
        with self.assertRaises(Disconnected):
            await self.ask()
        with self.assertRaises(SockhostError):
            await unit.reload(evolve(unit.config, allow=("no-such-user",)))
        self.assertTrue(await unit.reload(evolve(unit.config, deny=())))
        self.assertEqual(await self.ask(), b"x")

    async def test_of_one_user(self) -> None:
        """One user gets so many connections, and another when one has gone."""
        unit = await self.serve(max_clients_per_uid=2)
        clients = [await connect(reactor, self.path) for _ in range(2)]
        for client in clients:
            await client.request(b"x")
        with self.assertRaises(Disconnected):
            await self.ask()
        self.assertEqual(unit.status()["refused_for"], {"max_clients_per_uid": 1})
        await clients[0].close()
        await until(lambda: len(Handler.made.gone) == 1)
        self.assertEqual(await self.ask(), b"x")
        await clients[1].close()

    async def test_groups(self) -> None:
        """A process may get in by a supplementary group, of how many ever."""
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        os.chmod(os.path.dirname(self.path), 0o755)
        await self.serve(mode="0666", allow=("%54321",))
        for groups, served in (
            ([54321], b"served"),
            ([54322], b"refused"),
            ([*range(32), 54321], b"served"),
            ([*range(299), 54321], b"served"),
            ([*range(299), 54322], b"refused"),
        ):
            # The standard library only: others cannot read the rest.
            program = (
                "import os, socket\n"
                f"os.setgroups({groups}); os.setgid(65534); os.setuid(65534)\n"
                "s = socket.socket(socket.AF_UNIX)\n"
                f"s.connect({self.path!r})\n"
                "try:\n"
                "    s.sendall(b'\\5\\0\\0\\0x')\n"
                "    print('served' if s.recv(9) else 'refused')\n"
                "except OSError:\n    print('refused')\n"
            )
            self.assertEqual(await self.run_program(program), served)
            if served == b"served":
                self.assertEqual(Handler.made.groups.pop(), tuple(groups))

    async def run_program(self, program: str) -> bytes:
        """Run a program in a process of its own."""
        from twisted.internet.utils import getProcessOutput

        output: bytes = await getProcessOutput(sys.executable, ["-c", program])
        return output.strip()


class PlaceTests(ReachCase):
    """Where a socket can be."""

    async def test_abstract(self) -> None:
        """An abstract socket is served, and clients know its name."""
        name = "@" + self.path
        unit = await self.serve(path=name, allow=(str(os.getuid()),))
        self.assertEqual(unit.status()["path"], name)
        self.assertEqual(await self.ask(path=name), b"x")

        def blocking() -> bytes:
            with BlockingClient(name, 5) as client:
                return client.request(b"y")

        self.assertEqual(await deferToThread(blocking), b"y")
        await unit.stop()
        with self.assertRaises(Exception):  # noqa: B017
            await self.ask(path=name)

    async def test_descriptor(self) -> None:
        """An inherited socket is served again and again, and is never removed."""
        with socket.socket(socket.AF_UNIX) as inherited:
            inherited.bind(self.path)
            for _ in range(2):
                unit = await self.serve(fd=inherited.fileno())
                self.assertEqual(unit.status()["path"], f"fd:{inherited.fileno()}")
                self.assertEqual(await self.ask(), b"x")
                await unit.stop()
        self.assertTrue(os.path.exists(self.path))

    async def test_tcp(self) -> None:
        """An endpoint of Twisted is served; nobody is known by it."""
        unit = await self.serve(endpoint="tcp:0:interface=127.0.0.1")
        serving: Any = unit._serving
        port = serving._port.getHost().port
        client: FrameClient = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", port), FrameClient()
        )
        self.assertEqual(await client.request(b"x" * 100_000), b"x" * 100_000)
        (seen,) = Handler.made.clients
        self.assertEqual((seen.pid, seen.uid, seen.gid), (None, None, None))
        await unit.stop()
        self.assertEqual(Handler.made.gone, ["the socket is being closed"])
        with self.assertRaises(Exception):  # noqa: B017
            await connectProtocol(
                TCP4ClientEndpoint(reactor, "127.0.0.1", port), FrameClient()
            )

    async def test_bad_endpoint(self) -> None:
        """An endpoint that makes no sense is said so, and nothing is left."""
        with self.assertRaises(SockhostError) as caught:
            await self.serve(endpoint="no-such:thing")
        self.assertIn("no-such:thing", str(caught.exception))

    async def test_tls(self) -> None:
        """TLS is served, large frames too, and costs nothing while idle."""
        try:
            from twisted.internet import ssl

            key = self.make_certificate()
        except ImportError as error:
            self.skipTest(f"no TLS here: {error}")
        unit = await self.serve(
            endpoint=f"ssl:0:privateKey={key}:certKey={key}:interface=127.0.0.1"
        )
        serving: Any = unit._serving
        port = serving._port.getHost().port
        client: FrameClient = await connectProtocol(
            SSL4ClientEndpoint(
                reactor, "127.0.0.1", port, ssl.CertificateOptions(verify=False)
            ),
            FrameClient(),
        )
        large = os.urandom(3_000_000)
        self.assertEqual(await client.request(large), large)
        sent = Handler.made.clients[0].send(b"news")
        await sent
        before = os.times()
        await deferLater(reactor, 0.5)
        after = os.times()
        self.assertLess(after.user - before.user, 0.2)
        await client.close()
        await until(lambda: len(Handler.made.gone) == 1)

    def make_certificate(self) -> str:
        """Make a key and a certificate in one file."""
        from datetime import UTC, datetime, timedelta

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        path: str = self.mktemp()
        with open(path, "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        return path


class PassingTests(ReachCase):
    """Descriptors and credentials, from end to end."""

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
