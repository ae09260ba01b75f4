"""
What typed commands make of replies.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.commands import shapes
from sockhost.redis.commands.shapes import Claimed, StreamEntry

# The shape, the reply in RESP2, the reply in RESP3, the value.
SAME: list[tuple[shapes.Shape, Any, Any, Any]] = [
    (shapes.done, b"OK", b"OK", True),
    (shapes.done, None, None, False),
    (shapes.flag, 1, True, True),
    (shapes.flags, [1, 0], [True, False], [True, False]),
    (shapes.number, b"1.5", 1.5, 1.5),
    (shapes.optional_number, b"inf", float("inf"), float("inf")),
    (shapes.numbers, [b"1", None], [1.0, None], [1.0, None]),
    (shapes.members, [b"a", b"b"], [b"b", b"a"], {b"a", b"b"}),
    (shapes.mapping, [b"a", b"1"], {b"a": b"1"}, {b"a": b"1"}),
    (shapes.mapping, [], {}, {}),
    (shapes.pairs, [b"a", b"1"], [[b"a", b"1"]], [(b"a", b"1")]),
    (shapes.scored, [b"a", b"1"], [[b"a", 1.0]], [(b"a", 1.0)]),
    (shapes.scored, None, [], []),
    (shapes.scored_one, [b"a", b"1"], [b"a", 1.0], (b"a", 1.0)),
    (shapes.scored_one, [], [], None),
    (shapes.ranked, [3, b"1.5"], [3, 1.5], (3, 1.5)),
    (shapes.popped_score, [b"z", b"a", b"1"], [b"z", b"a", 1.0], (b"z", b"a", 1.0)),
    (
        shapes.popped_scored,
        [b"z", [[b"a", b"1"]]],
        [b"z", [[b"a", 1.0]]],
        (b"z", [(b"a", 1.0)]),
    ),
    (
        shapes.page_pairs,
        [b"7", [b"a", b"1"]],
        [b"7", [b"a", b"1"]],
        (7, [(b"a", b"1")]),
    ),
    (shapes.positions, [[b"1", b"2"], None], [[1.0, 2.0], None], [(1.0, 2.0), None]),
    (
        shapes.streams,
        [[b"s", [[b"1-1", [b"f", b"v"]]]]],
        {b"s": [[b"1-1", [b"f", b"v"]]]},
        {b"s": [StreamEntry(b"1-1", ((b"f", b"v"),))]},
    ),
    (shapes.streams, None, None, {}),
    (
        shapes.trees,
        [[b"name", b"g", b"lag", 3]],
        [{b"name": b"g", b"lag": 3}],
        [{b"name": b"g", b"lag": 3}],
    ),
    (
        shapes.tree,
        [b"groups", [[b"name", b"g"]], b"peak.percentage", b"1.5", b"flags", [b"x"]],
        {b"groups": [{b"name": b"g"}], b"peak.percentage": 1.5, b"flags": [b"x"]},
        {b"groups": [{b"name": b"g"}], b"peak.percentage": 1.5, b"flags": [b"x"]},
    ),
    (
        shapes.tree,
        [b"running_script", None, b"engines", [b"LUA", [b"count", 1]]],
        {b"running_script": None, b"engines": {b"LUA": {b"count": 1}}},
        {b"running_script": None, b"engines": {b"LUA": {b"count": 1}}},
    ),
]


class ShapesTests(SynchronousTestCase):
    """Values of replies."""

    def test_same(self) -> None:
        """Replies in RESP2 and in RESP3 make the same value."""
        for shape, old, new, value in SAME:
            self.assertEqual(shape(old), value, shape.__name__)
            self.assertEqual(shape(new), value, shape.__name__)

    def test_text(self) -> None:
        """Replies that were decoded make the same values, of text."""
        self.assertEqual(shapes.scored(["a", "1"]), [("a", 1.0)])
        self.assertEqual(
            shapes.tree(["groups", [["name", "g"]]])["groups"], [{"name": "g"}]
        )

    def test_deleted_entries(self) -> None:
        """An entry that is gone has no fields, or is left out by old servers."""
        self.assertEqual(
            shapes.entries([None, [b"1-1", None]]), [StreamEntry(b"1-1", ())]
        )

    def test_claimed_before_7(self) -> None:
        """Old servers do not tell of deleted entries."""
        self.assertEqual(shapes.claimed([b"0-0", []]), Claimed(b"0-0", [], []))

    def test_repeated_field(self) -> None:
        """All values of a field are kept; as a dict, the last."""
        entry = shapes.entry([b"1-1", [b"f", b"1", b"f", b"2"]])
        self.assertEqual(entry.items, ((b"f", b"1"), (b"f", b"2")))
        self.assertEqual(entry.fields, {b"f": b"2"})

    def test_found(self) -> None:
        """A place has what was asked for; a number is one of those stored."""
        self.assertEqual(shapes.found([b"a"]), [b"a"])
        self.assertEqual(
            shapes.found([[b"a", b"1.5", 7, [b"1", b"2"]]]),
            [(b"a", 1.5, 7, (1.0, 2.0))],
        )
        self.assertEqual(shapes.found(3), 3)
