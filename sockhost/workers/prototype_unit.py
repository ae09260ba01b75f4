# -*- test-case-name: tests.workers.test_prototype_unit -*-
"""
The prototype as a unit: started, kept by a keeper, and started anew when it is
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import IUnit, NotReady, UnitLost
from sockhost.workers.latch import time_limit
from sockhost.workers.prototype_process import RunningPrototype

STOP_GRACE = 2.0
"""Seconds that a prototype has to exit when its host lets go of it."""


@implementer(IUnit)
class PrototypeUnit:
    """
    Runs one prototype at a time.

    @ivar timeout: seconds until a start fails with L{NotReady}; C{None} for
        no limit.
    """

    def __init__(
        self,
        clock: Any,
        launch: Callable[[], RunningPrototype],
        start_failed: Callable[[Failure], object],
    ) -> None:
        """
        @param launch: executes a prototype.
        @param start_failed: told of each start that failed.
        """
        self._clock = clock
        self._launch = launch
        self._start_failed = start_failed
        self.timeout: float | None = None
        self._run: RunningPrototype | None = None
        self._starting: Deferred[None] | None = None
        self._waiting: list[Deferred[RunningPrototype]] = []
        self._watching: Deferred[None] | None = None

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """Execute a prototype and wait until it has imported the handler."""
        self._starting = Deferred.fromCoroutine(self._start(lost))
        return self._starting

    def stop(self) -> Deferred[UnitLost | None]:
        """Let the prototype go; kill it if it does not go by itself."""
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """Kill the prototype if it is being stopped."""
        if self._run is not None and self._watching is None:
            self._run.kill()

    def reload(self, config: Any) -> Deferred[bool]:
        """A new configuration takes a new prototype."""
        return succeed(False)

    def status(self) -> Mapping[str, object]:
        """Say its process id."""
        return {"pid": self._run.pid if self._run is not None else None}

    def when_ready(self) -> Deferred[RunningPrototype]:
        """
        Wait for a prototype that can fork.

        @return: fires with it.  Cancelling ends the waiting.
        """
        if self._run is not None and self._run.usable:
            return succeed(self._run)
        waiter: Deferred[RunningPrototype] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        return waiter

    async def _start(self, lost: Callable[[Failure], None]) -> None:
        try:
            run = self._run = self._launch()
            late = NotReady(f"importing the handler took more than {self.timeout} s")
            with time_limit(self._clock, self.timeout, run.ready.errback, late):
                await run.ready
        except CancelledError:
            raise
        except Exception:
            failure = Failure()
            await self._end(kill=True)
            self._start_failed(failure)
            failure.raiseException()
        finally:
            self._starting = None
        self._watch(run, lost)
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(run)

    def _watch(self, run: RunningPrototype, lost: Callable[[Failure], None]) -> None:
        def gone(_none: None) -> None:
            self._run = self._watching = None
            assert run.ending is not None
            lost(Failure(run.ending))

        self._watching = run.gone.wait()
        self._watching.addCallback(gone)
        self._watching.addErrback(lambda failure: failure.trap(CancelledError))

    async def _stop(self) -> UnitLost | None:
        if self._starting is not None:
            self._starting.cancel()
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        # One that is importing does not listen.
        return await self._end(kill=self._run is not None and not self._run.usable)

    async def _end(self, kill: bool) -> UnitLost | None:
        run = self._run
        if run is None:
            return None
        run.release()
        grace = self._clock.callLater(0 if kill else STOP_GRACE, run.kill)
        await run.gone.wait()
        if grace.active():
            grace.cancel()
        if self._run is run:
            self._run = None
        return run.ending
