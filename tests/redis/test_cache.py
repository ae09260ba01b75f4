"""
Tests for L{sockhost.redis.cache}: what was read, as long as it is true.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisError, RedisReplyError
from sockhost.redis.cache import Cache
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from tests.redis.fakes import Wire
from tests.redis.test_hub import push


def invalidate(*keys: bytes) -> bytes:
    """Write the push that tells of keys."""
    items = b"".join(b"$%d\r\n%s\r\n" % (len(key), key) for key in keys)
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n%s" % (len(keys), items)


EVERYTHING = push(b"invalidate", None)


class CacheCase(SynchronousTestCase):
    """A cache, and the server turned by hand."""

    permitted = b""
    opt_in = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.client = RedisClient(self.clock)
        self.attach()
        self.cache = self.client.cache(max_entries=3, opt_in=self.opt_in)
        self.wire.send(b"+OK\r\n")
        self.wire.clear()

    def attach(self, protocol: int = 3) -> None:
        connection = RedisConnection(self.clock)
        self.wire = Wire(self.clock, connection)
        connection.protocol = protocol
        self.client.attach(connection)

    def get(self, *args: Any, cache: Cache | None = None) -> Deferred[Any]:
        return (cache or self.cache).execute(*args)

    def keep(self, key: str, value: bytes = b"+x\r\n") -> None:
        """Read a key that is not kept."""
        read = self.get("GET", key)
        self.clock.advance(0)
        self.wire.send(self.permitted + value)
        self.successResultOf(read)
        self.wire.clear()


class CacheTests(CacheCase):
    """L{Cache}."""

    def test_decoded_anew(self) -> None:
        """
        When it is changed how the client decodes, nothing is kept that was
        decoded otherwise, nor what is on its way.
        """
        self.keep("a")
        late = self.get("GET", "b")
        self.client.configure(1.0, 10, decode="utf-8")
        self.clock.advance(0)
        self.wire.send(b"$1\r\ny\r\n")
        self.assertEqual(self.successResultOf(late), b"y")
        self.assertEqual(self.cache.stats.entries, 0)
        again = self.get("GET", "a")
        self.clock.advance(0)
        self.wire.send(b"$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(again), "x")
        self.client.configure(2.0, 10, decode="utf-8")
        self.assertEqual(self.cache.stats.entries, 1)

    def test_hit(self) -> None:
        """The second read is answered at once; spelling of the name is no matter."""
        self.keep("a")
        self.assertEqual(self.successResultOf(self.get("GET", b"a")), b"x")
        self.assertEqual(self.wire.sent(), [])
        stats = self.cache.stats
        self.assertEqual((stats.hits, stats.misses, stats.entries), (1, 1, 1))
        self.assertEqual(stats.hit_ratio, 0.5)

    def test_nil(self) -> None:
        """That there is nothing is kept too."""
        self.keep("a", b"_\r\n")
        self.assertIsNone(self.successResultOf(self.get("GET", "a")))

    def test_no_reads(self) -> None:
        """Of nothing, no ratio is none."""
        self.assertEqual(self.cache.stats.hit_ratio, 0.0)

    def test_invalidated(self) -> None:
        """A key that is told of is read anew, and no other."""
        self.keep("a")
        self.keep("b")
        self.wire.send(invalidate(b"a", b"unknown"))
        self.successResultOf(self.get("GET", "b"))
        self.assertNoResult(self.get("GET", "a"))
        self.assertEqual(self.cache.stats.invalidations, 1)

    def test_invalidated_before_reply(self) -> None:
        """
        What changes between request and reply is handed out and not kept: it
        may be what was there before.
        """
        read = self.get("GET", "a")
        self.wire.send(invalidate(b"a") + b"+old\r\n")
        self.assertEqual(self.successResultOf(read), b"old")
        self.assertEqual(self.cache.stats.entries, 0)

    def test_invalidated_in_one_read(self) -> None:
        """What is told of right behind the reply is forgotten."""
        read = self.get("GET", "a")
        self.wire.send(b"+old\r\n" + invalidate(b"a"))
        self.assertEqual(self.successResultOf(read), b"old")
        self.assertEqual(self.cache.stats.entries, 0)

    def test_own_write(self) -> None:
        """
        Whoever is told that a write of the client itself is done reads what was
        written: what the server says of it comes right behind, in the same read.
        """
        self.keep("a")
        read: list[Deferred[Any]] = []
        wrote = self.client.execute("SET", "a", "y")
        wrote.addCallback(lambda _: read.append(self.get("GET", "a")))
        self.wire.send(b"+OK\r\n" + invalidate(b"a"))
        self.assertNoResult(read[0])
        self.wire.send(b"+y\r\n")
        self.assertEqual(self.successResultOf(read[0]), b"y")
        self.assertEqual(self.cache.stats.invalidations, 1)
        self.assertEqual(self.successResultOf(self.get("GET", "a")), b"y")

    def test_nonsense(self) -> None:
        """A push that names no keys harms nobody."""
        self.keep("a")
        self.wire.send(b">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n+a\r\n>0\r\n")
        self.successResultOf(self.get("GET", "a"))

    def test_everything(self) -> None:
        """FLUSHDB empties it, and what is on its way is not kept."""
        self.keep("a")
        read = self.get("GET", "b")
        self.wire.send(EVERYTHING + b"+old\r\n")
        self.assertEqual(self.successResultOf(read), b"old")
        self.assertEqual(self.cache.stats.entries, 0)
        self.assertEqual(self.cache.stats.invalidations, 1)

    def test_several_keys(self) -> None:
        """An answer of several keys goes with any of them."""
        read = self.get("MGET", "a", "b")
        self.wire.send(b"*2\r\n+1\r\n+2\r\n")
        self.successResultOf(read)
        self.keep("a")
        self.wire.send(invalidate(b"b"))
        self.assertEqual(self.cache.stats.entries, 1)
        self.successResultOf(self.get("GET", "a"))

    def test_bounded(self) -> None:
        """Those that were not asked for the longest make room."""
        for key in "abc":
            self.keep(key)
        self.get("GET", "a")
        self.keep("d")
        self.successResultOf(self.get("GET", "a"))
        self.assertNoResult(self.get("GET", "b"))
        self.assertEqual((self.cache.stats.entries, self.cache.stats.evictions), (3, 1))

    def test_copies(self) -> None:
        """Who changes an answer changes it for nobody else."""
        read = self.get("LRANGE", "a", 0, -1)
        self.wire.send(b"*1\r\n*1\r\n+x\r\n")
        self.successResultOf(read)[0].append(1)
        for _ in "12":
            again = self.successResultOf(self.get("LRANGE", "a", 0, -1))
            self.assertEqual(again, [[b"x"]])
            again[0].append(2)

    def test_errors(self) -> None:
        """Errors are not kept, nor is what is no command."""
        read = self.get("GET", "a")
        self.wire.send(b"-WRONGTYPE no\r\n")
        self.failureResultOf(read, RedisReplyError)
        self.failureResultOf(self.get("GET", None), TypeError)
        self.failureResultOf(self.get("GET", True), TypeError)
        self.failureResultOf(self.get(), ValueError)
        self.assertEqual(self.cache.stats.entries, 0)

    def test_writes(self) -> None:
        """What is written through the cache is forgotten at once."""
        self.keep("a")
        self.keep("b")
        early = self.get("GET", "c")
        self.get("EVAL", "return 1", 2, "a", "c")
        self.assertEqual(self.cache.stats.entries, 1)
        self.clock.advance(0)
        self.wire.send(b"+old\r\n:1\r\n")
        self.successResultOf(early)
        self.assertEqual(self.cache.stats.entries, 1)
        self.get("FLUSHALL")
        self.assertEqual(self.cache.stats.entries, 0)

    def test_cancelled(self) -> None:
        """A read that is cancelled is not kept, and leaves nothing."""
        read = self.get("GET", "a")
        read.cancel()
        self.failureResultOf(read, CancelledError)
        self.wire.send(b"+x\r\n")
        self.assertEqual(self.cache.stats.entries, 0)

    def test_lost(self) -> None:
        """A loss empties it, and nothing is kept until the server tracks again."""
        self.keep("a")
        self.wire.lose()
        self.assertEqual((self.cache.stats.entries, self.cache.tracking), (0, False))
        read = self.get("GET", "a")
        self.attach()
        self.clock.advance(0)
        expected = [[b"CLIENT", b"TRACKING", b"ON"], [b"GET", b"a"]]
        self.assertEqual(self.wire.sent(), expected)
        self.wire.send(b"-ERR no\r\n+x\r\n")
        self.assertEqual(self.successResultOf(read), b"x")
        self.assertEqual(self.cache.stats.entries, 0)

    def test_tracked_again(self) -> None:
        """On a new connection that is tracked, answers are kept again."""
        self.wire.lose()
        self.attach()
        self.wire.send(b"+OK\r\n")
        self.keep("a")
        self.successResultOf(self.get("GET", "a"))

    def test_lost_while_starting(self) -> None:
        """A connection that ends before it is tracked is no error."""
        self.wire.lose()
        self.attach()
        self.wire.lose()
        self.assertFalse(self.cache.tracking)

    def test_old_protocol(self) -> None:
        """Where there are no pushes, nothing is kept."""
        self.wire.lose()
        self.attach(protocol=2)
        self.keep("a")
        self.assertEqual(self.cache.stats.entries, 0)

    def test_close(self) -> None:
        """A closed cache only sends; what is on its way is not kept."""
        self.keep("a")
        read = self.get("GET", "b")
        closing = self.cache.close()
        self.clock.advance(0)
        self.wire.send(b"+x\r\n+OK\r\n")
        self.successResultOf(closing)
        self.successResultOf(read)
        self.successResultOf(self.cache.close())
        self.assertEqual(self.cache.stats.entries, 0)
        self.wire.send(invalidate(b"a"))
        self.assertEqual(self.cache.stats.invalidations, 0)
        self.wire.lose()
        self.attach()
        self.assertEqual(self.wire.sent(), [])

    def test_successor(self) -> None:
        """A cache that follows one which is closed hears of what changes."""
        closing = self.cache.close()
        self.cache = self.client.cache()
        self.clock.advance(0)
        self.wire.send(b"+OK\r\n+OK\r\n")
        self.successResultOf(closing)
        self.keep("a")
        self.wire.send(invalidate(b"a"))
        self.assertEqual(self.cache.stats.entries, 0)

    def test_close_fails(self) -> None:
        """A server that does not stop tracking is no trouble."""
        closing = self.cache.close()
        self.wire.lose()
        self.successResultOf(closing)

    def test_one(self) -> None:
        """A client has one cache at a time."""
        with self.assertRaises(RedisError):
            self.client.cache()
        self.cache.close()
        self.clock.advance(0)
        self.wire.send(b"+OK\r\n")
        self.client.cache()
        with self.assertRaises(ValueError):
            RedisClient(self.clock).cache(prefixes=["a"])

    def test_prefixes(self) -> None:
        """By broadcast, keys without a prefix are neither kept nor counted."""
        client = RedisClient(self.clock)
        cache = client.cache(broadcast=True, prefixes=["a:", b"b:"])
        connection = RedisConnection(self.clock)
        connection.protocol = 3
        wire = Wire(self.clock, connection)
        client.attach(connection)
        [command] = wire.sent()
        options = [b"BCAST", b"PREFIX", b"a:", b"PREFIX", b"b:"]
        self.assertEqual(command, [b"CLIENT", b"TRACKING", b"ON", *options])
        for keys in (["x"], ["a:1"], ["a:1", "x"]):
            self.get("MGET", *keys, cache=cache)
        self.clock.advance(0)
        wire.send(b"+OK\r\n" + b"*0\r\n" * 3)
        self.assertEqual((cache.stats.misses, cache.stats.entries), (1, 1))
