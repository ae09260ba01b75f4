"""
Tests for L{sockhost.redis.cacheable}: which commands can be answered from
memory.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.cacheable import keys_of


class CacheableTests(SynchronousTestCase):
    """L{keys_of}."""

    def test_keys(self) -> None:
        """Reads of one key and of many are known; nothing else is."""
        self.assertEqual(keys_of([b"get", b"a"]), (b"a",))
        self.assertEqual(keys_of([b"HMGET", b"a", b"f", b"g"]), (b"a",))
        self.assertEqual(keys_of([b"mget", b"a", b"b"]), (b"a", b"b"))
        for name in (b"SET", b"TTL", b"SRANDMEMBER", b"TIME", b"BLPOP", b"GETEX"):
            self.assertEqual(keys_of([name, b"a"]), ())
        self.assertEqual(keys_of([b"GET"]), ())
