# -*- test-case-name: tests.host.test_around -*-
"""
Tests for L{sockhost.host.around}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from sockhost.host.around import Surroundings
from sockhost.host.notify import DaemonPipe, StartupFd, SystemdNotifier
from tests.host.test_fakes import FakeReactor


class Told(SystemdNotifier):
    """Keeps what systemd would be told."""

    said: list[str]

    def _send(self, message: str) -> None:
        self.said.append(message)


class SurroundingsTests(SynchronousTestCase):
    """Everybody outside."""

    def setUp(self) -> None:
        self.systemd = Told("/nowhere")
        self.systemd.said = []
        self.startup, startup = os.pipe()
        self.parent, parent = os.pipe()
        for fd in (self.startup, self.parent):
            self.addCleanup(os.close, fd)
        self.around = Surroundings(
            startup_fd=StartupFd(startup),
            systemd=self.systemd,
            parent=DaemonPipe(parent),
        )
        self.addCleanup(self.around.close)

    def test_ready(self) -> None:
        """All are told that the host is ready."""
        self.around.ready()
        self.assertEqual(os.read(self.startup, 100), bytes(4))
        self.assertEqual(os.read(self.parent, 100), b"0")
        self.assertEqual(self.systemd.said, ["READY=1"])
        self.around.stopping("SIGTERM")
        self.assertEqual(self.systemd.said, ["READY=1", "STOPPING=1"])
        self.assertEqual(os.read(self.parent, 100), b"")

    def test_stopped_before(self) -> None:
        """A host that stops before it was ready has failed for its parent."""
        self.around.stopping("SIGTERM")
        self.around.close()
        self.assertEqual(os.read(self.parent, 100), b"1 SIGTERM")
        self.assertEqual(os.read(self.startup, 100), b"")

    def test_failed(self) -> None:
        """A failed start is told to the parent, and nobody hears of ready."""
        self.around.failed("no control socket")
        self.around.close()
        self.assertEqual(os.read(self.parent, 100), b"1 no control socket")
        self.assertEqual(os.read(self.startup, 100), b"")
        self.assertEqual(self.systemd.said, [])

    def test_nobody(self) -> None:
        """Every part may be absent."""
        around = Surroundings()
        around.ready()
        around.watch(FakeReactor(), lambda: self.fail("nobody is watched"))
        around.stopping("SIGTERM")
        around.close()
        self.assertIsNone(around.startup_fd.fd)

    def test_watch(self) -> None:
        """The watched process's end is told; the watch ends with the host."""
        reactor, gone = FakeReactor(), list[bool]()
        around = Surroundings(watch_pid=os.getpid())
        around.watch(reactor, lambda: gone.append(True))
        self.assertEqual(len(reactor.readers), 1)
        around.stopping("SIGTERM")
        self.assertEqual((reactor.readers, gone), ([], []))
        around = Surroundings(watch_pid=os.getpid())
        around.watch(reactor, lambda: gone.append(True))
        (reader,) = reactor.readers
        reader.doRead()
        self.assertEqual((reactor.readers, gone), ([], [True]))
