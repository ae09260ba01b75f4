# -*- test-case-name: tests.supervise.test_process -*-
"""
The kind C{process}: one program that is kept alive, or run once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.config import RestartPolicy
from sockhost.interfaces import (
    ILoggingUnit,
    ISpawner,
    IUnitHost,
    IUnitKind,
    ProcessLost,
    SockhostError,
    UnitLost,
    UnitStuck,
)
from sockhost.processes.leftovers import Leftovers
from sockhost.processes.privileges import find_credentials
from sockhost.processes.spawner import Spawner
from sockhost.supervise.execution import Execution
from sockhost.supervise.launcher import Launcher
from sockhost.supervise.notify import VARIABLE, NotifySocket, notify_path
from sockhost.supervise.program import ProgramConfig, check_account, output_log
from sockhost.supervise.ready import Ready, check_in, when_ready

MARGIN = 30.0
"""Seconds to start in, besides those that a program's readiness may take."""

_MOST = 1e9


def _ready_here(instance: Any, _attribute: object, value: Ready | None) -> None:
    if value is not None:
        check_in(instance.cwd, value)


@frozen(kw_only=True)
class ProcessConfig(ProgramConfig):
    """
    A program that is kept alive.

    @ivar ready: when it is ready: one of C{connect}, C{notify} and C{delay};
        without, as soon as it is executed.  C{start_timeout} is by default at
        least 30 seconds more than what this may take.
    @ivar success: the exit codes that are no failure.
    @ivar oneshot: it is to end by itself: the unit is then done.  By default
        C{restart} is C{"on-failure"} then, and C{start_timeout} C{0}.
    """

    ready: Ready | None = field(default=None, validator=_ready_here)
    success: tuple[int, ...] = (0,)
    oneshot: bool = False


def notify_error(config: ProcessConfig, run_dir: str, name: str) -> str | None:
    """Say what is wrong with the path of the notify socket, if it has one."""
    if config.ready is None or not config.ready.notify:
        return None
    try:
        notify_path(run_dir, name)
    except ValueError as error:
        return str(error)
    return None


#: The keys that may change while the program runs.
_LIVE = ("stop_signal", "grace", "log_max_bytes", "log_backups", "ready", "success")


@implementer(ILoggingUnit)
@define(eq=False, kw_only=True)
class ProcessUnit:
    """
    A program and all that it starts, as a unit.

    @ivar name: the unit's name.
    @ivar config: its configuration.
    """

    _log = Logger()

    name: str
    config: ProcessConfig
    _launcher: Launcher
    _starting: Deferred[None] | None = None
    _run: Execution | None = None
    _notify: NotifySocket | None = None
    _stopping: bool = False

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """
        Execute the program, having ended what a killed host left of it, and
        wait until it is ready.
        """
        self._stopping = False
        self._starting = Deferred.fromCoroutine(self._start(lost))
        return self._starting

    def stop(self) -> Deferred[UnitLost | None]:
        """Ask the whole process group to end, and kill it after the grace."""
        self._stopping = True
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """Kill the process group now, if it is being stopped."""
        if not self._stopping:
            return
        self._launcher.abort()
        if self._run is not None:
            self._run.abort()

    def reload(self, config: ProcessConfig) -> Deferred[bool]:
        """Take what concerns the stop, the log and later starts; no more."""
        return Deferred.fromCoroutine(self._reload(config))

    def reopen_logs(self) -> None:
        """Open the log of the output again, after somebody moved it."""
        self._launcher.output.reopen()

    def status(self) -> Mapping[str, object]:
        """Describe the process."""
        run = self._run
        return {
            "pid": None if run is None else run.pid,
            "argv": list(self.config.argv),
            "log": self._launcher.output.path,
            "notified": None if self._notify is None else self._notify.status,
        }

    async def _start(self, lost: Callable[[Failure], None]) -> None:
        await self._launcher.reclaim(self.config)
        if self._stopping:
            raise CancelledError()
        try:
            run = self._execute()
            await self._become_ready(run)
        except BaseException as error:
            await self._end_failed(error)
            raise
        gone = run.gone.wait()
        gone.addCallback(lambda stuck: self._lost(run, stuck, lost))
        gone.addErrback(lambda failure: self._log.failure("telling of a loss", failure))

    def _execute(self) -> Execution:
        self._run = self._launcher.launch(self.config, self._open_notify())
        return self._run

    def _open_notify(self) -> dict[str, str]:
        if self.config.ready is None or not self.config.ready.notify:
            return {}
        path = notify_path(self._launcher.host.run_dir, self.name)
        self._notify = NotifySocket(self._launcher.host.reactor, path)
        self._notify.open(self._uid())
        return {VARIABLE: path}

    def _uid(self) -> int | None:
        with suppress(LookupError):  # of which the spawner tells better
            if self.config.user is not None:
                return find_credentials(self.config.user, self.config.group).uid
        return None

    async def _become_ready(self, run: Execution) -> None:
        config = self.config
        if config.oneshot:
            await run.gone.wait()
            raise run.loss(config.success)
        if config.ready is not None:
            reactor = self._launcher.host.reactor
            ready = when_ready(reactor, config.ready, config.cwd, self._notify)
            await _unless_exited(run, ready)
        if run.exited.fired:
            raise self._early_end(run)

    def _early_end(self, run: Execution) -> ProcessLost:
        loss = run.loss(())
        return ProcessLost(f"{loss} before it was ready", loss.code, loss.signal)

    def _lost(
        self,
        run: Execution,
        stuck: UnitStuck | None,
        lost: Callable[[Failure], None],
    ) -> None:
        if stuck is None:
            self._run = None
        self._close_notify()
        if not self._stopping:
            loss = run.loss(self.config.success)
            lost(Failure(loss if stuck is None else _both(loss, stuck)))

    async def _stop(self) -> UnitLost | None:
        await self._launcher.settled()
        if self._starting is not None:
            self._starting.cancel()
        return await self._end()

    async def _end(self) -> UnitLost | None:
        run = self._run
        stuck = None if run is None else await run.stop()
        self._close_notify()
        if stuck is not None:
            # The run is kept: the next stop tries to end what is left of it.
            raise stuck
        self._run = None
        return None if run is None else run.loss(self.config.success)

    async def _end_failed(self, error: BaseException) -> None:
        try:
            await self._end()
        except UnitStuck as stuck:
            raise _both(error, stuck) from error

    def _close_notify(self) -> None:
        if self._notify is not None:
            self._notify.close()
            self._notify = None

    async def _reload(self, config: ProcessConfig) -> bool:
        live = {key: getattr(config, key) for key in _LIVE}
        if evolve(self.config, **live) != config:
            return False
        self.config = config
        self._launcher.adjust(config, self._run)
        return True


def _longest(ready: object) -> float:
    # Of a table that may be wrong in any way, which is told elsewhere.
    given = ready if isinstance(ready, Mapping) else {}
    times = [given.get(key) for key in ("delay", "timeout")]
    numbers = [t for t in times if isinstance(t, (int, float)) and 0 < t < _MOST]
    return max(numbers, default=0.0)


def _both(error: BaseException, stuck: UnitStuck) -> UnitStuck:
    return UnitStuck("; ".join(filter(None, (str(error), str(stuck)))))


async def _unless_exited(run: Execution, ready: Deferred[None]) -> None:
    """Wait until a program is ready, but no longer than it runs."""
    exited = run.exited.wait()
    exited.addCallback(lambda _: ready.cancel())
    exited.addErrback(lambda failure: failure.trap(CancelledError))
    try:
        await ready
    except CancelledError:
        if not run.exited.fired:
            raise
    finally:
        exited.cancel()


@implementer(IPlugin, IUnitKind)
@define(eq=False)
class ProcessKind:
    """
    Makes L{ProcessUnit}s.

    @ivar spawner: makes the spawner from the reactor.
    """

    name = "process"
    config_class = ProcessConfig
    portable = False

    spawner: Callable[[Any], ISpawner] = field(default=Spawner)
    leftovers: Callable[[str], Leftovers] = field(default=Leftovers)

    def usual_policy(self, table: Mapping[str, Any]) -> RestartPolicy:
        """
        A one-shot may take its time, and is not repeated once it succeeded.
        Others have the time that their readiness may take, and some more.
        """
        if table.get("oneshot") is True:
            return RestartPolicy(restart="on-failure", start_timeout=0.0)
        usual = RestartPolicy()
        patience = _longest(table.get("ready")) + MARGIN
        return evolve(usual, start_timeout=max(usual.start_timeout, patience))

    def make(self, name: str, config: ProcessConfig, host: IUnitHost) -> ProcessUnit:
        """
        Make a unit.

        @raise SockhostError: there is no such user or group, or the path of its
            notify socket would be too long.
        """
        check_account(config)
        if error := notify_error(config, host.run_dir, name):
            raise SockhostError(error)
        launcher = Launcher(
            name=name,
            host=host,
            output=output_log(config, host.log_dir, name),
            spawner=self.spawner(host.reactor),
            leftovers=self.leftovers(host.run_dir),
        )
        return ProcessUnit(name=name, config=config, launcher=launcher)
