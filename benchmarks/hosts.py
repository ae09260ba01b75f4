"""
A host of the quickstart that runs in a directory of its own.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "examples" / "quickstart" / "sockhost.toml"


class NotUp(Exception):
    """Something was not up in the time that it had; the text says what."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("host", timeout=10.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@define
class RunningHost:
    """
    A host that was started.

    @ivar run_dir: its run directory.
    @ivar ready_after: seconds from the command to C{ready}.
    """

    process: subprocess.Popen[bytes]
    run_dir: Path
    ready_after: float

    @property
    def pid(self) -> int:
        """The process id of the host."""
        return self.process.pid

    def units(self) -> dict[str, dict[str, Any]]:
        """The status of each unit, by its name."""
        connection = _UnixConnection(str(self.run_dir / "control.sock"))
        try:
            connection.request("GET", "/units")
            units = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return {unit["name"]: unit for unit in units}

    def not_up(self) -> list[str]:
        """What keeps the host from being as it should be, unit by unit."""
        return [
            f"{name} is {unit['state']} ({unit['reason']})"
            for name, unit in self.units().items()
            if unit["state"] != "up"
        ]

    def stop(self, timeout: float = 30.0) -> int:
        """Have the host stop in order; the result is its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def log(self) -> str:
        """What the host wrote."""
        return (self.run_dir.parent / "host.log").read_text(errors="replace")


@contextmanager
def quickstart(timeout: float = 60.0) -> Iterator[RunningHost]:
    """
    Run the host of the quickstart until the block ends.

    @raise NotUp: it did not become ready.
    """
    # Short, as the paths of sockets must be.
    with tempfile.TemporaryDirectory(prefix="sh-") as name:
        host = _launch(Path(name), timeout)
        try:
            yield host
        finally:
            _end(host.process)


@contextmanager
def configured(text: str, timeout: float = 60.0) -> Iterator[RunningHost]:
    """
    Run a host with another configuration until the block ends.

    @param text: the configuration file.
    @raise NotUp: it did not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="sh-") as name:
        config = Path(name) / "sockhost.toml"
        config.write_text(text)
        host = _launch(Path(name), timeout, config)
        try:
            yield host
        finally:
            _end(host.process)


def _launch(directory: Path, timeout: float, config: Path = QUICKSTART) -> RunningHost:
    run_dir = directory / "run"
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "sockhost", "run", "--config", str(config)]
    options = ["--run-dir", str(run_dir), "--startup-fd", str(writer)]
    started = time.monotonic()
    with open(directory / "host.log", "wb") as log:
        process = subprocess.Popen(
            [*command, *options],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(writer)
    host = RunningHost(process, run_dir, 0.0)
    try:
        _wait_until_ready(reader, host, timeout)
    except BaseException:
        _end(process)
        raise
    finally:
        os.close(reader)
    host.ready_after = time.monotonic() - started
    return host


def _wait_until_ready(reader: int, host: RunningHost, timeout: float) -> None:
    if not select.select([reader], [], [], timeout)[0]:
        raise NotUp(f"the host was not ready in {timeout:g} s:\n{host.log()}")
    if os.read(reader, 4) != b"\0\0\0\0":
        raise NotUp(f"the host did not start:\n{host.log()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
