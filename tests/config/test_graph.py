# -*- test-case-name: tests.config.test_graph -*-
"""
Tests for L{sockhost.config.graph}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config.graph import ordered
from tests.config.test_kinds import ConfigCase


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

    def test_two_cycles_in_one(self) -> None:
        """Where cycles share a unit, each unit is told the shortest it is in."""
        self.assertEqual(
            self.problems(
                '[unit.a]\nkind = "plain"\nafter = ["b"]\n'
                '[unit.b]\nkind = "plain"\nafter = ["c", "a"]\n'
                '[unit.c]\nkind = "plain"\nafter = ["a", "d"]\n'
                '[unit.d]\nkind = "plain"\n'
            ),
            [
                'unit.a.after[0] = "b": dependency cycle: a → b → a',
                'unit.b.after[1] = "a": dependency cycle: b → a → b',
                'unit.c.after[0] = "a": dependency cycle: c → a → b → c',
            ],
        )

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


class OrderedTests(SynchronousTestCase):
    """Tests for L{ordered}."""

    def test_as_given(self) -> None:
        """Without wishes, the order stays."""
        self.assertEqual(ordered({"b": [], "c": [], "a": []}), ["b", "c", "a"])

    def test_wishes_first(self) -> None:
        """What is wanted comes first, and otherwise the order stays."""
        graph = {"a": ["d", "c"], "b": [], "c": ["d"], "d": [], "e": ["a"]}
        self.assertEqual(ordered(graph), ["b", "d", "c", "a", "e"])

    def test_cycles_left_out(self) -> None:
        """What is in a circle or wants what is in one is left out."""
        graph = {"a": ["b"], "b": ["a"], "c": ["a"], "d": []}
        self.assertEqual(ordered(graph), ["d"])

    def test_long_chain(self) -> None:
        """A chain may be longer than Python's stack is deep."""
        graph = {f"{n}": [f"{n + 1}"] for n in range(5000)} | {"5000": []}
        self.assertEqual(ordered(graph)[0], "5000")

    @given(
        st.dictionaries(
            st.integers(0, 9), st.sets(st.integers(0, 9), max_size=4), max_size=10
        )
    )
    def test_any(self, wishes: dict[int, set[int]]) -> None:
        """Everything stands behind all that it wants, or is left out for a reason."""
        graph = {
            str(name): [str(want) for want in wants if want in wishes]
            for name, wants in wishes.items()
        }
        found = ordered(graph)
        for index, name in enumerate(found):
            self.assertLessEqual({*graph[name]}, {*found[:index]})
        left = set(graph) - set(found)
        for name in left:
            self.assertTrue(left.intersection(graph[name]), name)
