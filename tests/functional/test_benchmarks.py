# -*- test-case-name: tests.functional.test_benchmarks -*-
"""
The benchmarks of the host run, as short as they can be, and report.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import kill, startup


class SmokeTests(SynchronousTestCase):
    """One contender, one short round or two."""

    def run_it(self, module: Any) -> tuple[str, list[dict[str, Any]]]:
        """Run a benchmark; get what it says, and what it writes."""
        said, file = io.StringIO(), Path(self.mktemp())
        self.patch(sys, "stdout", said)
        status = module.main(["--quick", "--json", str(file)])
        self.assertEqual(status, 0, said.getvalue())
        written: list[dict[str, Any]] = json.loads(file.read_text())
        return said.getvalue(), written

    def test_startup(self) -> None:
        """A start is measured until the host says that it is ready."""
        self.patch(startup, "ASKED", 1)
        contenders = startup.contenders()
        ours = [one for one in contenders if one.name == "sockhost"]
        self.patch(startup, "contenders", lambda: ours)
        said, written = self.run_it(startup)
        self.assertEqual([one["scenario"] for one in written], list(startup.UNITS))
        values = {one["scenario"]: one["value"] for one in written}
        self.assertTrue(all(value > 0 for value in values.values()), values)
        self.assertIn("start to ready", said)
        self.assertIn("machine: ", said)

    def test_same_server(self) -> None:
        """The peers run the server with all that the quickstart gives it."""
        argv = startup.server_argv(Path("/d"))
        text = " ".join(argv)
        self.assertIn("--unixsocket /d/valkey.sock", text)
        self.assertIn("--appendonly yes --appendfsync always", text)
        self.assertNotIn("{", text)

    def test_kill(self) -> None:
        """Children are killed, and nothing is lost."""
        self.patch(kill, "QUICK", 2.0)
        said, written = self.run_it(kill)
        values = {one["scenario"]: one["value"] for one in written}
        self.assertGreater(values["children killed"], 0)
        self.assertEqual(values["problems"], 0)
        self.assertIn("0 problems", said)
