"""
Tests for L{sockhost.redis.supply}: how many commands there may be.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from sockhost.interfaces import RedisQueueFull
from tests.redis.test_client import ClientCase


class PiecesTests(ClientCase):
    """What is sent in one piece counts for all that it has."""

    def piece(self, count: int) -> Deferred[Any]:
        """Send so many commands."""
        return self.client.send_many(count, b"PING\r\n" * count)

    def assert_full(self) -> None:
        """No more commands are taken, in either way."""
        for refused in (self.client.execute("A"), self.piece(1)):
            self.failureResultOf(refused, RedisQueueFull)

    def test_sent(self) -> None:
        """It is taken while there is room for one, and then there is none."""
        wire = self.attach()
        first = self.client.execute("A")
        many = self.piece(4)
        self.assertEqual(self.client.outstanding, 5)
        self.assert_full()
        self.clock.advance(0)
        wire.send(b":1\r\n:2\r\n")
        self.assertEqual(self.client.outstanding, 3)
        self.assert_full()
        wire.send(b":3\r\n")
        self.assertEqual(self.client.outstanding, 2)
        last = self.client.execute("B")
        self.assert_full()
        self.clock.advance(0)
        wire.send(b":4\r\n:5\r\n:6\r\n")
        self.assertEqual(self.successResultOf(first), 1)
        self.assertEqual(self.successResultOf(many), [2, 3, 4, 5])
        self.assertEqual(self.successResultOf(last), 6)
        self.assertEqual(self.client.outstanding, 0)
        for _ in range(3):
            self.client.execute("C")
        self.assert_full()

    def test_withdrawn(self) -> None:
        """What is cancelled before it is sent makes room; what was sent does not."""
        self.attach()
        self.client.execute("A")
        unsent = self.piece(3)
        unsent.cancel()
        self.failureResultOf(unsent, CancelledError)
        self.clock.advance(0)
        self.assertEqual(self.client.outstanding, 1)
        sent = self.piece(3)
        self.clock.advance(0)
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertEqual(self.client.outstanding, 4)
        self.assert_full()

    def test_lost(self) -> None:
        """On the next connection there is room again, and the old one says nothing."""
        wire = self.attach()
        self.piece(5).addErrback(lambda _: None)
        self.clock.advance(0)
        wire.lose()
        self.attach()
        self.assertEqual(self.client.outstanding, 0)
        for _ in range(3):
            self.client.execute("A")
        self.assert_full()

    def test_replaced(self) -> None:
        """Nor does one that is still being drained."""
        old = self.attach()
        self.piece(5)
        self.clock.advance(0)
        self.attach()
        old.send(b":1\r\n" * 3)
        for _ in range(3):
            self.client.execute("A")
        self.assert_full()

    def test_waiting(self) -> None:
        """The same holds for those that wait."""
        self.client.execute("A")
        many = self.piece(4)
        self.assertEqual(self.client.queued, 5)
        self.failureResultOf(self.client.execute("B"), RedisQueueFull)
        many.cancel()
        self.failureResultOf(many, CancelledError)
        self.assertEqual(self.client.queued, 1)
        self.piece(2)
        self.attach()
        self.assertEqual((self.client.queued, self.client.outstanding), (0, 3))

    def test_room(self) -> None:
        """Commands may wait for the room that a piece takes."""
        self.client.configure(2.0, 3, wait_when_full=True)
        wire = self.attach()
        self.piece(5)
        waits = self.client.execute("A")
        self.clock.advance(0)
        self.assertEqual(self.client.queued, 1)
        wire.send(b":1\r\n" * 3)
        self.assertEqual(self.client.queued, 0)
        wire.send(b":1\r\n:1\r\n:9\r\n")
        self.assertEqual(self.successResultOf(waits), 9)

    def test_changed(self) -> None:
        """A bound that is changed meanwhile holds for what was sent before, too."""
        self.attach()
        self.piece(5)
        self.client.configure(2.0, 7)
        self.client.execute("A")
        self.client.execute("B")
        self.assert_full()
