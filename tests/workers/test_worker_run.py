"""
Tests for L{sockhost.workers.worker_run}.
"""

from __future__ import annotations

import signal
import socket
from typing import Any

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import NotReady, ProcessLost, UnitFailed
from sockhost.status import Event
from sockhost.workers.process import Ending
from sockhost.workers.worker_run import (
    EXIT_GRACE,
    FORK_GRACE,
    PrototypeGone,
    WorkerRun,
)
from tests.workers.fakes import (
    FakeProcess,
    FakePrototype,
    FakeReactor,
    FakeSocket,
    loose,
)


class WorkerRunTests(SynchronousTestCase):
    """
    Tests for L{WorkerRun}.
    """

    def setUp(self) -> None:
        """Have a worker begun."""
        self.reactor = loose(FakeReactor())
        self.prototype = loose(FakePrototype())
        self.process = loose(FakeProcess())
        self.sockets = [FakeSocket(21), FakeSocket(22)]
        self.patch(socket, "socketpair", lambda: tuple(self.sockets))
        self.events: list[Event] = []
        self.run_ = WorkerRun("worker 1", self.events.append)

    def begin(self) -> None:
        """Begin."""
        self.run_.begin(self.reactor, self.prototype, 1)

    def fork(self) -> None:
        """Begin, and have it forked."""
        self.begin()
        self.run_.forked(self.process)

    def lose_port(self) -> None:
        """Have the port closed from the other side."""
        self.reactor.adopted[0].abortConnection()

    def reason(self) -> Exception:
        """Get why it is not ready, after it has gone."""
        self.successResultOf(self.run_.gone.wait())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        error: Any = self.failureResultOf(self.run_.ready).value
        return error  # type: ignore[no-any-return]

    def test_ready(self) -> None:
        """It is ready when it says so."""
        self.fork()
        self.assertNoResult(self.run_.ready)
        self.run_.worker_ready()
        self.successResultOf(self.run_.ready)
        self.assertEqual(self.run_.pid, 500)
        self.assertTrue(all(sock.closed for sock in self.sockets))

    def test_no_descriptors(self) -> None:
        """When there are no descriptors left, it fails and nothing is left."""
        self.reactor.refuse = OSError(24, "Too many open files")
        self.begin()
        self.assertIn("Too many open files", str(self.reason()))
        self.assertTrue(all(sock.closed for sock in self.sockets))
        self.assertEqual(self.prototype.callers, [])

    def test_not_forked(self) -> None:
        """When the prototype cannot fork, that is why."""
        self.begin()
        self.run_.not_forked("cannot fork: full", False)
        error = self.reason()
        self.assertIsInstance(error, UnitFailed)
        self.assertEqual(str(error), "cannot fork: full")

    def test_prototype_gone(self) -> None:
        """When the prototype went first, another one may try."""
        self.begin()
        self.run_.not_forked("the prototype is gone", True)
        self.assertIsInstance(self.reason(), PrototypeGone)

    def test_process_ends_first(self) -> None:
        """When the process has ended, the port is closed, and it is gone."""
        self.fork()
        self.run_.ended(Ending(signal=11))
        error = self.reason()
        self.assertIsInstance(error, ProcessLost)
        self.assertEqual(str(error), "worker 1 (process 500) was ended by SIGSEGV")

    def test_port_ends_first(self) -> None:
        """When the port is closed, the process has a moment to exit by itself."""
        self.fork()
        self.lose_port()
        self.reactor.advance(EXIT_GRACE / 2)
        self.assertEqual(self.process.signals, [])
        self.assertFalse(self.run_.gone.closed)
        self.run_.ended(Ending(code=0))
        self.assertIn("exited with code 0", str(self.reason()))

    def test_port_ends_and_process_does_not(self) -> None:
        """A process that stays without its port is killed."""
        self.fork()
        self.lose_port()
        self.reactor.advance(EXIT_GRACE)
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.run_.ended(Ending(signal=9))
        self.assertIn("SIGKILL", str(self.reason()))

    def test_port_ends_before_the_fork_is_known(self) -> None:
        """News of the fork that comes after the end of the port is no surprise."""
        self.begin()
        self.lose_port()
        self.run_.forked(self.process)
        self.reactor.advance(EXIT_GRACE)
        self.run_.ended(Ending(signal=9))
        self.assertIn("SIGKILL", str(self.reason()))

    def test_killed_before_the_fork_is_known(self) -> None:
        """One that is not wanted any more is killed as soon as it is there."""
        self.begin()
        self.run_.kill()
        self.assertFalse(self.run_.gone.closed)
        self.run_.forked(self.process)
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.run_.ended(Ending(signal=9))
        self.assertIsInstance(self.reason(), ProcessLost)

    def test_fork_stuck(self) -> None:
        """A prototype that neither forks nor ends is killed in the end."""
        self.prototype.dies = False
        self.begin()
        self.run_.kill()
        self.reactor.advance(FORK_GRACE)
        self.assertEqual(self.prototype.killed, 1)
        self.run_.not_forked("the prototype is gone", True)
        self.assertIsInstance(self.reason(), PrototypeGone)

    def test_give_up(self) -> None:
        """It is killed, and the reason is the given one."""
        self.fork()
        error = NotReady("too slow")
        self.run_.give_up(error)
        self.assertIs(self.failureResultOf(self.run_.ready).value, error)
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.run_.ended(Ending(signal=9))
        self.assertTrue(self.run_.gone.closed)
        self.assertIs(self.run_.reason, error)

    def test_broken(self) -> None:
        """What a worker says of its failure is the reason, not its exit."""
        self.fork()
        self.run_.worker_broken("ValueError: no")
        self.run_.ended(Ending(code=1))
        error = self.reason()
        self.assertEqual(str(error), "worker 1: ValueError: no")

    def test_counters_and_events(self) -> None:
        """What it counts is kept, and what it publishes is passed on."""
        self.fork()
        self.run_.worker_counted({"clients": 2})
        event = Event(at=1.0, event="seen")
        self.run_.worker_published(event)
        self.assertEqual((self.run_.counters, self.events), ({"clients": 2}, [event]))

    def test_created(self) -> None:
        """That it lives is in the log."""
        seen = EventLoggingObserver.createWithCleanup(loose(self), globalLogPublisher)
        self.run_.worker_created(500)
        self.assertEqual([event["pid"] for event in seen], [500])
