"""
Tests for L{sockhost.redis.cache}: where the server is told of each read that it
is to remember.
"""

from __future__ import annotations

from sockhost.interfaces import RedisReplyError
from sockhost.redis.client import RedisClient
from tests.redis.test_cache import CacheCase, invalidate


class OptInTests(CacheCase):
    """A cache of which alone the server remembers the reads."""

    permitted = b"+OK\r\n"
    opt_in = True

    def test_kept(self) -> None:
        """What is read is kept until its key changes."""
        self.keep("a")
        self.assertEqual(self.successResultOf(self.get("GET", "a")), b"x")
        self.wire.send(invalidate(b"a"))
        self.keep("a", b"+y\r\n")
        self.assertEqual(self.successResultOf(self.get("GET", "a")), b"y")

    def test_error(self) -> None:
        """An error is one of that read, and is not kept."""
        read = self.get("GET", "a")
        self.clock.advance(0)
        self.wire.send(b"+OK\r\n-WRONGTYPE no\r\n")
        self.failureResultOf(read, RedisReplyError)
        self.assertEqual(self.cache.stats.entries, 0)

    def test_options(self) -> None:
        """With broadcast there is nothing to opt in to."""
        client = RedisClient(self.clock)
        with self.assertRaises(ValueError):
            client.cache(broadcast=True, opt_in=True)

    def test_words(self) -> None:
        """The server is asked before each read; not before what is not kept."""
        self.client.execute("GET", "a")
        read = self.get("GET", "a")
        self.clock.advance(0)
        self.assertEqual(
            self.wire.sent(),
            [[b"GET", b"a"], [b"CLIENT", b"CACHING", b"YES"], [b"GET", b"a"]],
        )
        self.wire.send(b"+x\r\n+OK\r\n+x\r\n")
        self.assertEqual(self.successResultOf(read), b"x")

    def test_not_yet(self) -> None:
        """What is read right behind the wish for tracking is remembered too."""
        self.wire.lose()
        self.attach()
        read = self.get("GET", "a")
        self.clock.advance(0)
        tracking = [b"CLIENT", b"TRACKING", b"ON", b"OPTIN"]
        caching = [b"CLIENT", b"CACHING", b"YES"]
        self.assertEqual(self.wire.sent(), [tracking, caching, [b"GET", b"a"]])
        self.wire.send(b"+OK\r\n+OK\r\n+x\r\n")
        self.successResultOf(read)
        self.assertEqual(self.cache.stats.entries, 1)

    def test_refused(self) -> None:
        """Where the server does not track, it is told of no read any more."""
        self.wire.lose()
        self.attach()
        read = self.get("GET", "a")
        self.clock.advance(0)
        self.wire.send(b"-NOPERM no\r\n-ERR not tracking\r\n+x\r\n")
        self.successResultOf(read)
        self.assertEqual(self.cache.stats.entries, 0)
        self.wire.clear()
        self.get("GET", "a")
        self.assertEqual(self.wire.sent(), [[b"GET", b"a"]])

    def test_not_asked(self) -> None:
        """What waits for a connection is not kept: it was not said to remember it."""
        self.wire.lose()
        read = self.get("GET", "a")
        self.attach()
        self.clock.advance(0)
        self.wire.send(b"+OK\r\n+x\r\n")
        self.successResultOf(read)
        self.assertTrue(self.cache.tracking)
        self.assertEqual(self.cache.stats.entries, 0)

    def test_not_permitted(self) -> None:
        """What the server will not remember is not kept."""
        read = self.get("GET", "a")
        self.clock.advance(0)
        self.wire.send(b"-NOPERM no\r\n+x\r\n")
        self.assertEqual(self.successResultOf(read), b"x")
        self.assertEqual(self.cache.stats.entries, 0)

    def test_unfit(self) -> None:
        """An argument that cannot be sent fails that read alone."""
        self.failureResultOf(self.get("GET", object()), TypeError)

    def test_decoded(self) -> None:
        """Replies are text where those of the client are."""
        self.client.configure(1.0, 10, decode="utf-8")
        self.keep("a")
        self.assertEqual(self.successResultOf(self.get("GET", "a")), "x")
