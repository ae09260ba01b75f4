# -*- test-case-name: tests.config.test_text -*-
"""
Tests for L{sockhost.config.text}.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NewType, Optional, Union

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config.text import explained, key_path, phrase, shown, unknown
from tests.config.test_kinds import Ready


class Colour(enum.Enum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


Word = NewType("Word", str)


class ShownTests(SynchronousTestCase):
    """Tests for L{shown}."""

    def test_values(self) -> None:
        """Values are written as TOML writes them."""
        for value, text in (
            (True, "true"),
            (3, "3"),
            (-0.5, "-0.5"),
            (float("inf"), "inf"),
            ('a"\n', r'"a\"\n"'),
            ("\x85\x7f\u2028\udc80", r'"\u0085\u007f\u2028\udc80"'),
            ([], "[]"),
            ((1, "a"), '[1, "a"]'),
            ({}, "{}"),
            ({"a b": 1, "c": [{}]}, '{ "a b" = 1, c = [{}] }'),
            (datetime.date(2026, 1, 2), "2026-01-02"),
            (datetime.time(1, 2), "01:02:00"),
            (Path("/x"), '"/x"'),
            (Colour.RED, '"red"'),
            (None, "None"),
        ):
            self.assertEqual(shown(value), text)

    def test_shortened(self) -> None:
        """What is long is cut off to fit a line."""
        self.assertEqual(shown("x" * 100), '"' + "x" * 58 + "…")
        self.assertEqual(len(shown([10**50] * 9999)), 60)
        self.assertEqual(len(shown({"a": {"b": ["x"] * 999}})), 60)

    def test_passwords(self) -> None:
        """The password in a URL is not shown, wherever and however long it is."""
        for url, text in (
            ("redis://me:pa/s@s@host:1/0", "redis://me:***@host:1/0"),
            ("redis://:pass@host", "redis://:***@host"),
            (f"redis://me:{'p' * 100}@host", "redis://me:***@host"),
            ("redis://me@host:1/0", "redis://me@host:1/0"),
            (
                "redis+sentinel://h/s?sentinel_password=pw&db=1",
                "redis+sentinel://h/s?sentinel_password=***&db=1",
            ),
            ("a:b@c, e?f", "a:b@c, e?f"),
        ):
            self.assertEqual(shown(url), f'"{text}"')
            self.assertIn(f'"{text}"'[:40], shown({"url": [url]}))

    def test_huge_integer(self) -> None:
        """An integer that Python does not write in decimal digits is shown."""
        self.assertTrue(shown(1 << 99999).startswith("0x8000"))

    @given(st.text(st.characters()))
    def test_one_printable_line(self, text: str) -> None:
        """Any text is shown in one line that can be encoded."""
        written = shown(text)
        self.assertEqual(len(written.splitlines()), 1)
        self.assertLessEqual(len(written), 60)
        written.encode("utf-8")


class WordingTests(SynchronousTestCase):
    """Tests for L{key_path}, L{unknown} and L{explained}."""

    def test_key_path(self) -> None:
        """Names that TOML quotes are quoted, and indexes are in brackets."""
        self.assertEqual(
            key_path("unit", ("a.b", "more", 0, "x")), 'unit."a.b".more[0].x'
        )
        self.assertEqual(key_path("", ("a", 1)), "a[1]")

    def test_unknown(self) -> None:
        """What is close is offered, and what is few is listed."""
        many = [f"name{n}" for n in range(9)]
        self.assertEqual(
            unknown("key", "bc", ["bd", "abc"]),
            'unknown key; did you mean "abc"? known here: "abc", "bd"',
        )
        self.assertEqual(
            unknown("key", "xyz", ["abc"]), 'unknown key; known here: "abc"'
        )
        self.assertEqual(unknown("key", "xyz", many), "unknown key")
        self.assertEqual(
            unknown("key", "name10", many), 'unknown key; did you mean "name1"?'
        )
        self.assertEqual(unknown("unit", "x", []), "unknown unit; there are none here")

    def test_explained(self) -> None:
        """An exception becomes one line, with its type if that says something."""
        for error, text in (
            (ValueError("expected\n  this"), "expected this"),
            (TypeError("a", 1, 2), "a"),
            (ValueError(), "ValueError"),
            (KeyError("k"), "KeyError: k"),
            (OSError(2, "No such file"), "FileNotFoundError: [Errno 2] No such file"),
            (ValueError("x" * 999), "x" * 300),
        ):
            self.assertEqual(explained(error), text)


class PhraseTests(SynchronousTestCase):
    """Tests for L{phrase}."""

    def test_types(self) -> None:
        """Types are called what TOML calls their values."""
        types: list[tuple[Any, str]] = [
            (bool, "true or false"),
            (int, "an integer"),
            (float, "a number"),
            (str, "a string"),
            (Path, "a string"),
            (Any, "any value"),
            (datetime.datetime, "a date with a time"),
            (list[int], "an array"),
            (tuple[str, ...], "an array"),
            (Sequence[str], "an array"),
            (frozenset[str], "an array"),
            (dict[str, int], "a table"),
            (Mapping[str, int], "a table"),
            (Ready, "a table"),
            (Literal["a"], '"a"'),
            (Literal["a", "b"], 'one of "a", "b"'),
            (Colour, 'one of "red", "blue"'),
            (int | None, "an integer"),
            (Optional[str], "a string"),  # noqa: UP045
            (Union[int, str, Word], "an integer or a string"),  # noqa: UP007
            (Word, "a string"),
            (Annotated[int, "x"], "an integer"),
            (Final[int], "an integer"),
            (bytes, "bytes"),
        ]
        for kind, text in types:
            self.assertEqual(phrase(kind), text, repr(kind))
