"""
Framed echo servers side by side: C{python -m benchmarks.sockets}.

Rates are frames a second (connections, in C{connect}); C{cpu} is what the server
used for each in microseconds, which other work of the machine moves least, and
C{p50} and C{p99.9} are microseconds from writing a frame to having it back.
Every byte that comes back is compared.

A ratio is to C{uvloop-protocol}, an ordinary Protocol on uvloop, in the same
round; where uvloop is not installed, to C{asyncio-protocol}, the same Protocol on
asyncio's own loop.  In a round one scenario follows the other, and all contenders
do it one after the other before the next begins.

With one client, client and server share one CPU: to wake the other CPU of a small
virtual machine takes 30 microseconds, which would be all that is measured.

C{sockhost} is a socket unit on the ordinary epoll reactor, as it is without any
option; C{sockhost-hub} is the same under C{--reactor=sockhost};
C{sockhost-protocol} has C{transport = "protocol"}.  In
C{deferred} and C{deferred-ping-pong} they answer every frame by a Deferred that
fires in a later turn; the others answer at once, as ever.  C{c-batch} and
C{c-packet} are in C{native/sockets_echo.c}.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

from attrs import define, frozen

from benchmarks.harness import (
    Contender,
    Measured,
    Parts,
    arguments,
    compare,
    report,
)
from benchmarks.hosts import ROOT
from benchmarks.sockets_server import OURS

HERE = Path(__file__).resolve().parent
PEERS = ("uvloop-protocol", "asyncio-protocol", "asyncio-streams")
IN_C = ("c-batch", "c-packet")
PATIENCE = 60.0
GIB = 1 << 30


@frozen
class Scenario:
    """
    What the clients do.

    @ivar load: arguments of the load generator, without path and time.
    @ivar together: whether client and server share one CPU.
    @ivar later: whether ours answer later.
    """

    load: tuple[str, ...]
    together: bool = False
    later: bool = False


RATES = {
    "ping-pong": Scenario(("run", "16", "1", "1"), together=True),
    "50-connections": Scenario(("run", "16", "50", "1")),
    "pipelined": Scenario(("run", "16", "16", "64")),
    "large": Scenario(("run", "65536", "16", "64")),
    "connect": Scenario(("connect", "16", "-", "-"), together=True),
    "deferred": Scenario(("run", "16", "16", "64"), later=True),
    "deferred-ping-pong": Scenario(("run", "16", "1", "1"), together=True, later=True),
}
UNITS = {
    f"{name}{what}": unit
    for name in RATES
    for what, unit in (("", "1/s"), (" cpu", "us"), (" p50", "us"), (" p99.9", "us"))
} | {
    "idle-memory": "B",
    "slow-reader": "MiB",
    "slow-reader cpu": "ms/s",
}


@define
class Sizes:
    """How much of everything."""

    milliseconds: int
    idle: int
    slow: int
    rounds: int


FULL = Sizes(milliseconds=700, idle=10_000, slow=GIB, rounds=7)
QUICK = Sizes(milliseconds=150, idle=1000, slow=GIB // 16, rounds=1)


@cache
def compiled(name: str) -> str | None:
    """Compile a program of ours, once; C{None} without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    made = _workshop() / name
    source = HERE / "native" / f"{name}.c"
    subprocess.run([compiler, "-O2", "-o", made, source], check=True)
    return str(made)


@cache
def _workshop() -> Path:
    directory = tempfile.TemporaryDirectory(prefix="sockhost-bench-")
    atexit.register(directory.cleanup)
    return Path(directory.name)


def load_command(*arguments: str) -> list[str]:
    """The load generator."""
    program = compiled("sockets_load")
    if program is not None:
        return [program, *arguments]
    return [sys.executable, "-m", "benchmarks.sockets_load", *arguments]


def server_command(name: str, path: str, later: bool) -> list[str]:
    """The server of a contender."""
    if name in IN_C:
        program = compiled("sockets_echo")
        assert program is not None
        return [program, name.removeprefix("c-"), path]
    how = ["later"] if later and name in OURS else []
    return [sys.executable, "-m", "benchmarks.sockets_server", name, path, *how]


@define
class Server:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    path: str

    def cpu(self) -> float:
        """Seconds of CPU that all its threads have used."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        spent = (task / "schedstat" for task in tasks.iterdir())
        return sum(int(each.read_text().split()[0]) for each in spent) / 1e9

    def memory(self) -> int:
        """Bytes that are resident."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def pin(self, cpus: set[int]) -> None:
        """Let it run there only."""
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(task), cpus)


@contextmanager
def running(name: str, later: bool = False) -> Iterator[Server]:
    """A server for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix="sb-") as directory:
        path = os.path.join(directory, "s")
        process = subprocess.Popen(
            server_command(name, path, later), cwd=ROOT, stdout=subprocess.DEVNULL
        )
        try:
            _wait_for(path, process)
            yield Server(process, path)
        finally:
            process.kill()
            process.wait()


def _wait_for(path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{process.args!r} does not serve")
        time.sleep(0.01)
    time.sleep(0.2)


def put_load(server: Server, scenario: Scenario, milliseconds: int) -> dict[str, Any]:
    """Run the clients of a scenario; say what they measured."""
    cpus = os.sched_getaffinity(0)
    chosen = {min(cpus)} if scenario.together else cpus
    server.pin(chosen)
    what, *rest = scenario.load
    command = load_command(what, server.path, *rest, str(milliseconds))
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=PATIENCE,
        # What a child inherits is the affinity of the thread that makes it.
        preexec_fn=lambda: os.sched_setaffinity(0, chosen),
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def rate(server: Server, scenario: str, sizes: Sizes) -> Measured:
    """A scenario with a rate."""
    how = RATES[scenario]
    put_load(server, how, sizes.milliseconds // 5)
    before = server.cpu()
    measured = put_load(server, how, sizes.milliseconds)
    spent = server.cpu() - before
    if not measured["frames"]:
        sys.exit(f"no frame has come back in {scenario}")
    return {
        scenario: measured["frames"] / measured["seconds"],
        f"{scenario} cpu": spent * 1e6 / measured["frames"],
        f"{scenario} p50": measured["p50"],
        f"{scenario} p99.9": measured["p999"],
    }


@contextmanager
def waiting_load(server: Server, *arguments: str) -> Iterator[None]:
    """Clients that have done what they do, and wait."""
    with subprocess.Popen(
        load_command(arguments[0], server.path, *arguments[1:], "-", "-"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        if clients.stdout.readline() != b"waiting\n":
            sys.exit("the clients have failed")
        time.sleep(0.3)
        yield
        clients.communicate(b"\n", PATIENCE)
        if clients.returncode:
            sys.exit("the clients have failed")


def idle_memory(name: str, sizes: Sizes) -> float:
    """Bytes for each client that has said something once."""
    with running(name) as server:
        with waiting_load(server, "idle", "16", "1"):
            pass
        before = server.memory()
        with waiting_load(server, "idle", "16", str(sizes.idle)):
            return (server.memory() - before) / sizes.idle


def without_idle(sizes: Sizes) -> str | None:
    """Why there cannot be so many idle clients; C{None} if there can."""
    # The server and the clients raise their own limits to this.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sizes.idle + 100
    if most == resource.RLIM_INFINITY or most >= needed:
        return None
    return f"it takes {needed} descriptors, and a process may have {most}"


def slow_reader(name: str, sizes: Sizes) -> Measured:
    """What a client costs that sends and does not read, until it reads."""
    with running(name) as server:
        with waiting_load(server, "slow", "65536", "65536"):
            pass
        before = server.memory()
        with waiting_load(server, "slow", "65536", str(sizes.slow)):
            grown = (server.memory() - before) / (1 << 20)
            cpu = server.cpu()
            time.sleep(0.5)
            spent = (server.cpu() - cpu) * 1e3 / 0.5
    return {"slow-reader": grown, "slow-reader cpu": spent}


def one_round(name: str, sizes: Sizes) -> Parts:
    """Everything once."""
    with running(name) as server, _later(name, server) as later:
        for scenario, how in RATES.items():
            yield rate(later if how.later else server, scenario, sizes)
    if without_idle(sizes) is None:
        yield {"idle-memory": idle_memory(name, sizes)}
    yield slow_reader(name, sizes)


def _later(name: str, server: Server) -> AbstractContextManager[Server]:
    # The others answer at once, as ever.
    return running(name, later=True) if name in OURS else nullcontext(server)


def contenders(sizes: Sizes) -> list[Contender]:
    """Everybody, the reference first."""
    no_uvloop = importlib.util.find_spec("uvloop") is None
    no_compiler = shutil.which("gcc") is None and shutil.which("cc") is None
    missing = {"uvloop-protocol": "uvloop is not installed"} if no_uvloop else {}
    if no_compiler:
        missing |= dict.fromkeys(IN_C, "there is no C compiler")
    return [
        Contender(name, partial(one_round, name, sizes), missing.get(name))
        for name in (*PEERS, *OURS, *IN_C)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and report."""
    options = arguments(__doc__, argv)
    sizes = QUICK if options.quick else FULL
    everybody = contenders(sizes)
    results = compare(everybody, UNITS, sizes.rounds)
    lack = without_idle(sizes)
    notes = [] if lack is None else [f"skipped: idle-memory ({lack})"]
    report(results, everybody, options.json, notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
