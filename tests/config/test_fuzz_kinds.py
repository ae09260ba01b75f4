# -*- test-case-name: tests.config.test_fuzz_kinds -*-
"""
Made-up configurations of the kinds that ship, in two files: whatever they say,
L{load} returns a sound configuration or raises L{ConfigError}, and nothing that
it tells is a defect of a kind.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from sockhost.config import Config, describe, load
from sockhost.config.units import COMMON_KEYS
from sockhost.host.rehearsal import RehearsalHost, path_problems
from sockhost.interfaces import SockhostError
from sockhost.plugins import kinds
from tests.config.test_fuzz import PIECES, FuzzCase, many, mutated, toml

SHIPPED = {
    name: kind
    for name, kind in kinds().items()
    if type(kind).__module__.startswith("sockhost.")
}
GOOD: dict[str, dict[str, Any]] = {
    "cron": {"argv": ["true"], "schedule": "*/5 * * * *", "timezone": "UTC"},
    "process": {"argv": ["sleep", "60"], "ready": {"connect": "unix:{run_dir}/p"}},
    "redis": {"url": "unix://{run_dir}/v.sock", "decode": "utf-8"},
    "socket": {"path": "{run_dir}/s.sock", "handler": "no_such_module:Class"},
    "socket-client": {"path": "{run_dir}/s.sock", "framing": "line"},
    "tap": {"tap": "no-such-tap", "args": ["--port", "0"]},
}
"""What makes a good unit of each kind."""

_KEYS = {
    name: sorted(
        {doc.key for doc in describe(kind.config_class)} | COMMON_KEYS | {"x", "ready."}
    )
    for name, kind in SHIPPED.items()
}
_TEXTS = """
    a b s.sock @abstract unix: unix:x tcp:h:1 tcp:[::1]:99999 unix://x redis://h/99
    rediss://u:p@[::1]:0/x redis+sentinel:// rediss+cluster://h:1,h:2 no:Thing m:C.d
    0777 0o8 99999 -1 SIGKILL TERM 9 root no-such-user +1000 gid:0 uid:0 utf-8 rot13
    @midnight 61 systemd:x stream always never fail order Europe/Berlin Nowhere/Land
""".split()  # noqa: SIM905
_VALUES: list[Any] = [
    *_TEXTS,
    *("*/0 * * * *", "1-61 * * 13 8", "0 0 30 2 *", "now and then", "daily 25:00"),
    *("", "é\0", "{", "{nope}", "{env:NOPE}", "{{x}}", "{run_dir}" * 9, "x" * 108),
    *("tcp:port=1", "unix:" + "y" * 108, "a=b\nc", "\ud7ff", "\x7f", "/"),
    *(0, 1, -1, 65536, 10**400, 1e308, -0.5, float("inf"), float("nan"), True, False),
    *([], {}, [[]], [0], ["a"], ["a", 1], [""], ["\0"], {"a": "b"}, {"A=B": ""}),
    *({"connect": "unix:" + "z" * 108}, {"notify": True}, {"delay": 1}, {"a": {}}),
    *({"connect": "tcp:h:0"}, {"notify": True, "delay": -1}, {"delay": True}),
]


def _entries(kind: str) -> st.SearchStrategy[tuple[str, list[tuple[str, Any]]]]:
    entry = st.tuples(st.sampled_from(_KEYS[kind]), st.sampled_from(_VALUES))
    return st.tuples(st.just(kind), st.lists(entry, max_size=4))


_UNITS = st.lists(
    st.one_of([_entries(kind) for kind in sorted(SHIPPED)]), min_size=1, max_size=3
)
_GOOD = "\n".join(
    f'[unit.{name}]\nkind = "{name}"\n'
    + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
    for name, table in GOOD.items()
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


def text_of(name: str, kind: str, entries: list[tuple[str, Any]]) -> str:
    """Write the good table of a kind, with some keys replaced."""
    table: dict[str, Any] = {"kind": kind, **GOOD[kind]}
    for key, value in entries:
        outer, dot, inner = key.partition(".")
        table[outer] = {**_table(table.get(outer)), inner: value} if dot else value
    lines = (f"{toml(key)} = {toml(value)}\n" for key, value in table.items())
    return f"[unit.{name}]\n{''.join(lines)}\n"


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class ShippedKindsTests(FuzzCase):
    """Configurations of the kinds that ship."""

    def setUp(self) -> None:
        """Have a file, and one in C{units.d}."""
        super().setUp()
        os.makedirs(os.path.join(os.path.dirname(self.path), "units.d"))
        self.second = os.path.join(os.path.dirname(self.path), "units.d", "more.toml")

    def files(self) -> tuple[str, ...]:
        """What texts begin with."""
        paths = (self.path, self.second)
        return tuple(f"{path}: " for path in (*paths, *map(os.path.abspath, paths)))

    def load(self) -> Config:
        """Load it for another run directory."""
        return load(self.path, SHIPPED, run_dir=os.path.join("r", "{un"))

    def check_two(self, first: str, second: str) -> Config | None:
        """Load two texts, and check what comes of them."""
        with open(self.second, "wb") as stream:
            stream.write(second.encode("utf-8"))
        return self.check(first)

    def check_texts(self, problems: tuple[Any, ...]) -> None:
        """No kind is to blame for what is wrong."""
        super().check_texts(problems)
        for problem in problems:
            self.assertNotRegex(str(problem), r": [A-Z]\w*(Error|Exception|Exit)\b")
            self.assertNotIn("this kind cannot be used", str(problem))

    def check_sound(self, config: Config) -> None:
        """What can be said before units are made can be said."""
        super().check_sound(config)
        self.check_texts(tuple(path_problems(config)))
        host = RehearsalHost(Clock(), config, SHIPPED)
        for unit in config.units:
            if unit.kind != "tap":
                with contextlib.suppress(SockhostError):
                    SHIPPED[unit.kind].make(unit.name, unit.own, host)

    @many(2500)
    @given(_UNITS)
    def test_made_up(self, units: list[tuple[str, list[tuple[str, Any]]]]) -> None:
        """Tables with any values for the keys that there are are read or refused."""
        first, *others = (
            text_of(f"u{index}", kind, entries)
            for index, (kind, entries) in enumerate(units)
        )
        self.check_two(first, "".join(others))

    @many(2500)
    @given(_CUTS)
    def test_mutated(self, cuts: list[tuple[int, int, str]]) -> None:
        """Good units of every kind with any damage are read or refused."""
        self.check_two("", mutated(_GOOD, cuts))

    def test_unharmed(self) -> None:
        """The units that are damaged are good."""
        config = self.check_two("", _GOOD)
        assert config is not None
        self.assertEqual(config.problems, ())
        self.assertEqual([unit.kind for unit in config.units], sorted(SHIPPED))
