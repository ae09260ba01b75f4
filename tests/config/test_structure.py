# -*- test-case-name: tests.config.test_structure -*-
"""
Tests for L{sockhost.config.structure} and L{sockhost.config.fit}.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import attrs
from attrs import Factory, field, frozen, validators
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import Problem, not_negative, structure
from sockhost.interfaces import ConfigError
from tests.config.test_kinds import Ready

Word = NewType("Word", str)


class Colour(enum.StrEnum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """Two levels."""

    LOW = 1
    HIGH = 2


def told(config_class: type, table: Mapping[str, Any]) -> list[str]:
    """Get what is wrong with a table."""
    try:
        structure(config_class, table)
    except ConfigError as error:
        return [str(one).removeprefix(": ") for one in error.problems]
    return []


def one_field(kind: Any, **options: Any) -> type:
    """Make a class with a field C{x} of a type."""
    return attrs.make_class(
        "One", {"x": attrs.field(type=kind, **options)}, frozen=True
    )


class TypeTests(SynchronousTestCase):
    """Each type takes its own values only."""

    def taken(self, kind: Any, value: Any) -> Any:
        """Make an instance of a class with one field, and get the field."""
        made: Any = structure(one_field(kind), {"x": value})
        return made.x

    def test_good(self) -> None:
        """Values arrive as the type says."""
        day = datetime.date(2026, 1, 2)
        moment = datetime.datetime(2026, 1, 2, 3, 4)
        for kind, value, expected in (
            (int, 3, 3),
            (float, 3, 3.0),
            (float, 2.5, 2.5),
            (bool, True, True),
            (str, "a", "a"),
            (Any, [1, {"a": None}], [1, {"a": None}]),
            (int | None, 3, 3),
            (int | str, "a", "a"),
            (float | str, 1, 1.0),
            (tuple[int, ...], [1, 2], (1, 2)),
            (tuple[int, str], [1, "a"], (1, "a")),
            (tuple[int], [1], (1,)),
            (tuple, [1, "a"], (1, "a")),
            (list[float], [1], [1.0]),
            (list, [1], [1]),
            (Sequence[int], [1], [1]),
            (set[str], ["a", "a"], {"a"}),
            (frozenset[str], ["a"], frozenset("a")),
            (dict[str, tuple[int, ...]], {"a": [1]}, {"a": (1,)}),
            (Mapping[str, int], {"a": 1}, {"a": 1}),
            (dict, {"a": [1]}, {"a": [1]}),
            (Literal["a", 1], 1, 1),
            (Colour, "red", Colour.RED),
            (Level, 2, Level.HIGH),
            (Word, "a", "a"),
            (Annotated[int, "x"], 1, 1),
            (Path, "/x", Path("/x")),
            (datetime.date, day, day),
            (datetime.datetime, moment, moment),
            (datetime.time, datetime.time(1), datetime.time(1)),
            (Ready, {"delay": 1}, Ready(delay=1.0)),
            (tuple[Ready, ...] | Ready, {"delay": 1}, Ready(delay=1.0)),
        ):
            found = self.taken(kind, value)
            self.assertEqual(found, expected, repr(kind))
            self.assertIs(type(found), type(expected), repr(kind))

    def test_bad(self) -> None:
        """A value of another type is refused, with its path."""
        for kind, value, expected in (
            (int, "2", 'x = "2": expected an integer'),
            (int, True, "x = true: expected an integer"),
            (int, 1.0, "x = 1.0: expected an integer"),
            (bool, 1, "x = 1: expected true or false"),
            (float, True, "x = true: expected a number"),
            (float, "1", 'x = "1": expected a number'),
            (float, float("nan"), "x = nan: expected a finite number"),
            (float | None, float("inf"), "x = inf: expected a finite number"),
            (str, 1, "x = 1: expected a string"),
            (tuple[str, ...], "ab", 'x = "ab": expected an array'),
            (list[str], {"a": 1}, "x = { a = 1 }: expected an array"),
            (tuple[int, str], [1], "x = [1]: expected an array of 2 values"),
            (tuple[int], [], "x = []: expected an array of 1 value"),
            (tuple[int, str], [1, 2], "x[1] = 2: expected a string"),
            (list[list[int]], [[], ["a"]], 'x[1][0] = "a": expected an integer'),
            (dict[str, str], {"a b": 1}, 'x."a b" = 1: expected a string'),
            (dict[str, str], [], "x = []: expected a table"),
            (dict[int, str], {"a": "b"}, 'x.a = "a": expected an integer'),
            (Literal["a", 1], True, 'x = true: expected one of "a", 1'),
            (Colour, "pink", 'x = "pink": expected one of "red", "blue"'),
            (Level, True, "x = true: expected one of 1, 2"),
            (Path, 1, "x = 1: expected a string"),
            (
                datetime.date,
                datetime.datetime(2026, 1, 2),
                "x = 2026-01-02T00:00:00: expected a date",
            ),
            (Ready, "a", 'x = "a": expected a table'),
            (Ready, {"delay": "a"}, 'x.delay = "a": expected a number'),
            (str | Ready, {"delay": "a"}, 'x.delay = "a": expected a number'),
            (int | tuple[str, ...], 1.5, "x = 1.5: expected an integer or an array"),
        ):
            self.assertEqual(told(one_field(kind), {"x": value}), [expected])

    def test_huge_number(self) -> None:
        """An integer too large for a number is refused as one."""
        (text,) = told(one_field(float), {"x": 10**400})
        self.assertTrue(text.endswith("…: expected a finite number"), text)

    def test_impossible_type(self) -> None:
        """A type that TOML has no values for is a problem, not a crash."""
        (text,) = told(one_field(complex), {"x": 1})
        self.assertTrue(text.startswith("x = 1: StructureHandlerNotFoundError: "), text)


def _shout(value: str) -> str:
    return value.upper()


def _join(value: Any, instance: Any) -> Any:
    return f"{value}{instance.class_}"


_JOINED: Any = attrs.Converter(_join, takes_self=True)


def _even(_instance: object, _attribute: object, value: int) -> None:
    if value % 2:
        raise ValueError("expected an even number")


@frozen(kw_only=True)
class Odd:
    """What third parties may come up with."""

    class_: str = "c"
    _private: int = 0
    renamed: int = field(default=0, alias="other")
    computed: int = field(default=7, init=False)
    loud: str = field(default="", converter=_shout)
    parts: Any = field(default=(), converter=tuple)
    self_made: Any = field(default="", converter=_JOINED)  # type: ignore[misc]
    spare: int = 0
    even: int = field(default=0, validator=[not_negative, _even])
    typed: int = field(default=0, validator=validators.gt(-5))


@frozen
class Range:
    """Fields that are checked against each other."""

    low: int
    high: int = field(default=Factory(lambda self: self.low + 1, takes_self=True))
    note: str = field(default="")

    @high.validator
    def _ordered(self, _attribute: object, value: int) -> None:
        if value <= self.low:
            raise ValueError(f"expected more than {self.low}")

    @note.validator
    def _short(self, _attribute: object, value: str) -> None:
        if len(value) > self.high:
            raise ValueError("expected less text than high says")


def _gone() -> int:
    raise LookupError("there is none")


@frozen
class Fragile:
    """A class with a default that cannot always be made."""

    number: Any = field(default=0, converter=int)
    found: int = field(factory=_gone)


@frozen
class Exclusive:
    """A class that checks itself as a whole."""

    a: int = 0
    b: int = 0

    def __attrs_post_init__(self) -> None:
        """Refuse to have both."""
        if self.a and self.b:
            raise ValueError("expected only one of a and b")


class ClassTests(SynchronousTestCase):
    """Tests for L{structure}."""

    def test_keyword_field(self) -> None:
        """Only a key that Python reserves is written without its underscore."""
        made = structure(Odd, {"class": "x", "_private": 1, "renamed": 2})
        self.assertEqual(made, Odd(class_="x", private=1, other=2))
        self.assertEqual(
            told(Odd, {"class_": "x", "private": 1, "other": 2, "computed": 3}),
            [
                'class_ = "x": unknown key; did you mean "class"?',
                'private = 1: unknown key; did you mean "_private"?',
                "other = 2: unknown key",
                "computed = 3: unknown key",
            ],
        )

    def test_converter(self) -> None:
        """A converter takes what its parameter says, or whatever there is."""
        made = structure(Odd, {"loud": "a", "parts": [1], "self_made": "b"})
        self.assertEqual((made.loud, made.parts, made.self_made), ("A", (1,), "bc"))
        self.assertEqual(
            told(Odd, {"loud": 1, "parts": 2}),
            [
                "loud = 1: expected a string",
                "parts = 2: 'int' object is not iterable",
            ],
        )

    def test_validators(self) -> None:
        """Validators of any make are asked, for every field."""
        self.assertEqual(
            told(Odd, {"even": 3, "typed": -9}),
            [
                "even = 3: expected an even number",
                "typed = -9: 'typed' must be > -5: -9",
            ],
        )

    def test_validators_see_each_other(self) -> None:
        """A validator sees the other fields, also those with made defaults."""
        self.assertEqual(structure(Range, {"low": 1}), Range(1, 2))
        self.assertEqual(
            told(Range, {"low": 5, "high": 4, "note": "x" * 9}),
            [
                "high = 4: expected more than 5",
                'note = "xxxxxxxxx": expected less text than high says',
            ],
        )

    def test_consequences_are_not_told(self) -> None:
        """A validator that misses a bad field does not add to the problems."""
        self.assertEqual(
            told(Range, {"low": "a", "high": 4}), ['low = "a": expected an integer']
        )

    def test_default_that_needs_a_bad_field(self) -> None:
        """A default that cannot be made for want of a bad field is no problem."""
        self.assertEqual(told(Range, {"low": "a"}), ['low = "a": expected an integer'])

    def test_converter_without_signature(self) -> None:
        """A converter that says nothing of its parameter gets what there is."""
        self.assertEqual(structure(Fragile, {"number": "7", "found": 1}).number, 7)
        self.assertEqual(
            told(Fragile, {"number": "x", "found": 1}),
            ["number = \"x\": invalid literal for int() with base 10: 'x'"],
        )

    def test_default_that_fails(self) -> None:
        """A default that cannot be made is a problem of its key."""
        self.assertEqual(told(Fragile, {}), ["found: LookupError: there is none"])

    def test_whole(self) -> None:
        """What the class itself raises is a problem of the table."""
        error = self.assertRaises(
            ConfigError,
            structure,
            Exclusive,
            {"a": 1, "b": 1},
            file="f.toml",
            key="unit.x",
        )
        self.assertEqual(str(error), "f.toml: unit.x: expected only one of a and b")

    def test_place(self) -> None:
        """Problems say the file and the key that were given."""
        error = self.assertRaises(
            ConfigError, structure, Exclusive, {"a": "x"}, file="f.toml", key="unit.x"
        )
        self.assertEqual(
            error.problems,
            (Problem("f.toml", "unit.x.a", "x", "expected an integer"),),
        )

    def test_all_at_once(self) -> None:
        """Problems are told in the order of the table, what is missing at the end."""
        self.assertEqual(
            told(Range, {"high": "x", "bad": 1}),
            [
                'high = "x": expected an integer',
                'bad = 1: unknown key; known here: "high", "low", "note"',
                "low: missing; expected an integer",
            ],
        )
