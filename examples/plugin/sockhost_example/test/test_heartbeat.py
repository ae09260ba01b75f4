"""
Tests for L{sockhost_example.heartbeat}.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest.mock import DEFAULT, patch

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.testing.contracts import (
    UnitFixture,
    kind_contract_tests,
    unit_contract_tests,
)
from sockhost.testing.units import MemoryUnitHost

from ..heartbeat import Heartbeat, HeartbeatConfig, HeartbeatKind


def fixture(case: TestCase) -> UnitFixture:
    """A unit, and what can happen to it."""
    host = MemoryUnitHost(case.mktemp())
    directory = Path(host.run_dir) / "beats"
    directory.mkdir()
    config = HeartbeatConfig(path=str(directory / "beat"), every=2.0)

    def lose() -> None:
        full = OSError(errno.ENOSPC, "No space left on device")
        with patch.object(os, "open", wraps=os.open, side_effect=[full, DEFAULT]):
            host.reactor.advance(2.0)

    def spoil() -> None:
        if directory.exists():
            directory.rmdir()

    return UnitFixture(
        unit=HeartbeatKind().make("pulse", config, host),
        config=config,
        lose=lose,
        spoil=spoil,
        mend=directory.mkdir,
        left=lambda: Path(config.path).exists(),
        clock=host.reactor,
    )


# What every unit and every kind has to do is tested by what sockhost has for it.
HeartbeatUnitTests = unit_contract_tests(fixture)
HeartbeatKindTests = kind_contract_tests(
    HeartbeatKind(),
    {"path": "beat", "every": 2.0},
    lambda case: MemoryUnitHost(case.mktemp()),
    bad=[{}, {"path": "beat", "every": 0.0}, {"path": "beat", "every": "often"}],
)


class HeartbeatTests(SynchronousTestCase):
    """Tests for what L{Heartbeat} does besides, its time moved by hand."""

    def setUp(self) -> None:
        """Make a unit that beats every two seconds."""
        self.host = MemoryUnitHost(self.mktemp())
        self.path = Path(self.host.run_dir) / "beat"
        config = HeartbeatConfig(path=str(self.path), every=2.0)
        self.unit = Heartbeat(config, self.host)
        self.lost: list[Failure] = []

    def test_ready_is_touched(self) -> None:
        """A unit is up when its file is there, and not before."""
        self.assertFalse(self.path.exists())
        self.successResultOf(self.unit.start(self.lost.append))
        self.assertTrue(self.path.exists())

    def test_beats(self) -> None:
        """The file is touched at every beat."""
        self.successResultOf(self.unit.start(self.lost.append))
        os.utime(self.path, (0, 0))
        self.host.reactor.advance(2.0)
        self.assertGreater(self.path.stat().st_mtime, 0)
        self.assertEqual(self.unit.status()["beats"], 2)

    def test_says_why_it_was_lost(self) -> None:
        """A file that cannot be touched any more is a loss, with its reason."""
        self.successResultOf(self.unit.start(self.lost.append))
        self.path.unlink()
        self.path.mkdir()
        self.host.reactor.advance(2.0)
        (failure,) = self.lost
        self.assertIn("Is a directory", failure.getErrorMessage())
