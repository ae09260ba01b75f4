# -*- test-case-name: tests.processes.test_child -*-
"""Tests for L{sockhost.processes.child}."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from typing import Any

from attrs import define, field
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import IChild
from sockhost.processes.child import Child, live_pids
from sockhost.processes.spawner import Spawner
from sockhost.processes.spec import ChildSpec

PID = 2**22 + 7


@define
class FakeProcess:
    """Stands for a L{subprocess.Popen}."""

    pid: int = PID
    returncode: int | None = None


@define(eq=False)
class FakeSystem:
    """A kernel in which one process runs."""

    process: FakeProcess = field(factory=FakeProcess)
    options: dict[str, Any] = field(factory=dict)
    popen_error: BaseException | None = None
    watch_error: OSError | None = None
    reap_error: OSError | None = None
    status: int | None = None
    group: bool = True
    reused: bool = False
    signals: list[tuple[str, int]] = field(factory=list)
    discarded: list[int] = field(factory=list)
    writers: list[int] = field(factory=list)

    def popen(self, argv: Sequence[str], **options: Any) -> FakeProcess:
        if self.popen_error is not None:
            raise self.popen_error
        self.options = {"argv": tuple(argv), **options}
        for name in ("stdout", "stderr"):
            if options[name] is not None and options[name] >= 0:
                self.writers.append(os.dup(options[name]))
        return self.process

    def watch(self, pid: int) -> int:
        if self.watch_error is not None:
            raise self.watch_error
        return os.open(os.devnull, os.O_RDONLY)

    def reap(self, pid: int) -> Any:
        if self.reap_error is not None:
            raise self.reap_error
        return None if self.status is None else (self.status, "usage")

    def discard(self, pid: int) -> None:
        self.discarded.append(pid)

    def signal(self, pidfd: int, signum: int) -> None:
        self.signals.append(("process", signum))

    def signal_group(self, group: int, signum: int) -> None:
        if not self.group:
            raise ProcessLookupError()
        self.signals.append(("group", signum))

    def exists(self, pid: int) -> bool:
        return self.reused

    def group_lives(self, group: int) -> bool:
        return self.group

    def close(self) -> None:
        while self.writers:
            os.close(self.writers.pop())


class Recorder(ProcessProtocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def makeConnection(self, process: Any) -> None:
        self.told.append("made")

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        self.told.append((childFD, data))

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N803
        self.told.append(f"lost {childFD}")

    def processExited(self, reason: Failure) -> None:
        self.told.append("exited")

    def processEnded(self, reason: Failure) -> None:
        self.told.append("ended")


class ChildCase(SynchronousTestCase):
    """Has a spawner of fake processes."""

    def setUp(self) -> None:
        self.system = FakeSystem()
        self.addCleanup(self.system.close)
        reactor: Any = MemoryReactorClock()
        self.reactor = reactor
        self.spawner = Spawner(reactor, self.system)
        self.protocol = Recorder()
        self.addCleanup(live_pids.discard, PID)

    def spawn(self, **options: Any) -> Child:
        """Spawn, and close what the child still has open in the end."""
        spec = ChildSpec(argv=("prog", "arg"), **options)
        child = self.spawner.spawn(spec, self.protocol)
        self.addCleanup(self.turn_off)
        return child

    def turn(self) -> None:
        """Do what a reactor does with each reader that is ready."""
        for reader in list(self.reactor.getReaders()):
            why = reader.doRead()
            if why is not None:
                self.reactor.removeReader(reader)
                reader.connectionLost(Failure(why))

    def turn_off(self) -> None:
        """Do what a reactor does to its readers at the end."""
        for reader in list(self.reactor.getReaders()):
            self.reactor.removeReader(reader)
            reader.connectionLost(Failure(ProcessDone(0)))

    def exit(self, status: int = 0) -> None:
        """Have the process end, and the reactor notice."""
        self.system.status = status
        self.turn()


class ChildTests(ChildCase):
    """A child."""

    def test_interface(self) -> None:
        """It is what it says, and a transport of Twisted too."""
        child = self.spawn()
        self.assertTrue(verifyObject(IChild, child))
        self.assertTrue(verifyObject(IProcessTransport, child))

    def test_story(self) -> None:
        """Output, the exit and the end are told in this order."""
        child = self.spawn()
        os.write(self.system.writers[0], b"data")
        self.turn()
        self.system.close()
        self.assertEqual(child.pid, PID)
        self.exit()
        told = [one for one in self.protocol.told if one != "lost 1"]
        self.assertEqual(told, ["made", (1, b"data"), "exited", "ended"])
        self.assertIn("lost 1", self.protocol.told)
        self.assertIsNone(child.pid)
        self.assertEqual(self.system.process.returncode, 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])

    def test_registry(self) -> None:
        """A child is known from its spawn until its reap."""
        self.spawn()
        self.assertIn(PID, live_pids)
        self.exit()
        self.assertNotIn(PID, live_pids)

    def test_drain(self) -> None:
        """Somebody who holds the output delays the end by the drain at most."""
        self.spawn(drain=2.0)
        self.exit()
        self.assertEqual(self.protocol.told, ["made", "exited"])
        os.write(self.system.writers[0], b"late")
        self.reactor.advance(2.0)
        self.assertEqual(
            self.protocol.told, ["made", "exited", (1, b"late"), "lost 1", "ended"]
        )
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lose_connection(self) -> None:
        """Giving up on the output takes what is there."""
        child = self.spawn()
        os.write(self.system.writers[0], b"last")
        self.exit()
        child.loseConnection()
        self.reactor.advance(0)
        self.assertEqual(self.protocol.told[-2:], ["lost 1", "ended"])
        self.assertIn((1, b"last"), self.protocol.told)

    def test_not_yet(self) -> None:
        """A wake-up without an end changes nothing."""
        child = self.spawn(output="null")
        self.turn()
        self.assertEqual((child.pid, self.protocol.told), (PID, ["made"]))

    def test_stolen_status(self) -> None:
        """If somebody else has reaped it, it has ended all the same."""
        self.system.reap_error = ChildProcessError()
        child = self.spawn(output="null")
        self.turn()
        self.assertIsNone(child.pid)
        self.assertEqual(self.protocol.told, ["made", "exited", "ended"])

    def test_reactor_goes(self) -> None:
        """The end of the reactor is not the end of the process."""
        child = self.spawn(output="null")
        self.turn_off()
        self.assertEqual(child.pid, PID)
        self.assertEqual(self.protocol.told, ["made"])

    def test_protocol_that_raises(self) -> None:
        """A defect in the protocol is logged, and costs it nothing."""

        def broken(reason: Failure) -> None:
            raise RuntimeError("broken")

        self.patch(self.protocol, "processExited", broken)
        self.spawn(output="null")
        self.exit()
        self.assertEqual(self.protocol.told, ["made", "ended"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_protocol_that_cannot_begin(self) -> None:
        """A process whose protocol is broken from the start is followed too."""

        def broken(process: Any) -> None:
            raise RuntimeError("broken")

        self.patch(self.protocol, "makeConnection", broken)
        self.spawn(output="null")
        self.exit()
        self.assertEqual(self.protocol.told, ["exited", "ended"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_signal(self) -> None:
        """A signal goes through the pidfd, by name or number."""
        child = self.spawn()
        for name in ("TERM", "SIGTERM", signal.SIGTERM):
            child.signalProcess(name)
        self.assertEqual(self.system.signals, [("process", signal.SIGTERM)] * 3)

    def test_signal_after(self) -> None:
        """A process that was reaped cannot be signalled."""
        child = self.spawn(output="null")
        self.exit()
        self.assertRaises(ProcessExitedAlready, child.signalProcess, "TERM")

    def test_group(self) -> None:
        """A signal for the group goes to the group while the leader is there."""
        child = self.spawn()
        self.assertTrue(child.signal_group(signal.SIGTERM))
        self.assertEqual(self.system.signals, [("group", signal.SIGTERM)])

    def test_group_of_another_user(self) -> None:
        """A group that the host may not signal is there all the same."""

        def forbidden(group: int, signum: int) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        child = self.spawn(output="null")
        self.patch(FakeSystem, "signal_group", lambda _self, *args: forbidden(*args))
        with capturedLogs() as logs:
            self.assertTrue(child.signal_group(signal.SIGTERM))
            self.exit()
            self.assertTrue(child.signal_group(0))
        self.assertEqual(len(logs), 1)
        self.system.group = False
        self.assertFalse(child.signal_group(0))

    def test_group_without_leader(self) -> None:
        """The rest of a group is signalled until it is gone, and no longer."""
        child = self.spawn(output="null")
        self.exit()
        self.assertTrue(child.signal_group(signal.SIGKILL))
        self.system.group = False
        self.assertFalse(child.signal_group(signal.SIGKILL))
        self.system.group = True  # a stranger's, by now
        self.assertFalse(child.signal_group(signal.SIGKILL))
        self.assertEqual(self.system.signals, [("group", signal.SIGKILL)])

    def test_number_used_again(self) -> None:
        """A process that has the number now means that the group is gone."""
        child = self.spawn(output="null")
        self.exit()
        self.system.reused = True
        self.assertFalse(child.signal_group(signal.SIGKILL))
        self.assertEqual(self.system.signals, [])

    def test_no_stdin(self) -> None:
        """There is nothing to write to unless it was asked for."""
        child = self.spawn()
        child.write(b"dropped")
        self.assertRaises(KeyError, child.writeToChild, 3, b"x")

    def test_pause(self) -> None:
        """A paused child's output is left in its pipe."""
        child = self.spawn()
        os.write(self.system.writers[0], b"data")
        child.pauseProducing()
        self.turn()
        self.assertEqual(self.protocol.told, ["made"])
        child.resumeProducing()
        self.turn()
        self.assertEqual(self.protocol.told, ["made", (1, b"data")])
