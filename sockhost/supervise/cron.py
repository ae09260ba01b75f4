# -*- test-case-name: tests.supervise.test_cron -*-
"""
The kind C{cron}: a program that is run at given times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

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
from sockhost.processes.spawner import Spawner
from sockhost.status import Event
from sockhost.supervise.execution import Execution
from sockhost.supervise.launcher import Launcher
from sockhost.supervise.program import ProgramConfig, check_account, output_log
from sockhost.supervise.schedule import Schedule, local_zone, parse_schedule

#: Seconds that are waited at most before the wall clock is looked at again, as
#: it may be set at any time.
_LOOK = 60.0
#: Seconds by which the clock may be set without more ado: forward, the times
#: passed over are made up for by one run; back, no time comes twice.  After
#: more than this the schedule begins anew, as after a wrong date at boot.
_STEP = 3 * 3600.0


def _schedule(_instance: object, _attribute: object, value: str) -> None:
    parse_schedule(value)


def _zone(_instance: object, _attribute: object, value: str | None) -> None:
    if value is not None:
        find_zone(value)


def find_zone(name: str | None) -> tzinfo:
    """
    Find a time zone; the machine's for C{None}.

    @raise ValueError: there is none of this name.
    """
    if name is None:
        return local_zone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('expected a time zone such as "Europe/Berlin"') from None


@frozen(kw_only=True)
class CronConfig(ProgramConfig):
    """
    A program that is run at given times, never twice at once: a time that
    comes while it runs is passed over.

    @ivar schedule: the five fields of crontab(5), or a time such as
        C{"every mon 4:00 am"}, or C{"never"}.
    @ivar timezone: the time zone of the schedule; by default the machine's.
    @ivar success: the exit codes that are no failure.
    """

    schedule: str = field(validator=_schedule)
    timezone: str | None = field(default=None, validator=_zone)
    success: tuple[int, ...] = (0,)


_LIVE = ("stop_signal", "grace", "log_max_bytes", "log_backups", "success")


@frozen
class LastRun:
    """How a run ended: when it began, and how it was lost."""

    began: float
    problem: str | None
    code: int | None = None
    signal: int | None = None


@implementer(ILoggingUnit)
@define(eq=False, kw_only=True)
class CronUnit:
    """
    A program and its times, as a unit.  It is up while it waits and while the
    program runs; a run that fails is an event, not a loss.

    @ivar name: the unit's name.
    @ivar config: its configuration.
    @ivar next_run: when the program is run next: seconds since the epoch.
    """

    _log = Logger()

    name: str
    config: CronConfig
    next_run: float | None = None
    _launcher: Launcher
    _wall: Callable[[], float]
    _schedule: Schedule = field(init=False)
    _zone: tzinfo = field(init=False)
    _call: IDelayedCall | None = None
    _run: Execution | None = None
    _last: LastRun | None = None
    _last_look: float = 0.0
    _up: bool = False

    def __attrs_post_init__(self) -> None:
        self._schedule = parse_schedule(self.config.schedule)
        self._zone = find_zone(self.config.timezone)

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """Begin to wait.  Ready at once, save for what a killed host left."""
        self._up = True
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[UnitLost | None]:
        """Wait no longer, and end the program if it runs."""
        self._up = False
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """Kill the program now, if it is being stopped."""
        if self._up:
            return
        self._launcher.abort()
        if self._run is not None:
            self._run.abort()

    def reload(self, config: CronConfig) -> Deferred[bool]:
        """Take what concerns the stop and the log; no more."""
        live = {key: getattr(config, key) for key in _LIVE}
        taken = evolve(self.config, **live) == config
        if taken:
            self.config = config
            self._launcher.adjust(config, self._run)
        return succeed(taken)

    def reopen_logs(self) -> None:
        """Open the log of the output again, after somebody moved it."""
        self._launcher.output.reopen()

    def status(self) -> Mapping[str, object]:
        """Describe the schedule and the last run."""
        last = self._last
        return {
            "schedule": self.config.schedule,
            "running": self._run is not None,
            "pid": None if self._run is None else self._run.pid,
            "next_run": self.next_run,
            "last_run": None if last is None else last.began,
            "last_exit": None if last is None else (last.problem or "succeeded"),
            "argv": list(self.config.argv),
            "log": self._launcher.output.path,
        }

    async def _start(self) -> None:
        await self._launcher.reclaim(self.config)
        if self._up:
            self._last_look = self._wall()
            self._plan(self._last_look)

    async def _stop(self) -> UnitLost | None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.next_run = None
        await self._launcher.settled()
        run = self._run
        if run is None:
            return None
        stuck = await run.stop()
        if stuck is not None:
            raise stuck
        self._run = None
        return run.loss(self.config.success)

    def _plan(self, after: float) -> None:
        """Find the next time, and wait for it."""
        moment = self._schedule.next_after(datetime.fromtimestamp(after, self._zone))
        self.next_run = None if moment is None else moment.timestamp()
        self._wait()

    def _wait(self) -> None:
        if self.next_run is not None:
            delay = max(0.0, min(_LOOK, self.next_run - self._wall()))
            self._call = self._launcher.host.reactor.callLater(delay, self._look)

    def _look(self) -> None:
        """See what time it is."""
        self._call = None
        now, before = self._wall(), self._last_look
        self._last_look = now
        assert self.next_run is not None
        if now < before - _STEP or now > self.next_run + _STEP:
            self._plan(now)
        elif now < self.next_run:
            self._wait()
        else:
            # Before the run, as who is told of that may stop the unit.
            self._plan(max(now, self.next_run))
            self._begin()

    def _begin(self) -> None:
        if self._run is not None:
            self._log.info("{unit} still runs: this time is skipped", unit=self.name)
            self._publish("run-skipped")
            self._end_what_is_left(self._run)
            return
        try:
            run = self._launcher.launch(self.config)
        except SockhostError as error:
            self._ended(LastRun(self._wall(), str(error)))
            return
        self._run = run
        began = self._wall()
        self._publish("run-started", pid=run.pid)
        gone = run.gone.wait()
        gone.addCallback(lambda stuck: self._gone(run, began, stuck))
        gone.addErrback(lambda failure: self._log.failure("the end of a run", failure))

    def _gone(self, run: Execution, began: float, stuck: UnitStuck | None) -> None:
        if stuck is not None:
            # The run is kept, so that none is begun over what is left of it.
            self._ended(LastRun(began, str(stuck)))
            return
        self._run = None
        self._ended(_last_run(began, run.loss(self.config.success)))

    def _end_what_is_left(self, run: Execution) -> None:
        def ended(stuck: UnitStuck | None) -> None:
            if stuck is None and self._run is run:
                self._run = None

        if run.gone.fired:
            run.stop().addCallback(ended)

    def _ended(self, last: LastRun) -> None:
        self._last = last
        if last.problem is None:
            self._log.info("{unit}: the run succeeded", unit=self.name)
        else:
            problem = last.problem
            self._log.warn("{unit}: the run {problem}", unit=self.name, problem=problem)
        self._publish(
            "run-ended", problem=last.problem, code=last.code, signal=last.signal
        )

    def _publish(self, event: str, **fields: object) -> None:
        now = self._wall()
        self._launcher.host.publish(
            Event(at=now, event=event, unit=self.name, fields=fields)
        )


def _last_run(began: float, loss: ProcessLost) -> LastRun:
    return LastRun(began, None if loss.success else str(loss), loss.code, loss.signal)


@implementer(IPlugin, IUnitKind)
@define(eq=False)
class CronKind:
    """
    Makes L{CronUnit}s.

    @ivar spawner: makes the spawner from the reactor.
    @ivar wall: tells the time of day.
    """

    name = "cron"
    config_class = CronConfig
    portable = False

    spawner: Callable[[Any], ISpawner] = field(default=Spawner)
    leftovers: Callable[[str], Leftovers] = field(default=Leftovers)
    wall: Callable[[], float] = field(default=time.time)

    def make(self, name: str, config: CronConfig, host: IUnitHost) -> CronUnit:
        """
        Make a unit.

        @raise SockhostError: there is no such user or group.
        """
        check_account(config)
        launcher = Launcher(
            name=name,
            host=host,
            output=output_log(config, host.log_dir, name),
            spawner=self.spawner(host.reactor),
            leftovers=self.leftovers(host.run_dir),
        )
        return CronUnit(name=name, config=config, launcher=launcher, wall=self.wall)
