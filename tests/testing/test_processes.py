# -*- test-case-name: tests.testing.test_processes -*-
"""Tests for L{sockhost.testing.processes}."""

from __future__ import annotations

import errno
import signal
from typing import Any

from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import IChild, ISpawner, SpawnError
from sockhost.processes.spec import ChildSpec
from sockhost.testing.processes import (
    MemoryChild,
    MemoryProcessReactor,
    MemorySpawner,
    stubborn,
)


class Recorder(ProcessProtocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.reason: Any = None

    def makeConnection(self, process: Any) -> None:
        self.told.append("made")

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        self.told.append(f"{childFD} {data!r}")

    def processExited(self, reason: Failure) -> None:
        self.told.append("exited")
        self.reason = reason.value

    def processEnded(self, reason: Failure) -> None:
        self.told.append("ended")


class MemorySpawnerTests(SynchronousTestCase):
    """A spawner that executes nothing."""

    def setUp(self) -> None:
        self.spawner = MemorySpawner()
        self.protocol = Recorder()

    def spawn(self) -> MemoryChild:
        """Spawn a child."""
        spec = ChildSpec(argv=("prog",), stdin="pipe")
        return self.spawner.spawn(spec, self.protocol)

    def test_interfaces(self) -> None:
        """Spawner and child are what they stand for."""
        self.assertTrue(verifyObject(ISpawner, self.spawner))
        child = self.spawn()
        self.assertTrue(verifyObject(IChild, child))
        self.assertTrue(verifyObject(IProcessTransport, child))

    def test_story(self) -> None:
        """The test drives the child through its life."""
        child = self.spawn()
        child.output(b"x")
        child.exit(3)
        self.assertEqual(self.protocol.told, ["made", "1 b'x'", "exited", "ended"])
        self.assertEqual(self.protocol.reason.exitCode, 3)
        self.assertIsNone(child.pid)
        self.assertIs(self.spawner.child, child)

    def test_killed(self) -> None:
        """A child may end by a signal."""
        self.spawn().kill(signal.SIGSEGV)
        self.assertIsInstance(self.protocol.reason, ProcessTerminated)
        self.assertEqual(self.protocol.reason.signal, signal.SIGSEGV)

    def test_others(self) -> None:
        """Others of the group may hold the output, and take signals."""
        child = self.spawn()
        child.others = True
        child.exit()
        self.assertEqual(self.protocol.told, ["made", "exited"])
        self.assertTrue(child.signal_group(0))
        child.others_end()
        self.assertEqual(self.protocol.told, ["made", "exited", "ended"])
        self.assertFalse(child.signal_group(0))

    def test_obedient_others(self) -> None:
        """A signal ends the others of the group too, and with them the output."""
        child = self.spawn()
        child.others = True
        child.exit(3)
        self.assertEqual(self.protocol.told, ["made", "exited"])
        child.signal_group(signal.SIGTERM)
        self.assertEqual(self.protocol.told, ["made", "exited", "ended"])
        self.assertFalse(child.signal_group(0))

    def test_obedient(self) -> None:
        """By default a child dies of what it gets."""
        child = self.spawn()
        self.assertTrue(child.signal_group(signal.SIGTERM))
        self.assertEqual(child.signals, [signal.SIGTERM])
        self.assertEqual(self.protocol.reason.signal, signal.SIGTERM)

    def test_stubborn(self) -> None:
        """A stubborn child dies of SIGKILL alone."""
        self.spawner.on_signal = stubborn
        child = self.spawn()
        child.signal_group(signal.SIGTERM)
        self.assertIsNotNone(child.pid)
        child.signal_group(signal.SIGKILL)
        self.assertIsNone(child.pid)

    def test_signal_after(self) -> None:
        """A child that has ended cannot be signalled."""
        child = self.spawn()
        child.signalProcess("HUP")
        child.exit()
        self.assertRaises(ProcessExitedAlready, child.signalProcess, "HUP")
        self.assertEqual(child.signals, [signal.SIGHUP])

    def test_input(self) -> None:
        """What is written to a child is kept."""
        child = self.spawn()
        child.writeSequence([b"a", b"b"])
        child.closeStdin()
        self.assertEqual((bytes(child.written), child.closed), (b"ab", {0}))
        self.assertRaises(KeyError, child.writeToChild, 3, b"")

    def test_failure(self) -> None:
        """A spawn can be made to fail, once."""
        self.spawner.fail_next(errno.EACCES, "/prog")
        error = self.assertRaises(SpawnError, self.spawn)
        self.assertEqual((error.errno, error.path), (errno.EACCES, "/prog"))
        self.spawn()


class MemoryProcessReactorTests(SynchronousTestCase):
    """A reactor that executes nothing."""

    def test_spawn(self) -> None:
        """A call is kept, and its transport driven by the test."""
        reactor: Any = MemoryProcessReactor()
        self.assertTrue(verifyObject(IReactorProcess, reactor))
        protocol = Recorder()
        reactor.spawnProcess(protocol, "/bin/cat", ["cat"], env={}, childFDs={0: "w"})
        (record,) = reactor.spawned
        self.assertEqual((record.executable, record.args), ("/bin/cat", ["cat"]))
        self.assertEqual(record.child_fds, {0: "w"})
        record.transport.exit()
        self.assertEqual(protocol.told, ["made", "exited", "ended"])
