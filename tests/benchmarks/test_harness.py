# -*- test-case-name: tests.benchmarks.test_harness -*-
"""
Tests for L{benchmarks.harness}.
"""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.harness import (
    QUICK,
    Arguments,
    Contender,
    Measured,
    Parts,
    Result,
    arguments,
    compare,
    ratio,
    report,
    table,
)


def result(contender: str = "ours", value: float = 2.0, ratio: float = 1.0) -> Result:
    """A result to print."""
    return Result("start", contender, value, "ms", "ours", ratio, [1.0, value, 3.0])


class CompareTests(SynchronousTestCase):
    """Tests for L{compare}."""

    def setUp(self) -> None:
        """Make a place to note who ran."""
        self.ran: list[str] = []

    def contender(self, name: str, *values: float) -> Contender:
        """Somebody who measures these values, a round each."""
        left = list(values)

        def run() -> Measured:
            self.ran.append(name)
            return {"start": left.pop(0)}

        return Contender(name, run)

    def test_interleaved(self) -> None:
        """The contenders take turns, so that noise meets all of them."""
        compare(
            [self.contender("a", 1, 1), self.contender("b", 1, 1)], {"start": "ms"}, 2
        )
        self.assertEqual(self.ran, ["a", "b", "a", "b"])

    def test_medians_and_ratios(self) -> None:
        """Values are medians, and ratios are to the first contender."""
        results = compare(
            [self.contender("a", 1, 2, 30), self.contender("b", 4, 5, 6)],
            {"start": "ms"},
            3,
        )
        found = [(each.contender, each.value, each.ratio) for each in results]
        self.assertEqual(found, [("a", 2, 1.0), ("b", 5, 2.5)])
        self.assertEqual(list(results[1].rounds), [4, 5, 6])

    def parted(self, name: str, *parts: str) -> Contender:
        """Somebody whose rounds have these parts."""

        def run() -> Parts:
            try:
                for part in parts:
                    self.ran.append(f"{name} {part}")
                    yield {part: 1.0}
            finally:
                self.ran.append(f"{name} ends")

        return Contender(name, run)

    def test_parts_interleaved(self) -> None:
        """
        Within a round the same part of all is measured before the next, even if
        somebody has fewer of them.
        """
        results = compare(
            [self.parted("a", "x", "y"), self.parted("b", "x")],
            {"x": "ms", "y": "ms"},
            1,
        )
        self.assertEqual(self.ran, ["a x", "b x", "a y", "b ends", "a ends"])
        found = [(each.scenario, each.contender, each.ratio) for each in results]
        self.assertEqual(found, [("x", "a", 1.0), ("x", "b", 1.0), ("y", "a", 1.0)])

    def test_failing_part(self) -> None:
        """When one fails, what the others have running is ended."""

        def fails() -> Parts:
            yield {"x": 1 / 0}

        with self.assertRaises(ZeroDivisionError):
            compare([self.parted("a", "x"), Contender("b", fails)], {"x": "ms"}, 1)
        self.assertEqual(self.ran, ["a x", "a ends"])

    def test_ratio_by_round(self) -> None:
        """A ratio is the median of those of the rounds, not that of the medians."""
        results = compare(
            [self.contender("a", 1, 10, 100), self.contender("b", 2, 30, 50)],
            {"start": "ms"},
            3,
        )
        self.assertEqual([each.ratio for each in results], [1.0, 2.0])

    def test_ratio_to_nothing(self) -> None:
        """Where there is nothing to divide by, the round does not count."""
        self.assertEqual(ratio([1.0, 2.0], [0.0, 4.0]), 0.5)
        self.assertEqual(ratio([1.0], [0.0]), 0.0)

    def test_missing_does_not_run(self) -> None:
        """Who is not installed is left out."""
        missing = Contender("c", lambda: {"start": 1 / 0}, "c is not installed")
        results = compare([self.contender("a", 1), missing], {"start": "ms"}, 1)
        self.assertEqual([each.contender for each in results], ["a"])


class ReportTests(SynchronousTestCase):
    """Tests for L{table} and L{report}."""

    def test_table(self) -> None:
        """The columns are aligned, numbers to the right."""
        lines = table([result(), result("theirs", 1234.5, 617.25)]).splitlines()
        self.assertEqual(
            lines,
            [
                "scenario  contender  value  unit   ratio  to    spread",
                "start     ours           2  ms      1.00  ours    100%",
                "start     theirs      1234  ms    617.25  ours    100%",
            ],
        )

    def test_report(self) -> None:
        """The skipped are named with the reason, and the machine is."""
        with redirect_stdout(StringIO()) as output:
            absent = Contender("c", dict, "not installed")
            report([result()], [absent], None, ["skipped: start (too hard)"])
        self.assertIn("skipped: c (not installed)\n", output.getvalue())
        self.assertIn("skipped: start (too hard)\n", output.getvalue())
        self.assertIn("machine: ", output.getvalue())

    def test_file(self) -> None:
        """The file holds a list of records with the promised keys."""
        path = Path(self.mktemp())
        with redirect_stdout(StringIO()):
            report([result()], [], path)
        (record,) = json.loads(path.read_text())
        self.assertEqual(
            record,
            {
                "scenario": "start",
                "contender": "ours",
                "value": 2.0,
                "unit": "ms",
                "ratio_to": "ours",
                "ratio": 1.0,
                "rounds": [1.0, 2.0, 3.0],
            },
        )


class ArgumentsTests(SynchronousTestCase):
    """Tests for L{arguments}."""

    def test_seconds(self) -> None:
        """How long a soak takes is usual, quick, or what is said."""
        for argv, seconds in (
            ([], 600.0),
            (["--quick"], QUICK),
            (["--seconds", "90"], 90.0),
            (["--quick", "--seconds", "5"], 5.0),
        ):
            self.assertEqual(arguments("Soaks.", argv, 600.0).seconds, seconds)

    def test_none(self) -> None:
        """What takes as long as it does has no such option."""
        self.assertEqual(arguments("Measures.", ["--quick"]), Arguments(True, None))
