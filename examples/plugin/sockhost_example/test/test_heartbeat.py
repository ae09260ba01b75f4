"""
Tests for L{sockhost_example.heartbeat}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import IUnit, IUnitKind, UnitLost
from sockhost.testing.units import MemoryUnitHost
from sockhost_example.heartbeat import Heartbeat, HeartbeatConfig, HeartbeatKind


class HeartbeatTests(SynchronousTestCase):
    """Tests for L{Heartbeat}, whose time the test moves by hand."""

    def setUp(self) -> None:
        """Make a unit that beats every two seconds."""
        self.host = MemoryUnitHost(self.mktemp())
        self.clock = self.host.reactor
        self.path = Path(self.host.run_dir) / "beat"
        self.lost: list[Failure] = []

    def unit(self, path: Path | None = None) -> Heartbeat:
        """A unit as its kind makes it."""
        config = HeartbeatConfig(path=str(path or self.path), every=2.0)
        return HeartbeatKind().make("pulse", config, self.host)

    def test_interface(self) -> None:
        """The kind and its units keep their contracts."""
        verifyObject(IUnitKind, HeartbeatKind())
        verifyObject(IUnit, self.unit())

    def test_ready_is_touched(self) -> None:
        """A unit is up when its file is there, and not before."""
        unit = self.unit()
        self.assertFalse(self.path.exists())
        self.successResultOf(unit.start(self.lost.append))
        self.assertTrue(self.path.exists())
        self.successResultOf(unit.stop())

    def test_beats(self) -> None:
        """The file is touched at every beat."""
        unit = self.unit()
        self.successResultOf(unit.start(self.lost.append))
        os.utime(self.path, (0, 0))
        self.clock.advance(2.0)
        self.assertGreater(self.path.stat().st_mtime, 0)
        self.assertEqual(unit.status()["beats"], 2)
        self.successResultOf(unit.stop())

    def test_cannot_start(self) -> None:
        """Where the file cannot be made, the start fails and leaves nothing."""
        unit = self.unit(self.path / "in" / "nowhere")
        self.failureResultOf(unit.start(self.lost.append), OSError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """A file that cannot be touched any more is a loss, told once."""
        directory = self.path / "inner"
        directory.mkdir(parents=True)
        unit = self.unit(directory / "beat")
        self.successResultOf(unit.start(self.lost.append))
        (directory / "beat").unlink()
        directory.rmdir()
        self.clock.pump([2.0, 2.0])
        (failure,) = self.lost
        self.assertTrue(failure.check(UnitLost))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_leaves_nothing(self) -> None:
        """A stop removes the file and ends the timer; another one is legal."""
        unit = self.unit()
        self.successResultOf(unit.start(self.lost.append))
        self.successResultOf(unit.stop())
        self.successResultOf(unit.stop())
        self.assertFalse(self.path.exists())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.lost, [])

    def test_reload(self) -> None:
        """A new configuration asks for a restart."""
        unit = self.unit()
        config = HeartbeatConfig(path=str(self.path), every=5.0)
        self.assertFalse(self.successResultOf(unit.reload(config)))
