# -*- test-case-name: tests.config.test_describe -*-
"""
Configuration classes for people to read about.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import attrs
from attrs import frozen

from sockhost.config.structure import keys
from sockhost.config.text import NOTHING, bare_type, is_union, members, phrase, shown

_IVAR = re.compile(r"@ivar\s+(\w+):(.*?)(?=^\s*@|\Z)", re.DOTALL | re.MULTILINE)


@frozen(kw_only=True)
class KeyDoc:
    """
    What a reference says of a key.

    @ivar key: with the keys of the tables that it is in: C{"ready.connect"};
        C{"more[].connect"} in an array of tables, C{"by.NAME.connect"} in a
        table of them.
    @ivar type: what it takes: C{"an array of strings"}.
    @ivar default: as TOML writes it; C{"required"}, or C{"none"} where leaving
        it out is not the same as any value.
    @ivar doc: the text of its C{@ivar} in epytext, on one line.
    """

    key: str
    type: str
    default: str
    doc: str


def describe(config_class: type) -> tuple[KeyDoc, ...]:
    """
    List the keys of a configuration class in the order of its fields, those of
    a table within it after the table's own.

    @param config_class: an attrs class whose docstring has an C{@ivar} for
        each field.
    """
    return tuple(_described(config_class, "", ()))


def _described(
    config_class: type, start: str, above: tuple[type, ...]
) -> Iterator[KeyDoc]:
    texts = _texts(config_class)
    for key, attribute in keys(config_class).items():
        yield KeyDoc(
            key=start + key,
            type=_type_text(attribute.type),
            default=_default_text(attribute.default),
            doc=texts.get(attribute.name, ""),
        )
        for step, table in _tables(attribute.type):
            if table not in (*above, config_class):
                yield from _described(
                    table, f"{start}{key}{step}.", (*above, config_class)
                )


def _texts(config_class: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(config_class.__mro__):
        doc = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        found.update(
            (name, " ".join(text.split())) for name, text in _IVAR.findall(doc)
        )
    return found


def _type_text(kind: Any) -> str:
    kind = bare_type(kind)
    if is_union(kind):
        return " or ".join(dict.fromkeys(map(_type_text, members(kind))))
    inner = [part for part in get_args(kind) if part is not Ellipsis]
    text = phrase(kind)
    if text not in ("an array", "a table") or not inner or inner[-1] is Any:
        return text
    if get_origin(kind) is tuple and len(inner) == len(get_args(kind)) > 1:
        return f"an array of {', '.join(map(_type_text, inner))}"
    return f"{text} of {_plural(_type_text(inner[-1]))}"


def _plural(text: str) -> str:
    article, _, rest = text.partition(" ")
    if article not in ("a", "an") or " or " in rest:
        return text
    noun, of, inner = rest.partition(" of ")
    return f"{noun}s{of}{inner}"


def _default_text(default: Any) -> str:
    if default is NOTHING:
        return "required"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = NOTHING if default.takes_self else default.factory()
    if default is None or default is NOTHING or attrs.has(type(default)):
        return "none"
    return shown(default)


def _tables(kind: Any) -> Iterator[tuple[str, type]]:
    """The classes of the tables in a value, and how a key leads on to them."""
    kind = bare_type(kind)
    if isinstance(kind, type) and attrs.has(kind):
        yield "", kind
        return
    steps = {"an array": "[]", "a table": ".NAME"}
    step = "" if is_union(kind) else steps.get(phrase(kind), "")
    for part in get_args(kind):
        for further, table in _tables(part):
            yield step + further, table
