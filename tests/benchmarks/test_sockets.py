"""
Tests for L{benchmarks.sockets}: that it measures, not what.
"""

from __future__ import annotations

import socket
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import sockets, sockets_load
from benchmarks.sockets import RATES, Sizes, contenders, put_load, running
from benchmarks.sockets_load import Client, Times

TINY = Sizes(milliseconds=20, idle=20, slow=1 << 20, rounds=1)


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
            slow = dict(sockets.slow_reader("asyncio-protocol", TINY))
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


class ContendersTests(SynchronousTestCase):
    """Who takes part."""

    def test_no_compiler(self) -> None:
        """Without a compiler those in C are left out, and it is said why."""
        with mock.patch("shutil.which", return_value=None):
            everybody = {each.name: each for each in contenders(TINY)}
        self.assertEqual(everybody["c-batch"].missing, "there is no C compiler")
        self.assertIsNone(everybody["sockhost"].missing)
        self.assertEqual(next(iter(everybody)), "uvloop-protocol")
