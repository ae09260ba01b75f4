"""
Tests for L{sockhost.redis.cluster_unit}: a unit that is up, or nearly so.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, UnitLost
from sockhost.redis.cluster_unit import ClusterUnit
from sockhost.redis.settings import RedisConfig
from tests.redis.fakes import HELLO, Wire

URL = "redis+cluster://127.0.0.1:1"
SLOTS = b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n"
COMMANDS = b"*1\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"


class ClusterUnitCase(SynchronousTestCase):
    """The unit of a cluster of one node, which is turned by hand."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.unit = ClusterUnit(
            "store", RedisConfig(url=URL, ping_interval=0.0), self.reactor
        )
        self.client = self.unit.client()
        self.losses: list[Failure] = []

    def tearDown(self) -> None:
        self.unit.stop()
        self.unit.abort()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def accept(self) -> Wire:
        """Let the last attempt to connect succeed."""
        factory: Any = self.reactor.tcpClients[-1][2]
        wire = Wire(self.reactor, factory.buildProtocol(None))
        wire.send(HELLO)
        wire.clear()
        return wire

    def known(self) -> tuple[Deferred[None], Wire]:
        """Start, and let the node say where the slots are."""
        starting = self.unit.start(self.losses.append)
        wire = self.accept()
        self.reactor.advance(0)
        wire.send(SLOTS)
        self.reactor.advance(0)
        self.assertEqual(wire.sent()[-1], [b"COMMAND"])
        return starting, wire

    def up(self) -> Wire:
        """Bring the unit up."""
        starting, wire = self.known()
        wire.send(COMMANDS)
        self.successResultOf(starting)
        return wire


class StartTests(ClusterUnitCase):
    """Becoming ready."""

    def test_up(self) -> None:
        """It is up when the node has said where the slots are, and what it knows."""
        wire = self.up()
        reply: Deferred[object] = self.client.execute("GET", "a")
        self.reactor.advance(0)
        self.assertEqual(wire.sent(), [[b"GET", b"a"]])
        wire.send(b"$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(reply), b"x")

    def test_silent(self) -> None:
        """All that is asked for has one limit together."""
        starting = self.unit.start(self.losses.append)
        wire = self.accept()
        self.reactor.advance(3)
        wire.send(SLOTS)
        self.reactor.advance(1.5)
        self.assertNoResult(starting)
        self.reactor.advance(0.5)
        self.reactor.advance(0)
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assertIn("no node answers", str(failure.value))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """A stop waits until nothing of the attempt is left, however often given up."""
        starting, wire = self.known()
        starting.cancel()
        starting.cancel()
        stopping = self.unit.stop()
        self.assertTrue(wire.aborted)
        self.assertNoResult(starting)
        self.assertNoResult(stopping)
        self.reactor.advance(0)
        self.failureResultOf(starting, CancelledError)
        self.successResultOf(stopping)


class ReloadTests(ClusterUnitCase):
    """New configurations for a unit that is up."""

    def reload(self, **options: Any) -> Deferred[bool]:
        return self.unit.reload(RedisConfig(url=URL, timeout=3.0, **options))

    def assert_lost(self, text: str) -> None:
        """The unit has said that it is lost, and nothing is left of it."""
        [loss] = self.losses
        self.assertIsInstance(loss.value, UnitLost)
        self.assertIn(text, str(loss.value))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_credentials(self) -> None:
        """Where nobody says as whom to connect, the unit is lost."""

        def away() -> tuple[None, str]:
            raise OSError("the vault is away")

        self.up()
        reloading = self.reload(credentials=away)
        self.reactor.advance(0)
        self.assertTrue(self.successResultOf(reloading))
        self.assert_lost("the vault is away")

    def test_cancelled_while_draining(self) -> None:
        """A change that is given up leaves no unit that only seems to be up."""
        old = self.up()
        sent: Deferred[object] = self.client.execute("GET", "a")
        reloading = self.reload()
        reloading.cancel()
        self.assertEqual(self.losses, [])
        self.assertTrue(old.aborted)
        self.reactor.advance(0)
        self.failureResultOf(reloading, CancelledError)
        self.failureResultOf(sent, MaybeExecuted)
        self.assert_lost("the reload was given up")

    def test_cancelled_while_connecting(self) -> None:
        """So it is where the new connections were being made already."""
        self.up()
        reloading = self.reload()
        self.reactor.advance(0)
        new = self.accept()
        reloading.cancel()
        self.reactor.advance(0)
        self.failureResultOf(reloading, CancelledError)
        self.assertTrue(new.aborted)
        self.assert_lost("the reload was given up")

    def test_closed_meanwhile(self) -> None:
        """A client that is closed while it is drained is not connected again."""
        old = self.up()
        sent: Deferred[object] = self.client.execute("GET", "a")
        reloading = self.reload()
        closing = self.client.close()
        old.send(b"$1\r\nx\r\n")
        self.reactor.advance(0)
        self.assertEqual(self.successResultOf(sent), b"x")
        self.assertTrue(self.successResultOf(reloading))
        self.successResultOf(closing)
        self.assert_lost("closed by its user")
        self.assertEqual(len(self.reactor.tcpClients), 1)
