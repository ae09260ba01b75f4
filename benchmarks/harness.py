"""
Runs contenders side by side: one round of each, and again, so that what the
machine does meanwhile costs all of them alike; then medians, and a table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, field, frozen

#: What one round of a contender measured: value by scenario.
Measured = Mapping[str, float]


@frozen
class Contender:
    """
    Somebody to measure.

    @ivar run: does one round.
    @ivar missing: why it cannot take part, or C{None}.
    """

    name: str
    run: Callable[[], Measured]
    missing: str | None = None


@frozen
class Result:
    """
    What a contender made of a scenario.

    @ivar value: the median of its rounds.
    @ivar ratio_to: the contender that C{ratio} divides by.
    @ivar rounds: every measured value.
    """

    scenario: str
    contender: str
    value: float
    unit: str
    ratio_to: str
    ratio: float
    rounds: Sequence[float]

    @property
    def spread(self) -> float:
        """The width of the rounds as a part of their median."""
        if not self.value:
            return 0.0
        return (max(self.rounds) - min(self.rounds)) / self.value

    def to_json(self) -> dict[str, Any]:
        """The record of it in the file."""
        return {
            "scenario": self.scenario,
            "contender": self.contender,
            "value": self.value,
            "unit": self.unit,
            "ratio_to": self.ratio_to,
            "ratio": self.ratio,
            "rounds": list(self.rounds),
        }


@define
class Progress:
    """A bar on standard error, if that is a terminal."""

    total: float
    shown: bool = field(factory=lambda: sys.stderr.isatty())

    def at(self, done: float, what: str = "") -> None:
        """Show how far it is."""
        if self.shown:
            part = min(1.0, done / self.total) if self.total else 1.0
            bar = "#" * round(30 * part)
            sys.stderr.write(f"\r[{bar:<30}] {part:4.0%} {what:<40.40}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self.shown:
            sys.stderr.write("\r" + " " * 79 + "\r")


@define
class Arguments:
    """The options that every benchmark has."""

    quick: bool
    json: Path | None


def arguments(doc: str | None, argv: Sequence[str] | None = None) -> Arguments:
    """Read the command line of a benchmark."""
    parser = argparse.ArgumentParser(description=(doc or "").strip().split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    options = parser.parse_args(argv)
    return Arguments(quick=options.quick, json=options.json)


def compare(
    contenders: Sequence[Contender], units: Mapping[str, str], rounds: int
) -> list[Result]:
    """
    Measure the contenders that can take part, one round of each at a time.

    @param units: the unit of each scenario.  The first contender is what the
        others are compared with.
    """
    able = [contender for contender in contenders if contender.missing is None]
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    progress = Progress(rounds * len(able))
    for number in range(rounds * len(able)):
        contender = able[number % len(able)]
        progress.at(number, contender.name)
        for scenario, value in contender.run().items():
            values[scenario, contender.name].append(value)
    progress.clear()
    return _results(values, units, able[0].name)


def _results(
    values: Mapping[tuple[str, str], list[float]], units: Mapping[str, str], base: str
) -> list[Result]:
    medians = {key: median(rounds) for key, rounds in values.items()}
    results = []
    for (scenario, contender), rounds in sorted(
        values.items(), key=lambda item: list(units).index(item[0][0])
    ):
        value, other = medians[scenario, contender], medians[scenario, base]
        ratio = value / other if other else 0.0
        results.append(
            Result(scenario, contender, value, units[scenario], base, ratio, rounds)
        )
    return results


def machine() -> str:
    """One line about where this was measured."""
    return (
        f"{platform.platform()}, {os.cpu_count()} CPUs, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def table(results: Sequence[Result]) -> str:
    """The results as text, aligned."""
    head = ("scenario", "contender", "value", "unit", "ratio", "spread")
    rows = [head, *map(_row, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(_line(row, widths) for row in rows)


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.scenario,
        result.contender,
        f"{result.value:.4g}" if result.value < 1000 else f"{result.value:.0f}",
        result.unit,
        f"{result.ratio:.2f}",
        f"{result.spread:.0%}",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column in (2, 4, 5) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def report(
    results: Sequence[Result], contenders: Sequence[Contender], file: Path | None
) -> None:
    """Print the table, who was left out, and where this was; write the file."""
    print(table(results))
    for contender in contenders:
        if contender.missing is not None:
            print(f"skipped: {contender.name} ({contender.missing})")
    print(f"machine: {machine()}")
    if file is not None:
        text = json.dumps([result.to_json() for result in results], indent=2)
        file.write_text(text + "\n")
