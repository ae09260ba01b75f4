# -*- test-case-name: sockhost_example.test.test_heartbeat -*-
"""
A kind of unit: touches a file every few seconds, so that others see that the
host lives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen, validators
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import LoopingCall
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import IUnit, IUnitHost, IUnitKind, UnitLost


@frozen(kw_only=True)
class HeartbeatConfig:
    """
    The keys of a heartbeat.

    @ivar path: the file.
    @ivar every: seconds between two beats.
    """

    path: str
    every: float = field(default=1.0, validator=validators.gt(0))


@implementer(IUnit)
class Heartbeat:
    """
    Is up when the file was touched once, and is lost when it cannot be any
    more.  The file is removed when the unit stops.
    """

    def __init__(self, config: HeartbeatConfig, host: IUnitHost) -> None:
        self.config = config
        self.beats = 0
        self._loop = LoopingCall(self._beat)
        self._loop.clock = host.reactor

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        """Begin to beat.  Fails with what the system says of the file."""
        try:
            self._beat()
        except OSError as error:
            return fail(error)
        ended = self._loop.start(self.config.every, now=False)
        ended.addErrback(lambda failure: self._lose(failure, lost))
        return succeed(None)

    def stop(self) -> Deferred[UnitLost | None]:
        """Stop to beat, and remove the file."""
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        """Do nothing: the stop takes no time."""

    def reload(self, config: HeartbeatConfig) -> Deferred[bool]:
        """Ask for a restart, which costs nothing."""
        return succeed(False)

    def status(self) -> Mapping[str, object]:
        """Tell the file, and how often it was touched."""
        return {"path": self.config.path, "beats": self.beats}

    async def _stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        Path(self.config.path).unlink(missing_ok=True)

    def _beat(self) -> None:
        descriptor = os.open(self.config.path, os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)
        self.beats += 1

    def _lose(self, failure: Failure, lost: Callable[[Failure], None]) -> None:
        with suppress(OSError):  # what kept it from being touched may do so here
            Path(self.config.path).unlink()
        lost(Failure(UnitLost(f"no beat: {failure.getErrorMessage()}")))


@implementer(IUnitKind, IPlugin)
class HeartbeatKind:
    """Makes heartbeats: C{kind = "heartbeat"}."""

    name = "heartbeat"
    config_class = HeartbeatConfig
    portable = False

    def make(self, name: str, config: Any, host: IUnitHost) -> Heartbeat:
        """Make one.  Nothing is touched yet."""
        return Heartbeat(config, host)
