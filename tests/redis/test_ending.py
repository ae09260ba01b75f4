"""
Tests for L{sockhost.redis.ending}: connections that are closed.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from sockhost.interfaces import CommandTimeout, MaybeExecuted, RedisConnectionError
from tests.redis.test_connection import ConnectionCase


class CloseTests(ConnectionCase):
    """Closing with care."""

    def test_idle(self) -> None:
        """Without anything outstanding it closes at once, and cleanly."""
        closing = self.connection.close()
        self.assertNoResult(closing)
        self.clock.advance(0)
        self.successResultOf(closing)
        self.assertIsNone(self.successResultOf(self.connection.when_disconnected()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drains(self) -> None:
        """It waits for replies, sends what is not sent, and refuses new commands."""
        sent = [self.execute("ECHO", n) for n in range(3)]
        closing = self.connection.close()
        self.assertEqual(len(self.wire.sent()), 3)
        self.failureResultOf(self.execute("GET", "a"), RedisConnectionError)
        self.wire.send(b":1\r\n:2\r\n")
        self.assertFalse(self.wire.disconnecting)
        self.wire.send(b":3\r\n")
        self.assertTrue(self.wire.disconnecting)
        self.clock.advance(0)
        self.successResultOf(closing)
        self.assertEqual([self.successResultOf(each) for each in sent], [1, 2, 3])

    def test_cancelled(self) -> None:
        """It does not wait for replies that nobody wants."""
        [sent] = self.several(1)
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        closing = self.connection.close()
        self.clock.advance(0)
        self.successResultOf(closing)

    def test_cancelled_later(self) -> None:
        """Nor when they are given up while it waits for nothing else."""
        sent = self.several(3)
        closing = self.connection.close(60.0)
        for each in sent[:2]:
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.clock.advance(0)
        self.assertFalse(self.wire.disconnecting)
        sent[2].cancel()
        self.failureResultOf(sent[2], CancelledError)
        self.clock.advance(0)
        self.clock.advance(0)
        self.successResultOf(closing)
        self.assertIsNone(self.successResultOf(self.connection.when_disconnected()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """Nor when their time is over."""
        sent = self.connection.execute("GET", "a", timeout=1.0)
        closing = self.connection.close(60.0)
        self.clock.pump([0.125] * 12)
        self.failureResultOf(sent, CommandTimeout)
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled_at_the_end(self) -> None:
        """What is given up because of the end leaves nothing to be done."""
        first, second = self.several(2)
        self.connection.close(60.0)
        first.addErrback(lambda _: second.cancel())
        self.wire.lose()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """When its time is up, what is outstanding fails."""
        [sent] = self.several(1)
        closing = self.connection.close(2.0)
        self.connection.close(9.0)
        self.clock.advance(2)
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sooner(self) -> None:
        """Closed again in less time, it takes no longer than that."""
        outcome = self.connection.execute("GET", "a")
        self.clock.advance(0)
        closing = [self.connection.close(5.0), self.connection.close(1.0)]
        closing.append(self.connection.close(9.0))
        self.clock.advance(1.0)
        self.clock.advance(0)
        for each in closing:
            self.successResultOf(each)
        self.failureResultOf(outcome, MaybeExecuted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_from_reply(self) -> None:
        """It is legal from a reply, and what was sent is still answered."""
        first, second = self.several(2)
        first.addCallback(lambda _: bool(self.connection.close()))
        self.wire.send(b":1\r\n:2\r\n")
        self.assertEqual(self.successResultOf(second), 2)
        self.clock.advance(0)
        self.successResultOf(self.connection.when_disconnected())

    def test_lost_meanwhile(self) -> None:
        """A connection that is lost before it is drained is not closed cleanly."""
        [sent] = self.several(1)
        self.connection.close()
        self.wire.lose()
        self.failureResultOf(sent, MaybeExecuted)
        reason = self.successResultOf(self.connection.when_disconnected())
        self.assertIsInstance(reason, RedisConnectionError)
