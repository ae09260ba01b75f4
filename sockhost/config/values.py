# -*- test-case-name: tests.config.test_config -*-
"""
What a configuration consists of, as frozen values.  Import them from
L{sockhost.config}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen, validators

from sockhost.config.checks import (
    between,
    command,
    not_empty,
    not_negative,
    positive,
    python_name,
    unix_path,
)
from sockhost.config.text import NOTHING, shown


@frozen(kw_only=True)
class RestartPolicy:
    """
    When and how soon a keeper starts its unit again.

    @ivar restart: C{always}; C{on-failure}: only if it did not end as it is
        meant to; C{never}.
    @ivar backoff: seconds before the second try; the first is made at once,
        and each further one waits twice as long as the one before.
    @ivar backoff_max: the longest wait in seconds, before C{jitter} is added.
    @ivar jitter: the fraction of a wait by which chance may lengthen it, so
        that what failed together is not retried together.
    @ivar healthy_after: seconds up after which the next loss counts as the
        first again.
    @ivar budget: how many restarts are made within any C{budget_window}
        before the keeper gives up; 0 for no limit.
    @ivar budget_window: seconds.
    @ivar start_timeout: seconds that the unit may take to become ready;
        0 for no limit.
    """

    restart: Literal["always", "on-failure", "never"] = "always"
    backoff: float = field(default=0.1, validator=positive)
    backoff_max: float = field(default=60.0, validator=positive)
    jitter: float = field(default=0.1, validator=between(0, 1))
    healthy_after: float = field(default=60.0, validator=not_negative)
    budget: int = field(default=10, validator=not_negative)
    budget_window: float = field(default=600.0, validator=positive)
    start_timeout: float = field(default=60.0, validator=not_negative)


@frozen(kw_only=True)
class UnitConfig:
    """
    One C{[unit.NAME]} table.

    @ivar source: the absolute path of the file that it stands in.
    @ivar enabled: whether the host starts it by itself.
    @ivar description: one line for people.
    @ivar after: units that are started before this one, if they are started.
    @ivar requires: units that must be up, or done, before this one is started,
        be it for the first time or again after a loss.  It is left alone when
        one of them goes.
    @ivar uses: units that the handler gets from C{host.use}; implies C{after}.
    @ivar own: the kind's part: an instance of its C{config_class}.
    @ivar table: the kind's part as plain TOML values, placeholders replaced.
        L{structure<sockhost.config.structure>} makes C{own} from it again, in
        another process for instance.
    """

    name: str
    kind: str
    own: Any
    table: Mapping[str, Any]
    source: str = ""
    enabled: bool = True
    description: str = ""
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    policy: RestartPolicy = RestartPolicy()

    @property
    def dependencies(self) -> tuple[str, ...]:
        """Every unit named in C{after}, C{requires} and C{uses}, once."""
        return tuple(dict.fromkeys((*self.after, *self.requires, *self.uses)))


@frozen(kw_only=True)
class NotifySettings:
    """
    A command that is told what happens.

    @ivar argv: the program and its arguments; there is no shell.  It gets the
        event as one line of JSON on its standard input.
    @ivar on: for which events: a state that a unit has come to, such as
        C{"failed"}, or the name of an event, such as C{"ready"}; all of them
        if there are none.
    @ivar timeout: seconds after which it is killed.
    """

    argv: tuple[str, ...] = field(validator=command)
    on: tuple[str, ...] = ()
    timeout: float = field(default=30.0, validator=positive)


@frozen(kw_only=True)
class HostSettings:
    """
    The C{[host]} table.  In what L{load<sockhost.config.load>} returns,
    C{run_dir}, C{control} and C{log_dir} are absolute.

    @ivar name: what this host is called in its status and in logs.
    @ivar run_dir: where the pid file, the control socket and the logs are;
        relative to the directory that the host is started in.
    @ivar control: path of the control socket.  Where it is not the usual one, a
        link in the run directory leads C{sockhost} to it.
    @ivar log_dir: where the output of units goes.
    @ivar log_level: the least level that is logged, in C{host.jsonl}, by
        workers, and on the terminal under C{sockhost run}.
    @ivar lifecycle: C{"module:Class"} of an L{ILifecycle
        <sockhost.interfaces.ILifecycle>}, called without arguments.
    @ivar strict: treat a bad unit as an error of the whole file.
    @ivar exit_when_done: stop when no unit is running or about to run; exit
        status 75 if one of them failed.
    @ivar wait_for: stop when none of these is running or about to run, whatever
        the others do; exit status 75 if one of them failed.
    @ivar notify: a command that is run for each event.
    """

    name: str = field(default="sockhost", validator=not_empty)
    run_dir: str = field(default="run", validator=not_empty)
    control: str = field(default="{run_dir}/control.sock", validator=unix_path)
    log_dir: str = field(default="{run_dir}/log", validator=not_empty)
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    lifecycle: str | None = field(
        default=None, validator=validators.optional(python_name)
    )
    strict: bool = False
    exit_when_done: bool = False
    wait_for: tuple[str, ...] = ()
    notify: NotifySettings | None = None


@frozen
class Problem:
    """
    One thing that is wrong in a configuration.

    @ivar file: the path of the file, as it was given.
    @ivar key: the path of the key, C{"unit.kv.workers"}; empty for the file
        as a whole.
    @ivar value: what stands there, or L{NOTHING<attrs.NOTHING>} where nothing
        does.
    @ivar expected: what should be there, or why what is there cannot be used.
    """

    file: str
    key: str
    value: Any
    expected: str

    def __str__(self) -> str:
        if self.value is NOTHING or not self.key:
            where = (self.file, self.key)
        else:
            where = (self.file, f"{self.key} = {shown(self.value)}")
        return ": ".join(part for part in (*where, self.expected) if part)


@frozen(kw_only=True)
class Quarantined:
    """A unit whose table is bad: it is shown with its problems and not run."""

    name: str
    kind: str
    problems: tuple[Problem, ...]


@frozen(kw_only=True)
class Config:
    """
    A configuration that can be run.

    @ivar path: absolute path of the main file.
    @ivar units: the good units, each after those that it depends on.
    @ivar problems: every problem of the quarantined units, and those that
        belong to no unit but do not prevent the host from running.
    """

    path: str
    host: HostSettings = HostSettings()
    units: tuple[UnitConfig, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    def unit(self, name: str) -> UnitConfig | None:
        """Look up a good unit by its name."""
        return next((unit for unit in self.units if unit.name == name), None)


@frozen(kw_only=True)
class Changes:
    """
    What differs between two configurations: names of units, good and
    quarantined ones, in the order of the new one (of the old one for
    C{removed}).

    @ivar changed: its configuration differs, or it was quarantined and is
        good now, or the other way round.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
