# -*- test-case-name: tests.config.test_checks -*-
"""
Tests for L{sockhost.config.checks}.
"""

from __future__ import annotations

import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import (
    Validator,
    between,
    command,
    not_empty,
    not_negative,
    one_of,
    positive,
    python_name,
    unit_name,
    unix_path,
)


class CheckTests(SynchronousTestCase):
    """Each validator accepts what it says and words what it wants."""

    def check(
        self, validator: Validator, good: list[Any], bad: list[Any], expected: str
    ) -> None:
        """Try values on a validator."""
        for value in good:
            try:
                validator(None, None, value)
            except ValueError as refusal:
                self.fail(f"{value!r} was refused: {refusal}")
        for value in bad:
            error = self.assertRaises(ValueError, validator, None, None, value)
            self.assertEqual(str(error), expected, repr(value))

    def test_positive(self) -> None:
        """Above 0 and finite."""
        self.check(
            positive,
            [1, 0.001, 10**400],
            [0, -1, math.inf, math.nan],
            "expected a number greater than 0",
        )

    def test_not_negative(self) -> None:
        """0 or more, and finite."""
        self.check(
            not_negative,
            [0, 0.0, 7, 10**400],
            [-0.1, -math.inf, math.inf, math.nan, -(10**400)],
            "expected a number that is 0 or greater",
        )

    def test_between(self) -> None:
        """Both ends are included."""
        self.check(
            between(0, 1.5),
            [0, 1.5],
            [-1, 1.6, math.nan],
            "expected a number from 0 to 1.5",
        )

    def test_one_of(self) -> None:
        """Any of the values, which are listed as TOML writes them."""
        self.check(one_of("a", 1), ["a", 1], ["b", []], 'expected one of "a", 1')

    def test_not_empty(self) -> None:
        """Strings and arrays that hold something."""
        self.check(
            not_empty, ["a", ("a",)], [""], "expected a string that is not empty"
        )
        self.check(not_empty, [], [(), {}, []], "expected at least one value")
        self.check(not_empty, [], ["a\0"], "expected a string without NUL characters")

    def test_command(self) -> None:
        """A program and its arguments."""
        self.check(
            command,
            [("ls",), ("ls", "")],
            [(), ("",), ("", "a")],
            "expected a program and its arguments",
        )
        self.check(
            command, [], [("a", "b\0")], "expected a string without NUL characters"
        )

    def test_unix_path(self) -> None:
        """107 bytes, not characters."""
        long = (
            "expected a path of at most 107 bytes for a Unix socket, and this one has "
        )
        good, bad = ["x" * 107, "é" * 53], ["x" * 108, "é" * 54]
        self.check(unix_path, good, bad, f"{long}108")
        self.check(unix_path, [], ["x" * 4000], f"{long}4000")
        self.check(unix_path, [], [""], "expected a string that is not empty")
        self.check(unix_path, [], ["\0a"], "expected a string without NUL characters")

    def test_python_name(self) -> None:
        """A module and a name in it."""
        self.check(
            python_name,
            ["a:B", "a.b_1.c:D", "a:B.c"],
            ["", "a", "a:", ":b", "a.b", "a:b:c", "1a:b", "a b:c", "a:b\n"],
            'expected "module:name"',
        )

    def test_unit_name(self) -> None:
        """What can be a file's name and a part of an address."""
        self.check(
            unit_name,
            ["a", "7", "a.b-C_1", "x" * 64],
            ["", ".a", "-a", "a/b", "a\n", "é", "x" * 65],
            'expected a name of at most 64 letters, digits, "_", "." and "-" that '
            "begins with a letter or a digit",
        )
