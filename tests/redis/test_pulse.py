"""
Tests for L{sockhost.redis.pulse}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisReplyError
from sockhost.redis.pulse import Pulse


class PulseTests(SynchronousTestCase):
    """Pings and what follows from silence."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pings: list[Deferred[Any]] = []
        self.stalls = 0
        self.pulse = Pulse(self.clock, 10.0, self._ping, self._stalled)
        self.pulse.start()

    def _ping(self) -> Deferred[Any]:
        self.pings.append(Deferred())
        return self.pings[-1]

    def _stalled(self) -> None:
        self.stalls += 1

    def test_answered(self) -> None:
        """Answered pings go on and tell their latency."""
        for _ in range(3):
            self.clock.advance(10)
            self.clock.advance(0.5)
            self.pulse.silent = False
            self.pings[-1].callback(b"PONG")
            self.clock.advance(-0.5)
        self.assertEqual(len(self.pings), 3)
        self.assertEqual((self.stalls, self.pulse.latency), (0, 0.5))

    def test_silence(self) -> None:
        """A whole interval of silence after a ping is told once, and is the end."""
        self.clock.advance(10)
        self.clock.advance(10)
        self.assertEqual((len(self.pings), self.stalls), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unread(self) -> None:
        """What has come while the reactor was busy is read before it is judged."""
        self.clock.advance(10)
        # What the reactor reads next, when all is done whose time has come.
        self.clock.callLater(10, setattr, self.pulse, "silent", False)
        self.clock.advance(10)
        self.assertEqual((len(self.pings), self.stalls), (2, 0))
        self.clock.advance(10)
        self.assertEqual((len(self.pings), self.stalls), (2, 1))

    def test_stop_before_judged(self) -> None:
        """A stop in between is the end, and silence is not told any more."""
        self.clock.advance(10)
        self.clock.callLater(10, self.pulse.stop)
        self.clock.advance(10)
        self.assertEqual((len(self.pings), self.stalls), (1, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_other_signs(self) -> None:
        """Anything that is heard counts, and the next ping is sent all the same."""
        self.clock.advance(10)
        self.pulse.silent = False
        self.clock.advance(10)
        self.assertEqual((len(self.pings), self.stalls), (2, 0))

    def test_error_reply(self) -> None:
        """A ping that is answered with an error is nothing to worry about."""
        self.clock.advance(10)
        self.pulse.silent = False
        self.pings[0].errback(RedisReplyError("NOPERM no ping"))
        self.clock.advance(10)
        self.assertEqual((self.stalls, self.pulse.latency), (0, None))

    def test_stop(self) -> None:
        """After the stop there is no timer, also when stopped twice."""
        self.pulse.stop()
        self.pulse.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_off(self) -> None:
        """An interval of 0 means no pings."""
        pulse = Pulse(Clock(), 0.0, self._ping, self._stalled)
        pulse.start()
        self.assertIsNone(pulse._call)
