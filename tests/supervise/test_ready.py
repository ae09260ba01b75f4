# -*- test-case-name: tests.supervise.test_ready -*-
"""Tests for L{sockhost.supervise.ready}."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import NotReady
from sockhost.supervise.notify import NotifySocket
from sockhost.supervise.ready import Ready, parse_address, when_ready


class ConfigTests(SynchronousTestCase):
    """The ways of being ready."""

    def test_exactly_one(self) -> None:
        """There must be one, and no more."""
        for options in ({}, {"notify": True, "delay": 1.0}):
            error = self.assertRaises(ValueError, Ready, **options)
            self.assertEqual(
                str(error), "expected exactly one of connect, notify and delay"
            )

    def test_numbers(self) -> None:
        """Times are greater than 0."""
        for options in ({"delay": 0.0}, {"notify": True, "timeout": 0.0}):
            self.assertRaises(ValueError, Ready, **options)

    def test_addresses(self) -> None:
        """Paths, names and both kinds of numbers are addresses."""
        self.assertEqual(parse_address("unix:run/s"), ("unix", "run/s", 0))
        self.assertEqual(parse_address("tcp:localhost:80"), ("tcp", "localhost", 80))
        self.assertEqual(parse_address("tcp:[::1]:80"), ("tcp", "::1", 80))

    def test_no_addresses(self) -> None:
        """Everything else is refused."""
        for text in (
            "",
            "unix:",
            "tcp:80",
            "tcp::80",
            "tcp:h:0",
            "tcp:h:99999",
            "h:80",
        ):
            self.assertRaises(ValueError, Ready, connect=text)

    @given(st.text(max_size=30))
    def test_nothing_else_is_raised(self, text: str) -> None:
        """Any text is an address or a ValueError."""
        try:
            scheme = parse_address(text)[0]
        except ValueError:
            return
        self.assertIn(scheme, ("unix", "tcp"))


class WhenReadyTests(SynchronousTestCase):
    """Waiting until a program is ready."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_delay(self) -> None:
        """It is ready after the delay."""
        waiting = when_ready(self.reactor, Ready(delay=2.0))
        self.reactor.advance(1.9)
        self.assertNoResult(waiting)
        self.reactor.advance(0.2)
        self.assertIsNone(self.successResultOf(waiting))

    def test_long_delay(self) -> None:
        """The delay is all that it takes, however long that is."""
        waiting = when_ready(self.reactor, Ready(delay=60.0))
        self.reactor.advance(59)
        self.assertNoResult(waiting)
        self.reactor.advance(1)
        self.assertIsNone(self.successResultOf(waiting))

    def test_notify(self) -> None:
        """It is ready when it says so."""
        notify = NotifySocket(self.reactor, "unused")
        waiting = when_ready(self.reactor, Ready(notify=True), notify=notify)
        self.assertNoResult(waiting)
        notify.message(b"READY=1")
        self.assertIsNone(self.successResultOf(waiting))

    def test_too_late(self) -> None:
        """When the time is over, the error says what was waited for."""
        notify = NotifySocket(self.reactor, "unused")
        ready = Ready(notify=True, timeout=3.0)
        waiting = when_ready(self.reactor, ready, notify=notify)
        self.reactor.advance(3.0)
        error = self.failureResultOf(waiting, NotReady)
        self.assertEqual(
            str(error.value), "the program did not say READY=1 within 3 seconds"
        )

    def refuse(self) -> None:
        """Refuse the newest attempt to connect."""
        factory = self.reactor.unixClients[-1][1]
        factory.clientConnectionFailed(None, Failure(ConnectError()))

    def test_connect(self) -> None:
        """It is ready when a connection is accepted, which is closed again."""
        ready = Ready(connect="unix:s", interval=0.5)
        waiting = when_ready(self.reactor, ready, "/srv")
        self.assertEqual(self.reactor.unixClients[0][0], "/srv/s")
        self.refuse()
        self.reactor.advance(0.5)
        protocol = self.reactor.unixClients[1][1].buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.assertTrue(transport.disconnecting)
        self.assertNoResult(waiting)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertIsNone(self.successResultOf(waiting))

    def test_never_accepted(self) -> None:
        """Nobody who accepts is not ready."""
        ready = Ready(connect="unix:/s", interval=0.5, timeout=1.2)
        waiting = when_ready(self.reactor, ready)
        for _ in range(3):
            self.refuse()
            self.reactor.advance(0.5)
        error = self.failureResultOf(waiting, NotReady)
        self.assertIn("nothing accepted a connection at unix:/s", str(error.value))

    def test_cancelled(self) -> None:
        """Cancelling leaves nothing, between attempts and during one."""
        between = when_ready(self.reactor, Ready(connect="unix:/s"))
        self.refuse()
        between.cancel()
        self.failureResultOf(between, CancelledError)
        during = when_ready(self.reactor, Ready(connect="unix:/s"))
        during.cancel()
        self.failureResultOf(during, CancelledError)
