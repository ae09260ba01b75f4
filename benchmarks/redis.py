"""
The Redis clients side by side: C{python -m benchmarks.redis}.

All share one CPU with one server, which is how they differ least from run to
run, and take turns.  C{sockhost} runs on Twisted's usual reactor, and
C{sockhost-hub} under C{--reactor=sockhost}.  Values are operations in a second.
Ratios are to hiredis' asynchronous API in C where its library can be compiled
against, else to the best asynchronous client in Python.  Where other programs
want the CPU too, C{--busy} counts only the time that client and server use of it,
which is all the time there is without them.  C{--cpu} shows the CPU time of the
client alone for an operation.  See L{benchmarks.redis_load} for the scenarios.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from attrs import define, evolve, field

from benchmarks.harness import (
    Contender,
    Measured,
    Result,
    arguments,
    compare,
    ratio,
    report,
)
from benchmarks.redis_server import Server

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "native" / "redis_hiredis.c"
VALUE = b"0123456789abcdef"
OURS = ("sockhost", "sockhost-hub")
BASE = "hiredis-c"
PEERS = {
    "redis-py": ("redis",),
    "redis-py+uvloop": ("redis", "uvloop"),
    "txredisapi": ("txredisapi",),
    "coredis": ("coredis",),
    "valkey-glide": ("glide",),
}
#: How many operations a round has, by scenario.
COUNTS = {
    "sequential": 10_000,
    "concurrent": 64 * 500,
    "bulk": 20_000,
    "pipeline": 20_000,
    "pubsub": 50_000,
}
#: What is made of a count for C, which would be done too soon.
LONGER = {"sequential": 2, "concurrent": 8, "pubsub": 4}
QUICK = 10
ROUNDS = 7
LIMIT = 120


@contextmanager
def running_server(cpu: int) -> Iterator[Server]:
    """A server for as long as it is used."""
    directory = Path(tempfile.mkdtemp(prefix="sockhost-bench-"))
    server = Server(directory, cpu)
    try:
        server.start()
        server.ask(b"SET bench:key " + VALUE + b"\r\n")
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def compiled(directory: Path) -> Path | None:
    """
    Compile the contender in C.

    @return: the program, or C{None} where a compiler or a library is missing.
    """
    program = directory / "redis_hiredis"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    command = [compiler, "-O2", str(SOURCE), "-o", str(program)]
    done = subprocess.run([*command, "-lhiredis", "-levent"], capture_output=True)
    return program if done.returncode == 0 else None


@define
class Rounds:
    """
    Does rounds of contenders.

    @ivar by_cpu: C{True} to measure CPU time instead of operations.
    @ivar busy: C{True} to measure operations in a second of the CPU time of
        client and server together.
    @ivar failed: which peers could not do what.
    """

    server: Server
    quick: bool
    by_cpu: bool
    scenarios: Sequence[str]
    busy: bool = False
    failed: set[str] = field(factory=set)

    def native(self, program: Path) -> Measured:
        """One round in C."""
        return self._each([str(program), self.server.path], longer=True)

    def python(self, name: str) -> Measured:
        """One round in Python."""
        load = [sys.executable, "-m", "benchmarks.redis_load", name]
        measured: dict[str, float] = {}
        for scenario in self.scenarios:
            command = [*load, scenario, self.server.path, str(self.server.port)]
            try:
                measured[scenario] = self._one(command, scenario, 1)
            except (subprocess.SubprocessError, ValueError):
                # A peer may change, or be changed; ours must work.
                if name in OURS:
                    raise
                self.failed.add(f"{name} in {scenario}")
        return measured

    def _each(self, command: list[str], longer: bool) -> Measured:
        return {
            scenario: self._one([*command, scenario], scenario, LONGER.get(scenario, 1))
            for scenario in self.scenarios
        }

    def _one(self, command: list[str], scenario: str, times: int) -> float:
        count = COUNTS[scenario] * times
        if self.quick:
            count = max(count // QUICK // 64, 1) * 64
        before = self.server.cpu_seconds()
        output = subprocess.run(
            [*command, str(count)],
            cwd=HERE.parent,
            check=True,
            stdout=subprocess.PIPE,
            timeout=LIMIT,
            preexec_fn=partial(os.sched_setaffinity, 0, {self.server.cpu or 0}),
        ).stdout
        wall, cpu = map(float, output.split())
        if self.busy:
            return count / (cpu + self.server.cpu_seconds() - before)
        return cpu * 1e6 / count if self.by_cpu else count / wall


def contenders(rounds: Rounds, only: Sequence[str] = ()) -> list[Contender]:
    """All, those that are missing here too."""
    program = compiled(rounds.server.directory)
    native = Contender(
        BASE,
        lambda: rounds.native(program) if program else {},
        None if program else "no compiler, libhiredis or libevent to compile against",
    )
    python = [
        Contender(name, partial(rounds.python, name), _missing(modules))
        for name, modules in [*((ours, ()) for ours in OURS), *PEERS.items()]
    ]
    return [each for each in [native, *python] if not only or each.name in only]


def _missing(modules: Sequence[str]) -> str | None:
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    return f"{absent[0]} is not installed" if absent else None


def to_best_peer(results: Sequence[Result]) -> list[Result]:
    """Where C is missing: ratios to the best peer of each scenario."""
    best: dict[str, Result] = {}
    for result in results:
        if result.contender in PEERS:
            other = best.get(result.scenario, result)
            best[result.scenario] = max(result, other, key=lambda each: each.value)
    return [_against(result, best.get(result.scenario)) for result in results]


def _against(result: Result, base: Result | None) -> Result:
    if base is None or not base.value:
        return result
    if len(result.rounds) == len(base.rounds):
        compared = ratio(result.rounds, base.rounds)
    else:
        compared = result.value / base.value
    return evolve(result, ratio_to=base.contender, ratio=compared)


def summary(results: Sequence[Result]) -> list[str]:
    """Sentences: ours beside the base and beside the best peer."""
    lines = []
    to_peer = {(r.scenario, r.contender): r for r in to_best_peer(results)}
    for result in results:
        if result.contender in OURS:
            peer = to_peer[result.scenario, result.contender]
            lines.append(
                f"{result.scenario}: {result.contender} is {result.ratio:.2f} of "
                f"{result.ratio_to}, {peer.ratio:.2f} of {peer.ratio_to}"
            )
    return lines


def units(scenarios: Sequence[str], by_cpu: bool) -> Mapping[str, str]:
    """The unit of each scenario."""
    return dict.fromkeys(scenarios, "µs CPU/op" if by_cpu else "op/s")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and report."""
    words = list(sys.argv[1:] if argv is None else argv)
    by_cpu, busy = "--cpu" in words, "--busy" in words
    only = [word[7:] for word in words if word.startswith("--only=")]
    chosen = [word for word in words if word in COUNTS]
    rest = [
        word
        for word in words
        if word not in ("--cpu", "--busy", *COUNTS) and not word.startswith("--only=")
    ]
    options = arguments(__doc__, rest)
    scenarios = chosen or list(COUNTS)
    cpu = min(os.sched_getaffinity(0))
    with running_server(cpu) as server:
        rounds = Rounds(server, options.quick, by_cpu, scenarios, busy)
        able = contenders(rounds, only)
        results = compare(
            able, units(scenarios, by_cpu), 3 if options.quick else ROUNDS
        )
    if not any(result.contender == BASE for result in results):
        results = to_best_peer(results)
    report(results, able, options.json)
    for failed in sorted(rounds.failed):
        print(f"failed: {failed}")
    print("\n".join(summary(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
