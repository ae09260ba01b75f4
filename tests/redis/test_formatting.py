"""
Tests for L{sockhost.redis.formatting}: the formats that hiredis' own tests have.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.formatting import format_command
from sockhost.redis.resp import encode_command


class FormatTests(SynchronousTestCase):
    """Commands out of formats."""

    def check(self, expected: tuple[Any, ...], text: str, *args: Any) -> None:
        """The format gives the command."""
        self.assertEqual(format_command(text, *args), encode_command(expected))

    def test_plain(self) -> None:
        """Words are arguments, however many spaces are between them."""
        self.check(("SET", "foo", "bar"), "SET foo bar")
        self.check(("SET", "foo", "bar"), "  SET  foo bar ")

    def test_strings(self) -> None:
        """A string is one argument, empty, with spaces or with NULs."""
        self.check(("SET", "foo", "b r"), "SET %s %s", "foo", "b r")
        self.check(("SET", "foo", ""), "SET %s %s", "foo", "")
        self.check(("SET", "", "foo"), "SET %s %s", "", "foo")
        self.check(("SET", "foo", b"b\0r"), "SET %b %b", b"foo", b"b\0r")
        self.check(("SET", "foo", b""), "SET %b %b", b"foo", memoryview(b""))
        self.check(("SET", 1, 1.5), "SET %s %s", 1, 1.5)

    def test_percent(self) -> None:
        """A doubled percent sign is one."""
        self.check(("SET", "%", "%"), "SET %% %%")

    def test_numbers(self) -> None:
        """Numbers are written as C writes them."""
        for kind in ("d", "i", "hhd", "hd", "ld", "lld"):
            self.check(("k:-0123", "s:x"), f"k:%05{kind} s:%s", -123, "x")
        for kind in ("u", "hhu", "hu", "lu", "llu"):
            self.check(("k:0123", "s:x"), f"k:%04{kind} s:%s", 123, "x")
        self.check(("key:0123.000",), "key:%08.3f", 123.0)
        self.check(("ff", "1e+01"), "%x %.0e", 255, 10.0)

    def test_inside(self) -> None:
        """A field may be a part of a word."""
        self.check(("SET", "user:7:name", "x"), "SET user:%d:%s %b", 7, "name", b"x")

    def test_no_format(self) -> None:
        """What is no format is refused, with what is wrong."""
        for text, args in (
            ("key:%08p str:%s", (1, "hello")),
            ("SET %-", ()),
            ("SET %", ()),
            ("SET %s", ()),
            ("SET a", ("b",)),
            ("", ()),
        ):
            with self.assertRaises(ValueError):
                format_command(text, *args)

    def test_no_text(self) -> None:
        """Arguments of other types are refused."""
        for bad in (None, True, [], object()):
            with self.assertRaises(TypeError):
                format_command("SET a %s", bad)  # type: ignore[arg-type]
        with self.assertRaises(TypeError):
            format_command("SET a %d", "1")
