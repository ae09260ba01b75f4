"""
The Redis client with servers that Sentinels watch over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisError
from sockhost.redis import RedisClient, connect
from sockhost.redis.resp import encode_command
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisUnit
from tests.functional.certificates import Authority, listen_tls
from tests.functional.servers import SentinelServers, wait_until
from tests.functional.traces import until

REACTOR: Any = reactor


class SentinelCase(TestCase):
    timeout = 100
    options: tuple[str, ...] = ()
    more = ""

    def setUp(self) -> None:
        self.servers = SentinelServers.started(
            self, options=self.options, more=self.more
        )

    async def connect(self, url: str, **options: Any) -> RedisClient:
        client = await connect(url, REACTOR, **options)
        self.addCleanup(client.abort)
        return client

    async def role(self, client: RedisClient) -> bytes:
        role: bytes = (await client.execute("ROLE"))[0]
        return role

    async def write_through(self, client: RedisClient) -> None:
        """Write, and wait until the replica has it: on one connection."""
        pieces = (("SET", "k", "before"), ("WAIT", 1, 5000))
        data = b"".join(encode_command(each) for each in pieces)
        self.assertEqual(await client.send_many(2, data), [b"OK", 1])


class SentinelTests(SentinelCase):
    """Finding the server that is meant, whatever becomes of others."""

    async def write(self, client: RedisClient) -> None:
        """Write until that succeeds."""
        for _ in range(200):
            try:
                await client.execute("SET", "k", "after")
            except RedisError:
                await deferLater(REACTOR, 0.1)
            else:
                return
        self.fail("no write succeeds")

    async def test_roles(self) -> None:
        """The primary, a replica, or a replica if there is one."""
        for query, role in (
            ("", b"master"),
            ("?role=replica", b"slave"),
            ("?role=any", b"slave"),
        ):
            client = await self.connect(self.servers.url(query))
            self.assertEqual(await self.role(client), role)
        self.servers.replica.kill()
        wait_until(
            lambda: all(
                b"s_down" in each.call("SENTINEL", "REPLICAS", "main")
                for each in self.servers.sentinels
            )
        )
        client = await self.connect(self.servers.url("?role=any"))
        self.assertEqual(await self.role(client), b"master")
        with self.assertRaisesRegex(RedisConnectionError, "no replica is fit"):
            await self.connect(self.servers.url("?role=replica"))

    async def test_sentinels_down(self) -> None:
        """One that answers is enough, whether others are dead or hang."""
        self.servers.sentinels[0].kill()
        self.servers.sentinels[1].suspend()
        client = await self.connect(self.servers.url(), connect_timeout=2.0)
        self.assertEqual(await self.role(client), b"master")
        # Those who are connected need none.
        self.servers.sentinels[2].kill()
        await deferLater(REACTOR, 0.1)
        self.assertEqual(await self.role(client), b"master")
        with self.assertRaisesRegex(RedisConnectionError, "redis.sentinel://"):
            await self.connect(self.servers.url(), connect_timeout=0.5)

    async def test_unknown_service(self) -> None:
        """A service that nobody knows is named."""
        url = self.servers.url().replace("/main", "/other")
        with self.assertRaisesRegex(RedisConnectionError, "no service 'other'"):
            await self.connect(url)

    async def test_min_other_sentinels(self) -> None:
        """Those who know enough others are believed, those who do not are not."""
        client = await self.connect(self.servers.url("?min_other_sentinels=2"))
        self.assertEqual(await self.role(client), b"master")
        with self.assertRaisesRegex(RedisConnectionError, "knows 2 other Sentinels"):
            await self.connect(self.servers.url("?min_other_sentinels=3"))

    async def test_status(self) -> None:
        """The status of a unit says which server it is connected to."""
        unit = RedisUnit("store", RedisConfig(url=self.servers.url()), REACTOR)
        await unit.start(lambda failure: None)
        self.addCleanup(unit.stop)
        self.assertEqual(
            unit.status()["server"], f"127.0.0.1:{self.servers.primary.port}"
        )

    async def test_failover_asked_for(self) -> None:
        """After a failover the same client writes to the new primary."""
        client = await self.connect(self.servers.url(), wait=10.0)
        await client.execute("SET", "k", "before")
        await self.fail_over()
        # The old one takes writes for a while, and forgets them.
        while b"after" not in self.servers.replica.call("GET", "k"):
            await self.write(client)
            await deferLater(REACTOR, 0.02)

    async def test_primary_killed(self) -> None:
        """A primary that dies is replaced, for the same client."""
        client = await self.connect(self.servers.url(), wait=10.0)
        await client.pipeline().set("seen", 1).wait(1, 1000).run()
        self.servers.primary.kill()
        await self.write(client)
        self.assertIn(b"after", self.servers.replica.call("GET", "k"))

    async def test_primary_hangs(self) -> None:
        """
        A primary that hangs is left as soon as a Sentinel tells of another one,
        and so are the commands that block there.
        """
        client = await self.connect(self.servers.url(), wait=10.0)
        blocked: Deferred[Any] = client.execute("BLPOP", "q", 0)
        await client.pipeline().set("seen", 1).wait(1, 1000).run()
        self.servers.primary.suspend()
        with self.assertRaises(MaybeExecuted):
            await client.execute("INCR", "n")
        with self.assertRaises(MaybeExecuted):
            await blocked
        await self.write(client)
        self.assertIn(b"after", self.servers.replica.call("GET", "k"))

    async def test_replica_promoted(self) -> None:
        """Who reads from a replica leaves it when it becomes the primary."""
        client = await self.connect(self.servers.url("?role=replica"), wait=10.0)
        await self.fail_over()
        while client.connected and self.servers.replica.port == await self.port(client):
            await deferLater(REACTOR, 0.05)

    async def fail_over(self) -> None:
        """Ask a Sentinel for a failover, until it thinks that it can be had."""
        asked = ("SENTINEL", "FAILOVER", "main")
        while b"+OK" not in self.servers.sentinels[0].call(*asked):
            await deferLater(REACTOR, 0.1)

    async def port(self, client: RedisClient) -> int:
        """Say to which server a client talks."""
        try:
            return int((await client.execute("CONFIG", "GET", "port"))[b"port"])
        except RedisError:
            return 0


class AccessTests(SentinelCase):
    """Servers and Sentinels with users and passwords of their own."""

    options = ("--user", "app", "on", ">secret", "~*", "&*", "+@all")
    more = "user watcher on >seen ~* &* +@all\n"

    def setUp(self) -> None:
        super().setUp()
        for each in self.servers.sentinels:
            each.call("ACL", "LOG", "RESET")

    def url(self, query: str) -> str:
        """Where they are, with user and password of the servers."""
        return self.servers.url(query).replace("://", "://app:secret@")

    def attempts(self) -> int:
        """How many attempts to log in the Sentinels have refused."""
        logs = [each.call("ACL", "LOG") for each in self.servers.sentinels]
        return sum(each.count(b"reason") for each in logs)

    async def test_user(self) -> None:
        """Sentinels are told their user and password, the server its own."""
        client = await self.connect(
            self.url("?sentinel_user=watcher&sentinel_password=seen&client_name=me")
        )
        self.assertEqual(await client.execute("ACL", "WHOAMI"), b"app")
        await until(lambda: len(self.listeners(b"user=watcher")) == 1)
        self.assertEqual(len(self.listeners(b"user=")), 1)
        self.assertEqual(self.attempts(), 0)

    def listeners(self, word: bytes) -> list[bytes]:
        """The connections of ours that listen to a Sentinel, as who they are."""
        lists = [each.call("CLIENT", "LIST") for each in self.servers.sentinels]
        lines = [line for each in lists for line in each.split(b"\n")]
        return [line for line in lines if b"name=me" in line and word in line]

    async def test_password(self) -> None:
        """A Sentinel that wants a password only is told that."""
        for each in self.servers.sentinels:
            each.call("ACL", "SETUSER", "default", "resetpass", ">hidden")
        client = await self.connect(self.url("?sentinel_password=hidden"))
        self.assertEqual(await client.execute("ACL", "WHOAMI"), b"app")

    async def test_tls(self) -> None:
        """Sentinels and servers are talked to by TLS, each as whom it wants."""
        authority = Authority.made(Path(self.mktemp()))
        own = authority.issue("127.0.0.1")
        primary = self.servers.primary.port
        front = listen_tls(self, REACTOR, primary, own)

        def lead(data: bytes) -> bytes:
            # To the front, as Sentinels cannot announce it.
            return data.replace(b"%d" % primary, b"%d" % front)

        ports = [
            listen_tls(self, REACTOR, each.port, own, change=lead)
            for each in self.servers.sentinels
        ]
        places = ",".join(f"127.0.0.1:{each}" for each in ports)
        url = f"rediss+sentinel://app:secret@{places}/main"
        url += "?sentinel_user=watcher&sentinel_password=seen"
        client = await self.connect(f"{url}&ca={authority.path}")
        self.assertEqual(await client.execute("ACL", "WHOAMI"), b"app")
        self.assertEqual(await self.role(client), b"master")
        self.assertEqual(self.attempts(), 0)
        with self.assertRaisesRegex(RedisConnectionError, "verify failed"):
            await self.connect(url)

    async def test_refused(self) -> None:
        """Without the right password no Sentinel says anything; why is told."""
        for each in self.servers.sentinels:
            each.call("ACL", "SETUSER", "default", "resetpass", ">hidden")
        for query, why in (
            ("", "NOAUTH"),
            ("?sentinel_password=wrong", "WRONGPASS"),
            ("?sentinel_user=watcher&sentinel_password=wrong", "WRONGPASS"),
        ):
            with self.assertRaisesRegex(RedisConnectionError, why):
                await self.connect(self.url(query))

    async def test_not_theirs(self) -> None:
        """The Sentinels are not told the password of the servers."""
        client = await self.connect(self.url(""))
        self.assertEqual(await client.execute("ACL", "WHOAMI"), b"app")
        self.assertEqual(self.attempts(), 0)
