"""
Tests for L{benchmarks.sockets}: that it measures real servers, not what.
"""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import sockets
from benchmarks.hosts import ROOT
from benchmarks.sockets import (
    RATES,
    UNITS,
    Sizes,
    one_round,
    put_load,
    running,
    server_command,
)
from benchmarks.sockets_server import OURS

TINY = Sizes(milliseconds=50, idle=20, slow=1 << 20, rounds=1)


class LoadTests(SynchronousTestCase):
    """The load generators against our server."""

    def check(self) -> None:
        """Every scenario has frames, and comes to an end."""
        with running("sockhost") as server:
            for scenario in RATES.values():
                measured = put_load(server, scenario, 100)
                self.assertGreater(measured["frames"], 0)
                self.assertLessEqual(measured["p50"], measured["p999"])
            self.assertGreater(server.cpu(), 0)
            self.assertGreater(server.memory(), 0)

    def test_compiled(self) -> None:
        """With the generator in C, where there is a compiler."""
        self.check()

    def test_python(self) -> None:
        """With the one in Python."""
        with mock.patch.object(sockets, "compiled", return_value=None):
            self.check()

    def test_waiting(self) -> None:
        """Idle clients and slow readers are measured while they wait."""
        with mock.patch.object(sockets, "compiled", return_value=None):
            memory = sockets.idle_memory("asyncio-protocol", TINY)
            slow = sockets.slow_reader("asyncio-protocol", TINY)
        self.assertGreaterEqual(memory, 0)
        self.assertEqual(set(slow), {"slow-reader", "slow-reader cpu"})

    def test_all_scenarios(self) -> None:
        """A round measures all that is promised."""
        found: dict[str, float] = {}
        for part in one_round("sockhost-hub", TINY):
            found.update(part)
        self.assertEqual(found.keys(), UNITS.keys())

    def test_does_not_start(self) -> None:
        """A unit that cannot start ends its process at once."""
        path = "/nowhere/at/all"
        for name in OURS:
            done = subprocess.run(
                server_command(name, path, later=False),
                cwd=ROOT,
                stderr=subprocess.PIPE,
                timeout=30,
            )
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(b"/nowhere", done.stderr)


class ReactorTests(SynchronousTestCase):
    """The servers that are ours."""

    def test_reactors(self) -> None:
        """A server of ours has the reactor that its name stands for."""
        watch = (
            "import sys\n"
            "from benchmarks import sockets_server\n"
            "from twisted.internet.epollreactor import EPollReactor\n"
            "def run(self, *_, **__):\n"
            "    print(type(self).__name__)\n"
            "EPollReactor.run = run\n"
            "sockets_server.main([sys.argv[1], 'nowhere'])\n"
        )
        found = {
            name: subprocess.run(
                [sys.executable, "-c", watch, name],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            for name in OURS
        }
        self.assertEqual(
            found,
            {
                "sockhost": "EPollReactor",
                "sockhost-hub": "HubReactor",
                "sockhost-protocol": "EPollReactor",
            },
        )
