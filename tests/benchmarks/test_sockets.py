"""
Tests for L{benchmarks.sockets}: who takes part, and what the clients notice.
"""

from __future__ import annotations

import json
import socket
from contextlib import redirect_stdout
from io import StringIO
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import sockets_load
from benchmarks.sockets import (
    UNITS,
    Sizes,
    contenders,
    without_idle,
)
from benchmarks.sockets_load import Client, Times
from benchmarks.sockets_server import OURS

TINY = Sizes(milliseconds=50, idle=20, slow=1 << 20, rounds=1)


class ClientTests(SynchronousTestCase):
    """The clients of the servers."""

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
