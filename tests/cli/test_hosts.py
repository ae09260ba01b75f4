"""Tests of the commands about the host."""

from __future__ import annotations

import json
import os
import time

from sockhost.cli import hosts
from sockhost.cli.hosts import event_line
from sockhost.config import Problem
from sockhost.interfaces import ConfigError
from sockhost.status import Event
from tests.cli.memory import CommandTestCase, Outcome, invoke


class EventsTests(CommandTestCase):
    """sockhost events"""

    def setUp(self) -> None:
        """Have something happen as soon as somebody listens."""
        super().setUp()
        event = Event(at=1.0, event="state", unit="kv", fields={"state": "up"})
        self.control.clock.callLater(0.5, self.host.publish, event)

    def test_lines(self) -> None:
        """Each event is a line."""
        outcome = invoke("events")
        self.assertEqual(outcome.status, 69)
        self.assertEqual(outcome.out.split(None, 2)[2], "kv state state=up\n")

    def test_json(self) -> None:
        """As JSON each event is an object on a line of its own."""
        out = invoke("events", "--json").out
        self.assertEqual(out.count("\n"), 1)
        self.assertEqual(json.loads(out)["fields"], {"state": "up"})

    def test_line_of_the_host(self) -> None:
        """What happens to no unit happens to the host."""
        at = time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))
        line = event_line({"at": at, "event": "ready", "unit": None, "fields": {}})
        self.assertEqual(line, "2026-01-02 03:04:05 host ready")


class MetricsTests(CommandTestCase):
    """sockhost metrics"""

    def test_printed(self) -> None:
        """The text is printed as the host wrote it."""
        outcome = invoke("metrics")
        self.assertEqual(outcome.status, 0)
        self.assertIn('sockhost_unit_goal{kind="socket",unit="store"}', outcome.out)
        self.assertTrue(outcome.out.endswith("\n"))


class ReconfigureTests(CommandTestCase):
    """sockhost reconfigure"""

    def test_changes(self) -> None:
        """What changed is printed by name."""
        self.host.at_once["reconfigure"] = {
            "added": ["a", "b"],
            "removed": [],
            "changed": ["c"],
            "unchanged": ["d"],
        }
        self.assertEqual(
            invoke("reconfigure"), Outcome(0, "added: a, b\nchanged: c\n", "")
        )

    def test_nothing(self) -> None:
        """That nothing changed is said."""
        self.host.at_once["reconfigure"] = {"added": [], "unchanged": ["d"]}
        self.assertEqual(invoke("reconfigure").out, "nothing changed\n")

    def test_bad(self) -> None:
        """A bad configuration is printed, with status 78."""
        problem = Problem("a.toml", "unit.kv", 1, "expected a table")
        self.host.at_once["reconfigure"] = ConfigError([problem])
        self.assertIn(str(problem), self.refused(78, "reconfigure"))


class ReopenLogsTests(CommandTestCase):
    """sockhost reopen-logs"""

    def test_reopen(self) -> None:
        """The host is asked, and no news is good news."""
        self.assertEqual(invoke("reopen-logs"), Outcome(0, "", ""))
        self.assertEqual(self.host.reopened, 1)


class ShutdownTests(CommandTestCase):
    """sockhost shutdown"""

    def test_shutdown(self) -> None:
        """The host is asked to stop."""
        self.assertEqual(invoke("shutdown"), Outcome(0, "", ""))
        self.assertEqual([call.verb for call in self.host.calls], ["shutdown"])

    def test_waits(self) -> None:
        """With --wait the process is watched that was asked."""
        watched: list[tuple[int, float]] = []

        def await_end(watch: int, pid: int, timeout: float) -> None:
            os.fstat(watch)
            watched.append((pid, timeout))

        self.patch(hosts, "_await_end", await_end)
        self.assertEqual(invoke("shutdown", "--wait", "--timeout", "5").status, 0)
        self.assertEqual(watched, [(os.getpid(), 5.0)])

    def test_does_not_end(self) -> None:
        """A host that has not ended in time is told with status 75."""
        text = self.refused(75, "shutdown", "--wait", "--timeout", "0")
        self.assertIn(f"process {os.getpid()} has not ended after 0 s", text)
