# -*- test-case-name: tests.host.test_leftbehind -*-
"""
Tests for L{sockhost.host.leftbehind}.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import Quarantined
from sockhost.host.leftbehind import GRACE, LeftBehind
from sockhost.interfaces import SockhostError
from sockhost.supervise.program import ProgramConfig
from tests.host.test_fakes import config, unit_config


class MemoryLeftovers:
    """Notes of processes that end when the test says so."""

    def __init__(self, *names: str) -> None:
        self.found = list(names)
        self.asked: dict[str, tuple[object, ...]] = {}
        self.ending: dict[str, Deferred[bool]] = {}
        self.cut: list[str] = []

    def names(self) -> list[str]:
        """All that there are notes of."""
        return self.found

    def reclaim(self, _clock: object, name: str, *how: object) -> Deferred[bool]:
        """End one."""
        self.asked[name] = how
        self.ending[name] = Deferred(lambda _: self.cut.append(name))
        return self.ending[name]


class LeftBehindTests(SynchronousTestCase):
    """Units that are not started any more."""

    def end(self, *names: str) -> None:
        """Begin with notes of these."""
        self.left = MemoryLeftovers(*names)
        left: Any = self.left
        self.behind = LeftBehind(Clock(), left)
        program = ProgramConfig(argv=("a",), grace=3.0, stop_signal="INT")
        bad = Quarantined(name="bad", kind="process", problems=())
        units = (
            unit_config("on", own=program),
            unit_config("off", own=program, enabled=False),
            unit_config("other"),
        )
        self.behind.end(config(*units, quarantined=(bad,)))

    def test_which(self) -> None:
        """What is left of those that are started is left to them; what is known
        of the others still counts."""
        self.end("bad", "off", "on", "other", "removed")
        self.assertEqual(
            self.left.asked,
            {
                "bad": (GRACE,),
                "off": (3.0, signal.SIGINT),
                "other": (GRACE,),
                "removed": (GRACE,),
            },
        )

    def test_gone(self) -> None:
        """All of them are waited for."""
        self.end("a", "b")
        gone = self.behind.gone()
        self.left.ending["a"].callback(True)
        self.assertNoResult(gone)
        self.left.ending["b"].callback(True)
        self.successResultOf(gone)

    def test_nothing(self) -> None:
        """There is nothing to wait for where nothing was left."""
        self.end()
        self.successResultOf(self.behind.gone())

    def test_remains(self) -> None:
        """What does not end is waited for no longer."""
        self.end("a")
        self.left.ending["a"].errback(SockhostError("process 7 does not end"))
        self.successResultOf(self.behind.gone())

    def test_hurry(self) -> None:
        """The grace can be cut short."""
        self.end("a", "b")
        gone = self.behind.gone()
        self.behind.hurry()
        self.assertEqual(self.left.cut, ["a", "b"])
        self.successResultOf(gone)
