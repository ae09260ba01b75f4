"""
Tests for L{benchmarks.sockets}: that it measures, not what.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import sockets, sockets_load
from benchmarks.hosts import ROOT
from benchmarks.sockets import (
    RATES,
    UNITS,
    Sizes,
    contenders,
    one_round,
    put_load,
    running,
    server_command,
    without_idle,
)
from benchmarks.sockets_load import Client, Times
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

    def test_wrong_echo(self) -> None:
        """A server that does not send back what it got is found out."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        with mock.patch.object(sockets_load, "connect", return_value=ours):
            client = Client("path", b"\x05\0\0\0a", 1, Times())
        client.give()
        theirs.send(b"\x05\0\0\0b")
        self.assertRaises(SystemExit, client.take)

    def test_no_frame(self) -> None:
        """That no frame has come back can be told, too."""
        with redirect_stdout(StringIO()) as output:
            Times().tell(1.0)
        self.assertEqual(json.loads(output.getvalue())["frames"], 0)

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


class ContendersTests(SynchronousTestCase):
    """Who takes part."""

    def test_no_compiler(self) -> None:
        """Without a compiler those in C are left out, and it is said why."""
        with mock.patch("shutil.which", return_value=None):
            everybody = {each.name: each for each in contenders(TINY)}
        self.assertEqual(everybody["c-batch"].missing, "there is no C compiler")
        self.assertIsNone(everybody["sockhost"].missing)
        self.assertEqual(next(iter(everybody)), "uvloop-protocol")

    def test_ours(self) -> None:
        """Each name of ours stands for one reactor and one transport."""
        self.assertEqual(
            OURS,
            {
                "sockhost": ("epoll", "hub"),
                "sockhost-hub": ("sockhost", "hub"),
                "sockhost-protocol": ("epoll", "protocol"),
            },
        )

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

    def test_names(self) -> None:
        """Contenders and scenarios have the names that results are looked up by."""
        self.assertEqual(
            [each.name for each in contenders(TINY)],
            [
                *("uvloop-protocol", "asyncio-protocol", "asyncio-streams"),
                *("sockhost", "sockhost-hub", "sockhost-protocol"),
                *("c-batch", "c-packet"),
            ],
        )
        self.assertEqual(
            {name for name in UNITS if " " not in name},
            {
                *("ping-pong", "50-connections", "pipelined", "large", "connect"),
                *("idle-memory", "slow-reader", "deferred", "deferred-ping-pong"),
            },
        )

    def test_few_descriptors(self) -> None:
        """Where there cannot be so many idle clients, they are left out."""
        with mock.patch("resource.getrlimit", return_value=(50, 60)):
            self.assertEqual(
                without_idle(TINY),
                "it takes 120 descriptors, and a process may have 60",
            )
        with mock.patch("resource.getrlimit", return_value=(50, 120)):
            self.assertIsNone(without_idle(TINY))
