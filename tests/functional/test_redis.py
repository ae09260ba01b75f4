"""
The Redis client against a real server.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from benchmarks.redis_server import free_port
from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisMaxClients,
    RedisReplyError,
)
from sockhost.redis import RedisClient, connect
from tests.functional.servers import ValkeyServer

CLOCK: Any = IReactorTime(reactor)


def settled(outcomes: Iterable[Deferred[Any]]) -> Deferred[list[Any]]:
    """Wait for all, and have the exceptions of those that fail as values."""

    def values(results: list[tuple[bool, Any]]) -> list[Any]:
        return [one.value if isinstance(one, Failure) else one for _, one in results]

    return DeferredList(list(outcomes), consumeErrors=True).addCallback(values)


class _ServerCase(TestCase):
    timeout = 100

    async def connect(self, url: str, **options: Any) -> RedisClient:
        client = await connect(url, CLOCK, **options)
        self.addCleanup(client.abort)
        return client


class RepliesTests(_ServerCase):
    """The client over both kinds of socket."""

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)

    async def _count(self, url: str) -> None:
        client = await self.connect(url)
        replies = await settled([client.execute("INCR", "n") for _ in range(1000)])
        self.assertEqual(replies, list(range(1, 1001)))

    async def test_order_unix(self) -> None:
        """A thousand commands at once are answered in order over a Unix socket."""
        await self._count(self.server.unix_url)

    async def test_order_tcp(self) -> None:
        """A thousand commands at once are answered in order over TCP."""
        await self._count(self.server.tcp_url)

    async def test_values(self) -> None:
        """Values come back as the bytes that were sent; maps are dicts."""
        client = await self.connect(f"{self.server.tcp_url}/3", client_name="me")
        binary = bytes(range(256)) * 1000
        await client.execute("HSET", "h", "k", binary, "number", "007")
        fields = await client.execute("HGETALL", "h")
        self.assertEqual(fields, {b"k": binary, b"number": b"007"})
        self.assertEqual(await client.execute("CLIENT", "GETNAME"), b"me")
        self.assertIn(b"db3:keys=1", self.server.ask(b"INFO keyspace\r\n"))

    async def test_odd_replies(self) -> None:
        """Attributes shift no reply, and what is false is not taken for nothing."""
        client = await self.connect(self.server.unix_url)
        outcomes = await settled(
            [
                client.execute("DEBUG", "PROTOCOL", "ATTRIB"),
                client.execute("ECHO", "1"),
                client.execute("DEBUG", "PROTOCOL", "FALSE"),
                client.execute("DEBUG", "PROTOCOL", "MAP"),
            ]
        )
        self.assertEqual(
            outcomes,
            [
                b"Some real reply following the attribute",
                b"1",
                False,
                {0: False, 1: True, 2: False},
            ],
        )

    async def test_reply_error(self) -> None:
        """An error reply fails its command alone."""
        client = await self.connect(self.server.unix_url)
        await client.execute("SET", "a", "text")
        bad, good = await settled(
            [client.execute("INCR", "a"), client.execute("GET", "a")]
        )
        self.assertIsInstance(bad, RedisReplyError)
        self.assertEqual(good, b"text")

    async def test_cancel_at_random(self) -> None:
        """Cancelling commands at random moments never shifts a reply."""
        client = await self.connect(self.server.unix_url)
        chance = random.Random(7)
        sent = []
        for number in range(2000):
            sent.append(client.execute("ECHO", str(number)))
            if chance.random() < 0.3:
                chance.choice(sent[-20:]).cancel()
            if chance.random() < 0.02:
                await deferLater(CLOCK, chance.random() / 500)
        for number, reply in enumerate(await settled(sent)):
            if not isinstance(reply, CancelledError):
                self.assertEqual(reply, b"%d" % number)
        self.assertEqual(await client.execute("ECHO", "last"), b"last")


class LossTests(_ServerCase):
    """The client when the server goes away or stops answering."""

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)

    async def test_killed_and_back(self) -> None:
        """
        What was sent when the server is killed may have been executed; the
        same client works when the server is back.
        """
        client = await self.connect(self.server.unix_url, wait=10.0)
        self.server.suspend()
        pending = [client.execute("INCR", "n") for _ in range(10)]
        await deferLater(CLOCK, 0.05)
        self.server.kill()
        for error in await settled(pending):
            self.assertIsInstance(error, MaybeExecuted)
        late = client.execute("INCR", "n")
        await deferLater(CLOCK, 0.2)
        self.server.start()
        self.assertEqual(await late, 1)
        self.assertTrue(client.connected)

    async def test_never_twice(self) -> None:
        """No command runs twice however often its connection is cut."""
        client = await self.connect(self.server.unix_url, wait=10.0)
        done = maybe = 0
        for round_ in range(100):
            outcome = client.execute("INCR", "n")
            if round_ % 20 == 10:
                self.server.ask(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
            try:
                await outcome
                done += 1
            except MaybeExecuted:
                maybe += 1
        total = int(await client.execute("GET", "n"))
        self.assertLessEqual(done, total)
        self.assertLessEqual(total, done + maybe)

    async def test_stalled(self) -> None:
        """Late replies of commands that ran out of time go to nobody."""
        client = await self.connect(self.server.unix_url, timeout=0.2)
        self.server.suspend()
        late = await settled([client.execute("ECHO", str(n)) for n in range(5)])
        for error in late:
            self.assertIsInstance(error, MaybeExecuted)
        self.server.resume()
        asked = [client.execute("ECHO", f"b{n}", timeout=20) for n in range(5)]
        replies = await settled(asked)
        self.assertEqual(replies, [b"b%d" % n for n in range(5)])

    async def test_half_open(self) -> None:
        """A server that answers no ping is given up on, and come back to."""
        client = await self.connect(self.server.tcp_url, ping_interval=0.5, wait=10.0)
        self.server.suspend()
        with self.assertRaises(MaybeExecuted):
            await client.execute("GET", "a")
        self.server.resume()
        self.assertEqual(await client.execute("ECHO", "x"), b"x")


class ConnectTests(_ServerCase):
    """Connecting and closing."""

    async def test_nobody_there(self) -> None:
        """A connection that is refused fails the first attempt."""
        for url in (f"redis://127.0.0.1:{free_port()}", "unix:///nonexistent/x.sock"):
            with self.assertRaises(RedisConnectionError):
                await connect(url, CLOCK)

    async def test_global_reactor(self) -> None:
        """Without a reactor it is the global one."""
        server = ValkeyServer.started(self)
        client = await connect(server.unix_url)
        self.assertEqual(await client.execute("PING"), b"PONG")
        await client.close()

    async def test_silent(self) -> None:
        """A server that takes the connection and says nothing costs a limited time."""
        server = ValkeyServer.started(self)
        server.suspend()
        with self.assertRaises(RedisConnectionError):
            await connect(server.unix_url, CLOCK, connect_timeout=0.1)

    async def test_password(self) -> None:
        """The right password lets in; a wrong one is a typed error."""
        server = ValkeyServer.started(self, "--requirepass", "s3:cret@")
        url = f"redis://:s3%3Acret%40@127.0.0.1:{server.port}"
        client = await self.connect(url)
        self.assertEqual(await client.execute("PING"), b"PONG")
        with self.assertRaises(RedisReplyError) as caught:
            await connect(server.unix_url, CLOCK, password="wrong")
        self.assertEqual(caught.exception.code, "WRONGPASS")
        with self.assertRaises(RedisReplyError) as caught:
            await connect(server.unix_url, CLOCK)
        self.assertEqual(caught.exception.code, "NOAUTH")

    async def test_too_many(self) -> None:
        """What the server says before it hangs up is the reason."""
        server = ValkeyServer.started(self, "--maxclients", "1")
        client = await self.only(server)
        with self.assertRaisesRegex(RedisMaxClients, "max number of clients"):
            await connect(server.tcp_url, CLOCK)
        # That it was not sent is as true.
        for kind in (RedisMaxClients, RedisConnectionError):
            with self.assertRaisesRegex(kind, "max number of clients"):
                await client.execute("BLPOP", "a", 1)

    async def only(self, server: ValkeyServer) -> RedisClient:
        """Connect when the server knows that who saw it come up has gone."""
        while True:
            try:
                return await self.connect(server.tcp_url)
            except RedisMaxClients:
                await deferLater(CLOCK, 0.01)

    async def test_close_drains(self) -> None:
        """Closing waits for what was sent and refuses what comes after."""
        server = ValkeyServer.started(self)
        client = await self.connect(server.unix_url)
        sent = [client.execute("INCR", "n") for _ in range(100)]
        closing = client.close()
        with self.assertRaises(RedisConnectionError):
            await client.execute("INCR", "n")
        await closing
        self.assertEqual([self.successResultOf(each) for each in sent][-1], 100)
        self.assertEqual(server.ask(b"GET n\r\n"), b"$3\r\n100\r\n")

    async def test_close_blocked(self) -> None:
        """
        Closing does not wait for what may block for longer; what the server has
        given to that meanwhile is there, and everything else still in its place.
        """
        server = ValkeyServer.started(self)
        other = await self.connect(server.unix_url)
        for number in range(20):
            client = await self.connect(server.unix_url)
            blocked = [client.execute(name, "k", 0) for name in ("BLPOP", "BRPOP")]
            blocked.append(client.execute("XREAD", "BLOCK", 0, "STREAMS", "s", "$"))
            await deferLater(CLOCK, 0.01)
            pushed = other.rpush("k", number)
            began = CLOCK.seconds()
            await client.close(10.0)
            self.assertLess(CLOCK.seconds() - began, 5.0)
            await pushed
            outcomes = await settled(blocked)
            given = [each for each in outcomes if not isinstance(each, Exception)]
            for each in outcomes:
                self.assertNotIsInstance(each, MaybeExecuted)
            left = await other.lrange("k", 0, -1)
            self.assertEqual(len(given) + len(left), 1)
            await other.delete("k")

    async def test_close_stalled(self) -> None:
        """Closing is over in its time also when the server does not answer."""
        server = ValkeyServer.started(self)
        client = await self.connect(server.unix_url)
        server.suspend()
        sent = client.execute("PING")
        await client.close(0.1)
        self.failureResultOf(sent, MaybeExecuted)
