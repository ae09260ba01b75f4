# -*- test-case-name: tests.host.test_rehearsal -*-
"""
What is wrong with a configuration that only shows when its units are made, or
when they meet: found without starting anything.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

from attrs import NOTHING, define
from zope.interface import implementer

from sockhost.config import Config, Problem, UnitConfig
from sockhost.interfaces import (
    IUnitHost,
    IUnitKind,
    NoSuchUnit,
    SockhostError,
)
from sockhost.sockets.access import Access, group_id, user_id
from sockhost.sockets.handler import load_handler, load_object
from sockhost.sockets.settings import SocketConfig
from sockhost.status import Event
from sockhost.supervise.process import ProcessConfig, notify_error


@implementer(IUnitHost)
@define(eq=False)
class RehearsalHost:
    """A host in which nothing is ever started."""

    reactor: Any
    config: Config
    kinds: Mapping[str, IUnitKind]

    @property
    def run_dir(self) -> str:
        return self.config.host.run_dir

    @property
    def log_dir(self) -> str:
        return self.config.host.log_dir

    @property
    def config_dir(self) -> str:
        return os.path.dirname(self.config.path)

    @property
    def log_level(self) -> str:
        return self.config.host.log_level

    def use(self, name: str) -> Any:
        raise NoSuchUnit(name)

    def publish(self, event: Event) -> None:
        """Nobody is told."""

    def child_kind(self, name: str) -> IUnitKind:
        try:
            return self.kinds[name]
        except KeyError:
            raise SockhostError(f"there is no kind {name!r}") from None

    def unit_config(self, name: str) -> Any:
        found = self.config.unit(name)
        if found is None:
            raise NoSuchUnit(name, [unit.name for unit in self.config.units])
        return found


def rehearse(
    config: Config, kinds: Mapping[str, IUnitKind], reactor: Any
) -> tuple[Problem, ...]:
    """
    Load the hooks of the host and the handlers of its sockets, look for the
    users that these name, make every unit, and throw it all away.  That runs
    what others wrote, so it is for those who ask to know all before.

    @return: what was wrong with that.
    """
    host = RehearsalHost(reactor, config, kinds)
    made = (problem for unit in config.units for problem in _make(unit, host))
    directory = host.config_dir
    served = (p for unit in config.units for p in served_problems(unit, directory))
    return (*_lifecycle_problems(config), *made, *served, *_taken_problems(config))


def _lifecycle_problems(config: Config) -> Iterator[Problem]:
    lifecycle = config.host.lifecycle
    if lifecycle is not None:
        try:
            load_object(lifecycle, os.path.dirname(config.path))
        except SockhostError as error:
            yield Problem(config.path, "host.lifecycle", lifecycle, str(error))


def _make(unit: UnitConfig, host: RehearsalHost) -> Iterator[Problem]:
    if wrong := tuple(_notify_problems(unit, host.run_dir)):
        yield from wrong
        return
    try:
        host.child_kind(unit.kind).make(unit.name, unit.own, host)
    except (Exception, SystemExit) as error:
        # A kind may be anybody's, and what it raises is the finding.
        said = str(error) if isinstance(error, SockhostError) else repr(error)
        yield Problem(
            unit.source, f"unit.{unit.name}", NOTHING, f"cannot be made: {said}"
        )


def served_problems(
    unit: UnitConfig, directory: str, running: bool = False
) -> Iterator[Problem]:
    """
    Say what a socket would find out when it starts: that there is no such
    handler, or user, or group.

    @param directory: where the module of its handler may be.
    @param running: this is a host that serves clients.  It loads the handlers
        that it is to have itself; of one for workers it only looks for the
        module, as those are to load it, anew each time.
    """
    own = unit.own
    if not isinstance(own, SocketConfig):
        return
    load = _find_module if running and own.workers else load_handler
    looks: tuple[tuple[str, object, Callable[[], object]], ...] = (
        ("handler", own.handler, lambda: load(own.handler, directory)),
        ("allow", own.allow, lambda: Access.parse(own.allow, ())),
        ("deny", own.deny, lambda: Access.parse((), own.deny)),
        ("owner", own.owner, lambda: own.owner is None or user_id(own.owner)),
        ("group", own.group, lambda: own.group is None or group_id(own.group)),
    )
    for key, value, look in looks:
        try:
            look()
        except SockhostError as error:
            yield Problem(unit.source, f"unit.{unit.name}.{key}", value, str(error))


def _find_module(spec: str, directory: str) -> None:
    # To look for the first of its names executes nothing.
    name = spec.partition(":")[0].partition(".")[0]
    importlib.invalidate_caches()
    there = name in sys.modules or PathFinder.find_spec(name, [directory])
    if not there and find_spec(name) is None:
        text = f"cannot load {spec}: ModuleNotFoundError: No module named {name!r}"
        raise SockhostError(text)


def path_problems(config: Config) -> Iterator[Problem]:
    """Say which sockets cannot be where they are to be."""
    for unit in config.units:
        yield from _notify_problems(unit, config.host.run_dir)
    yield from _taken_problems(config)


def _notify_problems(unit: UnitConfig, run_dir: str) -> Iterator[Problem]:
    if isinstance(unit.own, ProcessConfig):
        expected = notify_error(unit.own, run_dir, unit.name)
        if expected is not None:
            key = f"unit.{unit.name}.ready.notify"
            yield Problem(unit.source, key, True, expected)


def _taken_problems(config: Config) -> Iterator[Problem]:
    # Only of sockets: two units may well write to one file.
    taken = {config.host.control: "the control socket"}
    for unit in config.units:
        path = getattr(unit.own, "path", None)
        if unit.kind != "socket" or not path:
            continue
        place = path if path.startswith("@") else os.path.abspath(path)
        if place in taken:
            key = f"unit.{unit.name}.path"
            expected = f"expected another path: {taken[place]} is there"
            yield Problem(unit.source, key, path, expected)
        taken.setdefault(place, f"unit {unit.name}")
