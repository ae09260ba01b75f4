# -*- test-case-name: tests.config.test_fuzz -*-
"""
Made-up configurations, ten thousand with those of L{tests.config.test_fuzz_kinds}:
whatever a file says, L{load} returns a configuration that is sound or raises
L{ConfigError}.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import Config, load
from sockhost.interfaces import ConfigError
from tests.config.test_kinds import KINDS
from tests.config.test_load import WHOLE

_WORDS = """
    a b name kind thing plain path argv env workers ready connect delay more mode
    after requires uses restart backoff budget enabled host unit run_dir control
    always size options
""".split()  # noqa: SIM905
_ODD = ["", "{run_dir}/x", "{", "{env:NOPE}", "{env:N:-d}", "{{}}", "é\0", "\x85"]
_NUMBERS = [0, 1, -1, 10**400, 1e308, 0.5, float("inf"), float("nan")]
_PLAIN: list[Any] = [*_WORDS, *_ODD, *_NUMBERS, True, False, datetime.date(2026, 1, 1)]
_NAMES = st.one_of(st.sampled_from(_WORDS), st.sampled_from(_ODD), st.text(max_size=6))
_WRAPPED: list[Callable[[Any, str], Any]] = [
    lambda value, name: value,
    lambda value, name: [value],
    lambda value, name: [value, "b"],
    lambda value, name: {name: value},
    lambda value, name: {"connect": name, "delay": value},
    lambda value, name: [{"delay": value}, {name: value}],
    lambda value, name: {name: {name: [[value], {}]}},
]
# Mostly in units, as what is wrong elsewhere ends the load.
_PLACES = [("unit", "a")] * 9 + [("unit", "b")] * 9 + [("host",), ("unit",), ()]
# Nested strategies would make this several times as slow: an entry is flat, and
# what it puts into the file is not.
_ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(_PLACES),
        _NAMES,
        st.sampled_from(_PLAIN),
        st.sampled_from(_WRAPPED),
        st.sampled_from(_WORDS),
    ),
    max_size=8,
)

_GOOD = WHOLE + '[unit."c.d"]\nkind = "plain"\nuses = ["b", "a"]\n'
PIECES = st.one_of(
    st.sampled_from(
        ["\n", '"', "'", "[", "]", "{", "}", "=", ".", ",", "#", "0", "-1"]
    ),
    st.sampled_from(["nan", "inf", '"""', "{x}", "{{", "\\u0000", "\\", "[unit.a]\n"]),
    st.sampled_from(['"b"', "x = 1\n", 'after = ["b"]\n', "\r\n", "\ufeff", "\0"]),
    st.characters(exclude_categories=["Cs"]),
)
_CUTS = st.lists(
    st.tuples(
        st.integers(0, len(_GOOD)),
        st.sampled_from([0, 0, 1, 2, 5, 20]),
        st.one_of(st.just(""), PIECES),
    ),
    min_size=1,
    max_size=4,
)


def many(count: int) -> settings:
    """Make so many examples, however long that takes."""
    return settings(
        max_examples=count,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def toml(value: Any) -> str:
    """Write a value as TOML does in one line."""
    if isinstance(value, dict):
        pairs = (f"{toml(str(key))} = {toml(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def content_of(entries: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Put each entry where it says, beside what makes a good unit of C{a}."""
    content: dict[str, Any] = {"unit": {"a": {"kind": "thing", "path": "p"}}}
    for place, name, value, wrapped, other in entries:
        table = content
        for part in place:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                break
        else:
            table[name] = wrapped(value, other)
    return content


def mutated(text: str, cuts: list[tuple[int, int, str]]) -> str:
    """Replace pieces of a good configuration."""
    for start, length, piece in cuts:
        text = text[:start] + piece + text[start + length :]
    return text


class FuzzCase(SynchronousTestCase):
    """Loads what is made up."""

    def setUp(self) -> None:
        """Have a file."""
        self.path = self.mktemp()

    def files(self) -> tuple[str, ...]:
        """What texts begin with."""
        return (f"{self.path}: ",)

    def load(self) -> Config:
        """Load the file."""
        return load(self.path, KINDS)

    def check(self, text: str) -> Config | None:
        """Load a text, and check what comes of it."""
        with open(self.path, "wb") as stream:
            stream.write(text.encode("utf-8"))
        try:
            config = self.load()
        except ConfigError as error:
            self.assertTrue(error.problems)
            self.check_texts(error.problems)
            return None
        self.check_texts(config.problems)
        self.check_sound(config)
        return config

    def check_texts(self, problems: tuple[Any, ...]) -> None:
        """Every problem is one line that names the file and can be printed."""
        for problem in problems:
            text = str(problem)
            text.encode("utf-8")
            self.assertEqual(len(text.splitlines()), 1, text)
            self.assertTrue(text.startswith(self.files()), text)

    def check_sound(self, config: Config) -> None:
        """Names are unique, and every unit stands behind those that it wants."""
        names = [unit.name for unit in config.units]
        bad = [unit.name for unit in config.quarantined]
        self.assertEqual(len({*names, *bad}), len(names) + len(bad))
        self.assertTrue(os.path.isabs(config.host.run_dir))
        for index, unit in enumerate(config.units):
            self.assertLessEqual({*unit.dependencies}, {*names[:index], *bad})


class FuzzTests(FuzzCase):
    """Configurations of kinds that are as odd as kinds may be."""

    @many(2500)
    @given(_ENTRIES)
    def test_made_up(self, entries: list[tuple[Any, ...]]) -> None:
        """Tables of any keys and values are read or refused."""
        content = content_of(entries)
        self.check("\n".join(f"{toml(key)} = {toml(content[key])}" for key in content))

    @many(2500)
    @given(_CUTS)
    def test_mutated(self, cuts: list[tuple[int, int, str]]) -> None:
        """A good file with any damage is read or refused."""
        self.check(mutated(_GOOD, cuts))

    def test_unharmed(self) -> None:
        """The file that is damaged is good."""
        config = self.check(_GOOD)
        assert config is not None
        self.assertEqual(config.problems, ())
