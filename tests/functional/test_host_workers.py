# -*- test-case-name: tests.functional.test_host_workers -*-
"""
Workers in a host under C{twistd}, seen from outside.
"""

from __future__ import annotations

from typing import Any

from tests.functional.hosts import HostCase, Running, alive, descendants, gone

CONFIG = """
    [unit.kv]
    kind = "socket"
    path = "{run_dir}/kv.sock"
    handler = "plugged:Handler"
    workers = 2
"""

HANDLER = """
class Handler:
    def __init__(self, host):
        pass
    def received(self, client, frame):
        return b"%s"
"""


class WorkersTests(HostCase):
    """A socket in two workers."""

    async def start(self) -> Running:
        """Start a host, with the first code of the handler."""
        self.write("sockhost.toml", CONFIG)
        self.write("plugged.py", HANDLER % "old code")
        running = self.twistd()
        await running.says("ready; steer it")
        return running

    async def pids(self) -> list[int]:
        """Get the process ids of the prototype and of the workers."""
        details: Any = (await self.unit("kv"))["details"]
        return [part["pid"] for part in (details["prototype"], *details["workers"])]

    async def test_restart_brings_new_code(self) -> None:
        """C{sockhost restart} has other processes, which run what is there now."""
        running = await self.start()
        before = await self.pids()
        self.assertEqual(await self.cli("send", "run/kv.sock", "x"), (0, "old code\n"))
        self.write("plugged.py", HANDLER % "another code")
        self.assertEqual(await self.cli("send", "run/kv.sock", "x"), (0, "old code\n"))
        status, output = await self.cli("restart", "kv")
        self.assertEqual(status, 0, output)
        after = await self.pids()
        self.assertEqual(set(before) & set(after), set())
        self.assertEqual([pid for pid in before if alive(pid)], [])
        for _ in range(6):
            answer = await self.cli("send", "run/kv.sock", "x")
            self.assertEqual(answer, (0, "another code\n"))
        running.signal("TERM")
        self.assertEqual(await running.ends(), 0)
        await gone(after)

    async def test_killed(self) -> None:
        """A host that is killed leaves no worker and no prototype."""
        running = await self.start()
        pids = await self.pids()
        self.assertEqual(len(pids), 3)
        self.assertLessEqual(set(pids), set(descendants(running.pid)))
        running.signal("KILL")
        await running.ends()
        await gone(pids)
