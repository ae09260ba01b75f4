# -*- test-case-name: tests.config.test_checks -*-
"""
Validators for the fields of configuration classes.  Import them from
L{sockhost.config}.  Each raises C{ValueError("expected …")}, which the reader
of a configuration turns into a problem with file, key and value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from sockhost.config.text import shown

Validator = Callable[[Any, Any, Any], None]

UNIX_PATH_MAX = 107
UNIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
UNIT_NAME_EXPECTED = (
    'expected a name of at most 64 letters, digits, "_", "." and "-" that begins '
    "with a letter or a digit"
)

_PYTHON_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def positive(_instance: object, _attribute: object, value: float) -> None:
    """
    Accept a finite number above 0.

    @raise ValueError: it is another one.
    """
    # A comparison, as math.isfinite() fails for an integer too large for a float.
    if not 0 < value < math.inf:
        raise ValueError("expected a number greater than 0")


def not_negative(_instance: object, _attribute: object, value: float) -> None:
    """
    Accept a finite number that is 0 or more.

    @raise ValueError: it is another one.
    """
    if not 0 <= value < math.inf:
        raise ValueError("expected a number that is 0 or greater")


def between(low: float, high: float) -> Validator:
    """
    Make a validator that accepts a number from C{low} to C{high}, both
    included.
    """

    def check(_instance: object, _attribute: object, value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"expected a number from {low} to {high}")

    return check


def one_of(*choices: object) -> Validator:
    """Make a validator that accepts any of some values."""
    listed = ", ".join(shown(choice) for choice in choices)

    def check(_instance: object, _attribute: object, value: object) -> None:
        if value not in choices:
            raise ValueError(f"expected one of {listed}")

    return check


def not_empty(_instance: object, _attribute: object, value: Any) -> None:
    """
    Accept a string, array or table that is not empty, and a string only
    without NUL characters.

    @raise ValueError: it is another one.
    """
    if isinstance(value, str):
        _no_nul(value)
    if not value:
        what = "a string" if isinstance(value, str) else "at least one value"
        raise ValueError(f"expected {what}" + " that is not empty" * (value == ""))


def command(_instance: object, _attribute: object, value: Any) -> None:
    """
    Accept what can be executed: an array of strings without NUL characters,
    the first of which names the program.

    @raise ValueError: it is another one.
    """
    if not value or not value[0]:
        raise ValueError("expected a program and its arguments")
    for argument in value:
        _no_nul(argument)


def unix_path(_instance: object, _attribute: object, value: str) -> None:
    """
    Accept the path of a Unix socket: one that fits into the 107 bytes that
    the system has for it.

    @raise ValueError: it is another one.
    """
    not_empty(None, None, value)
    size = len(value.encode("utf-8", "surrogateescape"))
    if size > UNIX_PATH_MAX:
        raise ValueError(
            f"expected a path of at most {UNIX_PATH_MAX} bytes for a Unix socket, "
            f"and this one has {size}"
        )


def python_name(_instance: object, _attribute: object, value: str) -> None:
    """
    Accept C{"module:Class"}: a dotted module and a name in it.

    @raise ValueError: it is something else.
    """
    if not _PYTHON_NAME.fullmatch(value):
        raise ValueError('expected "module:name"')


def unit_name(_instance: object, _attribute: object, value: str) -> None:
    """
    Accept what a unit may be called.

    @raise ValueError: it is something else.
    """
    if not UNIT_NAME.fullmatch(value):
        raise ValueError(UNIT_NAME_EXPECTED)


def _no_nul(value: str) -> None:
    if "\0" in value:
        raise ValueError("expected a string without NUL characters")
