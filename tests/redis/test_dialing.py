"""
Tests for L{sockhost.redis.dialing} and L{sockhost.redis.credentials}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.dialing import Dialer
from sockhost.redis.settings import RedisConfig
from sockhost.redis.url import RedisURL, parse_url
from tests.redis.fakes import HELLO, FakeServer


def tokens() -> tuple[str | None, str]:
    """Give credentials."""
    return None, "token"


class _Finder:
    """Knows a server that is not of the right kind."""

    def find(self) -> Deferred[RedisURL]:
        """Say where."""
        return succeed(parse_url("unix:///elsewhere"))

    def check(self, connection: RedisConnection, place: str) -> Deferred[None]:
        """Refuse it."""
        raise RedisConnectionError("not that one")


class DialTests(SynchronousTestCase):
    """From a configuration to a connection."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.server = FakeServer(self.reactor)

    def dialer(self, **options: Any) -> Dialer:
        config = RedisConfig(url="unix:///x", **options)
        return Dialer.make(self.reactor, config, parse_url(config.url), "me")

    def hello(self, credentials: Any) -> list[bytes]:
        """Say what the server is told first."""
        dialing = self.dialer(credentials=credentials).dial()
        wire = self.server.accept()
        said = wire.sent()[0]
        wire.send(HELLO)
        self.successResultOf(dialing)
        return said[2:5]

    def test_credentials(self) -> None:
        """They are asked for with each connection, in any of four ways."""
        count = 0

        def count_up() -> tuple[str, str]:
            nonlocal count
            count += 1
            return "u", f"p{count}"

        async def later() -> tuple[str, str]:
            return "v", "w"

        self.assertEqual(self.hello(count_up), [b"AUTH", b"u", b"p1"])
        self.assertEqual(self.hello(count_up), [b"AUTH", b"u", b"p2"])
        self.assertEqual(self.hello(later), [b"AUTH", b"v", b"w"])
        deferred = succeed(("a", "b"))
        self.assertEqual(self.hello(lambda: deferred), [b"AUTH", b"a", b"b"])
        named = f"{__name__}:tokens"
        self.assertEqual(self.hello(named), [b"AUTH", b"default", b"token"])

    def test_bad_credentials(self) -> None:
        """Who gives nothing of use is told what was expected."""
        dialing = self.dialer(credentials=lambda: "password").dial()
        self.failureResultOf(dialing, RedisError)
        for bad, error in (
            ("nothing", ValueError),
            (3, ValueError),
            ("nowhere:f", RedisError),
            (f"{__name__}:nothing", RedisError),
        ):
            with self.assertRaises(error):
                self.dialer(credentials=bad)

    def test_given_up_twice(self) -> None:
        """Who gives up again still waits until nothing is left."""
        dialing = self.dialer().dial()
        wire = self.server.accept()
        dialing.cancel()
        dialing.cancel()
        self.assertTrue(wire.aborted)
        self.assertNoResult(dialing)
        self.reactor.advance(0)
        self.failureResultOf(dialing, CancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_finder(self) -> None:
        """A server that turns out to be the wrong one is left again."""
        dialer = self.dialer()
        dialer.finder = _Finder()
        dialing = dialer.dial()
        self.assertEqual(self.reactor.unixClients[-1][0], "/elsewhere")
        wire = self.server.greet()
        self.reactor.advance(0)
        self.assertTrue(wire.aborted)
        failure = self.failureResultOf(dialing, RedisConnectionError)
        self.assertIn("not that one", str(failure.value))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_limit_of_commands(self) -> None:
        """A greeting that is not answered in time leaves no connection."""
        dialing = self.dialer(timeout=1.0, connect_timeout=5.0).dial()
        wire = self.server.accept()
        self.reactor.pump([0.25] * 6)
        failure = self.failureResultOf(dialing, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assertIn("no reply in the time", str(failure.value))
        self.assertTrue(wire.aborted)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_failing_credentials(self) -> None:
        """Whatever their provider raises, there is no connection because of it."""

        def away() -> tuple[None, str]:
            raise OSError("the vault is away")

        dialing = self.dialer(credentials=away).dial()
        failure = self.failureResultOf(dialing, RedisConnectionError)
        self.assertIn("OSError: the vault is away", str(failure.value))

    def test_cancelled_credentials(self) -> None:
        """Cancelling gives up the wait for them."""
        asked: Deferred[Any] = Deferred()
        dialing = self.dialer(credentials=lambda: asked).dial()
        dialing.cancel()
        self.failureResultOf(dialing, CancelledError)
        self.assertTrue(asked.called)
