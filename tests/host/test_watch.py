# -*- test-case-name: tests.host.test_watch -*-
"""
Tests for L{sockhost.host.watch}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.host.watch import PidWatch
from tests.host.test_fakes import FakeReactor


class WatchCase(SynchronousTestCase):
    """
    A process that exists as long as the test says so.

    @ivar alive: whether it does.
    """

    alive = True

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.gone: list[float] = []
        self.asked: list[tuple[int, int]] = []
        self.error: type[OSError] = ProcessLookupError
        reactor: object = self.reactor
        self.watch = PidWatch(
            reactor,  # type: ignore[arg-type]
            4711,
            lambda: self.gone.append(self.reactor.seconds()),
            self.pidfd_open,
            self.kill,
        )

    def pidfd_open(self, pid: int) -> int:
        """Stand in for L{os.pidfd_open}."""
        raise NotImplementedError

    def kill(self, pid: int, signum: int) -> None:
        """Stand in for L{os.kill}."""
        self.asked.append((pid, signum))
        if not self.alive:
            raise self.error

    def assert_nothing_left(self) -> None:
        """No timer, no reader."""
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.readers, [])
        self.assertEqual(self.watch.fileno(), -1)


class PidfdTests(WatchCase):
    """Where the system has pidfds."""

    def pidfd_open(self, pid: int) -> int:
        self.assertEqual(pid, 4711)
        if not self.alive:
            raise ProcessLookupError
        self.fd, self.other = os.pipe()
        self.addCleanup(os.close, self.other)
        return self.fd

    def assert_closed(self) -> None:
        """The descriptor is closed."""
        with self.assertRaises(OSError):
            os.fstat(self.fd)

    def test_interface(self) -> None:
        """The reactor can read it."""
        verifyObject(IReadDescriptor, self.watch)

    def test_ended(self) -> None:
        """Its end is told at once, and nothing is left."""
        self.watch.start()
        self.assertEqual(self.reactor.readers, [self.watch])
        self.assertEqual(self.watch.fileno(), self.fd)
        self.watch.doRead()
        self.assertEqual(self.gone, [0.0])
        self.assert_closed()
        self.assert_nothing_left()

    def test_never_there(self) -> None:
        """A process that does not exist has ended."""
        self.alive = False
        self.watch.start()
        self.assertEqual(self.gone, [0.0])
        self.assert_nothing_left()

    def test_no_process_id(self) -> None:
        """A number that can belong to no process has ended."""
        gone: list[bool] = []
        reactor: Any = self.reactor
        watch = PidWatch(reactor, 2**31, lambda: gone.append(True))
        watch.start()
        self.assertEqual(gone, [True])

    def test_stop(self) -> None:
        """Who stops watching is told nothing, and stops as often as it likes."""
        self.watch.start()
        self.watch.stop()
        self.watch.stop()
        self.assertEqual(self.gone, [])
        self.assert_closed()
        self.assert_nothing_left()

    def test_reactor_goes(self) -> None:
        """A reactor that lets its readers go leaves nothing."""
        self.watch.start()
        self.watch.connectionLost(Failure(ConnectionDone()))
        self.assert_closed()
        self.assert_nothing_left()


class LookingTests(WatchCase):
    """Where the system has none."""

    def pidfd_open(self, pid: int) -> int:
        raise OSError(38, "Function not implemented")

    def test_times(self) -> None:
        """It is looked for after a second, and every five."""
        self.watch.start()
        self.assertEqual(self.asked, [])
        self.reactor.advance(1)
        self.assertEqual(self.asked, [(4711, 0)])
        self.reactor.pump([1] * 14)
        self.assertEqual(self.asked, [(4711, 0)] * 3)
        self.watch.stop()

    def test_ended(self) -> None:
        """Its end is told with the next look."""
        self.watch.start()
        self.reactor.advance(1)
        self.alive = False
        self.reactor.advance(4.9)
        self.assertEqual(self.gone, [])
        self.reactor.advance(0.1)
        self.assertEqual(self.gone, [6.0])
        self.assert_nothing_left()

    def test_never_there(self) -> None:
        """A process that does not exist has ended; one second is waited."""
        self.alive = False
        self.watch.start()
        self.reactor.advance(1)
        self.assertEqual(self.gone, [1.0])
        self.assert_nothing_left()

    def test_not_ours(self) -> None:
        """A process that we may not signal exists."""
        self.alive, self.error = False, PermissionError
        self.watch.start()
        self.reactor.pump([1] * 20)
        self.assertEqual(self.gone, [])
        self.watch.stop()
        self.assert_nothing_left()

    def test_stop(self) -> None:
        """Nothing is left of a watch that was stopped."""
        self.watch.start()
        self.watch.stop()
        self.assert_nothing_left()
        self.reactor.pump([1] * 20)
        self.assertEqual((self.asked, self.gone), ([], []))
