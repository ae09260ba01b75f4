# -*- test-case-name: tests.processes.test_orphans -*-
"""Tests for L{sockhost.processes.orphans}."""

from __future__ import annotations

import os
import signal
from typing import Any, cast

from twisted.internet import process as twisted_process
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.processes import orphans
from sockhost.processes.orphans import (
    IOrphanReactor,
    OrphanReaper,
    reap_all_orphans,
    reap_orphans,
)
from sockhost.processes.procfs import ProcessStat

OURS = os.getsid(0)


class FakeReactor(Clock):
    """Calls at once what comes from a signal handler."""

    def callFromThread(self, function: Any, *args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)


class ReapTests(SynchronousTestCase):
    """Which zombies are reaped."""

    def setUp(self) -> None:
        self.zombies: dict[int, int] = {}  # pid to session, in the kernel's order
        self.patch(orphans, "_first_zombie", lambda: next(iter(self.zombies), None))
        self.patch(orphans, "read_stat", self.read_stat)
        self.patch(orphans, "child_pids", lambda: list(self.zombies))
        self.patch(os, "waitpid", self.waitpid)

    def read_stat(self, pid: int) -> ProcessStat:
        """Describe a zombie."""
        return ProcessStat(pid, "Z", os.getpid(), pid, self.zombies[pid], 1)

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        """Reap a zombie."""
        del self.zombies[pid]
        return pid, 256

    def test_orphans(self) -> None:
        """Those in sessions of others, that nobody waits for."""
        self.zombies = {5: 77, 6: 78}
        self.assertEqual(reap_orphans(()), [(5, 256), (6, 256)])

    def test_registered(self) -> None:
        """One that somebody waits for is left, and ends the first look."""
        self.zombies = {5: 77, 6: 78}
        self.assertEqual(reap_orphans({5}), [])
        self.assertEqual(reap_all_orphans({5}), [(6, 256)])
        self.assertEqual(self.zombies, {5: 77})

    def test_foreign(self) -> None:
        """One in our own session is some library's child."""
        self.zombies = {5: OURS, 6: 78}
        self.assertEqual(reap_orphans(()), [])
        self.assertEqual(reap_all_orphans(()), [(6, 256)])

    def test_of_twisted(self) -> None:
        """A child of Twisted, be it with a terminal, is Twisted's."""
        self.patch(twisted_process, "reapProcessHandlers", {5: object()})
        self.zombies = {5: 77}
        self.assertEqual(reap_all_orphans(()), [])

    def test_reaper(self) -> None:
        """A signal has the zombies reaped; one in the way costs a short delay."""
        clock = FakeReactor()
        previous: list[int] = []
        before = signal.signal(
            signal.SIGCHLD, lambda signum, _: previous.append(signum)
        )
        self.addCleanup(signal.signal, signal.SIGCHLD, before)
        reaper = OrphanReaper(cast(IOrphanReactor, clock))
        reaper.install()
        self.zombies = {5: OURS, 6: 78}
        signal.raise_signal(signal.SIGCHLD)
        self.assertEqual(previous, [signal.SIGCHLD])
        self.assertEqual(self.zombies, {5: OURS, 6: 78})
        clock.advance(reaper.blocked_delay)
        self.assertEqual(self.zombies, {5: OURS})
        reaper.uninstall()
        self.assertEqual(clock.getDelayedCalls(), [])
        signal.raise_signal(signal.SIGCHLD)
        self.assertEqual(previous, [signal.SIGCHLD] * 2)

    def test_uninstall_meanwhile(self) -> None:
        """Uninstalling ends a delay, and only once."""
        clock = FakeReactor()
        before = signal.getsignal(signal.SIGCHLD)
        reaper = OrphanReaper(cast(IOrphanReactor, clock))
        self.zombies = {5: OURS}
        reaper.install()
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        reaper.uninstall()
        reaper.uninstall()
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual(signal.getsignal(signal.SIGCHLD), before)
