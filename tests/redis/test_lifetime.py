"""
Tests for L{sockhost.redis.lifetime}: what ends with a client.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisConnectionError
from sockhost.redis.lifetime import Lifetime


class LifetimeTests(SynchronousTestCase):
    """L{Lifetime}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lifetime = Lifetime(self.clock)

    def assert_closed(self, waiting: Deferred[None]) -> None:
        """It has failed because the client is closed, and no timer is left."""
        failure = self.failureResultOf(waiting, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assertEqual(str(failure.value), "the client is closed")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pause(self) -> None:
        """A pause is over after its time, and is not ended then."""
        pausing = self.lifetime.pause(2.0)
        self.assertNoResult(pausing)
        self.clock.advance(2.0)
        self.lifetime.end()
        self.assertIsNone(self.successResultOf(pausing))

    def test_ended(self) -> None:
        """All that waits fails when the client is closed."""
        held: Deferred[None] = Deferred()
        pausing, held = self.lifetime.pause(2.0), self.lifetime.hold(held)
        self.lifetime.end()
        self.assert_closed(pausing)
        self.assert_closed(held)

    def test_after_the_end(self) -> None:
        """After that nothing waits, until the client is used again."""
        self.lifetime.end()
        self.assert_closed(self.lifetime.pause(2.0))
        self.lifetime.begin()
        self.assertNoResult(self.lifetime.pause(2.0))

    def test_cancelled(self) -> None:
        """Who cancels is told of that, and nothing is left."""
        pausing = self.lifetime.pause(2.0)
        pausing.cancel()
        self.failureResultOf(pausing, CancelledError)
        self.lifetime.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again_from_within(self) -> None:
        """Whoever waits again because it has failed fails again, and once."""
        failed: list[str] = []

        def again(_: object) -> None:
            failed.append("first")
            self.lifetime.pause(1.0).addErrback(lambda _: failed.append("second"))

        self.lifetime.pause(1.0).addErrback(again)
        self.lifetime.end()
        self.assertEqual(failed, ["first", "second"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
