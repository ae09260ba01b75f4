"""
Tests for L{sockhost.workers.pool}.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    PathInUse,
    UnitFailed,
    UnitLost,
    UnitStuck,
)
from sockhost.sockets import reach
from sockhost.status import Event
from sockhost.workers import pool
from sockhost.workers.pool import IMPORTS, NO_WORKER, WorkerSocketUnit
from sockhost.workers.port import HookFailed
from sockhost.workers.prototype_process import CannotImport
from sockhost.workers.worker_unit import NotAnswering
from tests.workers.hosts import socket_unit
from tests.workers.parts import Bound, Output, Part


class PoolCase(SynchronousTestCase):
    """A unit whose parts do what the test says."""

    def setUp(self) -> None:
        """Make a unit of parts in memory."""
        self.journal: list[str] = []
        self.workers: list[Part] = []
        self.outputs: list[Output] = []
        self.lost: list[Failure] = []
        self.bound: Any = Bound(self.journal)
        self.binds: list[Any] = []
        self.patch(pool, "PrototypeUnit", self._make_prototype)
        self.patch(pool, "WorkerUnit", self._make_worker)
        self.patch(reach, "bind_unix", self._bind)
        self.patch(pool, "OutputLog", self._make_output)
        self.clock = Clock()
        self.host, config = socket_unit(
            self.clock, "/run", handler="a:B", workers=2, mode="0640"
        )
        self.unit = WorkerSocketUnit("kv", config, self.host)

    def _make_prototype(self, _clock: Any, _launch: Any, failed: Any) -> Part:
        self.failed = failed
        self.prototype = Part("prototype", self.journal)
        return self.prototype

    def _make_worker(self, index: int, _clock: Any, _crew: Any, _drain: float) -> Part:
        self.workers.append(Part(f"worker {index}", self.journal, index))
        return self.workers[-1]

    def _make_output(self, path: str) -> Output:
        self.outputs.append(Output(path))
        return self.outputs[-1]

    def _bind(self, path: str, **options: Any) -> Any:
        if isinstance(self.bound, Exception):
            raise self.bound
        self.journal.append("bind")
        self.binds.append((path, options))
        return self.bound

    def parts(self) -> list[Part]:
        """The prototype and the workers."""
        return [self.prototype, *self.workers]

    def start(self) -> Deferred[None]:
        """Start the unit."""
        return self.unit.start(self.lost.append)

    def up(self) -> None:
        """Bring the unit up, and forget how."""
        starting = self.start()
        for part in self.parts():
            part.starting.callback(None)
        self.successResultOf(starting)
        self.journal.clear()

    def lose(self, part: Part, reason: str = "killed") -> None:
        """Lose a part, and let its keeper try again."""
        part.lost(Failure(UnitLost(reason)))
        self.clock.advance(0)


class WorkerSocketUnitTests(PoolCase):
    """Tests for L{WorkerSocketUnit}."""

    def test_interfaces(self) -> None:
        """It is a unit that listens, has hooks and writes a log."""
        for interface in (IListeningUnit, IHookedUnit, ILoggingUnit):
            self.assertTrue(verifyObject(interface, self.unit))
        self.assertFalse(self.successResultOf(self.unit.reload(None)))

    def test_listens_when_all_are_ready(self) -> None:
        """The socket is made when the last worker is ready; then all get it."""
        starting = self.start()
        for part in self.parts():
            self.assertNotIn("bind", self.journal)
            self.assertNoResult(starting)
            part.starting.callback(None)
        self.successResultOf(starting)
        self.assertEqual(
            self.journal[3:], ["bind", "serve worker 1 on 9", "serve worker 2 on 9"]
        )
        path, options = self.binds[0]
        self.assertEqual((path, options["mode"]), ("/run/kv.sock", 0o640))
        self.assertEqual(self.unit.listener(), 9)
        self.assertEqual(self.outputs[0].path, "/run/kv.log")

    def test_timeouts(self) -> None:
        """Import and start have half of the unit's time each."""
        self.start()
        self.assertEqual([part.timeout for part in self.parts()], [30.0] * 3)

    def test_no_timeouts(self) -> None:
        """A unit without a limit has none for its parts either."""
        self.host.units["kv"] = evolve(
            self.host.units["kv"], policy=RestartPolicy(start_timeout=0.0)
        )
        self.start()
        self.assertEqual([part.timeout for part in self.parts()], [None] * 3)

    def test_start_fails(self) -> None:
        """The first failure of a part fails the start, and stops all parts."""
        starting = self.start()
        failure = Failure(CannotImport("no module"))
        self.failed(failure)
        self.prototype.starting.errback(failure)
        self.assertNoResult(starting)
        self.clock.advance(0)
        self.failureResultOf(starting, CannotImport)
        self.assertIn("stop worker 1", self.journal)
        self.assertIn("stop worker 2", self.journal)
        self.assertEqual(self.outputs[0].done, ["close"])
        self.assertEqual((self.lost, self.clock.getDelayedCalls()), ([], []))

    def test_clients(self) -> None:
        """Clients have the number of their worker in front of their own."""
        self.up()
        self.assertEqual(
            self.successResultOf(self.unit.clients()),
            [{"id": "1.7", "pid": 1}, {"id": "2.7", "pid": 1}],
        )
        self.assertTrue(self.successResultOf(self.unit.kick("2.7")))
        self.assertEqual(self.journal, ["kick 7 of worker 2"])
        for name in ("1.8", "3.7", "7", ""):
            self.assertFalse(self.successResultOf(self.unit.kick(name)))

    def test_path_in_use(self) -> None:
        """If the socket cannot be made, all parts are stopped."""
        self.bound = PathInUse("somebody is there")
        starting = self.start()
        for part in self.parts():
            part.starting.callback(None)
        self.failureResultOf(starting, PathInUse)
        for part in self.parts():
            self.assertIn(f"stop {part.name}", self.journal)

    def test_worker_lost(self) -> None:
        """A worker that is lost is started again; the unit is not lost."""
        self.up()
        self.lose(self.workers[0])
        self.assertEqual(self.journal, ["start worker 1"])
        status: Any = self.unit.status()
        self.assertEqual(
            [worker["state"] for worker in status["workers"]], ["starting", "up"]
        )
        self.assertEqual([w["restarts"] for w in status["workers"]], [1, 0])
        self.assertEqual(self.lost, [])

    def test_prototype_lost(self) -> None:
        """A lost prototype is started again, and the socket stays."""
        self.up()
        self.lose(self.prototype)
        self.assertEqual(self.journal, ["start prototype"])
        self.assertEqual(self.unit.listener(), 9)

    def test_import_fails_later(self) -> None:
        """When a new prototype cannot import several times, the unit is lost."""
        self.up()
        self.lose(self.prototype)
        for attempt in range(IMPORTS):
            self.assertEqual((self.prototype.starts, self.lost), (attempt + 2, []))
            failure = Failure(CannotImport("no module"))
            self.failed(failure)
            self.prototype.starting.errback(failure)
            self.clock.advance(0)
            if attempt < IMPORTS - 1:
                self.clock.advance(2)
        self.assertEqual([str(f.value) for f in self.lost], ["no module"])
        self.assertIn("unlink", self.journal)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_import_succeeds_meanwhile(self) -> None:
        """Failed imports with good ones between them are not counted together."""
        self.up()
        for _attempt in range(IMPORTS + 1):
            self.lose(self.prototype)
            failure = Failure(CannotImport("no module"))
            self.failed(failure)
            self.prototype.starting.errback(failure)
            self.clock.advance(2)
            self.prototype.starting.callback(None)
            self.clock.advance(20)
        self.assertEqual(self.lost, [])

    def test_no_worker(self) -> None:
        """Without any worker for a while, the unit is lost, with the reason."""
        self.up()
        for worker in self.workers:
            self.lose(worker)
            failure = Failure(UnitFailed("no memory"))
            self.unit.start_failed(failure)
            worker.starting.errback(failure)
        self.clock.advance(NO_WORKER)
        self.assertIn("no worker has been up for 30 s", str(self.lost[0].value))
        self.assertIn("no memory", str(self.lost[0].value))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_worker_is_enough(self) -> None:
        """While one worker is up, the unit is not lost."""
        self.up()
        self.lose(self.workers[0])
        self.lose(self.workers[1])
        self.clock.advance(NO_WORKER - 1)
        self.workers[1].starting.callback(None)
        self.clock.advance(NO_WORKER)
        self.assertEqual(self.lost, [])

    def test_stop(self) -> None:
        """The socket goes first, then the workers together, then the prototype."""
        self.up()
        self.workers[0].stopping = Deferred()
        stopping = self.unit.stop()
        self.assertEqual(
            self.journal, ["unlink", "close", "stop worker 1", "stop worker 2"]
        )
        self.assertIsNone(self.unit.listener())
        self.assertNoResult(stopping)
        self.workers[0].stopping.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.journal[4:], ["stop prototype"])
        self.assertEqual(self.outputs[0].done, ["close"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_fails(self) -> None:
        """If something of a worker is left, so says the stop."""
        self.up()
        self.workers[0].stopping = fail(UnitFailed("it will not go"))
        failure = self.failureResultOf(self.unit.stop(), UnitFailed)
        self.assertIn("it will not go", str(failure.value))
        self.assertIn("stop prototype", self.journal)
        self.flushLoggedErrors(UnitFailed)

    def test_socket_remains(self) -> None:
        """If the socket cannot be removed, all else is stopped all the same."""
        self.up()

        def unlink(_bound: Bound) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(Bound, "unlink", unlink)
        self.failureResultOf(self.unit.stop(), PermissionError)
        self.assertEqual(
            self.journal, ["close", "stop worker 1", "stop worker 2", "stop prototype"]
        )

    def test_lost_and_stuck(self) -> None:
        """If something of a unit that gives up is left, its keeper hears of that."""
        self.up()
        self.workers[0].stopping = fail(UnitFailed("it will not go"))
        for worker in self.workers:
            self.lose(worker)
        self.clock.advance(NO_WORKER)
        (failure,) = self.lost
        failure.trap(UnitStuck)
        self.assertIn("no worker has been up for 30 s", str(failure.value))
        self.assertIn("it will not go", str(failure.value))
        self.flushLoggedErrors(UnitFailed)

    def test_stop_during_start(self) -> None:
        """Stopping a unit that starts cancels the start."""
        starting = self.start()
        self.successResultOf(self.unit.stop())
        self.failureResultOf(starting, CancelledError)
        self.assertIn("stop prototype", self.journal)
        self.assertNotIn("bind", self.journal)

    def test_stop_while_it_is_being_lost(self) -> None:
        """A stop that comes while it ends by itself waits for that end, and it is
        no loss any more."""
        self.up()
        for worker in self.workers:
            self.lose(worker)
        self.workers[0].stopping = Deferred()
        self.clock.advance(NO_WORKER)
        stopping = self.unit.stop()
        self.assertNoResult(stopping)
        self.workers[0].stopping.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.lost, [])

    def test_start_again(self) -> None:
        """A unit that was stopped can be started again."""
        self.up()
        self.successResultOf(self.unit.stop())
        self.up()
        self.assertEqual(self.unit.listener(), 9)

    def test_unlisten(self) -> None:
        """The socket goes and the workers accept no more, but nothing stops."""
        self.up()
        self.unit.unlisten()
        self.assertEqual(
            self.journal,
            ["unlink", "close", "unlisten worker 1", "unlisten worker 2"],
        )

    def test_abort(self) -> None:
        """Aborting goes to the parts that are being stopped."""
        self.up()
        self.workers[0].stopping = Deferred()
        stopping = self.unit.stop()
        self.journal.clear()
        self.unit.abort()
        self.assertEqual(self.journal, ["abort worker 1"])
        self.workers[0].stopping.callback(None)
        self.successResultOf(stopping)

    def test_run_hook(self) -> None:
        """A hook runs in every worker, and its first failure is told."""
        self.up()
        self.workers[0].hooked = fail(HookFailed("no"))
        self.failureResultOf(self.unit.run_hook("reconfigure"), HookFailed)
        self.assertEqual(self.journal, ["reconfigure worker 1", "reconfigure worker 2"])
        self.workers[0].hooked = succeed(None)
        self.successResultOf(self.unit.run_hook("reconfigure"))

    def test_run_hook_at_once(self) -> None:
        """A worker whose hook takes its time does not hold up the others."""
        self.up()
        hooked: Deferred[None] = Deferred()
        self.workers[0].hooked = hooked
        running = self.unit.run_hook("reconfigure")
        self.assertEqual(self.journal, ["reconfigure worker 1", "reconfigure worker 2"])
        self.assertNoResult(running)
        hooked.callback(None)
        self.successResultOf(running)

    def test_clients_of_one_that_hangs(self) -> None:
        """The clients of a worker that does not answer are left out."""
        self.up()
        self.workers[0].described = fail(NotAnswering("worker 1 hangs"))
        with capturedLogs() as logs:
            found = self.successResultOf(self.unit.clients())
        self.assertEqual(found, [{"id": "2.7", "pid": 1}])
        self.assertEqual([formatEvent(one) for one in logs], ["kv: worker 1 hangs"])
        self.workers[0].described = fail(ZeroDivisionError())
        self.failureResultOf(self.unit.clients(), ZeroDivisionError)

    def test_run_hook_defects(self) -> None:
        """Whatever a hook raises, each is told or logged, and all have run."""
        self.up()
        self.workers[0].hooked = fail(ZeroDivisionError())
        self.workers[1].hooked = fail(ConnectionError())
        self.failureResultOf(self.unit.run_hook("reconfigure"), ZeroDivisionError)
        self.assertEqual(self.journal, ["reconfigure worker 1", "reconfigure worker 2"])
        self.assertEqual(len(self.flushLoggedErrors(ConnectionError)), 1)
        self.assertEqual(self.flushLoggedErrors(ZeroDivisionError), [])

    def test_reopen_logs(self) -> None:
        """The log file is opened again, if there is one."""
        self.unit.reopen_logs()
        self.up()
        self.unit.reopen_logs()
        self.assertEqual(self.outputs[0].done, ["reopen"])

    def test_publish(self) -> None:
        """What a worker publishes goes to the host."""
        event = Event(at=1.0, event="seen")
        self.unit.publish(event)
        self.assertEqual(self.host.events, [event])
