"""
Configurations as a real process sees them: what C{sockhost check} says, and
files that come and go in C{units.d} while the host runs.
"""

from __future__ import annotations

import os

from sockhost.config import write_unit
from tests.functional.hosts import HostCase, pause

GOOD = """
    [host]
    run_dir = "run"

    [unit.first]
    kind = "process"
    argv = ["/bin/sleep", "60"]
"""
BAD = """
    [host]
    run_dir = "run"

    [unit.first]
    kind = "process"
    argv = "/bin/sleep 60"
    requires = ["frist"]

    [unit.second]
    kind = "tap"
    tpa = "web"
"""
SAID = [
    'sockhost.toml: unit.first.argv = "/bin/sleep 60": expected an array',
    (
        'sockhost.toml: unit.first.requires[0] = "frist": unknown unit; known here: '
        '"second"'
    ),
    'sockhost.toml: unit.second.tpa = "web": unknown key; did you mean "tap"?',
    "sockhost.toml: unit.second.tap: missing; expected a string",
]
SECOND = '[unit.second]\nkind = "process"\nargv = ["/bin/sleep", "61"]\n'


class CheckTests(HostCase):
    """C{sockhost check}, as a process."""

    async def test_good(self) -> None:
        """A good file is ok, and nothing is started or made for that."""
        self.write("sockhost.toml", GOOD)
        outcome = await self.cli("check", "sockhost.toml")
        self.assertEqual(outcome, (0, "ok: 1 unit\n"))
        self.assertFalse(self.run_dir.exists())

    async def test_bad(self) -> None:
        """All that is wrong with a file is printed, and the status is 78."""
        self.write("sockhost.toml", BAD)
        status, output = await self.cli("check", "sockhost.toml")
        self.assertEqual((status, output.splitlines()), (78, SAID))

    async def test_missing(self) -> None:
        """So is it for a file that is not there."""
        status, output = await self.cli("check", "nothing.toml")
        self.assertEqual(status, 78)
        self.assertIn("nothing.toml: ", output)


class UnitsTests(HostCase):
    """Files beside the main one."""

    async def names(self) -> list[str]:
        """The units that are there."""
        return [unit["name"] for unit in await self.ask("GET", "/units")]

    async def test_while_running(self) -> None:
        """After USR1 a file's unit runs, and is gone when the file is; the others
        stay as they are."""
        self.write("sockhost.toml", GOOD)
        host = self.sockhost_run()
        await host.says("ready; steer it")
        before = await self.unit("first")
        path = write_unit(str(self.directory / "units.d"), "second", SECOND)
        host.signal("USR1")
        while "second" not in await self.names():
            await pause(0.05)
        await self.until("second", state="up")
        os.unlink(path)
        host.signal("USR1")
        while "second" in await self.names():
            await pause(0.05)
        self.assertEqual(await self.unit("first"), before)
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0)

    async def test_bad_file(self) -> None:
        """A bad one changes nothing, and the host says which it is."""
        self.write("sockhost.toml", GOOD)
        host = self.sockhost_run()
        await host.says("ready; steer it")
        write_unit(str(self.directory / "units.d"), "second", SECOND + "agrv = 1\n")
        host.signal("USR1")
        await host.says("units.d/second.toml: unit.second.agrv")
        self.assertEqual(await self.names(), ["first"])
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0)
