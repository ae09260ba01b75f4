"""
All of many.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted
from sockhost.redis.scan import Scan
from sockhost.testing.redis import MemoryRedis


class ScanTests(SynchronousTestCase):
    """Pages."""

    def setUp(self) -> None:
        self.asked: list[int] = []
        self.pages: dict[int, Any] = {0: (5, [1, 2]), 5: (9, []), 9: (0, [3])}
        self.scan: Scan[int] = Scan(self.fetch)

    def fetch(self, cursor: int) -> Deferred[tuple[int, list[int]]]:
        """Give a page."""
        self.asked.append(cursor)
        page = self.pages[cursor]
        return fail(page) if isinstance(page, Exception) else succeed(page)

    def test_all(self) -> None:
        """All pages are gone through, empty ones too, to the cursor 0."""
        self.assertEqual(self.successResultOf(self.scan.all()), [1, 2, 3])
        self.assertEqual(self.asked, [0, 5, 9])

    def test_lazy(self) -> None:
        """A page is asked for when the one before is used up."""
        for wanted in (1, 2):
            each = Deferred.fromCoroutine(self.scan.__anext__())
            self.assertEqual(self.successResultOf(each), wanted)
        self.assertEqual(self.asked, [0])

    def test_ended(self) -> None:
        """At the end it stays ended."""
        self.successResultOf(self.scan.all())
        self.assertEqual(self.successResultOf(self.scan.all()), [])

    def test_fails(self) -> None:
        """It fails as the command does."""
        self.pages[5] = MaybeExecuted("lost")
        self.failureResultOf(self.scan.all(), MaybeExecuted)

    def test_clients(self) -> None:
        """Clients have them for keys, hashes, sets and sorted sets."""
        client = MemoryRedis(Clock()).client()
        names = [b"m%d" % number for number in range(25)]
        client.sadd("s", *names)
        client.hset("h", dict.fromkeys(names, 1))
        client.zadd("z", dict.fromkeys(names, 1.5))
        get = self.successResultOf
        self.assertEqual(get(client.scan_keys("?", type="set").all()), [b"s"])
        self.assertEqual(get(client.scan_set("s", count=4).all()), names)
        fields = get(client.scan_hash("h", "m1*").all())
        self.assertEqual(len(fields), 11)
        self.assertEqual(fields[0], (b"m1", b"1"))
        scores = get(client.scan_sorted_set("z").all())
        self.assertEqual(scores[0], (b"m0", 1.5))
