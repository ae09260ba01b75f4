# -*- test-case-name: tests.cli.test_table -*-
"""
Status as text: aligned, coloured where a person reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

HEADINGS = ("NAME", "KIND", "GOAL", "STATE", "SINCE", "RESTARTS", "REASON")

_EPOCH = 1e9
"""Seconds since the epoch are more than this, and no span or count in floats is."""

_COLOURS = {
    "up": "green",
    "done": "green",
    "starting": "yellow",
    "stopping": "yellow",
    "backoff": "yellow",
    "failed": "red",
    "quarantined": "red",
}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def age(seconds: float) -> str:
    """Write a span of time in its two greatest units: C{"3h 20m"}."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{name}")
    return " ".join(parts[:2]) or "0s"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Make lines whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def unit_table(units: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    """
    Draw the units, a line each, under a line of headings.

    @param now: seconds since the epoch.
    """
    lines = align([HEADINGS, *(_cells(unit, now) for unit in units)])
    drawn = [_colour(line, unit) for line, unit in zip(lines[1:], units, strict=True)]
    return [click.style(lines[0].rstrip(), bold=True), *drawn]


def unit_page(unit: Mapping[str, Any], now: float) -> list[str]:
    """Say everything of one unit, a line each."""
    facts = {key: value for key, value in unit.items() if key != "details"}
    facts["since"] = f"{age(now - unit['since'])} ago"
    if unit["next_try"] is not None:
        facts["next_try"] = f"in {age(unit['next_try'] - now)}"
    facts["last_exit"] = _last_exit(unit["last_exit"], now)
    rows = [(key, _plain(value)) for key, value in facts.items()]
    for key, value in unit["details"].items():
        rows += _detail(key, value)
    return [line.rstrip() for line in align([row for row in rows if row[1]])]


def host_line(host: Mapping[str, Any], now: float) -> str:
    """Say what the host is, in one line."""
    return (
        f"{host['name']} {host['phase']} for {age(now - host['started'])},"
        f" pid {host['pid']}, version {host['version']}, {host['config']}"
    )


def _cells(unit: Mapping[str, Any], now: float) -> tuple[str, ...]:
    return (
        unit["name"],
        unit["kind"],
        unit["goal"],
        unit["state"],
        age(now - unit["since"]),
        str(unit["restarts"]),
        _one_line(unit["reason"] or _summary(unit["details"])),
    )


def _colour(line: str, unit: Mapping[str, Any]) -> str:
    state: str = unit["state"]
    before, found, behind = line.rstrip().partition(f"  {state} ")
    return before + click.style(found, fg=_COLOURS.get(state)) + behind


def _summary(details: Mapping[str, Any]) -> str:
    """What a line has room for: the plain facts, without the empty ones."""
    plain = {
        key: value
        for key, value in details.items()
        if isinstance(value, str | int | float) and value not in ("", False)
    }
    return _plain(plain)


def _detail(key: str, value: object) -> list[tuple[str, str]]:
    """A line of a unit's own, or one for each of several things."""
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        return [(key, _plain(one)) for one in value]
    return [(key, _plain(value))]


def _last_exit(exit_: Mapping[str, Any] | None, now: float) -> str:
    if exit_ is None:
        return ""
    asked = f", asked by {exit_['asked_by']}" if exit_["asked_by"] else ""
    return f"{exit_['reason'] or 'ended'} ({age(now - exit_['at'])} ago{asked})"


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, Mapping):
        words = {key: _plain(item) for key, item in value.items()}
        return " ".join(f"{key}={word}" for key, word in words.items() if word)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    return _one_line(str(value))


def _number(value: float) -> str:
    """A number, or the time that one as great as this always is in a status."""
    if value < _EPOCH:
        return f"{value:g}"
    return datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M:%S")


def _one_line(text: str) -> str:
    return " ".join(text.split())
