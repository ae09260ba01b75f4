"""
Tests for L{sockhost.workers.prototype_unit}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import IUnit, NotReady, ProcessLost, SpawnError
from sockhost.workers.prototype_process import CannotImport
from sockhost.workers.prototype_unit import STOP_GRACE, PrototypeUnit
from tests.workers.fakes import FakePrototype, loose


class PrototypeUnitTests(SynchronousTestCase):
    """
    Tests for L{PrototypeUnit}.
    """

    def setUp(self) -> None:
        """Make a unit."""
        self.clock = Clock()
        self.runs: list[FakePrototype] = []
        self.failed: list[Failure] = []
        self.lost: list[Failure] = []
        self.unit = PrototypeUnit(self.clock, loose(self.launch), self.failed.append)
        self.unit.timeout = 30.0

    def launch(self) -> FakePrototype:
        """Execute one."""
        self.runs.append(FakePrototype())
        return self.runs[-1]

    def start(self) -> Deferred[None]:
        """Start the unit."""
        return self.unit.start(self.lost.append)

    def up(self) -> FakePrototype:
        """Bring the unit up."""
        starting = self.start()
        self.assertNoResult(starting)
        self.runs[-1].prepared()
        self.successResultOf(starting)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return self.runs[-1]

    def test_interface(self) -> None:
        """It is a unit."""
        self.assertTrue(verifyObject(IUnit, self.unit))
        self.assertFalse(self.successResultOf(self.unit.reload(None)))

    def test_up(self) -> None:
        """It is up when the handler is imported; who waited gets it then."""
        waiting = self.unit.when_ready()
        self.assertNoResult(waiting)
        run = self.up()
        self.assertIs(self.successResultOf(waiting), run)
        self.assertIs(self.successResultOf(self.unit.when_ready()), run)
        self.assertEqual(self.unit.status(), {"pid": 400})

    def test_cancel_waiting(self) -> None:
        """One that does not wait any more is not told."""
        waiting = self.unit.when_ready()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertIsNotNone(self.up())

    def test_cannot_import(self) -> None:
        """A failed import fails the start; nothing is left of it."""
        starting = self.start()
        self.runs[0].ready.errback(CannotImport("no module"))
        self.clock.advance(0)
        self.failureResultOf(starting, CannotImport)
        self.assertTrue(self.runs[0].released)
        self.assertEqual(self.runs[0].killed, 1)
        self.assertEqual([f.type for f in self.failed], [CannotImport])
        self.assertEqual(self.unit.status(), {"pid": None})

    def test_cannot_execute(self) -> None:
        """If it cannot be executed, that is why."""

        def launch() -> FakePrototype:
            raise SpawnError(2, "python", "No such file or directory")

        self.unit._launch = loose(launch)
        self.failureResultOf(self.start(), SpawnError)
        self.assertEqual([f.type for f in self.failed], [SpawnError])

    def test_ends_while_importing(self) -> None:
        """One that ends before it is ready fails the start."""
        starting = self.start()
        self.runs[0].end(code=3)
        self.clock.advance(0)
        self.failureResultOf(starting, ProcessLost)
        self.assertEqual(self.lost, [])

    def test_too_slow(self) -> None:
        """One that takes too long is killed."""
        starting = self.start()
        self.clock.advance(30)
        self.clock.advance(0)
        error = self.failureResultOf(starting, NotReady).value
        self.assertIn("took more than 30.0 s", str(error))
        self.assertEqual(self.runs[0].killed, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """When one that is up ends, the unit is lost; it can be started again."""
        run = self.up()
        run.end(signal=9)
        self.assertEqual([f.type for f in self.lost], [ProcessLost])
        waiting = self.unit.when_ready()
        self.assertNoResult(waiting)
        self.assertIs(
            self.successResultOf(waiting) if self.up() else None, self.runs[1]
        )

    def test_dead_but_not_gone(self) -> None:
        """One that is up but of no use any more is not handed out."""
        self.up().usable = False
        self.assertNoResult(self.unit.when_ready())

    def test_stop(self) -> None:
        """Stopping lets it go, and waits for its end, which is no loss."""
        run = self.up()
        stopping = self.unit.stop()
        self.assertTrue(run.released)
        self.assertNoResult(stopping)
        run.end(code=0)
        self.assertIs(self.successResultOf(stopping), run.ending)
        self.assertEqual((self.lost, run.killed), ([], 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_takes_too_long(self) -> None:
        """One that does not go by itself is killed."""
        run = self.up()
        stopping = self.unit.stop()
        self.clock.advance(STOP_GRACE)
        self.successResultOf(stopping)
        self.assertEqual(run.killed, 1)

    def test_abort(self) -> None:
        """Aborting a stop kills it at once; without a stop it does nothing."""
        run = self.up()
        self.unit.abort()
        self.assertEqual(run.killed, 0)
        stopping = self.unit.stop()
        self.unit.abort()
        self.successResultOf(stopping)
        self.assertEqual(run.killed, 1)

    def test_stop_while_importing(self) -> None:
        """One that is importing does not listen, and is killed."""
        starting = self.start()
        stopping = self.unit.stop()
        self.clock.advance(0)
        self.successResultOf(stopping)
        self.failureResultOf(starting, CancelledError)
        self.assertEqual((self.runs[0].killed, self.failed), (1, []))

    def test_stop_when_down(self) -> None:
        """Stopping what does not run is done at once."""
        self.assertIsNone(self.successResultOf(self.unit.stop()))
