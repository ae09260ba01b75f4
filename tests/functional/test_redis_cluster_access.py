"""
The Redis client with a cluster that is not open to everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from sockhost.interfaces import RedisConnectionError
from sockhost.redis import connect
from tests.functional.certificates import Authority, listen_tls
from tests.functional.servers import ClusterServers

REACTOR: Any = reactor
RIGHTS = ("~*", "&*", "+@all")
APP = ("--user", "app", "on", ">secret", *RIGHTS)
USERS = (*APP, "--user", "next", "on", ">new", *RIGHTS)


class AccessTests(TestCase):
    """Users, passwords and TLS: at each node."""

    timeout = 100

    async def connect(self, url: str, **options: Any) -> Any:
        """Connect for the time of a test."""
        client = await connect(url, REACTOR, **options)
        self.addCleanup(client.abort)
        return client

    async def users(self, client: Any) -> set[bytes]:
        """As whom the client is at all nodes."""
        return {await each.execute("ACL", "WHOAMI") for each in client.primaries()}

    async def test_password(self) -> None:
        """User and password are given to every node, on each connection."""
        servers = ClusterServers.started(self, options=USERS)
        url = servers.url().replace("//", "//app:secret@")
        client = await self.connect(url)
        self.assertEqual(await self.users(client), {b"app"})
        async with client.watch("{t}a") as watch:
            self.assertEqual(await watch.execute("ACL", "WHOAMI"), b"app")
        await client.pubsub.ssubscribe("s")
        with self.assertRaisesRegex(RedisConnectionError, "WRONGPASS"):
            await self.connect(
                servers.url().replace("//", "//app:wrong@"), connect_timeout=1000.0
            )

    async def test_credentials_change(self) -> None:
        """A provider is asked for each connection: the next are as the next user."""
        servers = ClusterServers.started(self, options=USERS)
        said = ["app", "secret"]
        client = await self.connect(
            servers.url(), credentials=lambda: tuple(said), wait=5.0
        )
        self.assertEqual(await self.users(client), {b"app"})
        said[:] = ["next", "new"]
        for each in servers.primaries:
            each.call("ACL", "DELUSER", "app")
        for n in range(30):
            await client.execute("SET", f"k{n}", n, retry=5)
        self.assertEqual(await self.users(client), {b"next"})

    async def test_tls(self) -> None:
        """Every node is talked to by TLS, and has to be who it says."""
        authority = Authority.made(Path(self.mktemp()))
        own = authority.issue("127.0.0.1")
        fronts: list[int] = []

        def front(port: int) -> int:
            fronts.append(listen_tls(self, REACTOR, port, own))
            return fronts[-1]

        servers = ClusterServers.started(self, options=USERS, front=front)
        place = f"app:secret@127.0.0.1:{fronts[0]}"
        client = await self.connect(
            f"rediss+cluster://{place}?ca={authority.path}", wait=5.0
        )
        for n in range(30):
            await client.execute("SET", f"k{n}", n)
        self.assertEqual(await client.dbsize(), 30)
        self.assertEqual(
            {each.address[1] for each in client.router.nodes.all}, set(fronts)
        )
        self.assertEqual(await self.users(client), {b"app"})
        heard = await client.pubsub.ssubscribe("s")
        await client.execute("SPUBLISH", "s", "x")
        self.assertEqual((await heard.next()).data, b"x")
        self.assertIn(b"x", await client.execute("ECHO", b"x" * 1_000_000))
        with self.assertRaisesRegex(RedisConnectionError, "verify failed"):
            await self.connect(f"rediss+cluster://{place}", connect_timeout=1000.0)
        self.assertEqual(len(servers.primaries), 3)
