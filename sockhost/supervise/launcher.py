# -*- test-case-name: tests.supervise.test_process -*-
"""
Making the executions of one unit's program: logged, and noted in the run
directory so that a next host finds what a killed one left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sockhost.interfaces import ISpawner, IUnitHost, SockhostError
from sockhost.processes.leftovers import Leftovers
from sockhost.processes.output import OutputLog
from sockhost.supervise.execution import Execution
from sockhost.supervise.program import ProgramConfig, child_spec, stop_signal_of


@define(eq=False, kw_only=True)
class Launcher:
    """
    Executes the program of a unit.

    @ivar name: the unit's name.
    @ivar host: what surrounds the unit.
    @ivar output: the log of the program's output.
    """

    _log = Logger()

    name: str
    host: IUnitHost
    output: OutputLog
    _spawner: ISpawner
    _leftovers: Leftovers
    _reclaiming: Deferred[bool] | None = None

    def reclaim(self, config: ProgramConfig) -> Deferred[None]:
        """
        End what a killed host left of the unit.

        @return: fires when nothing of it is left.  Fails if that cannot be
            had.  Cancelling only detaches; see L{abort} and L{settled}.
        """
        self._reclaiming = self._leftovers.reclaim(
            self.host.reactor, self.name, config.grace, stop_signal_of(config)
        )
        reclaimed: Deferred[None] = Deferred()
        self._reclaiming.addBoth(self._reclaimed, reclaimed)
        return reclaimed

    def settled(self) -> Deferred[None]:
        """Fires when no L{reclaim} is under way, however that ended."""
        settled: Deferred[None] = Deferred()
        if self._reclaiming is None:
            settled.callback(None)
        else:
            self._reclaiming.addCallback(lambda _: settled.callback(None))
        return settled

    def abort(self) -> None:
        """Cut the grace of a L{reclaim} that is under way."""
        if self._reclaiming is not None:
            self._reclaiming.cancel()

    def launch(
        self, config: ProgramConfig, extra: Mapping[str, str] | None = None
    ) -> Execution:
        """
        Execute the program.

        @param extra: variables for its environment besides the configured.
        @raise SockhostError: it cannot be executed; nothing is left.
        """
        run = Execution(
            reactor=self.host.reactor,
            spawner=self._spawner,
            output=self.output.write,
            stop_signal=stop_signal_of(config),
            grace=config.grace,
            released=self._forget,
        )
        try:
            more = {**self._expect(), **(extra or {})}
            run.begin(child_spec(config, self.name, more))
        except SockhostError:
            self._forget()
            raise
        self._record(run)
        run.gone.wait().addCallback(lambda _: self.output.close())
        return run

    def adjust(self, config: ProgramConfig, run: Execution | None) -> None:
        """Take what may change in a configuration while the program runs."""
        self.output.max_bytes = config.log_max_bytes
        self.output.backups = config.log_backups
        if run is not None:
            run.grace = config.grace
            run.stop_signal = stop_signal_of(config)

    def _reclaimed(self, result: Any, reclaimed: Deferred[None]) -> None:
        self._reclaiming = None
        if isinstance(result, bool):
            reclaimed.callback(None)
        else:
            reclaimed.errback(result)

    def _expect(self) -> dict[str, str]:
        try:
            return self._leftovers.expect(self.name)
        except OSError:
            # It is told when the process cannot be noted either.
            return {}

    def _record(self, run: Execution) -> None:
        try:
            if run.pid is not None:
                self._leftovers.record(self.name, run.pid)
        except OSError:
            # A full disk must not keep a service down.
            self._log.failure("{unit}: its process cannot be noted", unit=self.name)

    def _forget(self) -> None:
        # Not before nothing is left: a next host has to find what is.
        try:
            self._leftovers.forget(self.name)
        except OSError:
            self._log.failure("{unit}: a note cannot be removed", unit=self.name)
