"""Tests for L{sockhost.supervise.process}: programs of which something is left."""

from __future__ import annotations

import shutil
import tempfile

from sockhost.interfaces import ProcessLost, UnitStuck
from sockhost.supervise.process import ProcessUnit
from sockhost.supervise.ready import Ready
from sockhost.testing.processes import obedient
from tests.supervise.test_process import ProcessCase


class ImmortalTests(ProcessCase):
    """Something of the program survives SIGKILL."""

    def setUp(self) -> None:
        super().setUp()
        self.spawner.on_signal = None

    def wait(self) -> None:
        """Let the time pass that killed processes get."""
        self.reactor.pump([0.1] * 110)

    def end(self, unit: ProcessUnit) -> None:
        """Have a second stop end it all."""
        self.assertEqual(self.left.notes, {"web": self.first})
        self.spawner.child.on_signal = obedient
        stopping = unit.stop()
        self.reactor.advance(0.01)
        self.assertIsInstance(self.successResultOf(stopping), ProcessLost)
        self.assertEqual(self.left.notes, {})
        self.assertIsNone(self.successResultOf(unit.stop()))

    @property
    def first(self) -> int:
        """The number of the first process."""
        (number,) = self.left.notes.values()
        return number

    def test_stop(self) -> None:
        """A stop that failed may be tried again, and ends it then."""
        unit = self.up(grace=1.0)
        for _ in range(2):
            stopping = unit.stop()
            self.reactor.advance(1.0)
            self.wait()
            self.failureResultOf(stopping, UnitStuck)
        self.assertEqual(self.lost, [])
        self.end(unit)

    def test_lost(self) -> None:
        """A loss says that something is left."""
        unit = self.up()
        self.spawner.child.others = True
        self.spawner.child.exit(1)
        self.wait()
        (loss,) = self.lost
        self.assertIsInstance(loss, UnitStuck)
        self.assertIn("exited with code 1; process group", str(loss))
        self.end(unit)

    def test_start_fails(self) -> None:
        """So does a start that has failed."""
        unit = self.unit(ready=Ready(delay=1.0))
        starting = self.start(unit)
        self.spawner.child.others = True
        self.spawner.child.exit(1)
        self.wait()
        error = self.failureResultOf(starting, UnitStuck).value
        self.assertIn("before it was ready; process group", str(error))
        self.end(unit)

    def test_stop_while_starting(self) -> None:
        """A stop that overtakes a start fails like any other."""
        self.host.run_dir = tempfile.mkdtemp(prefix="sockhost-")  # short, for sockets
        self.addCleanup(shutil.rmtree, self.host.run_dir)
        unit = self.unit(ready=Ready(notify=True), grace=1.0)
        starting = self.start(unit)
        starting.addErrback(lambda failure: failure.trap(UnitStuck))
        stopping = unit.stop()
        self.reactor.advance(1.0)
        self.wait()
        self.failureResultOf(stopping, UnitStuck)
        self.assertEqual(self.reactor.getReaders(), [])
        self.end(unit)
