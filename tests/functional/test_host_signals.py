"""
Signals to a host, and its sudden end, with real processes.
"""

from __future__ import annotations

from tests.functional.hosts import HostCase, alive, descendants, pause
from tests.functional.test_host import BAD, HOOKS, SLEEPER


class SignalTests(HostCase):
    """Signals while the host runs."""

    async def test_reconfigure(self) -> None:
        """USR1 adds, removes and changes units, and leaves the others alone."""
        more = '[unit.{}]\nkind = "process"\nargv = ["/bin/sleep", "{}"]\n'
        same = SLEEPER.replace("    ", "")
        self.write("hooks.py", HOOKS)
        host = '[host]\nlifecycle = "hooks:Noting"\n'
        first = host + same + more.format("changing", 1001)
        self.write("sockhost.toml", first + more.format("leaving", 1002))
        running = self.twistd()
        await running.says("ready; steer it")
        before = {
            n: (await self.unit(n))["details"]["pid"] for n in ("sleeper", "changing")
        }
        self.write(
            "sockhost.toml",
            host + same + more.format("changing", 1003) + more.format("new", 1004),
        )
        running.signal("USR1")
        await running.says("new configuration")
        await self.until("new", state="up")
        changed = await self.until("changing", state="up")
        self.assertNotEqual(changed["details"]["pid"], before["changing"])
        sleeper = await self.unit("sleeper")
        self.assertEqual(sleeper["details"]["pid"], before["sleeper"])
        names = [u["name"] for u in (await self.ask("GET", "/host"))["units"]]
        self.assertEqual(names, ["sleeper", "changing", "new"])
        self.assertEqual(
            (self.directory / "notes").read_text(), "startup\nreconfigure\n"
        )

    async def test_bad_file(self) -> None:
        """A bad file changes nothing, says why, and is told to who asks."""
        self.write("sockhost.toml", SLEEPER)
        running = self.twistd()
        await running.says("ready; steer it")
        before = await self.unit("sleeper")
        self.write("sockhost.toml", BAD)
        running.signal("USR1")
        await running.says("nothing is changed")
        self.assertIn("unit.sleeper.argv", running.output)
        self.assertEqual((await self.unit("sleeper"))["since"], before["since"])
        status, output = await self.cli("reconfigure")
        self.assertNotEqual(status, 0)
        self.assertIn("unit.sleeper.argv", output)

    async def test_hang_up(self) -> None:
        """HUP opens the logs anew, and reconfigures."""
        self.write(
            "sockhost.toml",
            """
            [host]
            lifecycle = "hooks:Noting"
            [unit.talker]
            kind = "process"
            argv = ["/bin/sh", "-c", "while :; do echo tick; sleep 0.05; done"]
            """,
        )
        self.write("hooks.py", HOOKS)
        running = self.twistd()
        await running.says("ready; steer it")
        log = self.run_dir / "log" / "talker.log"
        while not log.exists():
            await pause(0.02)
        log.rename(log.with_suffix(".moved"))
        running.signal("HUP")
        await running.says("logs are reopened")
        while not (log.exists() and b"tick" in log.read_bytes()):
            await pause(0.02)
        notes = self.directory / "notes"
        while "reconfigure" not in notes.read_text():
            await pause(0.02)
        await pause(0.1)
        self.assertEqual(notes.read_text(), "startup\nreopen_logs\nreconfigure\n")

    async def test_stop_twice(self) -> None:
        """A second TERM cuts the grace short, and runs no hook twice."""
        self.write(
            "sockhost.toml",
            """
            [host]
            lifecycle = "hooks:Noting"
            [unit.stubborn]
            kind = "process"
            argv = ["/bin/sh", "-c",
                    "trap '' TERM; echo here; while :; do sleep 1; done"]
            grace = 50.0
            """,
        )
        self.write("hooks.py", HOOKS)
        running = self.twistd()
        await running.says("ready; steer it")
        log = self.run_dir / "log" / "stubborn.log"
        while not (log.exists() and b"here" in log.read_bytes()):
            await pause(0.02)
        running.signal("TERM")
        await running.says("shutting down")
        await pause(0.2)
        self.assertIsNone(running.status)
        running.signal("TERM")
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0, running.output)
        self.assertEqual(
            (self.directory / "notes").read_text(),
            "startup\nshutdown\nshutdown ended\n",
        )


class CrashTests(HostCase):
    """The host itself is killed."""

    async def test_killed(self) -> None:
        """A new host takes the run directory over, without duplicates."""
        self.write("sockhost.toml", SLEEPER)
        first = self.twistd()
        await first.says("ready; steer it")
        [orphan] = descendants(first.pid)
        first.signal("KILL")
        await first.ends()
        self.assertTrue(alive(orphan))
        self.assertTrue((self.run_dir / "sockhost.pid").exists())
        second = self.twistd()
        await second.says("ready; steer it")
        self.assertFalse(alive(orphan))
        self.assertEqual(len(descendants(second.pid)), 1)
        self.assertEqual((self.run_dir / "sockhost.pid").read_text(), f"{second.pid}\n")

    async def test_killed_and_renamed(self) -> None:
        """What is left of a unit that has another name now is ended first."""
        self.write("sockhost.toml", SLEEPER)
        first = self.twistd()
        await first.says("ready; steer it")
        [orphan] = descendants(first.pid)
        first.signal("KILL")
        await first.ends()
        renamed = SLEEPER.replace("[unit.sleeper]", "[unit.other]")
        disabled = SLEEPER.replace('"process"', '"process"\n    enabled = false')
        for text, running in ((renamed, 1), (disabled, 0)):
            self.write("sockhost.toml", text)
            second = self.twistd()
            await second.says("ready; steer it")
            self.assertFalse(alive(orphan))
            self.assertEqual(len(descendants(second.pid)), running)
            [orphan] = descendants(second.pid) or [orphan]
            second.signal("KILL")
            await second.ends()

    async def test_quarantine(self) -> None:
        """A bad unit is shown with its reason, and the others run."""
        self.write("sockhost.toml", SLEEPER + BAD.replace("sleeper", "bad"))
        running = self.twistd()
        await running.says("ready; steer it")
        bad = await self.unit("bad")
        self.assertEqual(bad["state"], "quarantined")
        self.assertIn("unit.bad.argv", bad["reason"])
        self.assertEqual((await self.unit("sleeper"))["state"], "up")
        status, output = await self.cli("start", "bad")
        self.assertEqual(status, 1)
        self.assertIn("unit.bad.argv", output)
