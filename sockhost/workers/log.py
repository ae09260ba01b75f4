# -*- test-case-name: tests.workers.test_log -*-
"""
The log of a prototype and of the workers that it forks: text on the standard
error output, which the host writes into the log of the unit.
"""

from __future__ import annotations

from typing import IO, Any

from attrs import define, field
from twisted.logger import (
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    textFileLogObserver,
)
from zope.interface import implementer


@implementer(ILogObserver)
@define(eq=False)
class WorkerLog:
    """
    Writes what is important enough, each line with the name of the process:
    the lines of all workers of a unit are in one file.

    @ivar label: that name, such as C{"kv worker 1"}.
    @ivar level: the least level that is written.
    """

    _stream: IO[Any]
    label: str
    level: str = "info"
    _write: ILogObserver = field(init=False)
    _predicate: ILogFilterPredicate = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._write = textFileLogObserver(self._stream)
        level = LogLevel.levelWithName(self.level)
        self._predicate = LogLevelFilterPredicate(level)

    def __call__(self, event: LogEvent) -> None:
        """Write an event, or not."""
        if self._predicate(event) is PredicateResult.no:
            return
        level = getattr(event.get("log_level"), "name", "info")
        system = f"{self.label} {event.get('log_namespace', '-')}#{level}"
        self._write({**event, "log_system": system})
