"""
Tests for L{sockhost.sockets.peer} and L{sockhost.sockets.identity}.
"""

from __future__ import annotations

import errno
import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.identity import groups_of, pidfd_of
from tests.sockets.fakes import Connection, Later, Scripted, Served


def process_of(pidfd: int) -> int:
    """Say which process a descriptor is of."""
    with open(f"/proc/self/fdinfo/{pidfd}") as info:
        lines = dict(line.split(":\t") for line in info if ":\t" in line)
    return int(lines["Pid"])


class CounterTests(SynchronousTestCase):
    """What a client has counted."""

    def setUp(self) -> None:
        """Connect a client whose requests are answered later."""
        self.later = Later()
        self.served = Served(Scripted(answer=self.later))
        self.connection: Connection = self.served.connect()
        self.client = self.served.handler.clients[0]

    def test_counters(self) -> None:
        """Frames, bytes, requests in flight and bytes on the way, both ways."""
        self.connection.send(b"abc", b"de")
        client = self.client
        self.assertEqual((client.frames_in, client.bytes_in), (2, 13))
        self.assertEqual((client.in_flight, client.queued), (2, 0))
        self.later[0].callback(b"x")
        self.assertEqual((client.frames_out, client.bytes_out), (1, 5))
        self.assertEqual((client.in_flight, client.queued), (1, 5))
        self.connection.wire.take()
        self.assertEqual(client.queued, 0)

    def test_sum(self) -> None:
        """The server has the sum, also of those who have gone."""
        other = self.served.connect()
        self.connection.send(b"abc")
        other.send(b"abcd")
        other.lose()
        counters = self.served.server.counters
        self.assertEqual((counters.frames_in, counters.bytes_in), (2, 15))
        self.assertEqual(counters.in_flight, 1)

    def test_data(self) -> None:
        """A client carries what the handler keeps for it."""
        self.assertIsNone(self.client.data)
        self.client.data = ["mine"]
        self.assertEqual(self.served.handler.clients[0].data, ["mine"])


class IdentityTests(SynchronousTestCase):
    """Who is at the other end."""

    def setUp(self) -> None:
        """Connect a pair of sockets."""
        self.ours, theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(theirs.close)

    def fake(self, number: int) -> None:
        """Have the kernel not know of process descriptors of sockets."""

        class Old(socket.socket):
            def getsockopt(self, *_: object) -> bytes:  # type: ignore[override]
                raise OSError(number, os.strerror(number))

        self.patch(socket, "socket", Old)

    def test_groups(self) -> None:
        """The groups are those of the process."""
        self.assertEqual(sorted(groups_of(self.ours.fileno())), sorted(os.getgroups()))

    def test_no_groups(self) -> None:
        """Who is gone, or is not on a Unix socket, has none."""
        self.assertEqual(groups_of(-1), ())
        with socket.socket(socket.AF_INET) as other:
            self.assertEqual(groups_of(other.fileno()), ())

    def test_pidfd(self) -> None:
        """The descriptor is of the process, and is not inherited."""
        pidfd = pidfd_of(self.ours.fileno(), os.getpid())
        assert pidfd is not None
        self.addCleanup(os.close, pidfd)
        self.assertEqual(process_of(pidfd), os.getpid())
        self.assertFalse(os.get_inheritable(pidfd))

    def test_old_kernel(self) -> None:
        """Where the socket does not tell, it is opened by the number."""
        self.fake(errno.ENOPROTOOPT)
        pidfd = pidfd_of(self.ours.fileno(), os.getpid())
        assert pidfd is not None
        self.addCleanup(os.close, pidfd)
        self.assertEqual(process_of(pidfd), os.getpid())
        self.assertIsNone(pidfd_of(self.ours.fileno(), None))

    def test_process_gone(self) -> None:
        """There is none of a process that has ended."""
        self.fake(errno.ESRCH)
        self.assertIsNone(pidfd_of(self.ours.fileno(), os.getpid()))

    def test_closed(self) -> None:
        """Nor of a connection that is closed."""
        self.assertIsNone(pidfd_of(-1, os.getpid()))

    def test_client(self) -> None:
        """A client opens its descriptor once, and it is closed with the client."""
        farewell = Later()
        served = Served(Scripted(part=farewell))
        connection = served.connect()
        connection.wire.fileno = self.ours.fileno  # type: ignore[attr-defined]
        [client] = served.handler.clients
        self.assertEqual(sorted(client.groups), sorted(os.getgroups()))
        pidfd = client.pidfd
        self.assertEqual(client.pidfd, pidfd)
        connection.lose()
        self.assertEqual(process_of(pidfd), os.getpid())
        farewell[0].callback(None)
        self.assertIsNone(client.pidfd)
        self.assertRaises(OSError, os.fstat, pidfd)

    def test_closed_by_handler(self) -> None:
        """A handler that closes it costs its client nothing else."""
        served = Served(Scripted(part=lambda client: os.close(client.pidfd)))
        connection = served.connect()
        connection.wire.fileno = self.ours.fileno  # type: ignore[attr-defined]
        self.assertIsNotNone(served.handler.clients[0].pidfd)
        connection.lose()
        self.assertEqual(served.server.status()["clients"], 0)
