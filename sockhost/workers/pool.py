# -*- test-case-name: tests.workers.test_pool,tests.workers.test_pool_stop -*-
"""
A socket that is served by several workers: the unit behind C{workers = N}.

The host owns the listening socket and never accepts on it.  So it outlives
each worker and the prototype: while there is none, clients wait in its backlog.
The prototype and each worker have their own keepers, and this unit only fails
when those cannot do their work: when the handler cannot be imported any more,
or when no worker has come up for a while.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    FirstError,
    gatherResults,
    succeed,
)
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    IClientsUnit,
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    ISpawner,
    IUnitHost,
    UnitLost,
    UnitStuck,
)
from sockhost.keeper import Keeper
from sockhost.processes import Spawner
from sockhost.processes.output import OutputLog
from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.reach import open_socket
from sockhost.sockets.settings import SocketConfig
from sockhost.status import Event, State
from sockhost.workers.prototype_process import CannotImport, RunningPrototype
from sockhost.workers.prototype_unit import PrototypeUnit
from sockhost.workers.spec import make_spec
from sockhost.workers.worker_unit import NotAnswering, WorkerUnit

POLICY = RestartPolicy(backoff_max=0.5, healthy_after=2.0, budget=0, start_timeout=0.0)
"""
How soon a prototype or a worker is started again; their units time the start.
A fork is cheap and clients are waiting, so the waits are short; but code that
ends each worker at once must not cost more than a few forks a second.
"""

IMPORTS = 3
"""How often in a row a lost prototype may fail to import the handler."""

NO_WORKER = 30.0
"""Seconds without any worker after which the unit counts as lost."""


@implementer(IListeningUnit, IHookedUnit, ILoggingUnit, IClientsUnit)
class WorkerSocketUnit:
    """A framed socket that N workers serve."""

    _log = Logger()

    def __init__(
        self,
        name: str,
        config: SocketConfig,
        host: IUnitHost,
        spawner: ISpawner | None = None,
    ) -> None:
        """@param spawner: executes the prototype."""
        reactor = host.reactor
        self._name = name
        self._config = config
        self._host = host
        self._reactor = reactor
        self._spawner = spawner or Spawner(reactor)
        self._output: OutputLog | None = None
        self._bound: BoundSocket | None = None
        self._lost: Callable[[Failure], None] | None = None
        self._starting: Deferred[None] | None = None
        self._arriving: Deferred[None] | None = None
        self._ending: list[Deferred[None]] = []
        self._judging: IDelayedCall | None = None
        self._deserted: IDelayedCall | None = None
        self._imports = 0
        self._trouble = "none could be started"
        self._prototype = PrototypeUnit(reactor, self._launch, self.start_failed)
        self._prototype_keeper = Keeper(
            f"{name} prototype", self._prototype, POLICY, reactor, self._prototype_news
        )
        self._workers = [
            WorkerUnit(index, reactor, self, config.drain)
            for index in range(1, config.workers + 1)
        ]
        self._keepers = [
            Keeper(f"{name} worker {unit.index}", unit, POLICY, reactor, self._news)
            for unit in self._workers
        ]

    # -- what its keeper calls ----------------------------------------------

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """
        Import the handler in a prototype, fork the workers, and when all of
        them are ready listen.
        """
        self._starting = Deferred.fromCoroutine(self._start(lost))
        return self._starting

    def stop(self) -> Deferred[UnitLost | None]:
        """Remove the socket, then have the workers quit."""
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """Kill the workers that are quitting."""
        for keeper in (*self._keepers, self._prototype_keeper):
            keeper.abort()

    def reload(self, config: Any) -> Deferred[bool]:
        """New workers are needed for any change."""
        return succeed(False)

    def status(self) -> Mapping[str, object]:
        """Describe the prototype and each worker."""
        return {
            "path": self._config.where,
            "prototype": _describe(self._prototype_keeper),
            "workers": [
                {"index": index, **_describe(keeper)}
                for index, keeper in enumerate(self._keepers, 1)
            ],
        }

    # -- what the host may call besides -------------------------------------

    def unlisten(self) -> None:
        """Remove the socket; the workers accept no more."""
        self._close_socket()
        for unit in self._workers:
            unit.unlisten()

    def run_hook(self, name: str) -> Deferred[None]:
        """
        Run a hook of the handler in all workers at once.

        @return: fires when it has ended in all of them; fails as in the first
            of those where it failed, and the others are logged.
        """
        return Deferred.fromCoroutine(self._run_hook(name))

    def clients(self) -> Deferred[Sequence[Mapping[str, object]]]:
        """
        Describe the clients of all workers.  The number of the worker stands
        in front of the number that the worker has for a client: C{"2.17"}.
        One that does not answer is logged, and C{silent} in the status.
        """
        return Deferred.fromCoroutine(self._clients())

    def kick(self, client: str) -> Deferred[bool]:
        """Have the worker that has a client drop it."""
        place, _, number = client.partition(".")
        for unit in self._workers:
            if str(unit.index) == place:
                return unit.kick(number)
        return succeed(False)

    def reopen_logs(self) -> None:
        """Open the log file of the unit again."""
        if self._output is not None:
            self._output.reopen()

    # -- what the workers need ----------------------------------------------

    def when_ready(self) -> Deferred[RunningPrototype]:
        """Wait for a prototype that can fork."""
        return self._prototype.when_ready()

    def listener(self) -> int | None:
        """The listening descriptor, or C{None} while there is none."""
        return self._bound.fileno() if self._bound is not None else None

    def publish(self, event: Event) -> None:
        """A worker has published an event."""
        self._host.publish(event)

    def start_failed(self, failure: Failure) -> None:
        """A start of a worker or the prototype has failed."""
        self._trouble = f"the last one failed: {failure.getErrorMessage()}"
        # Not now: the keeper that is starting it would be stopped from within.
        if self._judging is None:
            self._judging = self._reactor.callLater(0, self._judge, failure)

    # -- coming up ----------------------------------------------------------

    async def _start(self, lost: Callable[[Failure], None]) -> None:
        try:
            await self._bring_up()
        except CancelledError:
            raise
        except Exception:
            failure = Failure()
            await self._take_down()
            failure.raiseException()
        finally:
            self._starting = None
        self._lost = lost

    async def _bring_up(self) -> None:
        self._set_timeouts()
        self._output = OutputLog(os.path.join(self._host.log_dir, f"{self._name}.log"))
        await self._all_ready()
        # Only now: nobody can connect before there is somebody to answer.
        self._bound = open_socket(self._config)
        listener = self._bound.fileno()
        _raise_first(await self._ask_all(lambda unit: unit.serve(listener)))

    def _set_timeouts(self) -> None:
        # Half of what the whole unit has for each of its two steps, so that a
        # step that takes too long is named before the keeper of all loses
        # patience.
        limit = self._host.unit_config(self._name).policy.start_timeout
        self._prototype.timeout = limit / 2 if limit else None
        for unit in self._workers:
            unit.timeout = self._prototype.timeout

    async def _all_ready(self) -> None:
        arriving = self._arriving = Deferred()
        keepers = (self._prototype_keeper, *self._keepers)
        all_up = gatherResults([keeper.start() for keeper in keepers], True)
        all_up.addCallbacks(lambda _all: arriving.callback(None), _not_meant)
        try:
            await arriving
        finally:
            self._arriving = None

    def _judge(self, failure: Failure) -> None:
        self._judging = None
        if self._arriving is not None:
            return self._arriving.errback(failure)
        if failure.check(CannotImport):
            self._imports += 1
            if self._imports >= IMPORTS:
                self._give_up(failure.getErrorMessage())
        return None

    def _launch(self) -> RunningPrototype:
        assert self._output is not None
        return RunningPrototype(
            self._reactor,
            self._spawner,
            make_spec(self._name, self._config, self._host),
            self._output.write,
        )

    # -- staying up ---------------------------------------------------------

    def _prototype_news(self, keeper: Keeper) -> None:
        if keeper.state is State.UP:
            self._imports = 0

    def _news(self, _keeper: Keeper) -> None:
        served = any(keeper.state is State.UP for keeper in self._keepers)
        if served and self._deserted is not None:
            self._deserted.cancel()
            self._deserted = None
        elif not served and self._deserted is None and self._bound is not None:
            self._deserted = self._reactor.callLater(NO_WORKER, self._no_worker)

    def _no_worker(self) -> None:
        self._deserted = None
        self._give_up(f"no worker has been up for {NO_WORKER:g} s; {self._trouble}")

    def _give_up(self, reason: str) -> None:
        if self._lost is not None:
            Deferred.fromCoroutine(self._end_and_tell(reason))

    async def _end_and_tell(self, reason: str) -> None:
        loss: Exception = UnitLost(reason)
        try:
            await self._take_down()
        except Exception as error:
            self._log.failure("{unit} did not end", unit=self._name)
            loss = UnitStuck(f"{reason}; what is left does not end: {error}")
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(Failure(loss))

    # -- going down ---------------------------------------------------------

    async def _stop(self) -> UnitLost | None:
        self._lost = None
        if self._starting is not None:
            self._starting.cancel()
        await self._take_down()
        return None

    def _take_down(self) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._ending.append(waiter)
        if len(self._ending) == 1:
            Deferred.fromCoroutine(self._end()).addBoth(self._ended)
        return waiter

    def _ended(self, result: Failure | None) -> None:
        waiting, self._ending = self._ending, []
        for waiter in waiting:
            waiter.callback(result)

    async def _end(self) -> None:
        failures: list[Failure] = []
        try:
            self._close_socket()
        except Exception:
            failures.append(Failure())
        for timer in (self._judging, self._deserted):
            if timer is not None:
                timer.cancel()
        self._judging = self._deserted = None
        workers = [keeper.stop() for keeper in self._keepers]
        stopped: list[Any] = await DeferredList(workers, consumeErrors=True)
        # Also if one of them could not be stopped: with the prototype they die.
        prototype = [self._prototype_keeper.stop()]
        stopped += await DeferredList(prototype, consumeErrors=True)
        if self._output is not None:
            self._output.close()
            self._output = None
        _raise_first([*failures, *(how for _, how in stopped)])

    async def _clients(self) -> Sequence[Mapping[str, object]]:
        found = await self._ask_all(lambda unit: unit.clients())
        described = []
        for unit, answer in zip(self._workers, found, strict=True):
            if not isinstance(answer, Failure):
                described += [
                    {**client, "id": f"{unit.index}.{client['id']}"}
                    for client in answer
                ]
            elif answer.check(NotAnswering):
                reason = answer.getErrorMessage()
                self._log.warn("{unit}: {reason}", unit=self._name, reason=reason)
            else:
                answer.raiseException()
        return described

    async def _ask_all(self, question: Callable[[WorkerUnit], Any]) -> list[Any]:
        # All at once, so that one that hangs does not hold up the others.
        asked = [question(unit) for unit in self._workers]
        return [result for _, result in await DeferredList(asked, consumeErrors=True)]

    async def _run_hook(self, name: str) -> None:
        results = await self._ask_all(lambda unit: unit.hook(name))
        failures = [result for result in results if isinstance(result, Failure)]
        # The caller logs the one that it is told of.
        for other in failures[1:]:
            self._log.failure("{hook} of {unit}", other, hook=name, unit=self._name)
        if failures:
            failures[0].raiseException()

    def _close_socket(self) -> None:
        bound, self._bound = self._bound, None
        if bound is not None:
            try:
                bound.unlink()
            finally:
                bound.close()


def _describe(keeper: Keeper) -> dict[str, Any]:
    status = keeper.status()
    return {
        "state": status.state.value,
        "since": status.since,
        "restarts": status.restarts,
        "reason": status.reason,
        **status.details,
    }


def _raise_first(results: Iterable[Any]) -> None:
    for result in results:
        if isinstance(result, Failure):
            result.raiseException()


def _not_meant(failure: Failure) -> None:
    # Each failed start was reported when it failed; here the keepers are told
    # to stop because of one.
    failure.trap(FirstError)
