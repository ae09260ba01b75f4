"""
Tests for L{sockhost.workers.forking}.
"""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.pollreactor import PollReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.workers import forking
from sockhost.workers.forking import (
    CannotFork,
    check_reactor,
    check_threads,
    renew,
    watch_threads,
)


class Poller:
    """An epoll object that must not be used, but may be closed."""

    def __init__(self) -> None:
        self.closed = False
        self.registered: list[int] = []

    def register(self, fd: int, _flags: int) -> None:
        """Watch a descriptor."""
        self.registered.append(fd)

    def close(self) -> None:
        """Close it."""
        self.closed = True


class ReactorTests(SynchronousTestCase):
    """
    Tests for L{check_reactor} and L{renew}, with the reactor of the Twisted that
    is installed: its private names are what they depend on.
    """

    def setUp(self) -> None:
        """Make a reactor that never runs."""
        self.reactor: Any = EPollReactor()
        self.addCleanup(self.close)

    def close(self) -> None:
        """Close what the reactor has opened."""
        self.reactor.waker.connectionLost(Failure(Exception()))
        self.reactor._poller.close()

    def test_good(self) -> None:
        """A reactor that was only installed can be renewed."""
        check: Any = check_reactor
        self.assertIsNone(check(self.reactor))

    def test_renew(self) -> None:
        """Epoll object and waker are new, and the old ones were only closed."""
        self.reactor._poller.close()
        old, new = Poller(), Poller()
        self.reactor._poller = old
        waker = self.reactor.waker
        renew(self.reactor, lambda: new)
        self.assertTrue(old.closed)
        self.assertEqual(old.registered, [])
        self.assertIsNot(self.reactor.waker, waker)
        self.assertFalse(hasattr(waker, "i"))
        self.assertEqual(new.registered, [self.reactor.waker.fileno()])
        self.assertEqual(self.reactor.getReaders(), [self.reactor.waker])
        self.assertEqual(self.reactor._internalReaders, {self.reactor.waker})

    def test_renewed_reactor_works(self) -> None:
        """A renewed reactor is woken by its new waker."""
        renew(self.reactor)
        called: list[str] = []
        self.reactor.callFromThread(called.append, "woken")
        self.reactor.wakeUp()
        self.reactor.iterate(0)
        self.assertEqual(called, ["woken"])

    def test_running(self) -> None:
        """A reactor that runs is refused."""
        self.reactor.running = True
        error = self.assertRaises(CannotFork, check_reactor, self.reactor)
        self.assertIn("started the reactor", str(error))

    def test_selectables(self) -> None:
        """A reactor that watches something of the plugin is refused."""
        self.reactor._reads.add(99)
        self.reactor._selectables[99] = "the plugin's port"
        error = self.assertRaises(CannotFork, check_reactor, self.reactor)
        self.assertIn("the plugin's port", str(error))
        self.reactor._reads.discard(99)

    def test_other_kind(self) -> None:
        """Another kind of reactor is refused by its name."""
        other: Any = PollReactor()
        self.addCleanup(other.waker.connectionLost, Failure(Exception()))
        error = self.assertRaises(CannotFork, check_reactor, other)
        self.assertIn("PollReactor", str(error))

    def test_other_twisted(self) -> None:
        """A Twisted without one of the private names is refused."""
        self.patch(forking, "_NEEDED", ("_poller", "_no_such_name"))
        error = self.assertRaises(CannotFork, check_reactor, self.reactor)
        self.assertIn("reactor._no_such_name", str(error))


class ThreadTests(SynchronousTestCase):
    """
    Tests for L{watch_threads} and L{check_threads}.
    """

    def test_alone(self) -> None:
        """One thread is fine, whoever had started others that have ended."""
        check: Any = check_threads
        self.assertIsNone(check(["ended"], count=1))

    def test_culprit(self) -> None:
        """The module that started a thread is named."""
        error = self.assertRaises(CannotFork, check_threads, ["plug.in"], count=3)
        self.assertIn("2 thread(s) running, started by plug.in", str(error))

    def test_unknown_to_python(self) -> None:
        """A thread that Python did not start is put down to a library in C."""
        error = self.assertRaises(CannotFork, check_threads, [], count=2)
        self.assertIn("by a library in C", str(error))

    def test_watch(self) -> None:
        """Modules that start threads are noted, once each, and only meanwhile."""
        original = threading.Thread.start
        with watch_threads() as starters:
            for _each in range(2):
                thread = threading.Thread(target=int)
                thread.start()
                thread.join()
        self.assertEqual(starters, [__name__])
        self.assertIs(threading.Thread.start, original)
