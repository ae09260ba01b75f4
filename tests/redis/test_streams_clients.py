"""
Tests for L{sockhost.redis.streams}: what readers have of their client.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisConnectionError
from sockhost.redis.lifetime import Lifetime
from sockhost.redis.streams import Delivery
from tests.redis.test_streams import ReaderCase


class ClientTests(ReaderCase):
    """Its end, and how it decodes."""

    def test_client_closed(self) -> None:
        """It fails when the client is closed, wherever it waits."""
        lifetime = Lifetime(self.clock)
        self.reader = self.make(lifetime=lifetime)
        away = self.begin()
        self.hand.answer(RedisConnectionError("away"))
        self.reader = self.make(lifetime=lifetime, max_unacked=1)
        self.successResultOf(self.begin("1-0"))
        full = self.ask()
        lifetime.end()
        for asked in (away, full, self.begin_closed(lifetime)):
            failure = self.failureResultOf(asked, RedisConnectionError)
            self.assertEqual(str(failure.value), "the client is closed")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def begin_closed(self, lifetime: Lifetime) -> Deferred[Delivery]:
        """Ask for an entry by a client that was closed."""
        self.reader = self.make(lifetime=lifetime)
        asked = self.begin()
        self.hand.answer(RedisConnectionError("the client is closed"))
        return asked

    def test_decoded(self) -> None:
        """What is handed out is text where it is asked for, nothing else is."""
        self.reader = self.make(decode="utf-8")
        delivery = self.successResultOf(self.begin("1-0"))
        self.assertEqual((delivery.stream, delivery.id), ("s", "1-0"))
        self.assertEqual(delivery.fields, {"f": "1-0"})
        done = delivery.ack()
        self.hand.answer(1, "XACK", b"s", "g", b"1-0")
        self.assertEqual(self.successResultOf(done), 1)
        self.assertEqual(self.reader.unacked, 0)

    def test_no_text(self) -> None:
        """An entry that is no text fails, and those behind it are handed out."""
        self.reader = self.make(decode="ascii")
        asked = self.begin()
        bad = [[b"1-0", [b"f", b"\xff"]], [b"2-0", [b"f", b"v"]]]
        self.hand.answer({b"s": bad})
        self.failureResultOf(asked, UnicodeDecodeError)
        self.assertEqual(self.successResultOf(self.ask()).id, "2-0")
        self.assertEqual(self.reader.unacked, 1)
