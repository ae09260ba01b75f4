"""
A host in the background, under C{twistd}, with real processes.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

from tests.functional.hosts import HostCase, descendants, gone, pause
from tests.functional.test_host import HOOKS, SLEEPER, hooked


class DaemonTests(HostCase):
    """Going into the background."""

    def daemon(self, *args: str) -> Any:
        """Start a host under C{twistd} without C{-n}."""
        argv = ["--logfile", "host.log", "sockhost", "--config", "sockhost.toml"]
        from tests.functional.hosts import TWISTD

        return self.spawn([*TWISTD, *argv, *args])

    def kill_leftover(self) -> None:
        """End what a failing test would leave behind."""
        try:
            pid = int((self.run_dir / "sockhost.pid").read_text())
        except FileNotFoundError:
            return
        for each in [*descendants(pid), pid]:
            os.kill(each, signal.SIGKILL)

    async def test_ready(self) -> None:
        """The parent exits with 0 when the host is ready, and not before."""
        self.addCleanup(self.kill_leftover)
        self.write(
            "sockhost.toml",
            SLEEPER + f'ready = {{ connect = "unix:{self.directory}/late" }}\n',
        )
        parent = self.daemon()
        while not (self.run_dir / "control.sock").exists():
            await pause(0.02)
        await pause(0.3)
        self.assertIsNone(parent.status)
        late = socket.socket(socket.AF_UNIX)
        self.addCleanup(late.close)
        late.bind(str(self.directory / "late"))
        late.listen()
        self.assertEqual(await parent.ends(), 0, parent.output)
        status = await self.ask("GET", "/host")
        self.assertEqual(status["phase"], "ready")
        self.assertEqual(os.getsid(status["pid"]) != os.getsid(0), True)
        self.assertEqual(
            int((self.run_dir / "sockhost.pid").read_text()), status["pid"]
        )
        os.kill(status["pid"], signal.SIGTERM)
        await gone([status["pid"]])
        self.assertFalse((self.run_dir / "sockhost.pid").exists())

    async def test_fails(self) -> None:
        """The parent exits with 1 and the reason when there is no host."""
        self.write("sockhost.toml", hooked("Failing"))
        self.write("hooks.py", HOOKS)
        parent = self.daemon()
        self.assertEqual(await parent.ends(), 1)
        self.assertIn("no luck", parent.output)

    async def test_locked(self) -> None:
        """A second host is refused with its own status by the parent, too."""
        self.write("sockhost.toml", SLEEPER)
        first = self.twistd()
        await first.says("ready; steer it")
        parent = self.daemon()
        self.assertEqual(await parent.ends(), 73, parent.output)
        self.assertIn(f"process {first.pid} holds", parent.output)

    async def test_bad_configuration(self) -> None:
        """What is known before the fork has its own exit status."""
        self.write("sockhost.toml", "[host]\nrun_dri = 'x'\n")
        parent = self.daemon()
        self.assertEqual(await parent.ends(), 78, parent.output)
