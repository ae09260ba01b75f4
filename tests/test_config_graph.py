# -*- test-case-name: tests.test_config_graph -*-
"""
Tests for L{sockhost._config_graph}.
"""

from __future__ import annotations

from tests.test_config_kinds import ConfigCase


class DependencyProblemTests(ConfigCase):
    """What is wrong between units."""

    def test_unknown_unit(self) -> None:
        """A unit cannot depend on one that is not there, in any way."""
        self.assertEqual(
            self.problems(
                '[unit.store]\nkind = "plain"\n[unit.kv]\nkind = "plain"\n'
                'after = ["stor"]\nrequires = ["store", "x"]\nuses = ["y"]\n'
            ),
            [
                (
                    'unit.kv.after[0] = "stor": unknown unit; did you mean "store"? '
                    'known here: "store"'
                ),
                'unit.kv.requires[1] = "x": unknown unit; known here: "store"',
                'unit.kv.uses[0] = "y": unknown unit; known here: "store"',
            ],
        )

    def test_alone(self) -> None:
        """Where there is no other unit, that is said."""
        self.assertEqual(
            self.problems('[unit.a]\nkind = "plain"\nafter = ["b"]\n'),
            ['unit.a.after[0] = "b": unknown unit; there are none here'],
        )

    def test_itself(self) -> None:
        """A unit cannot depend on itself."""
        self.assertEqual(
            self.problems('[unit.a]\nkind = "plain"\nuses = ["a"]\n'),
            ['unit.a.uses[0] = "a": a unit cannot depend on itself'],
        )

    def test_cycle(self) -> None:
        """The cycle is printed, and all in it are quarantined, but none behind it."""
        config = self.load(
            '[unit.a]\nkind = "plain"\nafter = ["b"]\n'
            '[unit.b]\nkind = "plain"\nrequires = ["c"]\n'
            '[unit.c]\nkind = "plain"\nuses = ["a"]\n'
            '[unit.d]\nkind = "plain"\nrequires = ["a"]\n'
        )
        self.assertEqual(
            [str(one).removeprefix(f"{self.path}: ") for one in config.problems],
            [
                'unit.a.after[0] = "b": dependency cycle: a → b → c → a',
                'unit.b.requires[0] = "c": dependency cycle: b → c → a → b',
                'unit.c.uses[0] = "a": dependency cycle: c → a → b → c',
            ],
        )
        self.assertEqual([one.name for one in config.quarantined], ["a", "b", "c"])
        self.assertEqual([one.name for one in config.units], ["d"])

    def test_bad_unit_in_cycle(self) -> None:
        """A unit that is bad besides has both told."""
        self.assertEqual(
            self.problems(
                '[unit.a]\nkind = "plain"\nafter = ["b"]\nx = 1\n'
                '[unit.b]\nkind = "plain"\nafter = ["a"]\n'
            ),
            [
                "unit.a.x = 1: unknown key",
                'unit.a.after[0] = "b": dependency cycle: a → b → a',
                'unit.b.after[0] = "a": dependency cycle: b → a → b',
            ],
        )
