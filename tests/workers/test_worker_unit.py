"""
Tests for L{sockhost.workers.worker_unit}.
"""

from __future__ import annotations

import signal
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.protocols.amp import UnknownRemoteError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import IUnit, NotReady, ProcessLost, UnitFailed
from sockhost.workers import worker_unit
from sockhost.workers.latch import Latch
from sockhost.workers.port import CannotServe
from sockhost.workers.worker_run import PrototypeGone
from sockhost.workers.worker_unit import (
    ANSWER_LIMIT,
    HOOK_LIMIT,
    QUIT_GRACE,
    TERM_GRACE,
    NotAnswering,
    WorkerUnit,
)
from tests.workers.fakes import FakeCrew, loose


@define(eq=False)
class FakeRun:
    """A worker that does what the test says."""

    title: str
    publish: Any
    ready: Deferred[None] = field(factory=Deferred)
    gone: Latch = field(factory=Latch)
    reason: Exception = field(factory=lambda: ProcessLost("it ended", 1, None))
    pid: int = 500
    counters: dict[str, Any] = field(factory=lambda: {"clients": 1})
    told: list[Any] = field(factory=list)
    stubborn: bool = False
    begun: Any = None
    answer: Deferred[None] = field(factory=lambda: succeed(None))

    def begin(self, reactor: Any, prototype: Any, index: int) -> None:
        """It is to be forked."""
        self.begun = (prototype, index)

    def serve(self, listener: int) -> Deferred[None]:
        """Remember it."""
        self.told.append(("serve", listener))
        return self.answer

    def unlisten(self) -> Deferred[None]:
        """Remember it."""
        self.told.append("unlisten")
        return self.answer

    def hook(self, name: str) -> Deferred[None]:
        """Remember it."""
        self.told.append(("hook", name))
        return self.answer

    def clients(self) -> Deferred[Any]:
        """There is one."""
        return self.answer.addCallback(lambda _: [{"id": "7"}])

    def kick(self, client: str) -> Deferred[Any]:
        """Remember it."""
        self.told.append(("kick", client))
        return self.answer.addCallback(lambda _: True)

    def quit(self) -> Deferred[None]:
        """Remember it."""
        self.told.append("quit")
        return fail(ConnectionLost())

    def signal(self, number: int) -> None:
        """Remember it."""
        self.told.append(number)

    def give_up(self, error: Exception) -> None:
        """Fail for a reason, and end."""
        self.reason = error
        self.end()

    def kill(self) -> None:
        """End, unless that takes its time."""
        self.told.append("kill")
        if not self.stubborn:
            self.end()

    def end(self) -> None:
        """It has ended."""
        if not self.ready.called:
            self.ready.errback(self.reason)
        self.gone.close()


class WorkerUnitTests(SynchronousTestCase):
    """
    Tests for L{WorkerUnit}.
    """

    def setUp(self) -> None:
        """Make a unit."""
        self.runs: list[FakeRun] = []
        self.patch(worker_unit, "WorkerRun", self.make_run)
        self.clock = Clock()
        self.crew = FakeCrew(prototype="the prototype")
        self.lost: list[Failure] = []
        self.unit = WorkerUnit(1, self.clock, loose(self.crew), drain=2.0)
        self.unit.timeout = 30.0

    def make_run(self, title: str, publish: Any) -> FakeRun:
        """Make a worker."""
        self.runs.append(FakeRun(title, publish))
        return self.runs[-1]

    def up(self) -> FakeRun:
        """Bring the unit up."""
        starting = self.unit.start(self.lost.append)
        self.runs[-1].ready.callback(None)
        self.successResultOf(starting)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return self.runs[-1]

    def test_interface(self) -> None:
        """It is a unit."""
        self.assertTrue(verifyObject(IUnit, self.unit))
        self.assertFalse(self.successResultOf(self.unit.reload(None)))

    def test_up(self) -> None:
        """It is up when the worker is ready."""
        run = self.up()
        self.assertEqual(run.begun, ("the prototype", 1))
        self.assertEqual(run.told, [])
        self.assertEqual(self.unit.status(), {"pid": 500, "clients": 1})

    def test_down(self) -> None:
        """Without a worker there is no process id."""
        self.assertEqual(self.unit.status(), {"pid": None})

    def test_stopped_while_it_is_killed(self) -> None:
        """A stop waits for the worker whose failed start is being ended."""
        starting = self.unit.start(self.lost.append)
        run = self.runs[-1]
        run.stubborn = True
        run.ready.errback(NotReady("too slow"))
        self.assertEqual(run.told, ["kill"])
        stopping = self.unit.stop()
        self.failureResultOf(starting, CancelledError)
        self.assertNoResult(stopping)
        run.end()
        self.successResultOf(stopping)
        self.assertEqual(self.unit.status(), {"pid": None})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits_for_prototype(self) -> None:
        """While there is no prototype it waits, without a limit."""
        self.crew.prototype = None
        starting = self.unit.start(self.lost.append)
        self.clock.advance(1000)
        self.assertNoResult(starting)
        self.crew.waiting[0].callback("another")
        self.assertEqual(self.runs[0].begun, ("another", 1))
        self.runs[0].ready.callback(None)
        self.successResultOf(starting)

    def test_prototype_goes(self) -> None:
        """When the prototype goes before the fork, the next one is waited for."""
        starting = self.unit.start(self.lost.append)
        self.crew.prototype = None
        self.runs[0].give_up(PrototypeGone("gone"))
        self.assertNoResult(starting)
        self.assertEqual(self.crew.failures, [])
        self.crew.waiting[0].callback("another")
        self.runs[1].ready.callback(None)
        self.successResultOf(starting)

    def test_serves_at_once(self) -> None:
        """One that takes the place of another gets the listener before it is up."""
        self.crew.fd = 9
        starting = self.unit.start(self.lost.append)
        run = self.runs[0]
        run.answer = Deferred()
        run.ready.callback(None)
        self.assertEqual(run.told, [("serve", 9)])
        self.assertNoResult(starting)
        run.answer.callback(None)
        self.successResultOf(starting)

    def test_ends_before_it_serves(self) -> None:
        """One that ends while it gets the listener fails for its own reason."""
        self.crew.fd = 9
        starting = self.unit.start(self.lost.append)
        run = self.runs[0]
        run.answer = fail(ConnectionLost())
        run.ready.callback(None)
        self.assertNoResult(starting)
        run.end()
        self.failureResultOf(starting, ProcessLost)
        self.assertEqual([f.type for f in self.crew.failures], [ProcessLost])

    def test_start_fails(self) -> None:
        """One that cannot serve fails the start, and the crew is told."""
        starting = self.unit.start(self.lost.append)
        self.runs[0].give_up(UnitFailed("no"))
        self.failureResultOf(starting, UnitFailed)
        self.assertEqual([f.type for f in self.crew.failures], [UnitFailed])
        self.assertEqual(self.lost, [])

    def test_too_slow(self) -> None:
        """One that is not ready in time fails the start."""
        starting = self.unit.start(self.lost.append)
        self.clock.advance(30)
        error = self.failureResultOf(starting, NotReady).value
        self.assertEqual(str(error), "worker 1 was not ready in 30.0 s")

    def test_lost(self) -> None:
        """When one that is up ends, the unit is lost, for the worker's reason."""
        run = self.up()
        run.end()
        self.assertIs(self.lost[0].value, run.reason)
        self.assertEqual(self.unit.status(), {"pid": None})

    def test_stop(self) -> None:
        """Stopping has it quit; its end is no loss, but recorded."""
        run = self.up()
        stopping = self.unit.stop()
        self.assertEqual(run.told, ["quit"])
        self.assertNoResult(stopping)
        run.end()
        self.assertIs(self.successResultOf(stopping), run.reason)
        self.assertEqual((self.lost, self.clock.getDelayedCalls()), ([], []))

    def test_stop_takes_too_long(self) -> None:
        """One that does not quit is terminated, and then killed."""
        run = self.up()
        stopping = self.unit.stop()
        self.clock.advance(2.0 + QUIT_GRACE)
        self.assertEqual(run.told, ["quit", signal.SIGTERM])
        self.clock.advance(TERM_GRACE)
        self.assertEqual(run.told, ["quit", signal.SIGTERM, "kill"])
        self.successResultOf(stopping)

    def test_abort(self) -> None:
        """Aborting a stop kills it; without a stop it does nothing."""
        run = self.up()
        self.unit.abort()
        self.assertEqual(run.told, [])
        stopping = self.unit.stop()
        self.unit.abort()
        self.assertEqual(run.told, ["quit", "kill"])
        self.successResultOf(stopping)

    def test_stop_while_starting(self) -> None:
        """A start that is stopped is cancelled, and the worker quits."""
        starting = self.unit.start(self.lost.append)
        stopping = self.unit.stop()
        self.failureResultOf(starting, CancelledError)
        self.assertEqual(self.runs[0].told, ["quit"])
        self.runs[0].gone.close()
        self.successResultOf(stopping)
        self.assertEqual((self.crew.failures, self.clock.getDelayedCalls()), ([], []))

    def test_stop_when_down(self) -> None:
        """Stopping what does not run is done at once."""
        self.assertIsNone(self.successResultOf(self.unit.stop()))

    def test_requests(self) -> None:
        """What is asked of it goes to its worker."""
        run = self.up()
        self.successResultOf(self.unit.serve(9))
        self.successResultOf(self.unit.unlisten())
        self.successResultOf(self.unit.hook("reconfigure"))
        self.assertEqual(run.told, [("serve", 9), "unlisten", ("hook", "reconfigure")])

    def test_serve_before_it_is_ready(self) -> None:
        """A worker whose handler still starts is not told to accept before that
        has ended, and then once."""
        starting = self.unit.start(self.lost.append)
        (run,) = self.runs
        self.crew.fd = 9
        self.successResultOf(self.unit.serve(9))
        self.assertEqual(run.told, [])
        run.ready.callback(None)
        self.successResultOf(starting)
        self.assertEqual(run.told, [("serve", 9)])

    def test_cannot_serve(self) -> None:
        """A worker that cannot accept is killed, one that refuses is left alone;
        neither fails anybody's start."""
        run = self.up()
        for error in (CannotServe("it serves"), UnknownRemoteError("?")):
            self.assertNotIn("kill", run.told)
            run.answer = fail(error)
            self.successResultOf(self.unit.serve(9))
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
        self.assertEqual(run.told[-1], "kill")

    def test_clients(self) -> None:
        """Its clients are the worker's, if there is one."""
        self.assertEqual(self.successResultOf(self.unit.clients()), [])
        self.assertIs(self.successResultOf(self.unit.kick("7")), False)
        run = self.up()
        self.assertEqual(self.successResultOf(self.unit.clients()), [{"id": "7"}])
        self.assertIs(self.successResultOf(self.unit.kick("7")), True)
        self.assertEqual(run.told, [("kick", "7")])
        run.answer = fail(ConnectionLost())
        self.assertEqual(self.successResultOf(self.unit.clients()), [])

    def test_no_answer(self) -> None:
        """A worker that does not answer is not waited for longer than so."""
        run = self.up()
        for ask, limit in (
            (self.unit.clients, ANSWER_LIMIT),
            (lambda: self.unit.kick("7"), ANSWER_LIMIT),
            (lambda: self.unit.hook("reconfigure"), HOOK_LIMIT),
        ):
            run.answer = Deferred()
            asked: Deferred[Any] = ask()
            self.clock.advance(limit - 0.1)
            self.assertNoResult(asked)
            self.clock.advance(0.1)
            error = self.failureResultOf(asked, NotAnswering).value
            self.assertEqual(str(error), f"worker 1 has not answered in {limit:g} s")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """Its status says that it did not answer, until it does."""
        run = self.up()
        run.answer = Deferred()
        asked = self.unit.clients()
        self.clock.advance(ANSWER_LIMIT)
        self.failureResultOf(asked, NotAnswering)
        self.assertEqual(self.unit.status(), {"pid": 500, "silent": True, "clients": 1})
        run.answer = succeed(None)
        self.successResultOf(self.unit.clients())
        self.assertNotIn("silent", self.unit.status())

    def test_requests_to_nobody(self) -> None:
        """What is asked while there is no worker, or while it ends, is done."""
        self.successResultOf(self.unit.unlisten())
        self.up().answer = fail(ConnectionLost())
        self.assertIsNone(self.successResultOf(self.unit.hook("reconfigure")))
