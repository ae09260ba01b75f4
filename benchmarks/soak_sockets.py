"""
Soaks a framed socket: a thousand clients that connect, pipeline, stall, reset,
half-close and flood at random, for ten minutes.  A bystander asks one small
question after the other all the while.

It must hold that the bystander's 99th percentile stays below 50 ms, that the
host's memory stays flat, that its descriptors are as many at the end as at the
start, that nobody who behaves well gets a wrong answer or none, and that the
log shows no defect.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any

from attrs import define, field, frozen

from benchmarks import procfs
from benchmarks.harness import Progress, Result, arguments, report
from benchmarks.hosts import ROOT, RunningHost, configured
from benchmarks.soak_clients import Crowd

CONFIG = """
[unit.soaked]
kind = "socket"
path = "{run_dir}/soaked.sock"
handler = "benchmarks.soak_clients:Echo"
half_close = "finish"
frame_timeout = 5.0
stall_timeout = 10.0
idle_timeout = 60.0
backlog = 1024
"""

P99_LIMIT = 0.050
GROWTH_LIMIT = 8 * 1024 * 1024
"""Bytes that memory may vary by; what leaks grows by more in ten minutes."""

PERIOD = 0.01
"""Seconds between two questions of the bystander."""

BYSTANDER = """
import json, sys, time
from sockhost.sockets.blocking import BlockingClient
path, seconds, period = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
took, end = [], time.monotonic() + seconds
with BlockingClient(path, timeout=30.0) as client:
    while time.monotonic() < end:
        started = time.perf_counter()
        assert client.request(b"bystander") == b"bystander"
        took.append(time.perf_counter() - started)
        time.sleep(period)
json.dump(took, sys.stdout)
"""


@frozen(kw_only=True)
class Plan:
    """What to do: for how many seconds, with how many clients."""

    seconds: float
    clients: int
    seed: int = 0


@define
class Outcome:
    """
    What happened.

    @ivar latencies: the bystander's waits, in seconds.
    @ivar memory: the host's memory, second by second.
    @ivar descriptors: how many the host had before the clients and after.
    @ivar done: what the clients did, and how often.
    @ivar status: the socket's counters at the end.
    @ivar problems: what must not happen and did, a sentence each.
    """

    latencies: Sequence[float] = ()
    memory: list[int] = field(factory=list)
    descriptors: tuple[int, int] = (0, 0)
    done: Mapping[str, int] = field(factory=dict)
    status: Mapping[str, Any] = field(factory=dict)
    problems: list[str] = field(factory=list)

    @property
    def p99(self) -> float:
        """The bystander's 99th percentile, in seconds."""
        return quantiles(self.latencies, n=100)[98] if len(self.latencies) > 1 else 0.0

    @property
    def growth(self) -> float:
        """Bytes by which memory in the last third exceeds that in the second."""
        third = len(self.memory) // 3
        if not third:
            return 0.0
        return median(self.memory[-third:]) - median(self.memory[third : 2 * third])

    def judge(self) -> None:
        """Add what is not as it must be to the problems."""
        before, after = self.descriptors
        if self.p99 >= P99_LIMIT:
            self.problems.append(f"the bystander's p99 is {self.p99 * 1000:.1f} ms")
        if self.growth > GROWTH_LIMIT:
            self.problems.append(f"memory grew by {self.growth / 2**20:.1f} MiB")
        if after > before:
            self.problems.append(f"{before} descriptors became {after}")
        for name in ("clients", "in_flight", "buffered", "errors"):
            if self.status.get(name):
                self.problems.append(f"{name} is {self.status[name]} at the end")
        # No client stays for so long: somebody had gone, and it was not noticed.
        stalled = self.status.get("dropped", {}).get("stall_timeout")
        if stalled:
            self.problems.append(f"{stalled} clients were taken for stalled")


def soak(plan: Plan) -> Outcome:
    """Run a host, and the clients against it."""
    outcome = Outcome()
    _allow_descriptors(plan.clients + 200)
    with configured(CONFIG) as host:
        path = str(host.run_dir / "soaked.sock")
        # What a first client opens is there before it is counted.
        _bystand(path, 0.2)
        before = procfs.descriptors(host.pid)
        asyncio.run(_soak(plan, host, path, outcome))
        outcome.status, after = _settled(host, before)
        outcome.descriptors = before, after
        if host.stop() != 0:
            outcome.problems.append("the host did not end well")
        _read_log(host, outcome)
    outcome.judge()
    return outcome


async def _soak(plan: Plan, host: RunningHost, path: str, outcome: Outcome) -> None:
    crowd = Crowd(path, plan.clients, plan.seed)
    with _bystander(path, plan.seconds) as bystander:
        watching = asyncio.ensure_future(_watch(plan, host, outcome))
        await crowd.run(plan.seconds)
        await watching
        answer = await asyncio.to_thread(_end_of, bystander)
    if bystander.returncode:
        outcome.problems.append("the bystander was not served to the end")
    else:
        outcome.latencies = json.loads(answer)
    outcome.done = {**crowd.done, "cut": crowd.cut}
    outcome.problems += crowd.problems


async def _watch(plan: Plan, host: RunningHost, outcome: Outcome) -> None:
    progress = Progress(plan.seconds)
    for second in range(round(plan.seconds)):
        await asyncio.sleep(1)
        outcome.memory.append(procfs.memory(host.pid))
        progress.at(second, f"{outcome.memory[-1] / 2**20:.1f} MiB")
    progress.clear()


@contextmanager
def _bystander(path: str, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    # A process of its own: what the clients cost us must not count as waiting.
    argv = [sys.executable, "-c", BYSTANDER, path, str(seconds), str(PERIOD)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _end_of(bystander: subprocess.Popen[bytes]) -> bytes:
    return bystander.communicate()[0]


def _bystand(path: str, seconds: float) -> None:
    with _bystander(path, seconds) as bystander:
        _end_of(bystander)


def _settled(host: RunningHost, before: int) -> tuple[Mapping[str, Any], int]:
    """
    Give the host time to see that all have gone; tell its counters, and how many
    descriptors it has.
    """
    end = time.monotonic() + 10
    while True:
        details: Mapping[str, Any] = host.units()["soaked"]["details"]
        # It may not have closed the connection of that question yet.
        time.sleep(0.2)
        after = procfs.descriptors(host.pid)
        settled = not (details["clients"] or details["in_flight"]) and after <= before
        if settled or time.monotonic() > end:
            return details, after


def _read_log(host: RunningHost, outcome: Outcome) -> None:
    log = host.log()
    start = log.find("Traceback")
    if start >= 0:
        outcome.problems.append(log[max(0, start - 300) : start + 3000])
    for word in ("Traceback", "Unhandled", "#critical"):
        if word in log:
            outcome.problems.append(f"the log has {log.count(word)} x {word!r}")


def _allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def results(outcome: Outcome) -> list[Result]:
    """The outcome as results."""
    before, after = outcome.descriptors
    rows = (
        ("bystander-p99", outcome.p99 * 1000, "ms"),
        ("memory-growth", outcome.growth / 2**20, "MiB"),
        ("descriptors-left", float(after - before), ""),
        ("connections", float(sum(outcome.done.values())), ""),
        ("problems", float(len(outcome.problems)), ""),
    )
    return [
        Result(name, "sockhost", value, unit, "sockhost", 1.0, [value])
        for name, value, unit in rows
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    options = arguments(__doc__, argv)
    if options.quick:
        plan = Plan(seconds=20, clients=200)
    else:
        plan = Plan(seconds=600, clients=1000)
    outcome = soak(plan)
    did = ", ".join(f"{n} {what}" for what, n in sorted(outcome.done.items()))
    problems = [f"problem: {problem}" for problem in outcome.problems[:20]]
    report(results(outcome), [], options.json, [f"did: {did}", *problems])
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
