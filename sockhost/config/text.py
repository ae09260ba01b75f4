# -*- test-case-name: tests.config.test_text -*-
"""
How problems of a configuration are worded: values, keys, types and hints as
the person who wrote the file would write them.
"""

from __future__ import annotations

import datetime
import difflib
import enum
import json
import re
import types
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import attrs

NOTHING = attrs.NOTHING

_SHOWN_MAX = 60
_LISTED_MAX = 8
# Of a URL what stands between its user and its last "@", and parameters of such
# names.  Before anything is cut off, which the end of the first may be.
_SECRETS = (
    re.compile(r"(\A[^:/?#]*://[^:/?#@]*:).*(?=@)", re.DOTALL),
    re.compile(r"(?i)([?&][^=&?]{0,40}?(?:pass|secret|token|auth)[^=&?]{0,40}=)[^&]*"),
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_WORDS: dict[object, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    Path: "a string",
    datetime.datetime: "a date with a time",
    datetime.date: "a date",
    datetime.time: "a time",
    Any: "any value",
}


def shown(value: object) -> str:
    """Write a value as TOML would have it, shortened to fit a line."""
    text = _written(value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _written(value: object) -> str:
    if isinstance(value, enum.Enum):
        return _written(value.value)
    for types_, write in _WRITERS:
        if isinstance(value, types_):
            return write(value)
    return repr(value)


def _write_text(value: str) -> str:
    for secret in _SECRETS:
        value = secret.sub(r"\1***", value)
    quoted = json.dumps(value[: _SHOWN_MAX + 1], ensure_ascii=False)
    return re.sub(
        r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]",
        lambda match: f"\\u{ord(match[0]):04x}",
        quoted,
    )


def _write_int(value: int) -> str:
    # Python refuses to write very large integers as decimal digits.
    return str(value) if value.bit_length() < 200 else hex(value)


def _write_array(value: Iterable[object]) -> str:
    return "[" + _joined(map(_written, value)) + "]"


def _write_table(value: Mapping[Any, object]) -> str:
    if not value:
        return "{}"
    pairs = (f"{key_part(str(key))} = {_written(item)}" for key, item in value.items())
    return "{ " + _joined(pairs) + " }"


def _joined(parts: Iterable[str]) -> str:
    """Join no more parts than can be shown."""
    text, separator = "", ""
    for part in parts:
        text += separator + part
        separator = ", "
        if len(text) > _SHOWN_MAX:
            break
    return text


_WRITERS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (str, _write_text),
    (int, _write_int),
    (float, repr),
    ((datetime.date, datetime.time), lambda value: value.isoformat()),
    (Path, lambda value: _write_text(str(value))),
    ((list, tuple, set, frozenset), _write_array),
    (Mapping, _write_table),
)


def key_part(name: str) -> str:
    """Write one part of a key's path, in quotes where TOML needs them."""
    return name if _BARE_KEY.fullmatch(name) else shown(name)


def key_path(start: str, path: Iterable[str | int]) -> str:
    """Write a key's path below another: C{unit.kv} and C{"argv", 0} in one."""
    text = start
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + key_part(part)
    return text


def unknown(what: str, name: str, known: Iterable[str], *, quoted: bool = True) -> str:
    """
    Say that a name is not known, which one is probably meant, and, where they
    are few, which ones are known.
    """
    names = sorted(known)
    write: Callable[[str], str] = shown if quoted else str
    text = f"unknown {what}"
    if close := difflib.get_close_matches(name[:100], names, n=1):
        text += f"; did you mean {write(close[0])}?"
    if not names:
        return f"{text}; there are none here"
    if len(names) > _LISTED_MAX:
        return text
    return f"{text}{'' if close else ';'} known here: {', '.join(map(write, names))}"


def explained(error: Exception) -> str:
    """Make one line of what a validator or converter raised."""
    told = error.args[0] if error.args and isinstance(error.args[0], str) else ""
    text = " ".join((told or str(error)).split())[:300]
    if isinstance(error, ValueError | TypeError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def phrase(kind: Any) -> str:
    """Say what values a type stands for: C{"an integer"}."""
    kind = bare_type(kind)
    origin = get_origin(kind)
    if kind in _WORDS:
        return _WORDS[kind]
    if origin is Literal:
        return _choices(get_args(kind))
    if is_union(kind):
        return " or ".join(dict.fromkeys(map(phrase, members(kind))))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _choices([member.value for member in kind])
    return _container_phrase(origin or kind)


def _container_phrase(kind: Any) -> str:
    if not isinstance(kind, type):
        return str(kind)
    if attrs.has(kind) or issubclass(kind, Mapping):
        return "a table"
    if issubclass(kind, tuple | list | AbstractSet) or kind.__name__.endswith(
        "Sequence"
    ):
        return "an array"
    return kind.__name__


def _choices(values: Iterable[object]) -> str:
    listed = [shown(value) for value in values]
    return listed[0] if len(listed) == 1 else "one of " + ", ".join(listed)


def bare_type(kind: Any) -> Any:
    """Take off what says nothing about values: C{NewType}, C{Annotated}, C{Final}."""
    while True:
        if get_origin(kind) in (Annotated, Final):
            kind = get_args(kind)[0]
        elif hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        else:
            return kind


def is_union(kind: Any) -> bool:
    """Tell whether a type is C{X | Y} in either spelling."""
    return get_origin(kind) in (Union, types.UnionType)


def members(kind: Any) -> tuple[Any, ...]:
    """The types in a union without C{None}, which TOML cannot write."""
    return tuple(part for part in get_args(kind) if part is not type(None))
