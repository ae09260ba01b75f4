# -*- test-case-name: tests.host.test_signals -*-
"""
Tests for L{sockhost.host.signals}.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.host.signals import Signals, TooEarly, expect_early, host_handlers


class LaterReactor:
    """Calls from signal handlers, kept until the test runs them."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, what: Callable[[], object]) -> None:
        self.calls.append(what)

    def turn(self) -> None:
        """Run what waits."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class SignalsTests(SynchronousTestCase):
    """Signals become calls in turns of the reactor."""

    def setUp(self) -> None:
        self.reactor = LaterReactor()
        self.table: dict[int, Any] = {
            signal.SIGTERM: "twistd's",
            signal.SIGHUP: signal.SIG_IGN,
            signal.SIGUSR1: None,
        }
        self.heard: list[str] = []
        reactor: Any = self.reactor
        self.signals = Signals(reactor, self.install)

    def install(self, signum: int, handler: Any) -> Any:
        """Stand in for L{signal.signal}."""
        before = self.table[signum]
        self.table[signum] = handler
        return before

    def listen(self) -> None:
        """Listen to the three."""
        self.signals.listen(
            {
                signal.SIGTERM: lambda: self.heard.append("term"),
                signal.SIGHUP: lambda: self.heard.append("hup"),
                signal.SIGUSR1: lambda: self.heard.append("usr1"),
            }
        )

    def test_turn(self) -> None:
        """A handler runs in the next turn, not between two instructions."""
        self.listen()
        self.table[signal.SIGTERM](signal.SIGTERM, None)
        self.assertEqual(self.heard, [])
        self.reactor.turn()
        self.assertEqual(self.heard, ["term"])

    def test_each_its_own(self) -> None:
        """Every signal reaches its own handler."""
        self.listen()
        for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
            self.table[signum](signum, None)
        self.reactor.turn()
        self.assertEqual(self.heard, ["hup", "usr1", "term"])

    def test_stop_counts(self) -> None:
        """A signal to stop reaches its handler as often as it comes."""
        self.listen()
        for _ in range(2):
            self.table[signal.SIGTERM](signal.SIGTERM, None)
        self.reactor.turn()
        self.assertEqual(self.heard, ["term", "term"])

    def test_burst(self) -> None:
        """
        Of those that ask for something, a burst is one; what comes while it is
        acted on is another, so that it is not missed, and waits its turn.
        """
        self.signals.listen({signal.SIGUSR1: self.interrupted})
        for _ in range(50):
            self.table[signal.SIGUSR1](signal.SIGUSR1, None)
        for turn in (1, 2, 2):
            self.reactor.turn()
            self.assertEqual(self.heard, ["usr1"] * turn)

    def interrupted(self) -> None:
        """Signals come while the first is acted on."""
        self.heard.append("usr1")
        if len(self.heard) == 1:
            for _ in range(50):
                self.table[signal.SIGUSR1](signal.SIGUSR1, None)

    def test_restore(self) -> None:
        """What was there before is there again; the unknown becomes the default."""
        self.listen()
        self.signals.restore()
        self.assertEqual(
            self.table,
            {
                signal.SIGTERM: "twistd's",
                signal.SIGHUP: signal.SIG_IGN,
                signal.SIGUSR1: signal.SIG_DFL,
            },
        )

    def test_restore_once(self) -> None:
        """A handler that somebody sets afterwards is not overwritten."""
        self.listen()
        self.signals.restore()
        self.table[signal.SIGTERM] = "the next one's"
        self.signals.restore()
        self.assertEqual(self.table[signal.SIGTERM], "the next one's")


class EarlyTests(SynchronousTestCase):
    """Signals that come before the host can act on them."""

    def setUp(self) -> None:
        self.reactor = LaterReactor()
        self.table: dict[int, Any] = {
            signal.SIGHUP: signal.SIG_DFL,
            signal.SIGUSR1: signal.SIG_DFL,
        }
        self.heard: list[str] = []

    def install(self, signum: int, handler: Any) -> Any:
        """Stand in for L{signal.signal}."""
        before, self.table[signum] = self.table[signum], handler
        return before

    def listen(self) -> None:
        """Begin to act on both."""
        reactor: Any = self.reactor
        Signals(reactor, self.install).listen(
            {
                signal.SIGHUP: lambda: self.heard.append("hup"),
                signal.SIGUSR1: lambda: self.heard.append("usr1"),
            }
        )
        self.reactor.turn()

    def test_acted_on_later(self) -> None:
        """One that would have ended the process is acted on, once, when that goes."""
        expect_early(self.table.__getitem__, self.install)
        for _ in range(2):
            self.table[signal.SIGUSR1](signal.SIGUSR1, None)
        self.listen()
        self.assertEqual(self.heard, ["usr1"])

    def test_none_came(self) -> None:
        """Nothing is done where none came."""
        expect_early(self.table.__getitem__, self.install)
        self.listen()
        self.assertEqual(self.heard, [])

    def test_others(self) -> None:
        """What somebody else has set, to ignore a signal, say, stays."""
        self.table[signal.SIGHUP] = signal.SIG_IGN
        expect_early(self.table.__getitem__, self.install)
        self.assertIs(self.table[signal.SIGHUP], signal.SIG_IGN)
        self.assertIsInstance(self.table[signal.SIGUSR1], TooEarly)

    def test_too_late(self) -> None:
        """Who asks when the host has ended does not kill a process that exits."""
        expect_early(self.table.__getitem__, self.install)
        reactor: Any = self.reactor
        signals = Signals(reactor, self.install)
        signals.listen({signal.SIGHUP: lambda: None})
        signals.restore()
        self.assertIs(self.table[signal.SIGHUP], signal.SIG_IGN)


class HostHandlersTests(SynchronousTestCase):
    """What a host does at which signal."""

    def test_handlers(self) -> None:
        """INT, TERM and QUIT stop it, USR1 and HUP do not; all name themselves."""
        heard: list[str] = []
        handlers = host_handlers(
            lambda name: heard.append(f"stop {name}"),
            lambda name: heard.append(f"reconfigure {name}"),
            lambda: heard.append("hang up"),
        )
        for signum in sorted(handlers):
            handlers[signum]()
        self.assertEqual(
            heard,
            [
                "hang up",
                "stop SIGINT",
                "stop SIGQUIT",
                "reconfigure SIGUSR1",
                "stop SIGTERM",
            ],
        )
