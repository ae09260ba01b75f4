# -*- test-case-name: tests.host.test_lock -*-
"""
Tests for L{sockhost.host.lock}, as far as one process can see it.
"""

from __future__ import annotations

import fcntl
import gc
import os
import stat
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.host.lock import RunDirLock
from sockhost.interfaces import HostLocked, StartupFailed
from tests.host.test_fakes import temporary


class RunDirLockTests(SynchronousTestCase):
    """The pid file of a run directory."""

    def setUp(self) -> None:
        self.path = temporary(self) / "deep" / "sockhost.pid"
        self.lock = RunDirLock(str(self.path))
        self.addCleanup(self.lock.release)

    def test_acquire(self) -> None:
        """The file is made with its directory, and says our process id."""
        self.lock.acquire()
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode) & 0o133, 0)

    def test_no_directory(self) -> None:
        """What is in the directory's place is named, and left alone."""
        self.path.parent.write_text("a file")
        error = self.assertRaises(OSError, self.lock.acquire)
        self.assertEqual(
            (error.strerror, error.filename),
            ("Not a directory", str(self.path.parent)),
        )
        self.assertEqual(self.path.parent.read_text(), "a file")

    def test_stale(self) -> None:
        """Whatever an unlocked file says is replaced, also where it was longer."""
        self.path.parent.mkdir(parents=True)
        self.path.write_text("1\nand much more than a process id\n")
        self.lock.acquire()
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")

    def test_not_inherited(self) -> None:
        """No program that the host executes holds the file."""
        self.lock.acquire()
        assert self.lock._fd is not None
        self.assertFalse(os.get_inheritable(self.lock._fd))

    def test_release(self) -> None:
        """The file is removed, once, and the directory stays."""
        self.lock.acquire()
        self.lock.release()
        self.assertFalse(self.path.exists())
        self.path.write_text("the next one's")
        self.lock.release()
        self.assertEqual(self.path.read_text(), "the next one's")

    def test_release_not_taken(self) -> None:
        """Who never had the lock removes nothing."""
        self.path.parent.mkdir(parents=True)
        self.path.write_text("17\n")
        self.lock.release()
        self.assertEqual(self.path.read_text(), "17\n")

    def test_release_foreign(self) -> None:
        """A file that took the place of ours is not ours to remove."""
        self.lock.acquire()
        self.path.unlink()
        self.path.write_text("17\n")
        self.lock.release()
        self.assertEqual(self.path.read_text(), "17\n")

    def test_release_removed(self) -> None:
        """That somebody removed the file costs nothing."""
        self.lock.acquire()
        self.path.unlink()
        self.lock.release()
        self.assertFalse(self.path.exists())

    def test_release_refused(self) -> None:
        """A file that cannot be removed stays, unlocked, and costs no descriptor."""
        self.lock.acquire()

        def unlink(_path: str) -> None:
            raise OSError(30, "Read-only file system")

        self.patch(os, "unlink", unlink)
        # What an earlier test left to the collector may go at any time.
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        self.lock.release()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before - 1)
        other = RunDirLock(str(self.path))
        other.acquire()
        other.release()

    def test_untrusted(self) -> None:
        """A directory that anybody can write is refused, looked at or taken."""
        self.path.parent.mkdir(parents=True)
        self.path.parent.chmod(0o777)
        for attempt in (self.lock.check, self.lock.acquire):
            with self.assertRaises(StartupFailed) as raised:
                attempt()
            self.assertIn(f"{self.path.parent} is not safe", str(raised.exception))
        self.assertEqual(os.listdir(self.path.parent), [])

    def test_made_under_any_umask(self) -> None:
        """What the host makes itself can be trusted, and entered, whatever the
        umask is: twistd takes 0077 when it goes into the background."""
        self.addCleanup(os.umask, os.umask(0o077))
        self.lock.acquire()
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o755)

    def test_kept(self) -> None:
        """A directory that is there keeps its mode."""
        self.path.parent.mkdir(mode=0o750)
        self.lock.acquire()
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o750)

    def test_made_under_a_loose_umask(self) -> None:
        """What the host makes itself can be trusted, whatever the umask is."""
        self.addCleanup(os.umask, os.umask(0))
        self.lock.acquire()
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o755)

    def test_notes_in_a_sticky_directory(self) -> None:
        """Where anybody can add files, the place of the notes is taken first."""
        self.path.parent.mkdir(parents=True)
        self.path.parent.chmod(0o1777)
        self.lock.acquire()
        notes = self.path.parent / "pids"
        self.assertEqual(stat.S_IMODE(notes.stat().st_mode), 0o700)

    def test_link(self) -> None:
        """What a symbolic link points to is not written to."""
        self.path.parent.mkdir(parents=True)
        precious = self.path.parent / "precious"
        precious.write_text("precious\n")
        self.path.symlink_to(precious)
        with self.assertRaises(OSError):
            self.lock.acquire()
        self.assertEqual(precious.read_text(), "precious\n")

    def test_removed_while_taken(self) -> None:
        """A file that its owner removes as it is being locked is made again."""
        real, taken = fcntl.fcntl, []

        def lock(fd: int, command: int, argument: bytes) -> bytes:
            answer = real(fd, command, argument)
            taken.append(fd)
            if len(taken) == 1:
                self.path.unlink()
            return answer

        self.patch(fcntl, "fcntl", lock)
        self.lock.acquire()
        self.assertEqual(len(taken), 2)
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")

    def test_read_meanwhile(self) -> None:
        """Reading the file in the same process does not cost the lock."""
        self.lock.acquire()
        self.path.read_text()
        self.assertRaises(HostLocked, RunDirLock(str(self.path)).acquire)


class RefusedTests(SynchronousTestCase):
    """A lock that another holds; it is that of the open file, not of the process."""

    def setUp(self) -> None:
        self.path = temporary(self) / "sockhost.pid"
        self.holder = RunDirLock(str(self.path))
        self.holder.acquire()
        self.addCleanup(self.holder.release)
        # What an earlier test left to the collector may go at any time.
        gc.collect()
        self.before = len(os.listdir("/proc/self/fd"))

    def refused(self) -> HostLocked:
        """Be refused."""
        with self.assertRaises(HostLocked) as raised:
            RunDirLock(str(self.path)).acquire()
        error: HostLocked = raised.exception
        return error

    def test_owner(self) -> None:
        """The owner is the one that wrote the file."""
        self.assertEqual(self.refused().owner, os.getpid())

    def test_check(self) -> None:
        """One can look first, and is told the same."""
        with self.assertRaises(HostLocked) as raised:
            RunDirLock(str(self.path)).check()
        self.assertEqual(raised.exception.owner, os.getpid())
        self.holder.release()
        RunDirLock(str(self.path)).check()
        self.assertFalse(self.path.exists())

    def test_odd_owner(self) -> None:
        """A file that does not say it is not guessed at."""
        self.path.write_text("somebody\n")
        self.assertIsNone(self.refused().owner)

    def test_nothing_touched(self) -> None:
        """The file is as it was, and no descriptor is left."""
        self.path.write_text("17\n")
        self.refused()
        self.assertEqual(self.path.read_text(), "17\n")
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.before)

    def test_other_system(self) -> None:
        """A system that says EACCES instead of EAGAIN is understood."""

        def refuse(*_args: Any) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(fcntl, "fcntl", refuse)
        self.assertEqual(self.refused().owner, os.getpid())
