# -*- test-case-name: tests.functional.test_host_notify -*-
"""
A host that runs a command for its events.
"""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import Deferred

from tests.functional.hosts import HostCase

CONFIG = """
    [host.notify]
    argv = ["/bin/sh", "-c", "cat >> {config_dir}/told"]
    on = ["up", "down", "ready"]

    [unit.sleep]
    kind = "process"
    argv = ["sleep", "1000"]
"""


class NotifyTests(HostCase):
    """What C{[host] notify} is told."""

    timeout = 100

    def told(self) -> set[tuple[str, str | None]]:
        """Read what was told: the events, and the states that they tell of."""
        lines = Path(self.directory, "told").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        return {(one["event"], one["fields"].get("state")) for one in events}

    async def look(self) -> None:
        """Start and stop a host."""
        self.write("sockhost.toml", CONFIG)
        host = self.sockhost_run()
        await host.says("ready; steer it with")
        host.signal("TERM")
        self.assertEqual(await host.ends(), 0, host.output)
        self.assertEqual(
            self.told(), {("state", "up"), ("state", "down"), ("ready", None)}
        )

    def test_life(self) -> Deferred[None]:
        """It hears of what it is to, until the end of the host."""
        return Deferred.fromCoroutine(self.look())
