# -*- test-case-name: tests.functional.test_host_lock -*-
"""
The lock on a run directory between processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

from sockhost.host.lock import RunDirLock
from sockhost.interfaces import HostLocked
from tests.host.test_fakes import temporary

HOLD = """
import sys
from sockhost.host.lock import RunDirLock
from sockhost.interfaces import HostLocked
lock = RunDirLock(sys.argv[1])
try:
    lock.acquire()
except HostLocked as error:
    print("refused", error.owner, flush=True)
else:
    print("held", flush=True)
    sys.stdin.readline()
    lock.release()
"""


class TwoProcessesTests(TestCase):
    """One process holds the lock, another wants it."""

    timeout = 100

    def setUp(self) -> None:
        self.path = temporary(self) / "sockhost.pid"
        self.lock = RunDirLock(str(self.path))
        self.addCleanup(self.lock.release)

    def other(self) -> tuple[subprocess.Popen[str], str]:
        """Have another process try, and read what became of it."""
        root = Path(__file__).resolve().parents[2]
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        self.addCleanup(self.end, child)
        assert child.stdout is not None
        return child, child.stdout.readline().strip()

    def end(self, child: subprocess.Popen[str]) -> None:
        """Have it let go and end."""
        if child.returncode is None:
            child.communicate("\n", timeout=20)

    def test_refused(self) -> None:
        """Only one has it; the other is told who, and touches nothing."""
        child, said = self.other()
        self.assertEqual(said, "held")
        before = self.path.stat()
        with self.assertRaises(HostLocked) as raised:
            self.lock.acquire()
        self.assertEqual(raised.exception.owner, child.pid)
        after = self.path.stat()
        self.assertEqual(self.path.read_text(), f"{child.pid}\n")
        self.assertEqual(
            (before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns)
        )

    def test_refused_again(self) -> None:
        """A refusal does not weaken the lock: the third is refused as well."""
        self.lock.acquire()
        for _ in range(2):
            _, said = self.other()
            self.assertEqual(said, f"refused {os.getpid()}")

    def test_after_release(self) -> None:
        """What was let go can be taken by anybody."""
        child, _ = self.other()
        self.end(child)
        self.assertFalse(self.path.exists())
        self.lock.acquire()
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")

    def test_after_kill(self) -> None:
        """A killed owner leaves its file, which is taken over."""
        child, _ = self.other()
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=20)
        self.assertEqual(self.path.read_text(), f"{child.pid}\n")
        self.lock.acquire()
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")

    def test_forked(self) -> None:
        """A forked child that lets its copy go takes nothing from its parent."""
        self.lock.acquire()
        pid = os.fork()
        if not pid:
            try:
                self.lock.release()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        _, said = self.other()
        self.assertEqual(said, f"refused {os.getpid()}")
