# -*- test-case-name: tests.processes.test_spawner -*-
"""
Tests for L{sockhost.processes.spawner}, and for what an exit status says.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
from typing import Any, cast

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import ISpawner, SpawnError
from sockhost.processes.child import exit_failure, live_pids, signal_number
from sockhost.processes.spec import ChildSpec
from tests.processes.test_child import PID, ChildCase


class SpawnerTests(ChildCase):
    """The spawner."""

    def test_interface(self) -> None:
        """It is what it says."""
        self.assertTrue(verifyObject(ISpawner, self.spawner))

    def test_vfork(self) -> None:
        """Nothing is asked of Popen that makes it fork instead of vfork."""
        self.spawn(umask=0o22, pass_fds=(5,))
        options = self.system.options
        self.assertEqual(set(options) & {"preexec_fn", "user", "group"}, set())
        self.assertTrue(options["close_fds"])
        self.assertTrue(options["start_new_session"])
        self.assertEqual((options["umask"], options["pass_fds"]), (0o22, (5,)))

    def refused(self, **options: Any) -> SpawnError:
        """Fail to spawn, leaving no descriptor and no child behind."""
        # What an earlier test left to the collector may go at any time.
        gc.collect()
        before = set(os.listdir("/proc/self/fd"))
        spec = ChildSpec(argv=("prog",), output="separate", stdin="pipe", **options)
        error = self.assertRaises(SpawnError, self.spawner.spawn, spec, self.protocol)
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)
        self.assertEqual((self.protocol.told, live_pids & {PID}), ([], set()))
        return cast(SpawnError, error)

    def test_no_program(self) -> None:
        """A failed exec names the program."""
        self.system.popen_error = FileNotFoundError(errno.ENOENT, "No such", "prog")
        error = self.refused()
        self.assertEqual((error.errno, error.path), (errno.ENOENT, "prog"))

    def test_no_directory(self) -> None:
        """A failed chdir names the directory."""
        self.system.popen_error = FileNotFoundError(errno.ENOENT, "No such", "/dir")
        self.assertEqual(self.refused(cwd="/dir").path, "/dir")

    def test_no_process(self) -> None:
        """A fork that the kernel refuses is an error, and can be tried again."""
        self.system.popen_error = BlockingIOError(errno.EAGAIN, "Try again")
        error = self.refused()
        self.assertEqual((error.errno, error.path), (errno.EAGAIN, "prog"))
        self.system.popen_error = None
        self.spawn()

    def test_bad_value(self) -> None:
        """What cannot be passed to a program is an error too."""
        self.system.popen_error = ValueError("embedded null byte")
        self.assertEqual(self.refused().errno, errno.EINVAL)

    def test_no_descriptor_to_watch(self) -> None:
        """A process that cannot be watched is not left running."""
        self.system.watch_error = OSError(errno.EMFILE, "Too many open files")
        self.addCleanup(self.system.close)
        spec = ChildSpec(argv=("prog",), output="null")
        self.assertRaises(SpawnError, self.spawner.spawn, spec, self.protocol)
        self.assertEqual(self.system.discarded, [PID])
        self.assertEqual(self.system.process.returncode, -signal.SIGKILL)


class StatusTests(SynchronousTestCase):
    """Wait statuses and signals."""

    def test_statuses(self) -> None:
        """A wait status becomes what Twisted tells."""
        self.assertIsInstance(exit_failure(0).value, ProcessDone)
        code = exit_failure(3 << 8).value
        assert isinstance(code, ProcessTerminated)
        self.assertEqual((code.exitCode, code.signal), (3, None))
        killed = exit_failure(9).value
        assert isinstance(killed, ProcessTerminated)
        self.assertEqual((killed.exitCode, killed.signal), (None, 9))

    def test_signals(self) -> None:
        """A signal has a name with or without SIG, or a number."""
        self.assertEqual(signal_number("hup"), signal.SIGHUP)
        self.assertEqual(signal_number("SIGKILL"), 9)
        self.assertEqual(signal_number(15), 15)
        self.assertRaises(ValueError, signal_number, "NOPE")
        self.assertRaises(ValueError, signal_number, 4711)
