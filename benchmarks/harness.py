"""
Runs contenders side by side: one round of each, part by part, and again, so that
what the machine does meanwhile costs all of them alike; then medians, and a table.

A ratio is the median of those of the rounds: a round that was slow for both says
as much as any other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, field, frozen

#: What a round of a contender, or a part of it, measured: value by scenario.
Measured = Mapping[str, float]

#: What a round measured, part by part.
Parts = Generator[Measured, None, None]


@frozen
class Contender:
    """
    Somebody to measure.

    @ivar run: does one round; or yields what each part of it has measured, so
        that the same parts of all contenders are done one after the other.
    @ivar missing: why it cannot take part, or C{None}.
    """

    name: str
    run: Callable[[], Measured | Parts]
    missing: str | None = None


@frozen
class Result:
    """
    What a contender made of a scenario.

    @ivar value: the median of its rounds.
    @ivar ratio_to: the contender that C{ratio} divides by, round by round.
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
    """
    The options that every benchmark has.

    @ivar seconds: how long a soak takes.
    """

    quick: bool
    json: Path | None
    seconds: float = 0.0


QUICK = 20.0
"""Seconds that a quick soak takes."""


def arguments(
    doc: str | None, argv: Sequence[str] | None = None, seconds: float | None = None
) -> Arguments:
    """
    Read the command line of a benchmark.

    @param seconds: how long a soak usually takes, for there to be an option.
    """
    parser = argparse.ArgumentParser(description=(doc or "").strip().split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    if seconds is not None:
        text = f"how long all of it takes ({seconds:g})"
        parser.add_argument("--seconds", type=float, metavar="N", help=text)
    options = parser.parse_args(argv)
    if seconds is None:
        return Arguments(options.quick, options.json)
    usual = QUICK if options.quick else seconds
    return Arguments(options.quick, options.json, options.seconds or usual)


def compare(
    contenders: Sequence[Contender], units: Mapping[str, str], rounds: int
) -> list[Result]:
    """
    Measure the contenders that can take part, one round of each at a time, and
    of a round one part of each at a time.

    @param units: the unit of each scenario.  The first contender is what the
        others are compared with.
    """
    able = [contender for contender in contenders if contender.missing is None]
    values: Values = defaultdict(dict)
    progress = Progress(rounds)
    for number in range(rounds):
        for name, measured in _one_round(able):
            for scenario, value in measured.items():
                values[scenario, name][number] = value
                progress.at(number, f"{scenario}: {name}")
    progress.clear()
    return _results(values, units, able[0].name)


#: What was measured in which round, by scenario and contender.
Values = dict[tuple[str, str], dict[int, float]]


def _one_round(able: Sequence[Contender]) -> Iterator[tuple[str, Measured]]:
    """A round of all: who, and what a part of it measured."""
    with ExitStack() as stack:
        # What a round has running ends with it, even if that of another fails.
        parts = {each.name: stack.enter_context(closing(_parts(each))) for each in able}
        while parts:
            for name, part in list(parts.items()):
                measured = next(part, None)
                if measured is None:
                    del parts[name]
                else:
                    yield name, measured


def _parts(contender: Contender) -> Parts:
    measured = contender.run()
    if isinstance(measured, Mapping):
        yield measured
    else:
        yield from measured


def _results(values: Values, units: Mapping[str, str], base: str) -> list[Result]:
    results = []
    for (scenario, contender), rounds in sorted(
        values.items(), key=lambda item: list(units).index(item[0][0])
    ):
        value = median(rounds.values())
        compared = _ratio(rounds, values.get((scenario, base), {}))
        unit, measured = units[scenario], list(rounds.values())
        results.append(
            Result(scenario, contender, value, unit, base, compared, measured)
        )
    return results


def _ratio(rounds: Mapping[int, float], base: Mapping[int, float]) -> float:
    both = [number for number in rounds if number in base]
    return ratio([rounds[number] for number in both], [base[number] for number in both])


def ratio(rounds: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios of rounds; 0 where there is nothing to divide by."""
    ratios = [mine / other for mine, other in zip(rounds, base, strict=True) if other]
    return median(ratios) if ratios else 0.0


def machine() -> str:
    """One line about where this was measured."""
    return (
        f"{platform.platform()}, {os.cpu_count()} CPUs, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def table(results: Sequence[Result]) -> str:
    """The results as text, aligned."""
    head = ("scenario", "contender", "value", "unit", "ratio", "to", "spread")
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
        result.ratio_to,
        f"{result.spread:.0%}",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column in (2, 4, 6) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def report(
    results: Sequence[Result],
    contenders: Sequence[Contender],
    file: Path | None,
    notes: Sequence[str] = (),
) -> None:
    """
    Print the table, who was left out, what else there is to say, and where this
    was; write the file.
    """
    print(table(results))
    for contender in contenders:
        if contender.missing is not None:
            print(f"skipped: {contender.name} ({contender.missing})")
    for note in notes:
        print(note)
    print(f"machine: {machine()}")
    if file is not None:
        text = json.dumps([result.to_json() for result in results], indent=2)
        file.write_text(text + "\n")
