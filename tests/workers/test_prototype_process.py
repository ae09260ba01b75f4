"""
Tests for L{sockhost.workers.prototype_process}.
"""

from __future__ import annotations

import os
import signal
import sys
from io import BytesIO
from typing import Any

from attrs import define, field
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import ProcessLost, SpawnError
from sockhost.workers import prototype_process
from sockhost.workers.orders import (
    Exited,
    Failed,
    Forked,
    Message,
    NotForked,
    Prepare,
    Prepared,
    Spawn,
)
from sockhost.workers.process import Ending, WorkerProcess
from sockhost.workers.prototype_process import (
    GROUP_INTERVAL,
    GROUP_WAIT,
    CannotImport,
    RunningPrototype,
)
from sockhost.workers.spec import WorkerSpec
from tests.workers.fakes import FakeReactor, FakeSocket, loose

SPEC = WorkerSpec(unit="kv", socket={}, run_dir="/r", log_dir="/l", config_dir="/c")


@define(eq=False)
class FakeChannel:
    """A channel that remembers what is sent."""

    reactor: Any
    sock: Any
    peer: int
    received: Any
    lost: Any
    open: bool = True
    sent: list[tuple[Message, Any]] = field(factory=list)

    def send(self, message: Message, attached: Any) -> None:
        """Remember it."""
        self.sent.append((message, attached))

    def doRead(self) -> None:
        """There is nothing to read."""

    def close(self) -> None:
        """Close it."""
        self.open = False


@define(eq=False)
class FakeSpawner:
    """A spawner and its only child."""

    pid: int = 400
    error: SpawnError | None = None
    group: int = 1
    spec: Any = None
    protocol: Any = None
    signals: list[int] = field(factory=list)

    def spawn(self, spec: Any, protocol: Any) -> FakeSpawner:
        """Execute it."""
        if self.error is not None:
            raise self.error
        self.spec, self.protocol = spec, protocol
        return self

    def signal_group(self, signum: int) -> bool:
        """Remember a signal; the group is gone after a number of them."""
        self.signals.append(signum)
        self.group -= 1
        return self.group > 0


@define
class Caller:
    """Wants a worker."""

    told: list[Any] = field(factory=list)

    def forked(self, process: WorkerProcess) -> None:
        """Remember it."""
        self.told.append(process)

    def not_forked(self, reason: str, prototype_lost: bool) -> None:
        """Remember it."""
        self.told.append((reason, prototype_lost))

    def ended(self, ending: Ending) -> None:
        """Remember it."""
        self.told.append(ending)


class RunningPrototypeTests(SynchronousTestCase):
    """
    Tests for L{RunningPrototype}.
    """

    def setUp(self) -> None:
        """Prepare what stands in for the kernel."""
        self.sockets = (FakeSocket(10), FakeSocket(11))
        self.patch(prototype_process, "channel_pair", lambda: self.sockets)
        self.patch(prototype_process, "Channel", FakeChannel)
        self.patch(prototype_process, "_as_file", BytesIO)
        self.reactor = loose(FakeReactor())
        self.spawner = FakeSpawner()
        self.output: list[bytes] = []
        self.closed: list[int] = []
        self.patch(os, "close", self.closed.append)
        self.patch(os, "waitid", self._waitid)

    def _waitid(self, *_args: int) -> None:
        raise ChildProcessError

    def launch(self) -> RunningPrototype:
        """Execute a prototype."""
        run = RunningPrototype(
            self.reactor, loose(self.spawner), SPEC, self.output.append
        )
        self.channel = loose(run._channel)
        return run

    def prepared(self) -> RunningPrototype:
        """Execute one that is ready."""
        run = self.launch()
        self.channel.received(Prepared(), ())
        self.successResultOf(run.ready)
        return run

    def fork(self, run: RunningPrototype, pid: int = 500) -> Caller:
        """Have a worker forked."""
        caller = Caller()
        run.fork(1, loose(FakeSocket(21)), caller)
        stream = self.channel.sent[-1][0].stream
        self.channel.received(Forked(stream, pid), (33,))
        return caller

    def end(self, reason: Exception) -> None:
        """Have the process end."""
        self.spawner.protocol.processExited(Failure(reason))
        self.spawner.protocol.processEnded(Failure(reason))

    def test_no_descriptor(self) -> None:
        """Where its specification finds no room, nothing is executed."""

        def full(data: bytes) -> BytesIO:
            raise OSError(24, "Too many open files")

        self.patch(prototype_process, "_as_file", full)
        with self.assertRaises(OSError):
            self.launch()
        self.assertIsNone(self.spawner.spec)
        self.assertEqual([one.closed for one in self.sockets], [False, False])

    def test_no_channel(self) -> None:
        """Without a channel nothing is executed, and nothing is left open."""
        made: list[BytesIO] = []

        def make(data: bytes) -> BytesIO:
            made.append(BytesIO(data))
            return made[-1]

        def full() -> None:
            raise OSError(24, "Too many open files")

        self.patch(prototype_process, "_as_file", make)
        self.patch(prototype_process, "channel_pair", full)
        with self.assertRaises(OSError):
            self.launch()
        self.assertIsNone(self.spawner.spec)
        self.assertTrue(made[0].closed)

    def test_launch(self) -> None:
        """A fresh interpreter gets its socket, the search path and the spec."""
        run = self.launch()
        spec = self.spawner.spec
        self.assertEqual(spec.argv[:3], (sys.executable, "-P", "-c"))
        self.assertEqual(spec.argv[4:], ("11", *sys.path))
        self.assertEqual(spec.pass_fds, (11,))
        self.assertEqual((run.pid, self.channel.peer), (400, 400))
        self.assertTrue(self.sockets[1].closed)
        ((message, attached),) = self.channel.sent
        self.assertEqual(message, Prepare())
        self.assertEqual(WorkerSpec.loads(attached.getvalue()), SPEC)

    def test_cannot_execute(self) -> None:
        """If it cannot be executed, both sockets are closed."""
        self.spawner.error = SpawnError(2, "python", "not there")
        self.assertRaises(SpawnError, self.launch)
        self.assertTrue(all(sock.closed for sock in self.sockets))

    def test_ready(self) -> None:
        """It can be used when it has imported the handler, not before."""
        run = self.launch()
        self.assertNoResult(run.ready)
        self.assertFalse(run.usable)
        self.channel.received(Prepared(), ())
        self.assertTrue(run.usable)
        self.successResultOf(run.ready)

    def test_failed(self) -> None:
        """What it says of the import is why it is not ready."""
        run = self.launch()
        self.channel.received(Failed("no module"), ())
        error = self.failureResultOf(run.ready, CannotImport).value
        self.assertEqual(str(error), "no module")
        self.end(ProcessTerminated(1))
        self.assertTrue(run.gone.closed)

    def test_output(self) -> None:
        """What it writes is passed on."""
        self.launch()
        self.spawner.protocol.childDataReceived(1, b"hello\n")
        self.assertEqual(self.output, [b"hello\n"])

    def test_fork(self) -> None:
        """Who wants a worker gets it, and hears of its end."""
        caller = self.fork(self.prepared())
        self.assertEqual(self.channel.sent[-1][0], Spawn(1, 1))
        process = caller.told[0]
        self.assertEqual((process.pid, process.fileno()), (500, 33))
        self.channel.received(Exited(500, None, 9), ())
        process.doRead()
        self.assertEqual(caller.told[1:], [Ending(signal=9)])

    def test_unexpected_descriptors(self) -> None:
        """Descriptors beside a message that should have none are closed."""
        self.launch()
        self.channel.received(Prepared(), (44, 45))
        self.assertEqual(self.closed, [44, 45])

    def test_not_forked(self) -> None:
        """Who wants a worker hears why there is none."""
        run, caller = self.prepared(), Caller()
        run.fork(1, loose(FakeSocket(21)), caller)
        self.channel.received(NotForked(1, "cannot fork: full"), ())
        self.assertEqual(caller.told, [("cannot fork: full", False)])

    def test_forked_without_descriptor(self) -> None:
        """A worker that cannot be watched is none; it costs no other anything."""
        run, caller = self.prepared(), Caller()
        run.fork(1, loose(FakeSocket(21)), caller)
        self.channel.received(Forked(1, 500), ())
        self.assertEqual(caller.told, [("no descriptor is left to watch it by", False)])
        self.assertTrue(run.usable)

    def test_fork_without_channel(self) -> None:
        """One that cannot be reached does not fork, and the port is closed."""
        run, caller, port = self.prepared(), Caller(), FakeSocket(21)
        self.channel.open = False
        run.fork(1, loose(port), caller)
        self.assertEqual(caller.told, [("the prototype is gone", True)])
        self.assertTrue(port.closed)

    def test_channel_lost(self) -> None:
        """One that has closed its channel is killed; nobody waits for it."""
        run, waiting = self.prepared(), Caller()
        forked = self.fork(run)
        run.fork(2, loose(FakeSocket(22)), waiting)
        self.channel.lost()
        self.assertEqual(waiting.told, [("the prototype is gone", True)])
        self.assertEqual(self.spawner.signals, [signal.SIGKILL])
        forked.told[0].doRead()
        self.assertEqual(forked.told[1:], [Ending()])

    def test_release(self) -> None:
        """One that is let go has its channel closed, and no more is reported."""
        run = self.prepared()
        caller = self.fork(run)
        run.release()
        self.assertFalse(run.usable)
        caller.told[0].doRead()
        self.assertEqual(caller.told[1:], [Ending()])

    def test_ended(self) -> None:
        """Its end says how, after its group was killed."""
        run = self.prepared()
        self.end(ProcessTerminated(None, 9))
        self.assertTrue(run.gone.closed)
        assert run.ending is not None
        self.assertEqual((run.ending.code, run.ending.signal), (None, 9))
        self.assertIn("was ended by SIGKILL", str(run.ending))
        self.assertEqual(set(self.spawner.signals), {signal.SIGKILL})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_ended_before_ready(self) -> None:
        """One that ends before it is ready never will be."""
        run = self.launch()
        self.end(ProcessDone(0))
        error = self.failureResultOf(run.ready, ProcessLost).value
        self.assertIn("exited with code 0", str(error))

    def test_group_lingers(self) -> None:
        """It is not gone while a process of its group is left."""
        self.spawner.group = 4
        run = self.prepared()
        self.end(ProcessDone(0))
        self.assertFalse(run.gone.closed)
        self.reactor.pump([GROUP_INTERVAL] * 2)
        self.assertTrue(run.gone.closed)

    def test_group_stays(self) -> None:
        """A group that the kernel does not end is given up on."""
        self.spawner.group = 10**6
        run = self.prepared()
        self.end(ProcessDone(0))
        self.reactor.pump([GROUP_INTERVAL] * round(GROUP_WAIT / GROUP_INTERVAL))
        self.assertTrue(run.gone.closed)
