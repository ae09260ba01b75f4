# -*- test-case-name: tests.host.test_log -*-
"""
The host's own log file: every event of L{twisted.logger} as one line of JSON,
rotated like the logs of the units.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from attrs import define, field
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    PredicateResult,
    eventAsJSON,
    globalLogPublisher,
)
from zope.interface import implementer

from sockhost.processes.output import OutputLog
from sockhost.status import UnitStatus


@implementer(ILogObserver)
@define(eq=False)
class HostLog:
    """
    A file of JSON lines.

    @ivar path: the file.
    @ivar level: the least level of event that is written.
    """

    path: str
    _publisher: LogPublisher = globalLogPublisher
    level: str = "info"
    _output: OutputLog = field(init=False)
    _predicate: LogLevelFilterPredicate = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._output = OutputLog(self.path)
        self._predicate = at_least(self.level)

    def __call__(self, event: LogEvent) -> None:
        """Write an event, if it is important enough."""
        if self._predicate(event) is PredicateResult.no:
            return
        self._output.write(eventAsJSON(event).encode("utf-8", "replace") + b"\n")

    def start(self) -> None:
        """Write all events from now on."""
        self._publisher.addObserver(self)

    def reopen(self) -> None:
        """Close the file and open the one that now has its name."""
        self._output.reopen()

    def stop(self) -> None:
        """Write no more events."""
        self._publisher.removeObserver(self)
        self._output.close()


def at_least(level: str) -> LogLevelFilterPredicate:
    """Make a filter that lets events of a level and above through."""
    return LogLevelFilterPredicate(LogLevel.levelWithName(level))


def announce(log: Logger, units: Iterable[UnitStatus], run_dir: str) -> None:
    """Say on the terminal what is up, where to connect, and how to steer it."""
    for status in units:
        where = status.details.get("path") or status.details.get("url") or ""
        log.info(
            "{unit} is {state}{where}{reason}",
            unit=status.name,
            state=status.state.value,
            where=f" at {where}" if where else "",
            reason=f": {status.reason}" if status.reason else "",
        )
    log.info(
        "ready; steer it with: sockhost --run-dir {run_dir} status",
        run_dir=os.path.relpath(run_dir),
    )
