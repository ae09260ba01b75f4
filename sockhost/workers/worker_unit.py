# -*- test-case-name: tests.workers.test_worker_unit -*-
"""
A worker as a unit: forked, kept by a keeper, and forked anew when it is lost.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.protocols.amp import RemoteAmpError
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import IUnit, NotReady, SockhostError, UnitLost
from sockhost.status import Event
from sockhost.workers.latch import time_limit
from sockhost.workers.port import CannotServe
from sockhost.workers.prototype_process import RunningPrototype
from sockhost.workers.worker_run import PrototypeGone, WorkerRun

QUIT_GRACE = 5.0
"""Seconds that a worker has to quit, beyond those for draining."""

TERM_GRACE = 1.0
"""Seconds between C{SIGTERM} and C{SIGKILL} for one that does not."""

ANSWER_LIMIT = 5.0
"""Seconds that a worker has to say who is connected to it, or to drop one."""

HOOK_LIMIT = 60.0
"""Seconds that the hook of a worker's handler is waited for."""


class NotAnswering(SockhostError):
    """A worker does not answer: it is stopped, or busy without a pause."""


class Crew(Protocol):
    """What a worker needs of the unit that it belongs to."""

    def when_ready(self) -> Deferred[RunningPrototype]:
        """Fires with a prototype that can fork."""

    def listener(self) -> int | None:
        """The listening descriptor, or C{None} while there is none."""

    def publish(self, event: Event) -> None:
        """A worker has published an event."""

    def start_failed(self, failure: Failure) -> None:
        """
        A start of a worker or the prototype has failed.  Called from within
        that start: its keeper must not be called before this has returned.
        """


@implementer(IUnit)
class WorkerUnit:
    """
    Runs one worker at a time.

    @ivar index: its place, from 1.
    @ivar timeout: seconds from the fork until a start fails with L{NotReady};
        C{None} for no limit.
    """

    _log = Logger()

    def __init__(
        self,
        index: int,
        reactor: Any,
        crew: Crew,
        drain: float,
    ) -> None:
        """
        @param drain: seconds for what is in flight when it quits.
        """
        self.index = index
        self._reactor = reactor
        self._crew = crew
        self._drain = drain
        self.timeout: float | None = None
        self._run: WorkerRun | None = None
        self._starting: Deferred[None] | None = None
        self._watching: Deferred[None] | None = None
        self._stopping = False
        self._silent = False

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """Fork a worker and wait until it is ready, and serves if there is a
        socket already."""
        self._starting = Deferred.fromCoroutine(self._start(lost))
        return self._starting

    def stop(self) -> Deferred[UnitLost | None]:
        """Have the worker quit; end it if it does not."""
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """Kill the worker if it is being stopped."""
        if self._stopping and self._run is not None:
            self._run.kill()

    def reload(self, config: Any) -> Deferred[bool]:
        """A new configuration takes a new worker."""
        return succeed(False)

    def status(self) -> Mapping[str, object]:
        """
        Say its process id and what it has done, and whether it had no answer
        when it was last asked about its clients.
        """
        run = self._run
        if run is None:
            return {"pid": None}
        silent = {"silent": True} if self._silent else {}
        return {"pid": run.pid, **silent, **run.counters}

    def serve(self, listener: int) -> Deferred[None]:
        """
        Have the worker accept, if there is one that is ready.  One that is not
        yet is told when it is.

        @return: fires when it does, or has ended: its keeper sees to that.
        """
        return Deferred.fromCoroutine(self._serve(listener))

    def unlisten(self) -> Deferred[None]:
        """
        Have the worker accept no more, if there is one.

        @return: fires when it does not, or has ended.
        """
        return Deferred.fromCoroutine(self._ask(lambda run: run.unlisten()))

    def hook(self, name: str) -> Deferred[None]:
        """
        Run a hook of the worker's handler.

        @return: fires when that has ended, at once if there is no worker.
            Fails with L{HookFailed<sockhost.workers.port.HookFailed>}, and with
            L{NotAnswering} if it takes longer than L{HOOK_LIMIT}.
        """
        return Deferred.fromCoroutine(
            self._ask(lambda run: self._limited(run.hook(name), HOOK_LIMIT))
        )

    def clients(self) -> Deferred[list[dict[str, Any]]]:
        """
        Ask the worker who is connected to it.

        @return: fires with all, none if it has ended.  Fails with
            L{NotAnswering} if it does not say in L{ANSWER_LIMIT}.
        """
        return Deferred.fromCoroutine(self._clients())

    def kick(self, client: str) -> Deferred[bool]:
        """
        Have the worker drop a client.

        @return: fires with whether it was there; fails as L{clients}.
        """
        return Deferred.fromCoroutine(self._kick(client))

    async def _serve(self, listener: int) -> None:
        # Before the handler's startup has ended there is nobody to answer.
        run = self._run
        if run is None or not run.ready.called:
            return
        try:
            await self._ask(lambda run: run.serve(listener))
        except (RemoteAmpError, CannotServe) as error:
            # One worker that cannot is no reason to have none.  One that will
            # not does already, or ends.
            self._log.failure("worker {index} does not accept", index=self.index)
            if not isinstance(error, CannotServe):
                run.kill()

    async def _clients(self) -> list[dict[str, Any]]:
        try:
            found = await self._asked(lambda run: self._limited(run.clients()))
        except NotAnswering:
            self._silent = True
            raise
        self._silent = False
        return found or []

    async def _kick(self, client: str) -> bool:
        return bool(await self._asked(lambda run: self._limited(run.kick(client))))

    def _limited(
        self, answer: Deferred[Any], limit: float = ANSWER_LIMIT
    ) -> Deferred[Any]:
        def late(_result: object, _limit: float) -> Failure:
            text = f"worker {self.index} has not answered in {limit:g} s"
            return Failure(NotAnswering(text))

        return answer.addTimeout(limit, self._reactor, late)

    async def _start(self, lost: Callable[[Failure], None]) -> None:
        try:
            run = await self._fork()
        except CancelledError:
            raise
        except Exception:
            failure = Failure()
            await self._kill()
            self._crew.start_failed(failure)
            failure.raiseException()
        finally:
            self._starting = None
        self._watch(run, lost)

    async def _fork(self) -> WorkerRun:
        while True:
            prototype = await self._crew.when_ready()
            run = self._run = WorkerRun(f"worker {self.index}", self._crew.publish)
            run.begin(self._reactor, prototype, self.index)
            try:
                await self._until_ready(run)
            except PrototypeGone:
                await run.gone.wait()
                continue
            return run

    async def _until_ready(self, run: WorkerRun) -> None:
        text = f"worker {self.index} was not ready in {self.timeout} s"
        with time_limit(self._reactor, self.timeout, run.give_up, NotReady(text)):
            try:
                await run.ready
                listener = self._crew.listener()
                if listener is not None:
                    await run.serve(listener)
            except ConnectionClosed:
                await run.gone.wait()
                raise run.reason from None

    def _watch(self, run: WorkerRun, lost: Callable[[Failure], None]) -> None:
        def gone(_none: None) -> None:
            self._run = self._watching = None
            lost(Failure(run.reason))

        self._watching = run.gone.wait()
        self._watching.addCallback(gone)
        self._watching.addErrback(lambda failure: failure.trap(CancelledError))

    async def _ask(self, question: Callable[[WorkerRun], Deferred[Any]]) -> None:
        await self._asked(question)

    async def _asked(self, question: Callable[[WorkerRun], Deferred[Any]]) -> Any:
        try:
            return None if self._run is None else await question(self._run)
        except ConnectionClosed:
            # It is ending, and whoever watches it is told.
            return None

    async def _kill(self) -> None:
        # Kept until it is gone, as a stop that comes meanwhile waits for it too.
        run = self._run
        if run is not None:
            run.kill()
            await run.gone.wait()
            self._run = None

    async def _stop(self) -> UnitLost | None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._starting is not None:
            self._starting.cancel()
        run = self._run
        if run is None:
            return None
        self._stopping = True
        await self._quit(run)
        self._stopping = False
        self._run = None
        return run.reason if isinstance(run.reason, UnitLost) else None

    async def _quit(self, run: WorkerRun) -> None:
        # What matters is the worker's end, which its port's tells as well.
        run.quit().addErrback(lambda failure: failure.trap(ConnectionClosed))
        term = self._drain + QUIT_GRACE
        timers: list[IDelayedCall] = [
            self._reactor.callLater(term, run.signal, signal.SIGTERM),
            self._reactor.callLater(term + TERM_GRACE, run.kill),
        ]
        await run.gone.wait()
        for timer in timers:
            if timer.active():
                timer.cancel()
