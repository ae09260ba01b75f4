"""Tests of status as text."""

from __future__ import annotations

import time
from typing import Any

import click
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.cli.table import age, align, host_line, unit_page, unit_table
from sockhost.status import Exit, State, to_json
from tests.control.fakes import FakeHost, unit


class AgeTests(SynchronousTestCase):
    """Spans of time are short."""

    def test_age(self) -> None:
        """The two greatest units are shown."""
        for seconds, text in (
            (-5, "0s"),
            (0.9, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3725, "1h 2m"),
            (86400 * 3 + 7200, "3d 2h"),
        ):
            self.assertEqual(age(seconds), text)


class AlignTests(SynchronousTestCase):
    """Columns are aligned."""

    @given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
    def test_columns(self, rows: list[tuple[str, str]]) -> None:
        """The second column begins at the same place in every line."""
        width = max(len(first) for first, _ in rows) + 2
        for line, (first, second) in zip(align(rows), rows, strict=True):
            self.assertEqual(line[:width].rstrip(" "), first.rstrip(" "))
            self.assertTrue(line[width:].startswith(second))


class UnitTableTests(SynchronousTestCase):
    """Units are a table."""

    def table(self, *units: Any) -> list[str]:
        """Draw it, without colours."""
        lines = unit_table([to_json(one) for one in units], now=1060.0)
        return [click.unstyle(line) for line in lines]

    def test_table(self) -> None:
        """Each unit is a line under the headings."""
        failed = unit(
            "db",
            kind="process",
            state=State.FAILED,
            restarts=10,
            reason="exit code 1\n 10 times",
        )
        self.assertEqual(
            self.table(unit("kv"), failed),
            [
                "NAME  KIND     GOAL  STATE   SINCE  RESTARTS  REASON",
                "kv    socket   up    up      1m 0s  0         path=/run/kv.sock",
                "db    process  up    failed  1m 0s  10        exit code 1 10 times",
            ],
        )

    def test_colour(self) -> None:
        """It is the state that has the colour, whatever the unit is called."""
        line = unit_table([to_json(unit("up", state=State.FAILED))], now=1060.0)[1]
        self.assertIn("\x1b[31m  failed \x1b[0m", line)
        self.assertEqual(line.count("\x1b[31m"), 1)

    def test_details(self) -> None:
        """Of the details a line has the plain and telling ones."""
        details = {"pid": 7, "tls": False, "none": None, "list": [1], "text": ""}
        self.assertTrue(self.table(unit("kv", details=details))[1].endswith("  pid=7"))


class UnitPageTests(SynchronousTestCase):
    """One unit is a page."""

    def test_page(self) -> None:
        """Everything that is known has its line, what is not has none."""
        ended = Exit(at=1000.0, signal="SIGKILL", asked_by="cli", reason="killed")
        shown = unit(
            "kv",
            state=State.BACKOFF,
            next_try=1065.0,
            last_exit=ended,
            requires=("a", "b"),
            details={
                "workers": [{"pid": 7, "ok": True}, {"pid": 8, "reason": ""}],
                "clients": 0,
                "latency": 0.5,
                "next_run": time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1)),
            },
        )
        lines = unit_page(to_json(shown), now=1060.0)
        self.assertEqual(
            [line.split(None, 1) for line in lines],
            [
                ["name", "kv"],
                ["kind", "socket"],
                ["goal", "up"],
                ["state", "backoff"],
                ["since", "1m 0s ago"],
                ["last_exit", "killed (1m 0s ago, asked by cli)"],
                ["restarts", "0"],
                ["next_try", "in 5s"],
                ["requires", "a, b"],
                ["workers", "pid=7 ok=yes"],
                ["workers", "pid=8"],
                ["clients", "0"],
                ["latency", "0.5"],
                ["next_run", "2026-01-02 03:04:05"],
            ],
        )


class HostLineTests(SynchronousTestCase):
    """The host is a line."""

    def test_line(self) -> None:
        """It says what runs, since when and from which file."""
        line = host_line({**to_json(FakeHost().status()), "pid": 7}, now=960.0)
        self.assertEqual(
            line, "fake ready for 1m 0s, pid 7, version 0.1.0, /etc/fake.toml"
        )
