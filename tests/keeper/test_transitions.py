"""
Tests for L{sockhost.keeper.machine}: nothing in the table is without a test.
"""

from __future__ import annotations

import unittest
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.keeper import keeper
from sockhost.keeper.machine import KeeperMachine, builder
from sockhost.status import Goal, State
from tests.keeper.case import ENDED, GONE, KeeperCase


class TransitionsTests(SynchronousTestCase):
    """The other tests of the keeper, watched."""

    def test_every_transition(self) -> None:
        """Each transition of the table is made in one of them, and no other."""
        made: set[tuple[str, str, str]] = set()

        def watched(core: Any) -> Any:
            machine: Any = KeeperMachine(core)
            machine.__automat_transitioner__.setTrace(
                lambda old, asked, new: made.add((old.name, asked, new.name))
            )
            return machine

        self.patch(keeper, "KeeperMachine", watched)
        result = unittest.TestResult()
        self.others().run(result)
        self.assertTrue(result.wasSuccessful(), result.failures + result.errors)
        table = {
            (old.name, asked, new.name)
            for old, asked, new, _outputs in builder._automaton.allTransitions()
        }
        self.assertEqual(made, table)

    def others(self) -> unittest.TestSuite:
        """All tests of this directory that turn a keeper."""
        for path in sorted(Path(__file__).parent.glob("test_*.py")):
            import_module(f"tests.keeper.{path.stem}")
        load = unittest.defaultTestLoader.loadTestsFromTestCase
        return unittest.TestSuite(load(case) for case in KeeperCase.__subclasses__())


class NewsTests(KeeperCase):
    """What a unit says when nobody asks for it any more."""

    def test_lost_while_it_goes(self) -> None:
        """A loss of a run that is being ended changes nothing about its end."""
        for state in ("recovering", "stopping", "restarting"):
            for loss in (GONE, ENDED):
                self.setUp()
                self.bring(state)
                goal = self.keeper.goal
                self.unit.lose(loss)
                self.assert_is(goal, State.STOPPING)
                self.assertEqual((self.states, self.unit.calls), ([], []))
                self.unit.stopped()
                after = {
                    "recovering": (Goal.UP, State.BACKOFF),
                    "stopping": (Goal.DOWN, State.DOWN),
                    "restarting": (Goal.UP, State.STARTING),
                }
                self.assert_is(*after[state])
