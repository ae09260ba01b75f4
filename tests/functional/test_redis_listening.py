"""
MONITOR, pushes and client-side caching with a real server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from sockhost.interfaces import RedisConnectionError, RedisReplyError
from sockhost.redis import RedisClient, connect
from sockhost.redis.monitor import (
    MonitoredCommand,
    parse_line,
    start_monitoring,
    stop_monitoring,
)
from tests.functional.servers import ValkeyServer

CLOCK: Any = IReactorTime(reactor)
ODD = b'a\x00\xff\r\n"q\\ \t] "x"'


class _ListeningCase(TestCase):
    timeout = 100
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self, *self.options)

    async def connect(self, url: str = "", **options: Any) -> RedisClient:
        client = await connect(url or self.server.unix_url, CLOCK, **options)
        self.addCleanup(client.abort)
        return client

    async def until(self, condition: Any) -> None:
        """Wait for what must come true soon."""
        for _ in range(1000):
            if condition():
                return
            await deferLater(CLOCK, 0.01)
        raise AssertionError("it did not come true")


class MonitorTests(_ListeningCase):
    """MONITOR."""

    async def test_commands(self) -> None:
        """Each command comes in order, with who gave it and where."""
        client = await self.connect(f"{self.server.tcp_url}/2")
        heard: list[MonitoredCommand] = []
        monitor = await client.monitor(heard.append)
        sent = [client.execute("SET", f"k{n}", ODD) for n in range(3)]
        for each in sent:
            await each
        await client.execute("EVAL", "return redis.call('get', KEYS[1])", 1, "k0")
        await self.until(lambda: len(heard) == 5)
        await monitor.close()
        expected = [(b"SET", b"k%d" % n, ODD) for n in range(3)]
        self.assertEqual([each.args for each in heard[:3]], expected)
        self.assertTrue(heard[0].address.startswith("127.0.0.1:"))
        self.assertEqual({each.db for each in heard}, {2})
        self.assertEqual((heard[4].address, heard[4].args), ("lua", (b"get", b"k0")))

    async def test_unix_address(self) -> None:
        """Over a Unix socket the address is its path."""
        client = await self.connect()
        monitor = await client.monitor()
        await client.execute("ECHO", "x")
        command = await monitor.next()
        self.assertEqual(command.address, f"unix:{self.server.path}")
        self.assertEqual(command.args, (b"ECHO", b"x"))

    async def test_replies_kept(self) -> None:
        """
        Commands on a connection before, with and after MONITOR keep their
        replies, and none of them takes a line.
        """
        client = await self.connect()
        connection = await client.dedicated()
        lines: list[bytes] = []
        await client.execute("SET", "before", "1")
        before = connection.execute("GET", "before")
        started = start_monitoring(connection, lines.append)
        after = connection.execute("ECHO", "after")
        self.assertEqual(await before, b"1")
        await started
        self.assertEqual(await after, b"after")
        for number in range(10):
            await client.execute("SET", "foreign", number)
            self.assertEqual(await connection.execute("ECHO", number), b"%d" % number)
        self.assertEqual(sum(b'"SET" "foreign"' in line for line in lines), 10)
        await stop_monitoring(connection)
        seen = len(lines)
        await client.execute("SET", "foreign", 1)
        self.assertEqual(await connection.execute("ECHO", "x"), b"x")
        self.assertEqual(len(lines), seen)
        connection.abort()

    async def test_async_monitor(self) -> None:
        """hiredis: foreign commands in their order, and QUIT to leave."""
        client = await self.connect()
        connection = await client.dedicated()
        lines: list[bytes] = []
        await start_monitoring(connection, lines.append)
        for number in range(5):
            await client.execute("SET", "foreign", number)
        ended = connection.when_disconnected()
        self.assertEqual(await connection.execute("QUIT"), b"OK")
        await ended
        self.assertFalse(connection.open)
        found = [parse_line(line).args for line in lines if b'"SET"' in line]
        self.assertEqual(found, [(b"SET", b"foreign", b"%d" % n) for n in range(5)])
        self.assertEqual(await client.execute("PING"), b"PONG")

    async def test_ends(self) -> None:
        """Iterating ends with a close, and says so when the server goes."""
        client = await self.connect()
        first = await client.monitor()
        await client.execute("ECHO", "x")
        await first.next()
        await first.close()
        self.assertEqual([each async for each in first], [])
        second = await client.monitor()
        self.server.kill()
        with self.assertRaises(RedisConnectionError):
            while True:
                await second.next()

    async def test_not_permitted(self) -> None:
        """A server that does not permit it says so, and nothing is left."""
        client = await self.connect()
        self.server.ask(b"ACL SETUSER default -monitor\r\n")
        with self.assertRaises(RedisReplyError):
            await client.monitor()
        listed = b"CLIENT LIST\r\n"
        await self.until(lambda: b"cmd=monitor" not in self.server.ask(listed))


class CacheTests(_ListeningCase):
    """Client-side caching."""

    async def other(self) -> RedisClient:
        return await self.connect()

    async def test_hit_and_invalidate(self) -> None:
        """A read is answered from memory until somebody changes the key."""
        client, other = await self.connect(), await self.other()
        cache = client.cache()
        await other.execute("HSET", "h", "f", "1")
        for _ in range(3):
            self.assertEqual(await cache.execute("HGETALL", "h"), {b"f": b"1"})
        self.assertEqual((cache.stats.hits, cache.stats.misses), (2, 1))
        await other.execute("HSET", "h", "f", "2")
        await self.until(lambda: cache.stats.entries == 0)
        self.assertEqual(await cache.execute("HGETALL", "h"), {b"f": b"2"})
        self.assertEqual(cache.stats.invalidations, 1)

    async def test_flush(self) -> None:
        """FLUSHDB empties the cache."""
        client, other = await self.connect(), await self.other()
        cache = client.cache()
        await other.execute("MSET", "a", "1", "b", "2")
        self.assertEqual(await cache.execute("MGET", "a", "b"), [b"1", b"2"])
        await other.execute("FLUSHDB")
        await self.until(lambda: cache.stats.entries == 0)
        self.assertEqual(await cache.execute("MGET", "a", "b"), [None, None])

    async def test_broadcast(self) -> None:
        """By broadcast, only keys with the prefixes are kept, and told of."""
        client, other = await self.connect(), await self.other()
        cache = client.cache(broadcast=True, prefixes=["user:", b"item:"])
        await other.execute("MSET", "user:1", "a", "x", "b")
        # The server tells of keys that change a moment after.
        await deferLater(CLOCK, 0.05)
        for _ in "12":
            await cache.execute("GET", "user:1")
            await cache.execute("GET", "x")
        self.assertEqual((cache.stats.hits, cache.stats.entries), (1, 1))
        await other.execute("SET", "user:1", "c")
        await self.until(lambda: cache.stats.entries == 0)
        self.assertEqual(await cache.execute("GET", "user:1"), b"c")

    async def test_reads_own_writes(self) -> None:
        """What is written through the cache is read back, at once."""
        client = await self.connect()
        cache = client.cache()
        for number in range(200):
            await cache.execute("SET", "a", number)
            replies = [cache.execute("GET", "a"), cache.execute("GET", "a")]
            expected = b"%d" % number
            self.assertEqual([await each for each in replies], [expected] * 2)

    async def test_never_older_than_told(self) -> None:
        """
        Under many writes by another, a read that begins after an
        acknowledged write and its push never gives what was there before.
        """
        client, other = await self.connect(), await self.other()
        cache = client.cache()
        for number in range(300):
            racing = [cache.execute("GET", "a") for _ in range(3)]
            await other.execute("SET", "a", number)
            for each in racing:
                await each
            # What the client reads now has every earlier push in front of it.
            await client.execute("PING")
            self.assertEqual(await cache.execute("GET", "a"), b"%d" % number)

    async def test_reconnect(self) -> None:
        """A loss empties the cache, and the next connection is tracked."""
        client, other = await self.connect(wait=10.0), await self.other()
        cache = client.cache()
        await other.execute("SET", "a", "1")
        await cache.execute("GET", "a")
        ours = await client.execute("CLIENT", "ID")
        self.server.ask(b"CLIENT KILL ID %d\r\n" % ours)
        await self.until(lambda: cache.stats.entries == 0)
        await other.execute("SET", "a", "2")
        self.assertEqual(await cache.execute("GET", "a"), b"2")
        self.assertEqual(await cache.execute("GET", "a"), b"2")
        await other.execute("SET", "a", "3")
        await self.until(lambda: cache.stats.entries == 0)
        self.assertEqual(await cache.execute("GET", "a"), b"3")

    async def test_close(self) -> None:
        """A closed cache keeps nothing, and the client may have another."""
        client = await self.connect()
        cache = client.cache()
        await cache.execute("GET", "a")
        await cache.close()
        await cache.execute("GET", "a")
        self.assertEqual(cache.stats.entries, 0)
        info = await client.execute("CLIENT", "TRACKINGINFO")
        self.assertIn(b"off", info[b"flags"])
        again = client.cache()
        await again.execute("GET", "a")
        self.assertTrue(again.tracking)

    async def test_cancelled_read(self) -> None:
        """A read that was cancelled leaves nothing behind."""
        client = await self.connect()
        cache = client.cache()
        read = cache.execute("GET", "a")
        read.cancel()
        with self.assertRaises(CancelledError):
            await read
        self.assertIsNone(await cache.execute("GET", "a"))
        self.assertEqual(cache.stats.entries, 1)


class OldServerTests(_ListeningCase):
    """A server without RESP3."""

    options = ("--rename-command", "HELLO", "")

    async def test_not_cached(self) -> None:
        """Nothing is kept, and everything is answered."""
        client = await self.connect()
        cache = client.cache()
        for _ in "12":
            self.assertIsNone(await cache.execute("GET", "a"))
        self.assertEqual((cache.stats.hits, cache.stats.entries), (0, 0))

    async def test_monitor(self) -> None:
        """MONITOR works all the same."""
        client = await self.connect()
        monitor = await client.monitor()
        await client.execute("SET", "a", ODD)
        self.assertEqual((await monitor.next()).args, (b"SET", b"a", ODD))


class ListingTests(_ListeningCase):
    """The listing of the documentation."""

    async def test_runs(self) -> None:
        """It runs to its end, and shows what it says."""
        path = Path(__file__).parents[2] / "docs/listings/redis_listening.py"
        out, err, code = await getProcessOutputAndValue(
            sys.executable, [str(path), self.server.unix_url], os.environ
        )
        self.assertEqual((err, code), (b"", 0))
        self.assertEqual(out.count(b"b'news' b'hello'"), 2)
        self.assertIn(b"(b'SET', b'a', b'1')", out)
        self.assertIn(b"2 of 3 were not asked", out)
