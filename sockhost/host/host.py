# -*- test-case-name: tests.host.test_host -*-
"""
The host: keepers in start order, the run directory, the signals, the control
API, the exit status.

L{Host.run} is the whole life of a host, from the lock on the run directory to
the removal of the pid file, in the order that the documentation promises.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

import sockhost
from sockhost.config import Config
from sockhost.control.server import ControlServer
from sockhost.host.around import Surroundings
from sockhost.host.change import reconfigure
from sockhost.host.end import End
from sockhost.host.events import HostEvents
from sockhost.host.exit import ExitStatus
from sockhost.host.hooks import HostHooks, run_unit_hooks
from sockhost.host.leftbehind import LeftBehind
from sockhost.host.lock import run_dir_lock
from sockhost.host.log import announce
from sockhost.host.lookout import Lookout
from sockhost.host.once import Coalesced
from sockhost.host.process import HostProcess
from sockhost.host.signals import Signals, host_handlers
from sockhost.host.units import Units, state_event
from sockhost.interfaces import (
    HostLocked,
    IHost,
    ILoggingUnit,
    INotifier,
    IUnitKind,
    NoSuchUnit,
    SockhostError,
    StartupFailed,
)
from sockhost.keeper import Keeper
from sockhost.processes.leftovers import Leftovers
from sockhost.status import Event, HostStatus, Phase, UnitStatus
from sockhost.workers.latch import Latch

__all__ = ["ExitStatus", "Host"]


@implementer(IHost)
class Host:
    """
    One host on one run directory.  It is run once.

    @ivar phase: what it is doing.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        read_again: Callable[[], Config],
        kinds: Mapping[str, IUnitKind],
        surroundings: Surroundings | None = None,
        signals: Signals | None = None,
    ) -> None:
        """
        @param config: what to run.
        @param read_again: reads the configuration anew, whole and strictly;
            raises L{ConfigError<sockhost.interfaces.ConfigError>}.
        @param signals: the signals of the process; C{None} to leave them.
        """
        self.reactor = reactor
        self.phase = Phase.STARTING
        self._config = config
        self._read_again = read_again
        self._kinds = kinds
        self._around = surroundings or Surroundings()
        self._started = time.time()
        self._lock = run_dir_lock(self.run_dir)
        self._locked = False
        self._notifiers = HostEvents(reactor, config.host.notify)
        self._units = Units(self, kinds, reactor, self._unit_changed)
        self._lookout = Lookout(
            reactor, config.host, self._units, self._be_ready, self._finish
        )
        self._startup_over = Latch()
        self._end = End()
        self._left = LeftBehind(reactor, Leftovers(self.run_dir))
        self._hooks = HostHooks(config.host.lifecycle, self.config_dir)
        self._control = ControlServer(
            self, reactor, config.host.control, self.run_dir, exposition=_exposition
        )
        self._process = HostProcess(reactor, self.log_dir, signals, self.log_level)
        self._reconfiguring = Coalesced(self._reconfigure)

    # -- the whole life -----------------------------------------------------

    def acquire(self) -> None:
        """
        Lock the run directory: the first thing that a host does.

        @raise HostLocked: another host has it; nothing was touched.
        @raise StartupFailed: it is not to be trusted; nothing was touched.
        @raise OSError: it cannot be made or written.
        """
        self._lock.acquire()
        self._locked = True

    def run(self) -> Deferred[ExitStatus]:
        """
        Live.  The lock is taken if L{acquire} was not called.

        @return: fires with the exit status when nothing of the host is left.
            Fails only when it is cancelled, which is like L{shutdown}, but at
            once: whoever cancels it does not hear of the end.
        """
        result: Deferred[ExitStatus] = Deferred(lambda _: self.shutdown("cancelled"))

        def end(status: ExitStatus) -> None:
            if not result.called:
                result.callback(status)

        living = Deferred.fromCoroutine(self._live())
        living.addErrback(self._died).addCallback(end)
        return result

    async def _live(self) -> ExitStatus:
        if not self._locked:
            try:
                self.acquire()
            except (SockhostError, OSError) as error:
                return self._not_locked(error)
        try:
            return await self._live_locked()
        finally:
            self._lock.release()
            self._around.close()

    def _not_locked(self, error: Exception) -> ExitStatus:
        self._around.failed(str(error))
        self.log.error("{reason}", reason=str(error))
        locked = isinstance(error, HostLocked)
        return ExitStatus.LOCKED if locked else ExitStatus.STARTUP_FAILED

    async def _live_locked(self) -> ExitStatus:
        by_signal = self._reconfigure_by_signal
        handlers = host_handlers(self.shutdown, by_signal, self._hang_up)
        try:
            try:
                self._process.take(handlers)
                self._watch()
                await self._start()
            except (StartupFailed, CancelledError) as error:
                self._fail_start(error)
            except (Exception, SystemExit) as error:
                # Units may run already: their stop is in order, too.
                self.log.failure("the host met a defect")
                self._fail_start(error)
            self._startup_over.close()
            status = await self._end.when
            await self._stop()
            return status
        finally:
            await self._control.stop()
            await self._notifiers.finish()
            self._process.give_back()

    def _died(self, failure: Any) -> ExitStatus:
        self.log.failure("the host met a defect", failure)
        self._around.failed(failure.getErrorMessage())
        return ExitStatus.STARTUP_FAILED

    def _hang_up(self) -> None:
        self.reopen_logs()
        self._reconfigure_by_signal("SIGHUP")

    def _reconfigure_by_signal(self, name: str) -> None:
        self.reconfigure(name).addErrback(self._blame_signal, name)

    def _blame_signal(self, failure: Any, name: str) -> None:
        # What is wrong with the configuration was logged where it was found.
        if not failure.check(SockhostError):
            self.log.failure("{signal} met a defect", failure, signal=name)

    # -- start --------------------------------------------------------------

    async def _start(self) -> None:
        for problem in self._config.problems:
            self.log.error("{problem}", problem=str(problem))
        self._units.load(self._config)
        try:
            self._control.start()
        except (SockhostError, OSError) as error:
            raise StartupFailed(f"no control socket: {error}") from error
        self._left.end(self._config)
        try:
            # The watched process may be gone already.
            if self._end.status is None:
                await self._hooks.startup()
        finally:
            await self._left.gone()
        if self._end.status is not None:
            return
        self._lookout.begin(self._units.start_enabled())

    def _watch(self) -> None:
        def gone() -> None:
            self._finish(ExitStatus.WATCHED_PID_GONE, "the watched process is gone")

        self._around.watch(self.reactor, gone)

    def _fail_start(self, error: BaseException) -> None:
        if self._end.come(ExitStatus.STARTUP_FAILED, str(error)):
            self.log.error("startup failed: {reason}", reason=str(error))
            self._around.failed(str(error))

    def _unit_changed(self, keeper: Keeper) -> None:
        self.publish(state_event(keeper))
        self._lookout.changed()

    def _be_ready(self) -> None:
        self.phase = Phase.READY
        self._around.ready()
        self.publish(Event(at=time.time(), event="ready"))
        announce(self.log, self._units.status(), self.run_dir)
        self._hooks.wait(self._finish)

    # -- stop ---------------------------------------------------------------

    def _finish(self, status: ExitStatus, reason: str) -> None:
        if self._end.come(status, reason):
            self.log.info("shutting down: {reason}", reason=reason)
            self._lookout.end()
            self._hooks.cancel()

    async def _stop(self) -> None:
        self.phase = Phase.STOPPING
        self._lookout.end()
        self._around.stopping(self._end.reason)
        self.publish(
            Event(at=time.time(), event="stopping", fields={"reason": self._end.reason})
        )
        # First: a unit that is started again would listen again.
        self._units.conclude(self._end.reason)
        self._units.unlisten()
        await self._units.stop_all(self._end.reason)
        await self._hooks.shutdown()

    # -- IUnitHost ----------------------------------------------------------

    @property
    def run_dir(self) -> str:
        return self._config.host.run_dir

    @property
    def log_dir(self) -> str:
        return self._config.host.log_dir

    @property
    def config_dir(self) -> str:
        return os.path.dirname(self._config.path)

    @property
    def log_level(self) -> str:
        return self._config.host.log_level

    def use(self, name: str) -> Any:
        return self._units.client(name)

    def publish(self, event: Event) -> None:
        self._notifiers.publish(event)

    def child_kind(self, name: str) -> IUnitKind:
        try:
            return self._kinds[name]
        except KeyError:
            raise SockhostError(f"there is no kind {name!r}") from None

    def unit_config(self, name: str) -> Any:
        try:
            return self._units.configs[name]
        except KeyError:
            raise NoSuchUnit(name, list(self._units.configs)) from None

    # -- IHost --------------------------------------------------------------

    def status(self) -> HostStatus:
        return HostStatus(
            name=self._config.host.name,
            version=sockhost.__version__,
            pid=os.getpid(),
            phase=self.phase,
            started=self._started,
            config=self._config.path,
            run_dir=self.run_dir,
            control=self._config.host.control,
            problems=tuple(str(problem) for problem in self._config.problems),
            units=self._units.status(),
        )

    def unit_status(self, name: str) -> UnitStatus:
        return self._units.keeper(name).status()

    def log_path(self, name: str) -> str:
        self._units.keeper(name)
        return os.path.join(self.log_dir, f"{name}.log")

    def start(self, name: str, asked_by: str) -> Deferred[None]:
        return self._if_alive(self._units.start, name)

    def stop(self, name: str, asked_by: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._units.stop(name, asked_by))

    def restart(self, name: str, asked_by: str) -> Deferred[None]:
        return self._if_alive(self._units.restart, name, asked_by)

    def reload(self, name: str, asked_by: str) -> Deferred[bool]:
        return self._if_alive(self._units.reload, name, asked_by)

    def clients(self, name: str) -> Deferred[Sequence[Mapping[str, object]]]:
        return Deferred.fromCoroutine(self._units.clients(name))

    def kick(self, name: str, client: str, asked_by: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._units.kick(name, client))

    def reconfigure(self, asked_by: str) -> Deferred[Mapping[str, Sequence[str]]]:
        return self._reconfiguring.call(asked_by)

    def reopen_logs(self) -> None:
        self._process.reopen_log()
        for name, unit in self._units.hooked(ILoggingUnit):
            try:
                unit.reopen_logs()
            except Exception:
                self.log.failure("{unit} did not reopen its log", unit=name)
        Deferred.fromCoroutine(self._hooks.reopen_logs())
        run_unit_hooks(self._units, "reopen_logs")
        self.log.info("logs are reopened")

    def shutdown(self, asked_by: str) -> None:
        if self._end.status is None:
            self._finish(ExitStatus.CLEAN, asked_by)
        else:
            self.log.info("{who}: no more grace", who=asked_by)
            self._units.hurry()
            self._hooks.hurry()
            self._left.hurry()

    def subscribe(self, notifier: INotifier) -> Callable[[], None]:
        return self._notifiers.subscribe(notifier)

    def _if_alive(self, work: Callable[..., Any], *args: str) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._while_alive(work, *args))

    async def _while_alive(self, work: Callable[..., Any], *args: str) -> Any:
        # No unit is started before the startup hook has ended.
        await self._startup_over.wait()
        if self._end.status is not None:
            raise SockhostError("the host is shutting down")
        return await work(*args)

    # -- reconfigure --------------------------------------------------------

    async def _reconfigure(self, asked_by: str) -> Mapping[str, Sequence[str]]:
        await self._startup_over.wait()
        if self._end.status is not None:
            raise SockhostError("the host is shutting down")
        self.log.info("{who} has the configuration read again", who=asked_by)
        tells = self.phase is Phase.READY
        if tells:
            self._around.systemd.reloading()
        try:
            self._config, found = await reconfigure(
                self._units, self._config, self._read_again, asked_by
            )
        finally:
            if tells and self.phase is Phase.READY:
                self._around.systemd.ready()
        self.publish(Event(at=time.time(), event="reconfigured", fields=found))
        await self._hooks.reconfigure()
        if self._end.status is None:
            run_unit_hooks(self._units, "reconfigure")
        return found


def _exposition(status: HostStatus) -> tuple[str, bytes]:
    # Its library takes 50 ms to import, which a start need not wait for.
    from sockhost.observe.metrics import exposition

    return exposition(status)
