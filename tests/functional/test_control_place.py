"""
A host whose control socket is not in its run directory is steered by that all
the same, with real processes.
"""

from __future__ import annotations

from tests.functional.hosts import HostCase

CONFIG = """
    [host]
    run_dir = "run"
    control = "{control}"

    [unit.sleeper]
    kind = "process"
    argv = ["/bin/sleep", "60"]
"""


class ControlElsewhereTests(HostCase):
    """C{[host] control} is another path."""

    async def test_steered(self) -> None:
        """The command that the host prints finds it, and nothing is left of it."""
        elsewhere = self.directory / "x.sock"
        self.write("sockhost.toml", CONFIG.format(control=elsewhere))
        host = self.sockhost_run()
        await host.says("ready; steer it with: sockhost --run-dir run status")
        status, output = await self.cli("--run-dir", "run", "status")
        self.assertEqual(status, 0, output)
        self.assertIn("sleeper", output)
        self.assertFalse((self.run_dir / "control.sock").exists())
        status, output = await self.cli("--run-dir", "run", "shutdown", "--wait")
        self.assertEqual((status, output), (0, ""))
        self.assertEqual(await host.ends(), 0)
        self.assertFalse((self.run_dir / "control.link").is_symlink())
        self.assertFalse(elsewhere.exists())

    async def test_long_run_dir(self) -> None:
        """A run directory whose name is too long for sockets does not matter."""
        elsewhere = self.directory / "x.sock"
        long = self.directory / ("r" * 110)
        self.write("sockhost.toml", CONFIG.format(control=elsewhere))
        host = self.sockhost_run("--run-dir", str(long))
        await host.says("ready; steer it with")
        status, output = await self.cli("--run-dir", str(long), "status", "sleeper")
        self.assertEqual(status, 0, output)
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0)

    async def test_moved_back(self) -> None:
        """A killed host misleads nobody when the next has the usual place."""
        elsewhere = self.directory / "x.sock"
        self.write("sockhost.toml", CONFIG.format(control=elsewhere))
        host = self.sockhost_run()
        await host.says("ready; steer it with")
        host.signal("KILL")
        await host.ends()
        self.write("sockhost.toml", CONFIG.format(control="{run_dir}/control.sock"))
        host = self.sockhost_run()
        await host.says("ready; steer it with")
        status, output = await self.cli("--run-dir", "run", "status")
        self.assertEqual(status, 0, output)
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0)
