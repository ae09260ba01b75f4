"""
The Redis client over TLS, through a front that speaks it before a real server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from sockhost.interfaces import RedisConnectionError, RedisError
from sockhost.redis import RedisClient, connect
from tests.functional.certificates import Authority, listen_tls
from tests.functional.servers import ValkeyServer

REACTOR: Any = reactor


class TLSTests(TestCase):
    """Whom the client trusts, and whom not."""

    timeout = 100

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)
        self.authority = Authority.made(Path(self.mktemp()))

    def front(self, *names: str, clients: Path | None = None) -> int:
        own = self.authority.issue(*names)
        return listen_tls(self, REACTOR, self.server.port, own, clients)

    async def connect(self, url: str, **options: Any) -> RedisClient:
        client = await connect(url, REACTOR, **options)
        self.addCleanup(client.abort)
        return client

    async def refused(self, url: str) -> str:
        with self.assertRaises(RedisConnectionError) as caught:
            await self.connect(url)
        return str(caught.exception)

    async def test_address(self) -> None:
        """A certificate for the address that is connected to is good."""
        port = self.front("127.0.0.1")
        client = await self.connect(
            f"rediss://127.0.0.1:{port}/2?ca={self.authority.path}"
        )
        await client.execute("SET", "a", b"x" * 1_000_000)
        replies = [client.execute("INCR", "n") for _ in range(100)]
        self.assertEqual([await each for each in replies], list(range(1, 101)))
        self.assertEqual(await client.execute("GET", "a"), b"x" * 1_000_000)
        self.assertIn(b"db2:keys=2", self.server.ask(b"INFO keyspace\r\n"))

    async def test_name(self) -> None:
        """A certificate for the host's name is good, or for the one given."""
        ca = self.authority.path
        for names, host, name in (
            (("localhost",), "localhost", ""),
            (("redis.example",), "127.0.0.1", "&name=redis.example"),
            (("other.example", "redis.example"), "localhost", "&name=redis.example"),
        ):
            port = self.front(*names)
            client = await self.connect(f"rediss://{host}:{port}?ca={ca}{name}")
            self.assertEqual(await client.execute("PING"), b"PONG")

    async def test_wrong_name(self) -> None:
        """A certificate for anybody else is refused, and the reason says so."""
        port = self.front("redis.example", "127.0.0.2")
        for host in ("localhost", "127.0.0.1"):
            why = await self.refused(f"rediss://{host}:{port}?ca={self.authority.path}")
            self.assertIn("VerificationError", why)

    async def test_unknown_authority(self) -> None:
        """A certificate that nobody known vouches for is refused."""
        port = self.front("127.0.0.1")
        other = Authority.made(Path(self.mktemp()))
        for query in ("", f"?ca={other.path}"):
            why = await self.refused(f"rediss://127.0.0.1:{port}{query}")
            self.assertIn("certificate verify failed", why)

    async def test_unverified(self) -> None:
        """Who wants to can talk to anybody."""
        port = self.front("redis.example")
        for host in ("127.0.0.1", "localhost"):
            client = await self.connect(f"rediss://{host}:{port}?verify=no")
            self.assertEqual(await client.execute("PING"), b"PONG")

    async def test_own_certificate(self) -> None:
        """A server that asks for a certificate gets ours."""
        port = self.front("127.0.0.1", clients=self.authority.path)
        url = f"rediss://127.0.0.1:{port}?ca={self.authority.path}"
        await self.refused(url)
        own = self.authority.issue("client")
        client = await self.connect(f"{url}&cert={own}")
        self.assertEqual(await client.execute("PING"), b"PONG")

    async def test_certificates_between(self) -> None:
        """Those that vouch for ours are shown too: the server knows only the last."""
        port = self.front("127.0.0.1", clients=self.authority.path)
        own = self.authority.deputy().issue("client")
        for query in (f"ca={self.authority.path}", "verify=no"):
            client = await self.connect(f"rediss://127.0.0.1:{port}?{query}&cert={own}")
            self.assertEqual(await client.execute("PING"), b"PONG")

    async def test_files(self) -> None:
        """A file that cannot be used is named."""
        empty = Path(self.mktemp())
        empty.write_text("nothing")
        for name in ("ca", "cert"):
            for path in (empty, "/nonexistent.pem"):
                with self.assertRaises(RedisError) as caught:
                    await self.connect(f"rediss://127.0.0.1:1?{name}={path}")
                self.assertIn(str(path), str(caught.exception))

    async def test_plain_server(self) -> None:
        """A server that speaks no TLS is refused, in its time."""
        with self.assertRaises(RedisConnectionError):
            await self.connect(
                f"rediss://127.0.0.1:{self.server.port}", connect_timeout=2.0
            )

    async def test_close(self) -> None:
        """Closing over TLS waits for what was sent."""
        port = self.front("127.0.0.1")
        client = await self.connect(
            f"rediss://127.0.0.1:{port}?ca={self.authority.path}"
        )
        sent = [client.execute("INCR", "n") for _ in range(100)]
        await client.close()
        self.assertEqual(self.successResultOf(sent[-1]), 100)
