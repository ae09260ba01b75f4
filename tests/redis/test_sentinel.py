"""
Tests for L{sockhost.redis.sentinel} and L{sockhost.redis.racing}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import IUsableUnit, RedisConnectionError
from sockhost.redis.racing import first_of
from sockhost.redis.sentinel import _address, _fields, _is_fit
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisUnit


class FirstOfTests(SynchronousTestCase):
    """Who answers first."""

    def setUp(self) -> None:
        self.tries: list[Deferred[int]] = [Deferred(), Deferred(), Deferred()]
        self.first = Deferred.fromCoroutine(first_of(self.tries))

    def test_first(self) -> None:
        """The first that succeeds counts, and the others are cancelled."""
        self.tries[0].errback(RedisConnectionError("down"))
        self.tries[2].callback(7)
        self.assertEqual(self.successResultOf(self.first), 7)
        self.assertTrue(self.tries[1].called)

    def test_none(self) -> None:
        """Where all fail, each reason is told."""
        for number, each in enumerate(self.tries):
            each.errback(RedisConnectionError(f"down {number}"))
        failure = self.failureResultOf(self.first, RedisConnectionError)
        self.assertEqual(str(failure.value), "down 0; down 1; down 2")

    def test_cancel(self) -> None:
        """Cancelling cancels all of them."""
        self.first.cancel()
        self.failureResultOf(self.first, CancelledError)
        self.assertTrue(all(each.called for each in self.tries))


class ReplicaTests(SynchronousTestCase):
    """What a Sentinel says of a replica."""

    def test_forms(self) -> None:
        """It is a map in RESP3 and its pieces in RESP2."""
        fields = {"ip": "1.2.3.4", "port": "5"}
        self.assertEqual(_fields({b"ip": b"1.2.3.4", b"port": b"5"}), fields)
        self.assertEqual(_fields([b"ip", b"1.2.3.4", b"port", b"5"]), fields)
        self.assertEqual(_address(fields), ("1.2.3.4", 5))

    def test_fit(self) -> None:
        """One that is down, or has lost its primary, is not to be used."""
        for flags, link, fit in (
            ("slave", "ok", True),
            ("slave", "err", False),
            ("s_down,slave", "ok", False),
            ("slave,disconnected", "ok", False),
        ):
            said = {"flags": flags, "master-link-status": link}
            self.assertEqual(_is_fit(said), fit, said)


class UnitTests(SynchronousTestCase):
    """The unit of a service that Sentinels know."""

    def test_nobody_there(self) -> None:
        """Where no Sentinel answers the start fails, and nothing is left."""
        reactor = MemoryReactorClock()
        config = RedisConfig(url="redis+sentinel://127.0.0.1,127.0.0.2/main")
        unit = RedisUnit("store", config, reactor)
        self.assertTrue(verifyObject(IUsableUnit, unit))
        starting = unit.start(lambda failure: None)
        self.assertEqual(len(reactor.tcpClients), 2)
        reactor.pump([1.0] * 6)
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertIn("redis+sentinel://127.0.0.1:26379", str(failure.value))
        self.successResultOf(unit.stop())
        self.assertEqual(reactor.getDelayedCalls(), [])
