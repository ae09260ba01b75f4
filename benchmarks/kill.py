"""
Kill any child of the quickstart's host every 200 ms for 5 minutes (20 seconds
with --quick), while 8 clients send requests, and check that nothing is lost.

Exits with 1 if anything was.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks import chaos
from benchmarks.harness import Progress, Result, arguments, report
from benchmarks.hosts import quickstart

QUICK, LONG = 20.0, 300.0
"""Seconds of killing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run it and print what happened."""
    options = arguments(__doc__, argv)
    plan = chaos.Plan(seconds=QUICK if options.quick else LONG)
    progress = Progress(plan.seconds)
    with quickstart() as host:
        outcome = chaos.run(host, plan, progress.at)
        status = host.stop()
    progress.clear()
    if status != 0:
        outcome.problems.append(f"the host exited with status {status}")
    report(results(outcome), [], options.json)
    for problem in outcome.problems[:20]:
        print(f"problem: {problem}")
    print(f"{outcome.kills} kills, {len(outcome.problems)} problems")
    return 1 if outcome.problems else 0


def results(outcome: chaos.Outcome) -> list[Result]:
    """The figures of a run."""
    figures = [
        ("children killed", float(outcome.kills), ""),
        ("requests answered", float(outcome.answered), ""),
        ("writes acknowledged", float(outcome.acknowledged), ""),
        ("answers that were errors", float(outcome.errors), ""),
        ("connections cut", float(outcome.cuts), ""),
        ("all up again after the last kill", outcome.settled_after, "s"),
        ("problems", float(len(outcome.problems)), ""),
    ]
    return [
        Result(scenario, "sockhost", value, unit, "sockhost", 1.0, [value])
        for scenario, value, unit in figures
    ]


if __name__ == "__main__":
    sys.exit(main())
