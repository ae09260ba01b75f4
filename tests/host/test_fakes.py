# -*- test-case-name: tests.host.test_fakes -*-
"""
What the tests of the host are made of: a kind whose units the test turns by
hand, configurations of them, and a reactor of a clock and a list of readers.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import TestCase

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.config import Config, HostSettings, RestartPolicy, UnitConfig
from sockhost.interfaces import (
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    IUnit,
    IUnitHost,
    IUnitKind,
    IUsableUnit,
)
from sockhost.testing.units import MemoryUnit

NEVER = RestartPolicy(restart="never")


@frozen(kw_only=True)
class MemoryConfig:
    """
    @ivar value: something that a new configuration changes.
    @ivar usable: make a L{RichUnit}.
    """

    value: int = 0
    usable: bool = False


@implementer(IUsableUnit, IListeningUnit, IHookedUnit, ILoggingUnit)
class RichUnit(MemoryUnit):
    """
    A unit that has everything that a unit may have.

    @ivar breaks: names of methods that are to raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.breaks: set[str] = set()
        self.hooks: list[Deferred[None]] = []
        self.shared = object()

    def client(self) -> object:
        return self.shared

    def unlisten(self) -> None:
        self._note("unlisten")

    def reopen_logs(self) -> None:
        self._note("reopen_logs")

    def run_hook(self, name: str) -> Deferred[None]:
        self.calls.append(f"hook {name}")
        self.hooks.append(Deferred())
        return self.hooks[-1]

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.breaks:
            raise RuntimeError(f"{name} is broken")


@implementer(IUnitKind)
@define(eq=False)
class MemoryKind:
    """
    @ivar made: every unit that was made, by name, the newest last.
    @ivar views: the host that the newest unit of each name got.
    @ivar breaks: names of units that cannot be made.
    @ivar journal: who was started and who was stopped, in order.
    """

    made: dict[str, list[Any]] = field(factory=dict)
    views: dict[str, Any] = field(factory=dict)
    breaks: set[str] = field(factory=set)
    journal: list[str] = field(factory=list)
    name: str = "memory"
    config_class: type = MemoryConfig
    portable: bool = False

    def make(self, name: str, config: MemoryConfig, host: IUnitHost) -> IUnit:
        """Make one, to be turned by hand."""
        if name in self.breaks:
            raise RuntimeError(f"{name} is broken")
        base = RichUnit if getattr(config, "usable", False) else MemoryUnit
        unit = _journalled(base, name, self.journal)
        self.made.setdefault(name, []).append(unit)
        self.views[name] = host
        return unit


def _journalled(base: type[MemoryUnit], name: str, journal: list[str]) -> MemoryUnit:
    class Journalled(base):  # type: ignore[valid-type, misc]
        def start(self, lost: Callable[[Any], None]) -> Any:
            journal.append(f"start {name}")
            return super().start(lost)

        def stop(self) -> Any:
            journal.append(f"stop {name}")
            return super().stop()

    made: MemoryUnit = Journalled()
    return made


def unit_config(name: str, *requires: str, **more: Any) -> UnitConfig:
    """Describe a unit that requires others."""
    own = MemoryConfig(
        value=more.pop("value", 0),
        usable=more.pop("usable", False),
    )
    given: dict[str, Any] = {"kind": "memory", "own": own, "table": {}}
    given.update(policy=NEVER, requires=requires)
    return UnitConfig(name=name, **{**given, **more})


def config(*units: UnitConfig, **more: Any) -> Config:
    """Make a configuration."""
    host: Mapping[str, Any] = more.pop("host", {})
    settings = {
        "run_dir": "/nowhere/run",
        "log_dir": "/nowhere/run/log",
        "control": "/nowhere/run/control.sock",
        **host,
    }
    path = more.pop("path", "/nowhere/sockhost.toml")
    return Config(path=path, host=HostSettings(**settings), units=units, **more)


def temporary(case: TestCase) -> Path:
    """Make a directory with a short path, for one test."""
    made = Path(tempfile.mkdtemp(prefix="sk")).resolve()
    case.addCleanup(shutil.rmtree, made)
    return made


class FakeReactor(Clock):
    """
    A clock with a list of readers; calls from threads come at once.

    @ivar readers: what is watched now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)

    def callFromThread(self, what: Callable[..., object], *args: Any) -> None:
        what(*args)


class FakesTests(SynchronousTestCase):
    """The fakes keep the contracts of what they stand for."""

    def test_interfaces(self) -> None:
        """They provide what they say."""
        verifyObject(IUnitKind, MemoryKind())
        for interface in (IUsableUnit, IListeningUnit, IHookedUnit, ILoggingUnit):
            verifyObject(interface, RichUnit())
