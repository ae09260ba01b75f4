"""
Tests for L{sockhost.redis.settings}, and for what becomes of the settings.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisConnectionError, RedisQueueFull
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisUnit
from tests.redis.fakes import FakeServer, Wire

CONFIG = RedisConfig(url="unix:///run/v.sock")


class CheckedTests(SynchronousTestCase):
    """What is refused."""

    def test_values(self) -> None:
        """Values that nothing could be done with are errors at once."""
        bad: list[dict[str, Any]] = [
            {"decode": "no-such-encoding"},
            {"max_queued": 0},
            {"max_dedicated": 0},
            {"max_depth": 0},
            {"max_elements": 0},
            {"max_bulk": 0},
            {"keepalive": -1.0},
            {"user_timeout": -1.0},
        ]
        for options in bad:
            with self.assertRaises(ValueError):
                RedisConfig(url="unix:///run/v.sock", **options)


class UsedTests(SynchronousTestCase):
    """What the settings do."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.server = FakeServer(self.reactor)

    def up(self, **options: Any) -> Wire:
        """Bring up a unit with these settings."""
        config = evolve(CONFIG, **options)
        self.unit = RedisUnit("store", config, self.reactor)
        self.client = self.unit.client()
        self.unit.start(lambda failure: None)
        wire = self.server.greet()
        wire.clear()
        return wire

    def test_seen(self) -> None:
        """The status has what is measured: latency, queues and reconnects."""
        wire = self.up(ping_interval=10.0)
        self.reactor.advance(10)
        self.assertEqual(wire.sent(), [[b"PING"]])
        self.reactor.advance(0.25)
        wire.send(b"+PONG\r\n")
        for name in "AB":
            self.client.execute(name).addErrback(lambda _: None)
        status = self.unit.status()
        shown = [status[each] for each in ("latency", "outstanding", "reconnects")]
        self.assertEqual((shown, status["server_version"]), ([0.25, 2, 0], "9.1.2"))
        wire.lose()
        self.client.execute("C").addErrback(lambda _: None)
        status = self.unit.status()
        shown = [status[each] for each in ("latency", "outstanding", "queued")]
        self.assertEqual(shown, [None, 0, 1])
        self.client.abort()

    def test_decode(self) -> None:
        """Replies are text."""
        wire = self.up(decode="utf-8")
        sent = self.client.execute("GET", "a")
        wire.send(b"$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(sent), "x")

    def test_full(self) -> None:
        """What is too much fails, or waits."""
        self.up(max_queued=1)
        self.client.execute("GET", "a")
        self.failureResultOf(self.client.execute("GET", "b"), RedisQueueFull)
        wire = self.up(max_queued=1, when_full="wait")
        self.client.execute("GET", "a")
        waiting = self.client.execute("GET", "b")
        self.assertNoResult(waiting)
        wire.send(b":1\r\n")
        wire.send(b":2\r\n")
        self.assertEqual(self.successResultOf(waiting), 2)

    def test_limits(self) -> None:
        """A server that sends more than is taken is left."""
        wire = self.up(max_bulk=50)
        sent = self.client.execute("GET", "a")
        wire.send(b"$51\r\n" + b"x" * 51)
        self.assertTrue(wire.aborted)
        wire.lose()
        self.failureResultOf(sent, RedisConnectionError)

    def test_dedicated(self) -> None:
        """Connections beside the shared one are made the same way, and counted."""
        self.up(max_dedicated=1, client_name="me")
        blocked = self.client.execute("BLPOP", "a", 0)
        wire = self.server.accept()
        self.assertIn(b"me", wire.sent()[0])
        self.assertNoResult(blocked)
        self.assertEqual(self.unit.status()["dedicated"], 1)
        blocked.cancel()
        self.reactor.advance(0)
        self.failureResultOf(blocked, CancelledError)

    def test_reload(self) -> None:
        """What a connection has from its beginning makes a new one; else not."""
        for options, anew in (
            ({"max_queued": 7, "decode": "ascii", "max_dedicated": 3}, False),
            ({"keepalive": 3.0}, True),
            ({"max_depth": 3}, True),
        ):
            self.up()
            attempts = self.server.attempts
            reloading = self.unit.reload(evolve(CONFIG, **options))
            self.reactor.advance(0)
            self.assertEqual(self.server.attempts > attempts, anew)
            if anew:
                self.server.greet()
            self.assertTrue(self.successResultOf(reloading))
