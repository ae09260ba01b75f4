"""
Socket units wherever they can be, and whoever may reach them: real sockets,
real descriptors, real TLS.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from attrs import evolve
from twisted.internet.endpoints import (
    SSL4ClientEndpoint,
    TCP4ClientEndpoint,
    connectProtocol,
)
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from sockhost.interfaces import Disconnected, SockhostError
from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.client import FrameClient, connect
from tests.functional.reaching import Handler, ReachCase, own_names, reactor
from tests.functional.test_sockets import until


class AccessTests(ReachCase):
    """Who may connect."""

    async def test_allowed(self) -> None:
        """Those who are allowed are served."""
        await self.serve(allow=(str(os.getuid()),))
        self.assertEqual(await self.ask(), b"x")

    async def test_by_name(self) -> None:
        """Users and groups can be meant by their names."""
        user, group = own_names()
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
