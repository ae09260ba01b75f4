# -*- test-case-name: tests.supervise.test_execution -*-
"""Tests for L{sockhost.supervise.execution}."""

from __future__ import annotations

import signal

from twisted.internet.defer import CancelledError
from twisted.internet.error import ProcessTerminated
from twisted.internet.interfaces import IProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import SockhostError, SpawnError, UnitStuck
from sockhost.processes.spec import ChildSpec
from sockhost.supervise.execution import Execution, Once, process_lost
from sockhost.testing.processes import MemorySpawner, stubborn


class OnceTests(SynchronousTestCase):
    """Something that happens once."""

    def test_before_and_after(self) -> None:
        """Who waits before and who asks after learn the same."""
        once: Once[int] = Once()
        before = once.wait()
        self.assertNoResult(before)
        once.fire(3)
        self.assertEqual(self.successResultOf(before), 3)
        self.assertEqual(self.successResultOf(once.wait()), 3)

    def test_cancelled(self) -> None:
        """Who does not wait any more costs the others nothing."""
        once: Once[int] = Once()
        first, second, third = once.wait(), once.wait(), once.wait()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second.addCallback(lambda _: third.cancel())
        once.fire(3)
        self.assertIsNone(self.successResultOf(second))
        self.failureResultOf(third, CancelledError)


class ExecutionTests(SynchronousTestCase):
    """One run of a program."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.spawner = MemorySpawner()
        self.output: list[bytes] = []
        self.released = 0

    def begin(self) -> Execution:
        """Execute a program."""
        run = Execution(
            reactor=self.clock,
            spawner=self.spawner,
            output=self.output.append,
            grace=5,
            released=self.release,
        )
        run.begin(ChildSpec(argv=("prog",)))
        return run

    def release(self) -> None:
        """Nothing is left."""
        self.released += 1

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_interface(self) -> None:
        """It is a protocol for processes."""
        run = Execution(reactor=self.clock, spawner=self.spawner, output=print)
        self.assertTrue(verifyObject(IProcessProtocol, run))

    def test_end(self) -> None:
        """A program that ends by itself is gone at once, with its output."""
        run = self.begin()
        self.spawner.child.output(b"x")
        self.spawner.child.exit(3)
        self.assertIsNone(self.successResultOf(run.gone.wait()))
        self.assertEqual((str(run.loss()), self.output), ("exited with code 3", [b"x"]))
        self.assertIsNone(run.pid)

    def test_refused(self) -> None:
        """What cannot be executed raises."""
        self.spawner.fail_next()
        self.assertRaises(SpawnError, self.begin)

    def test_others_are_killed(self) -> None:
        """What the program leaves of its group is killed before it is gone."""
        self.spawner.on_signal = None
        run = self.begin()
        child = self.spawner.child
        child.others = True
        child.exit(0)
        self.assertTrue(run.exited.fired)
        self.assertEqual(child.signals, [signal.SIGKILL])
        self.assertFalse(run.gone.fired)
        child.others_end()
        self.clock.advance(0.01)
        self.assertTrue(run.gone.fired)

    def test_stop(self) -> None:
        """A stop asks the group, and is over when it is gone."""
        run = self.begin()
        self.assertIsNone(self.successResultOf(run.stop()))
        self.assertEqual(self.spawner.child.signals, [signal.SIGTERM])
        self.assertEqual(run.loss().signal, signal.SIGTERM)

    def test_grace(self) -> None:
        """What does not obey is killed after the grace, and not before."""
        self.spawner.on_signal = stubborn
        run = self.begin()
        stopping = run.stop()
        self.clock.advance(4.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.2)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.spawner.child.signals, [signal.SIGTERM, signal.SIGKILL])

    def test_abort(self) -> None:
        """An abort ends the grace; without a stop it does nothing."""
        self.spawner.on_signal = stubborn
        run = self.begin()
        run.abort()
        self.assertEqual(self.spawner.child.signals, [])
        stopping = run.stop()
        run.abort()
        self.assertIsNone(self.successResultOf(stopping))

    def test_stop_twice(self) -> None:
        """A second stop waits for the first one's end."""
        self.spawner.on_signal = stubborn
        run = self.begin()
        first, second = run.stop(), run.stop()
        run.abort()
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(second))
        self.assertEqual(self.spawner.child.signals, [signal.SIGTERM, signal.SIGKILL])

    def test_stragglers(self) -> None:
        """After an orderly stop the others get a moment before they are killed."""
        self.spawner.on_signal = None
        run = self.begin()
        child = self.spawner.child
        child.others = True
        stopping = run.stop()
        child.exit(0)
        self.clock.pump([0.01] * 45)
        self.assertEqual(child.signals, [signal.SIGTERM])
        self.clock.pump([0.01] * 10)
        self.assertIn(signal.SIGKILL, child.signals)
        child.others_end()
        self.clock.advance(0.01)
        self.assertIsNone(self.successResultOf(stopping))

    def test_immortal(self) -> None:
        """What survives SIGKILL is not waited for without end, and told."""
        self.spawner.on_signal = None
        run = self.begin()
        self.spawner.child.others = True
        self.spawner.child.exit(0)
        self.clock.pump([0.1] * 110)
        error = self.successResultOf(run.gone.wait())
        assert isinstance(error, SockhostError)
        self.assertIn("does not end", str(error))
        self.assertEqual(self.released, 0)

    def immortal(self) -> Execution:
        """A program that has left something immortal."""
        self.spawner.on_signal = None
        run = self.begin()
        self.spawner.child.others = True
        self.spawner.child.exit(0)
        self.clock.pump([0.1] * 110)
        self.assertIsInstance(self.successResultOf(run.gone.wait()), UnitStuck)
        return run

    def test_stop_again(self) -> None:
        """A second stop tries again to kill it."""
        run = self.immortal()
        first = run.stop()
        self.clock.pump([0.1] * 110)
        self.assertIsInstance(self.successResultOf(first), UnitStuck)
        self.spawner.child.signals.clear()
        second, third = run.stop(), run.stop()
        self.assertEqual(self.spawner.child.signals, [signal.SIGKILL])
        self.assertNoResult(second)
        self.spawner.child.others_end()
        self.clock.advance(0.01)
        self.assertIsNone(self.successResultOf(second))
        self.assertIsNone(self.successResultOf(third))
        self.assertEqual(self.released, 1)

    def test_stop_after_a_late_end(self) -> None:
        """If it has ended meanwhile, the second stop is over at once."""
        run = self.immortal()
        self.spawner.child.others_end()
        self.assertIsNone(self.successResultOf(run.stop()))

    def test_immortal_program(self) -> None:
        """A program that itself survives SIGKILL is not waited for either."""
        self.spawner.on_signal = None
        run = self.begin()
        stopping = run.stop()
        self.clock.advance(5.0)
        self.clock.pump([0.1] * 110)
        self.assertIsInstance(self.successResultOf(stopping), UnitStuck)
        self.assertFalse(run.exited.fired)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNotNone(run.pid)
        self.spawner.child.kill()
        self.assertTrue(run.exited.fired)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.successResultOf(run.stop()))
        self.assertEqual((self.released, run.loss().signal), (1, signal.SIGKILL))

    def test_slow_to_die(self) -> None:
        """One that takes a while to die of SIGKILL is waited for."""
        self.spawner.on_signal = None
        run = self.begin()
        stopping = run.stop()
        run.abort()
        self.clock.pump([0.1] * 20)
        self.assertNoResult(stopping)
        self.spawner.child.others = True
        self.spawner.child.kill()
        self.clock.pump([0.1] * 20)
        self.assertNoResult(stopping)
        self.spawner.child.others_end()
        self.clock.advance(0.01)
        self.assertIsNone(self.successResultOf(stopping))

    def test_abort_stragglers(self) -> None:
        """An abort cuts what the others of the group get as well."""
        self.spawner.on_signal = None
        run = self.begin()
        child = self.spawner.child
        child.others = True
        stopping = run.stop()
        child.exit(0)
        self.assertNotIn(signal.SIGKILL, child.signals)
        run.abort()
        run.abort()
        self.assertIn(signal.SIGKILL, child.signals)
        child.others_end()
        self.clock.advance(0.01)
        self.assertIsNone(self.successResultOf(stopping))

    def test_clock_set_back(self) -> None:
        """A clock that is set back lets nothing live any longer."""
        self.spawner.on_signal = None
        run = self.begin()
        child = self.spawner.child
        child.others = True
        stopping = run.stop()
        child.exit(0)
        # Twisted's own timers wait until the clock is where it was.
        self.clock.rightNow -= 500
        for call in self.clock.getDelayedCalls():
            call.reset(0.01)
        self.clock.pump([0.01] * 60)
        self.assertIn(signal.SIGKILL, child.signals)
        child.others_end()
        self.clock.advance(0.01)
        self.assertIsNone(self.successResultOf(stopping))


class LossTests(SynchronousTestCase):
    """How a program ended, in words."""

    def test_success(self) -> None:
        """Which codes are no failure is configured."""
        failure = Failure(ProcessTerminated(3))
        self.assertTrue(process_lost(failure, (0, 3)).success)
        self.assertFalse(process_lost(failure).success)

    def test_signal(self) -> None:
        """A signal is no success, and has a name if it has one."""
        loss = process_lost(Failure(ProcessTerminated(None, 9)), (0,))
        self.assertEqual((str(loss), loss.success), ("ended by SIGKILL", False))
        nameless = process_lost(Failure(ProcessTerminated(None, 200)))
        self.assertEqual(str(nameless), "ended by signal 200")

    def test_unknown(self) -> None:
        """An end whose status somebody else took is no success."""
        loss = process_lost(Failure(ProcessTerminated()))
        self.assertEqual((loss.code, loss.signal, loss.success), (None, None, False))
