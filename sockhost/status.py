# -*- test-case-name: tests.test_status -*-
"""
The one tree that says how the host is.  The control API, the command line and
the metrics show nothing else: a name here is a key of the JSON there.

Every time is in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import asdict, field, frozen


class Goal(StrEnum):
    """What a unit is meant to be."""

    UP = "up"
    DOWN = "down"


class State(StrEnum):
    """What a unit is."""

    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    FAILED = "failed"
    DONE = "done"
    QUARANTINED = "quarantined"


class Phase(StrEnum):
    """What the host is doing."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@frozen(kw_only=True)
class Exit:
    """
    How a unit ended last.

    @ivar at: when it was noticed.
    @ivar code: the exit code of its process, if it has one and it exited.
    @ivar signal: the name of the signal that ended its process, C{"SIGKILL"}.
    @ivar asked_by: who had asked for it to end, or C{None} if nobody had.
    @ivar reason: one sentence.
    """

    at: float
    code: int | None = None
    signal: str | None = None
    asked_by: str | None = None
    reason: str = ""


@frozen(kw_only=True)
class UnitStatus:
    """
    How a unit is.

    @ivar name: the unit's name, unique in the host.
    @ivar kind: the name of its kind; C{""} if its table does not say it.
    @ivar goal: what it is meant to be: C{up} or C{down}.
    @ivar state: what it is.
    @ivar since: when it entered its state.
    @ivar last_exit: how it ended last, or C{None} if it never did.
    @ivar restarts: how often its keeper has started it again by itself since
        the host started.
    @ivar next_try: in C{backoff}, when it is started next; else C{None}.
    @ivar reason: why it is in a state that is not its goal, or C{None}.
    @ivar description: what its table says that it is.
    @ivar after: the units behind which it is started, if those are to run.
    @ivar requires: the units that it does not run without.
    @ivar uses: the units whose clients its handler gets.
    @ivar details: what the kind has to say besides.
    """

    name: str
    kind: str
    goal: Goal
    state: State
    since: float
    last_exit: Exit | None = None
    restarts: int = 0
    next_try: float | None = None
    reason: str | None = None
    description: str = ""
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class HostStatus:
    """
    How the host is.

    @ivar name: what C{[host] name} calls it.
    @ivar version: of sockhost.
    @ivar pid: its process id.
    @ivar phase: what it is doing.
    @ivar started: when it was started.
    @ivar config: the absolute path of its configuration file.
    @ivar run_dir: the absolute path of its run directory.
    @ivar control: the absolute path of its control socket.
    @ivar problems: what is wrong with the configuration as it was last read, a
        sentence each.
    @ivar units: its units, in the order in which they are started.
    """

    name: str
    version: str
    pid: int
    phase: Phase
    started: float
    config: str
    run_dir: str
    control: str
    problems: tuple[str, ...] = ()
    units: tuple[UnitStatus, ...] = ()


@frozen(kw_only=True)
class Event:
    """
    Something that happened.

    @ivar at: when.
    @ivar event: what: C{"state"}, C{"reconfigured"}, C{"ready"}, C{"stopping"},
        or a kind's own word.
    @ivar unit: the unit that it happened to, or C{None} for the host.
    @ivar fields: what belongs to it; C{json} can write them.
    """

    at: float
    event: str
    unit: str | None = None
    fields: Mapping[str, Any] = field(factory=dict)


def to_json(value: UnitStatus | HostStatus | Event | Exit) -> dict[str, Any]:
    """
    Make the JSON object of a status value: the same names, enumerations as
    their words, tuples as lists.
    """
    return asdict(value, value_serializer=_plain)


def _plain(_instance: object, _attribute: object, value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    return value
