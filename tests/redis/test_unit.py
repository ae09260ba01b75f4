"""
Tests for L{sockhost.redis.unit}: the C{redis} kind.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError  # noqa: A004
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from sockhost.interfaces import (
    IUnitKind,
    IUsableUnit,
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
    UnitLost,
)
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisKind, RedisUnit
from tests.redis.fakes import HELLO, INTRODUCED, FakeServer, Wire

CONFIG = RedisConfig(url="unix:///run/v.sock", password="secret")


class UnitCase(SynchronousTestCase):
    """A unit, and the server turned by hand."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.server = FakeServer(self.reactor)
        self.unit = RedisUnit("store", CONFIG, self.reactor)
        self.client = self.unit.client()
        self.losses: list[Failure] = []

    def start(self) -> Deferred[None]:
        return self.unit.start(self.losses.append)

    def up(self) -> Wire:
        """Bring the unit up."""
        starting = self.start()
        wire = self.server.greet()
        self.successResultOf(starting)
        return wire

    def assert_nothing_left(self) -> None:
        """There is no timer."""
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class StartTests(UnitCase):
    """Becoming ready."""

    def test_interface(self) -> None:
        """It is a unit that handlers can use."""
        self.assertTrue(verifyObject(IUsableUnit, self.unit))
        self.assertTrue(verifyClass(IUsableUnit, RedisUnit))

    def test_ready(self) -> None:
        """It is ready when the server has greeted back, and commands wait for that."""
        early = self.client.execute("GET", "a")
        starting = self.start()
        wire = self.server.accept()
        hello = wire.sent()[0]
        self.assertEqual(
            hello[2:], [b"AUTH", b"default", b"secret", b"SETNAME", b"store"]
        )
        self.assertNoResult(starting)
        self.assertFalse(self.client.connected)
        wire.send(HELLO)
        self.successResultOf(starting)
        self.assertTrue(self.client.connected)
        self.assertEqual(wire.sent(), [[b"GET", b"a"]])
        wire.send(b":1\r\n")
        self.assertEqual(self.successResultOf(early), 1)

    def test_refused(self) -> None:
        """Where nobody listens the start fails, and says where."""
        starting = self.start()
        self.server.refuse(ConnectionRefusedError())
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertIn("unix:///run/v.sock", str(failure.value))
        self.assertEqual(self.client.reason, str(failure.value))
        self.assert_nothing_left()

    def test_wrong_password(self) -> None:
        """What the server refuses is its own error, once the connection is gone."""
        starting = self.start()
        wire = self.server.accept()
        wire.send(b"-WRONGPASS no\r\n" + INTRODUCED)
        self.assertNoResult(starting)
        self.reactor.advance(0)
        self.failureResultOf(starting, RedisReplyError)
        self.assert_nothing_left()

    def test_bad_name(self) -> None:
        """What cannot be sent at all leaves no connection either."""
        unit = RedisUnit("store", evolve(CONFIG, client_name="\ud800"), self.reactor)
        starting = unit.start(self.losses.append)
        wire = self.server.accept()
        self.reactor.advance(0)
        self.failureResultOf(starting, UnicodeEncodeError)
        self.assertTrue(wire.aborted)

    def test_hung_up(self) -> None:
        """A server that hangs up instead of greeting is a failed connection."""
        starting = self.start()
        self.server.accept().lose()
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assert_nothing_left()

    def test_silent(self) -> None:
        """A server that says nothing costs the limit and no more."""
        starting = self.start()
        wire = self.server.accept()
        self.reactor.advance(5)
        self.reactor.advance(0)
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertIn("no answer within 5.0 s", str(failure.value))
        self.assertTrue(wire.aborted)
        self.assert_nothing_left()


class StopTests(UnitCase):
    """The ways down."""

    def test_lost(self) -> None:
        """A loss is told once, with its reason, and the next start works."""
        self.up().lose()
        [failure] = self.losses
        self.assertIsInstance(failure.value, UnitLost)
        self.assertIn("unix:///run/v.sock: the connection was lost", str(failure.value))
        self.assert_nothing_left()
        waiting = self.client.execute("GET", "a")
        wire = self.up()
        wire.send(b":1\r\n")
        self.assertEqual(self.successResultOf(waiting), 1)
        self.assertEqual(self.unit.status()["reconnects"], 1)

    def test_stop(self) -> None:
        """A stop drains, and is no loss."""
        wire = self.up()
        sent = self.client.execute("GET", "a")
        stopping = self.unit.stop()
        self.assertNoResult(stopping)
        wire.send(b":1\r\n")
        self.reactor.advance(0)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.successResultOf(sent), 1)
        self.failureResultOf(self.client.execute("GET", "a"), RedisConnectionError)
        self.assertEqual(self.losses, [])
        self.assert_nothing_left()

    def test_abort(self) -> None:
        """An abort cuts the drain short, and does nothing without one."""
        self.up()
        self.unit.abort()
        sent = self.client.execute("GET", "a")
        stopping = self.unit.stop()
        self.unit.abort()
        self.reactor.advance(0)
        self.successResultOf(stopping)
        self.failureResultOf(sent, MaybeExecuted)
        self.assert_nothing_left()

    def test_lost_with_others(self) -> None:
        """What is told to be lost has left no other connection either."""
        wire = self.up()
        blocked = self.client.execute("BLPOP", "q", 0)
        other = self.server.greet()
        wire.lose()
        self.assertEqual(self.losses, [])
        self.reactor.advance(0)
        self.assertTrue(other.aborted)
        self.failureResultOf(blocked, MaybeExecuted)
        self.assertEqual((len(self.losses), self.client.lent), (1, 0))
        self.up()
        self.client.execute("BLPOP", "q", 0)
        self.assertEqual(self.server.greet().sent(), [[b"BLPOP", b"q", b"0"]])

    def test_lost_while_connecting_others(self) -> None:
        """Nor one that was being made, and nobody makes another meanwhile."""
        wire = self.up()
        blocked = self.client.execute("BLPOP", "q", 0)
        other = self.server.accept()
        wire.lose()
        self.assertEqual(self.losses, [])
        self.reactor.advance(0)
        self.assertTrue(other.aborted)
        self.failureResultOf(blocked, RedisConnectionError)
        self.assertEqual(len(self.losses), 1)

    def test_abort_others(self) -> None:
        """An abort ends what blocks too."""
        self.up()
        blocked = self.client.execute("BLPOP", "q", 0)
        self.server.greet()
        stopping = self.unit.stop()
        self.reactor.advance(0)
        self.assertNoResult(stopping)
        self.unit.abort()
        self.reactor.advance(0)
        self.failureResultOf(blocked, MaybeExecuted)
        self.successResultOf(stopping)
        self.assert_nothing_left()

    def test_stop_while_connecting_others(self) -> None:
        """A stop has ended when what was being connected has, too."""
        wire = self.up()
        blocked = self.client.execute("BLPOP", "q", 0)
        other = self.server.accept()
        stopping = self.unit.stop()
        wire.lose()
        self.assertTrue(other.aborted)
        self.assertNoResult(stopping)
        self.reactor.advance(0)
        self.failureResultOf(blocked, RedisConnectionError)
        self.successResultOf(stopping)

    def test_stop_down(self) -> None:
        """A unit that is down is already stopped."""
        self.successResultOf(self.unit.stop())

    def test_stop_while_connecting(self) -> None:
        """A stop ends an attempt to connect."""
        starting = self.start()
        self.successResultOf(self.unit.stop())
        self.failureResultOf(starting, CancelledError)
        self.assert_nothing_left()

    def test_stop_while_greeting(self) -> None:
        """A stop has fired when the half-made connection is gone."""
        starting = self.start()
        wire = self.server.accept()
        stopping = self.unit.stop()
        self.assertNoResult(stopping)
        self.reactor.advance(0)
        self.successResultOf(stopping)
        self.failureResultOf(starting, CancelledError)
        self.assertTrue(wire.aborted)
        self.assert_nothing_left()

    def test_closed_by_user(self) -> None:
        """A handler that closes its client ends the unit as it is meant to end."""
        self.up()
        closing = self.client.close()
        self.reactor.advance(0)
        self.successResultOf(closing)
        [failure] = self.losses
        assert isinstance(failure.value, UnitLost)
        self.assertTrue(failure.value.success)


class StatusTests(UnitCase):
    """What is shown."""

    def test_down(self) -> None:
        """A unit that never ran has a status, without the password."""
        shown = json.dumps(dict(self.unit.status()))
        self.assertNotIn("secret", shown)
        self.assertFalse(self.unit.status()["connected"])

    def test_up(self) -> None:
        """A running one says who answers and how busy it is."""
        self.up()
        self.client.execute("A")
        status = dict(self.unit.status())
        self.assertEqual(
            status,
            {
                "url": "unix:///run/v.sock",
                "connected": True,
                "server": "/run/v.sock",
                "server_version": "9.1.2",
                "protocol": 3,
                "queued": 0,
                "outstanding": 1,
                "dedicated": 0,
                "latency": None,
                "reconnects": 0,
            },
        )


@frozen
class _Host:
    reactor: Any


class RedisKindTests(SynchronousTestCase):
    """The kind and its configuration."""

    def make(self, **options: Any) -> RedisUnit:
        config = RedisConfig(url="unix:///run/v.sock", **options)
        host: Any = _Host(MemoryReactorClock())
        made: Any = RedisKind().make("store", config, host)
        assert isinstance(made, RedisUnit)
        return made

    def test_interface(self) -> None:
        """It is a plugin and a kind."""
        self.assertTrue(verifyObject(IUnitKind, RedisKind()))
        self.assertTrue(IPlugin.providedBy(RedisKind()))

    def test_make(self) -> None:
        """It makes units."""
        self.assertIsInstance(self.make(), RedisUnit)

    def test_password_env(self) -> None:
        """The password may come from the environment, where it must be then."""
        self.patch(__import__("os"), "environ", {"PW": "from there"})
        unit = self.make(password_env="PW")
        self.assertEqual(unit._dialer.greeting.password, "from there")
        with self.assertRaisesRegex(RedisError, "'OTHER'"):
            self.make(password_env="OTHER")

    def test_password_url(self) -> None:
        """The password of the URL gives way to the one beside it."""
        config = RedisConfig(url="redis://:one@h", password="two")
        unit = RedisUnit("store", config, MemoryReactorClock())
        self.assertEqual(unit._dialer.greeting.password, "two")

    def test_checked(self) -> None:
        """Values that make no sense are refused."""
        cases: list[dict[str, Any]] = [
            {"url": "h:1"},
            {"url": "unix:///x", "timeout": -1.0},
            {"url": "unix:///x", "connect_timeout": 0.0},
        ]
        for bad in cases:
            with self.assertRaises(ValueError):
                RedisConfig(**bad)
