# -*- test-case-name: tests.testing.test_part_contracts -*-
"""
The contracts of L{ISpawner<sockhost.interfaces.ISpawner>} and of
L{IChild<sockhost.interfaces.IChild>} as tests.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessProtocol, IProcessTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.interfaces import IChild, ISpawner, SpawnError
from sockhost.processes.spec import ChildSpec
from sockhost.testing.contracts._case import ContractCase, contract_tests, nothing

OUTPUT = b"its output\n"
CODE = 3


def _nothing_to_do(_: object) -> None:
    """It happens by itself."""


@define(kw_only=True)
class SpawnerFixture:
    """
    A spawner, and what it can execute.

    @ivar spawner: the spawner.
    @ivar sleeping: a program that runs until a signal ends it.
    @ivar exiting: a program that writes L{OUTPUT} and exits with L{CODE}.
    @ivar leaving: a program that exits and leaves another in its group, that
        runs until a signal ends it; C{None} if there is no such thing.
    @ivar missing: a program that is not there.
    @ivar exit: given a child of C{exiting} or C{leaving}, brings about that it
        does what it is to do, where that does not happen by itself.
    @ivar spoil: brings about that C{missing} is missing.
    """

    spawner: Any
    sleeping: ChildSpec
    exiting: ChildSpec
    leaving: ChildSpec | None = None
    missing: ChildSpec
    exit: Callable[[Any], object] = _nothing_to_do
    spoil: Callable[[], object] = nothing


@implementer(IProcessProtocol)
@define(eq=False)
class _Record:
    """Notes what a child's protocol is told."""

    calls: list[str] = field(factory=list)
    output: bytes = b""
    child: Any = None
    pids: list[Any] = field(factory=list)
    reasons: list[Failure] = field(factory=list)
    exited: Deferred[None] = field(factory=Deferred)
    ended: Deferred[None] = field(factory=Deferred)

    def makeConnection(self, process: Any) -> None:
        self.calls.append("makeConnection")
        self.child = process
        self.pids.append(process.pid)

    def childDataReceived(self, _fd: int, data: bytes) -> None:
        self.output += data

    def childConnectionLost(self, _fd: int) -> None:
        """Of no interest."""

    def processExited(self, reason: Failure) -> None:
        self._told("processExited", reason)
        self.exited.callback(None)

    def processEnded(self, reason: Failure) -> None:
        self._told("processEnded", reason)
        self.ended.callback(None)

    def _told(self, call: str, reason: Failure) -> None:
        self.calls.append(call)
        self.reasons.append(reason)
        self.pids.append(self.child.pid)


class _SpawnerContract(ContractCase):
    """What L{ISpawner} and L{IChild} promise."""

    fixture: SpawnerFixture

    def spawn(self, spec: ChildSpec) -> tuple[Any, _Record]:
        """Execute something that is ended in the end."""
        record = _Record()
        child = self.fixture.spawner.spawn(spec, record)
        self.addCleanup(self.end, child, record)
        return child, record

    async def end(self, child: Any, record: _Record) -> None:
        """Leave no process behind."""
        child.signal_group(signal.SIGKILL)
        if not record.ended.called:
            await record.ended

    async def kill(self, child: Any, record: _Record) -> None:
        """Kill a child, and wait for its end."""
        self.assertTrue(child.signal_group(signal.SIGKILL))
        await record.ended

    async def finish(self, spec: ChildSpec) -> tuple[Any, _Record]:
        """Execute something, and wait until it has exited."""
        child, record = self.spawn(spec)
        await self.turn(self.fixture.exit, child)
        await record.exited
        return child, record

    async def test_interfaces(self) -> None:
        """A spawner makes children, which are transports of processes too."""
        verifyObject(ISpawner, self.fixture.spawner)
        child, record = self.spawn(self.fixture.sleeping)
        verifyObject(IChild, child)
        verifyObject(IProcessTransport, child)
        await self.kill(child, record)

    async def test_connected_at_once(self) -> None:
        """The protocol has its transport before the spawning is over."""
        child, record = self.spawn(self.fixture.sleeping)
        self.assertEqual(record.calls, ["makeConnection"])
        self.assertIs(record.child, child)
        self.assertIsInstance(record.pids[0], int)
        await self.kill(child, record)

    async def test_exit(self) -> None:
        """The end is told in two steps, each once, with the exit code."""
        _, record = await self.finish(self.fixture.exiting)
        await record.ended
        self.assertEqual(
            record.calls, ["makeConnection", "processExited", "processEnded"]
        )
        for reason in record.reasons:
            value: Any = reason.value
            self.assertIsInstance(value, ProcessTerminated)
            self.assertEqual((value.exitCode, value.signal), (CODE, None))

    async def test_output(self) -> None:
        """The output is complete when the end is told."""
        _, record = await self.finish(self.fixture.exiting)
        await record.ended
        self.assertEqual(record.output, OUTPUT)

    async def test_pid(self) -> None:
        """The process id is known until the process is reaped, not longer."""
        child, record = self.spawn(self.fixture.sleeping)
        self.assertEqual(child.pid, record.pids[0])
        await self.kill(child, record)
        self.assertEqual(record.pids[1:], [None, None])
        self.assertIsNone(child.pid)

    async def test_two(self) -> None:
        """Each child is its own; the end of one is not the other's."""
        first, ended = self.spawn(self.fixture.sleeping)
        second, running = self.spawn(self.fixture.sleeping)
        self.assertNotEqual(first.pid, second.pid)
        await self.kill(first, ended)
        self.assertEqual(running.calls, ["makeConnection"])
        await self.kill(second, running)

    async def test_signal(self) -> None:
        """A signal to the group ends the child, and is the reason."""
        child, record = self.spawn(self.fixture.sleeping)
        self.assertIs(child.signal_group(signal.SIGTERM), True)
        await record.ended
        value: Any = record.reasons[0].value
        self.assertIsInstance(value, ProcessTerminated)
        self.assertEqual((value.exitCode, value.signal), (None, signal.SIGTERM))

    async def test_signal_nothing(self) -> None:
        """Signal 0 asks whether any process is left, and does nothing."""
        child, record = self.spawn(self.fixture.sleeping)
        self.assertIs(child.signal_group(0), True)
        self.assertEqual(record.calls, ["makeConnection"])
        await self.kill(child, record)
        self.assertIs(child.signal_group(0), False)

    async def test_signal_after_end(self) -> None:
        """When no process is left, a signal reaches nobody, and says so."""
        child, record = await self.finish(self.fixture.exiting)
        await record.ended
        self.assertIs(child.signal_group(signal.SIGKILL), False)
        self.assertRaises(ProcessExitedAlready, child.signalProcess, "KILL")

    async def test_left_behind(self) -> None:
        """What a child left in its group is reached when it is gone itself."""
        if self.fixture.leaving is None:
            self.lack("a program that leaves others behind")
        child, record = await self.finish(self.fixture.leaving)
        self.assertIsNone(child.pid)
        self.assertIs(child.signal_group(signal.SIGKILL), True)
        await record.ended
        value: Any = record.reasons[0].value
        self.assertIsInstance(value, ProcessDone)

    def test_missing(self) -> None:
        """What cannot be executed is an error, of which nobody else is told."""
        self.fixture.spoil()
        record = _Record()
        with self.assertRaises(SpawnError) as caught:
            self.fixture.spawner.spawn(self.fixture.missing, record)
        error: Any = caught.exception
        self.assertGreater(error.errno, 0)
        self.assertEqual(error.path, self.fixture.missing.argv[0])
        self.assertEqual(record.calls, [])


def spawner_contract_tests(make: Callable[[TestCase], object]) -> type[TestCase]:
    """
    Make the tests of L{ISpawner} and L{IChild} for a spawner.

    @param make: makes a L{SpawnerFixture} anew for each test.
    """
    return contract_tests(
        "SpawnerContractTests", _SpawnerContract, make=staticmethod(make)
    )
