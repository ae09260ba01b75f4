# -*- test-case-name: tests.test_tap_service -*-
"""
Tests for L{sockhost.tap}: what twistd runs.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning

from sockhost import tap
from sockhost.host.exit import ExitStatus
from sockhost.host.notify import DaemonPipe
from sockhost.interfaces import HostLocked, StartupFailed
from sockhost.tap import HostService
from tests.host.test_fakes import FakeReactor
from tests.test_tap import TapCase


class FakeHost:
    """
    A host that ends when the test says so.

    @ivar locked: raised by C{acquire}.
    """

    def __init__(self, parent: DaemonPipe) -> None:
        self.parent = parent
        self.calls: list[str] = []
        self.locked: Exception | None = None
        self.ended: Deferred[ExitStatus] = Deferred()

    def acquire(self) -> None:
        self.calls.append("acquire")
        if self.locked is not None:
            raise self.locked

    def run(self) -> Deferred[ExitStatus]:
        self.calls.append("run")
        return self.ended

    def shutdown(self, asked_by: str) -> None:
        self.calls.append(f"shutdown: {asked_by}")


class FakeRunning(FakeReactor):
    """A reactor that can be run and stopped, once."""

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self.stopped = 0
        self.waiting: list[Any] = []

    def callWhenRunning(self, what: Any) -> None:
        self.waiting.append(what)

    def run(self) -> None:
        """Begin."""
        self.running = True
        for what in self.waiting:
            what()

    def stop(self) -> None:
        """Stop, which takes as long as somebody has something to do."""
        if self.stopped:
            raise ReactorNotRunning("Can't stop reactor that isn't running.")
        self.stopped += 1


class HostServiceTests(TapCase):
    """A host under C{twistd}."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = FakeRunning()
        self.hosts: list[FakeHost] = []
        self.locked: Exception | None = None
        self.left: list[int] = []
        self.patch(tap, "leave_with", self.left.append)
        self.twistd: dict[str, Any] = {}
        self.service = HostService(self.make_host, self.reactor, self.twistd)

    def make_host(self, parent: DaemonPipe) -> Any:
        """Make a host that the test turns by hand."""
        host = FakeHost(parent)
        host.locked = self.locked
        self.hosts.append(host)
        return host

    def run_it(self) -> FakeHost:
        """Have the host run."""
        self.service.startService()
        self.reactor.run()
        return self.hosts[0]

    def test_start(self) -> None:
        """The lock is taken at once; the host lives when the reactor runs."""
        self.assertEqual(self.hosts, [])
        self.service.startService()
        self.assertEqual(self.hosts[0].calls, ["acquire"])
        self.reactor.run()
        self.assertEqual(self.hosts[0].calls, ["acquire", "run"])
        self.assertTrue(self.service.running)

    def test_status_pipe(self) -> None:
        """The pipe to the waiting parent is the host's from now on."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.twistd["statusPipe"] = writer
        self.service.startService()
        self.assertEqual(self.twistd, {})
        os.set_blocking(reader, False)
        with self.assertRaises(BlockingIOError):
            os.read(reader, 100)
        self.hosts[0].parent.ready()
        self.assertEqual(os.read(reader, 100), b"0")

    def test_locked(self) -> None:
        """A second host leaves with 73, and tells stderr and the parent who."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.twistd["statusPipe"] = writer
        self.locked = HostLocked("/run/sockhost.pid", 17)
        code, said = self.leaves(self.service.startService)
        self.assertEqual(code, ExitStatus.LOCKED)
        self.assertIn("process 17", said)
        self.assertIn(
            b"1 a host already runs here: process 17 holds", os.read(reader, 100)
        )
        self.assertEqual(self.reactor.waiting, [])

    def test_cannot_lock(self) -> None:
        """A run directory that cannot be used is status 70, and told as well."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.twistd["statusPipe"] = writer
        self.locked = PermissionError(13, "Permission denied", "/run/sockhost.pid")
        code, said = self.leaves(self.service.startService)
        self.assertEqual(code, ExitStatus.STARTUP_FAILED)
        self.assertIn("/run/sockhost.pid", said)
        self.assertIn(b"1 ", os.read(reader, 100))

    def test_untrusted(self) -> None:
        """So is one that is not to be trusted."""
        self.locked = StartupFailed("/run is not safe to use")
        code, said = self.leaves(self.service.startService)
        self.assertEqual(code, ExitStatus.STARTUP_FAILED)
        self.assertEqual(said, "sockhost: /run is not safe to use\n")

    def test_ends(self) -> None:
        """The end of the host is the end of the reactor, with its status."""
        host = self.run_it()
        host.ended.callback(ExitStatus.UNIT_FAILED)
        self.assertEqual(self.service.status, ExitStatus.UNIT_FAILED)
        self.assertEqual((self.reactor.stopped, self.left), (1, [75]))
        self.assertIsNone(self.service.stopService())
        self.assertEqual(host.calls, ["acquire", "run"])

    def test_stop(self) -> None:
        """A reactor that something else stops waits for the host."""
        host = self.run_it()
        self.reactor.stop()
        stopping = self.service.stopService()
        assert stopping is not None
        self.assertEqual(host.calls[-1], "shutdown: the reactor stops")
        self.assertNoResult(stopping)
        host.ended.callback(ExitStatus.CLEAN)
        self.successResultOf(stopping)
        self.assertEqual((self.reactor.stopped, self.left), (1, [0]))
        self.successResultOf(host.ended)

    def test_stop_before_start(self) -> None:
        """A service that was never started has nothing to stop."""
        self.assertIsNone(self.service.stopService())
