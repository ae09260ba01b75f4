"""
The Redis client on every reactor, and without the C library.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import TestCase

from tests.functional.servers import ValkeyServer


class AnywhereTests(TestCase):
    """A program of its own, which has all of the client do something."""

    timeout = 100

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)

    def run_program(self, reactor: str, library: str = "hiredis") -> None:
        """Have it work with the server by TCP and by Unix socket."""
        urls = (self.server.tcp_url, self.server.unix_url)
        module = "tests.functional._redis_program"
        argv = [sys.executable, "-m", module, reactor, library, *urls]
        ran = subprocess.run(
            argv, capture_output=True, text=True, timeout=50, check=False
        )
        self.assertEqual((ran.returncode, ran.stderr), (0, ""), ran.stderr)
        self.assertEqual(ran.stdout.split(), [w for url in urls for w in (url, "done")])

    def test_epoll(self) -> None:
        """On the reactor that is the usual one on Linux."""
        self.run_program("epollreactor")

    def test_poll(self) -> None:
        """On the one that polls."""
        self.run_program("pollreactor")

    def test_select(self) -> None:
        """On the one that selects."""
        self.run_program("selectreactor")

    def test_asyncio(self) -> None:
        """On that of asyncio."""
        self.run_program("asyncioreactor")

    def test_without_hiredis(self) -> None:
        """Where there is no C library, everything is done in Python."""
        self.run_program("epollreactor", "plain")
