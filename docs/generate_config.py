# -*- test-case-name: tests.config.test_reference -*-
"""
Write C{docs/reference/config.rst} from the configuration classes of the host,
of units and of the kinds that come with sockhost.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import fields

from sockhost.config import HostSettings, KeyDoc, RestartPolicy, UnitConfig, describe

REFERENCE = Path(__file__).resolve().parent / "reference" / "config.rst"

#: Of a unit's values, those that are no keys of its table.
NO_KEYS = {"name", "kind", "own", "table", "source", "policy"}

INTRODUCTION = """\
.. Written by docs/generate_config.py; do not edit.

Configuration
=============

A host reads one TOML file, and beside it ``units.d/*.toml``
in the order of their names.
The main file has a ``[host]`` table and a ``[unit.NAME]`` table for each unit;
the files in ``units.d`` have units only.
If two units have one name, the first one stands.

Everything is checked before anything starts,
and everything that is wrong is said at once:
one line for each problem, with the file, the key, the value and what was expected.
A unit that is bad is *quarantined*: it is shown with its problems, and the others run.
A file that is not TOML, a bad ``[host]`` table and a key outside of these tables
end the start, and so does a bad unit if ``strict`` is set.
``sockhost check FILE`` says the same without starting anything.

No value is turned into another type, except that an integer may stand for a number.

Placeholders
------------

Every string may have placeholders, also those within arrays and tables:

``{run_dir}``
    the run directory, as an absolute path; not in ``run_dir`` itself

``{log_dir}``
    the directory of the units' output, as an absolute path;
    not in ``log_dir`` and ``run_dir``

``{config_dir}``
    the directory of the main file, as an absolute path

``{name}``
    the name of the unit; only in units

``{python}``
    the Python interpreter that runs the host

``{valkey_server}``
    the server program that ``pip install 'sockhost[demo]'`` brings

``{env:NAME}``, ``{env:NAME:-default}``
    an environment variable of the host;
    the default is for one that is not set or empty,
    and without it an unset one is a problem

``{{``, ``}}``
    a brace

"""

HOST = """\
Relative paths, here and in units, start from the directory in which the host
is started; a program, and what it is ready by, from its ``cwd`` where it has one.
A module that is named, as by ``lifecycle`` or ``handler``, may be beside the main file.
"""

UNIT = """\
A name has at most 64 letters, digits, ``_``, ``.`` and ``-``,
and begins with a letter or a digit.
The keys of a unit are the following, and those of its kind.

``kind``
    | a string, required
    | what the unit is: one of the kinds below, or one that an installed package brings.
"""


def page(kinds: Mapping[str, Any]) -> str:
    """Make the whole reference."""
    common = [one for one in describe(UnitConfig) if _top(one.key) not in NO_KEYS]
    parts = [
        INTRODUCTION,
        _section("The host: ``[host]``", HOST, describe(HostSettings)),
        _section("Every unit: ``[unit.NAME]``", UNIT, common),
        _section(
            "When a unit is started again",
            f"These keys, too, stand in the unit's table.\n{_about(RestartPolicy)}\n"
            "Kinds may have other defaults, which are told with their keys.\n",
            describe(RestartPolicy),
        ),
    ]
    for name in sorted(kinds):
        config_class = kinds[name].config_class
        title = f'Units of ``kind = "{name}"``'
        about = _about(config_class) + _usual(kinds[name])
        parts.append(_section(title, about, describe(config_class)))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _section(title: str, text: str, keys: Iterable[KeyDoc]) -> str:
    lines = [title, "-" * len(title), "", text.rstrip(), ""]
    for one in keys:
        lines += [f"``{one.key}``", *_entry(one), ""]
    return "\n".join(lines)


def _entry(one: KeyDoc) -> Iterator[str]:
    if one.default == "required":
        default = ", required"
    elif one.default == "none":
        default = ""
    else:
        default = f"; default ``{one.default}``"
    yield f"    | {one.type}{default}"
    if one.doc:
        yield f"    | {to_rst(one.doc)}"


def _usual(kind: Any) -> str:
    """What is other by default for units of a kind when they are started again."""
    if not hasattr(kind, "usual_policy"):
        return ""
    usual, common = kind.usual_policy({}), RestartPolicy()
    others = [
        f"``{each.name} = {getattr(usual, each.name)!r}``"
        for each in fields(RestartPolicy)
        if getattr(usual, each.name) != getattr(common, each.name)
    ]
    said = f"\nUnless its table says something else: {', '.join(others)}.\n"
    return said if others else ""


def _top(key: str) -> str:
    return re.split(r"[.\[]", key)[0]


def _about(config_class: type) -> str:
    """What a class' docstring says in front of its fields."""
    text = inspect.cleandoc(config_class.__doc__ or "")
    before = re.split(r"^@", text, maxsplit=1, flags=re.MULTILINE)[0]
    paragraphs = re.split(r"\n\s*\n", before.strip())
    return "\n\n".join(to_rst(" ".join(one.split())) for one in paragraphs) + "\n"


def to_rst(text: str) -> str:
    """Turn the epytext of one paragraph into reStructuredText."""
    made, position = "", 0
    for start, end in _marked(text):
        made += _plain(text[position:start]) + _markup(
            text[start], text[start + 2 : end]
        )
        position = end + 1
    return made + _plain(text[position:])


def _marked(text: str) -> Iterator[tuple[int, int]]:
    """Find C{X{...}}, with whatever braces are in it."""
    position = 0
    while match := re.compile(r"[BCILMEU]\{").search(text, position):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        position = end
        yield match.start(), end - 1


def _markup(letter: str, inner: str) -> str:
    if letter == "L":
        words, _, target = inner.partition("<")
        return _plain(words.strip()) if target else f"``{inner.rpartition('.')[2]}``"
    if letter == "E":
        return {"lb": "{", "rb": "}"}.get(inner, inner)
    marks = {"C": "``", "M": "``", "I": "*", "B": "**"}
    return f"{marks.get(letter, '')}{inner}{marks.get(letter, '')}"


def _plain(text: str) -> str:
    return re.sub(r"([\\*`|]|_(?=\W|$))", r"\\\1", text)


def ours(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the kinds of other packages that happen to be installed."""
    return {
        name: kind
        for name, kind in kinds.items()
        if type(kind).__module__.partition(".")[0] == "sockhost"
    }


def main() -> None:
    """Write the page."""
    from sockhost.plugins import kinds

    REFERENCE.write_text(page(ours(kinds())), encoding="utf-8")


if __name__ == "__main__":
    main()
