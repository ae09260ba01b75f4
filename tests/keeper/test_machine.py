"""
Tests for L{sockhost.keeper.machine}: the table of transitions.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost.keeper.machine import builder


class MachineTests(SynchronousTestCase):
    """The table of transitions."""

    def test_what_people_want_is_possible_always(self) -> None:
        """C{start}, C{stop} and C{restart} are answered in every state."""
        automaton = builder._automaton
        table: dict[str, set[str]] = {}
        for old, symbol, _new, _outputs in automaton.allTransitions():
            table.setdefault(old.name, set()).add(symbol)
        self.assertEqual(len(table), 11)
        for name, symbols in table.items():
            self.assertLessEqual({"start", "stop", "restart"}, symbols, name)
