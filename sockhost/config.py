# -*- test-case-name: tests.test_config -*-
"""
The configuration as values: what a file says, checked and frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen


@frozen(kw_only=True)
class RestartPolicy:
    """
    When and how soon a keeper starts its unit again.

    @ivar restart: C{always}; C{on-failure}: only if it did not end as it is
        meant to; C{never}.
    @ivar backoff: seconds before the second try; the first is made at once,
        and each further one waits twice as long as the one before.
    @ivar backoff_max: seconds that no wait exceeds.
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
    backoff: float = 0.1
    backoff_max: float = 60.0
    jitter: float = 0.1
    healthy_after: float = 60.0
    budget: int = 0
    budget_window: float = 600.0
    start_timeout: float = 60.0


@frozen(kw_only=True)
class UnitConfig:
    """
    One C{[unit.NAME]} table.

    @ivar source: the file that it stands in.
    @ivar enabled: whether the host starts it by itself.
    @ivar after: units that are started before this one, if they are started.
    @ivar requires: units that must be up before this one is started.
    @ivar uses: units that the handler gets from C{host.use}; implies C{after}.
    @ivar own: the kind's part: an instance of its C{config_class}.
    @ivar table: the kind's part as plain TOML values, placeholders replaced.
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


@frozen(kw_only=True)
class HostSettings:
    """
    The C{[host]} table.

    @ivar run_dir: where the pid file, the control socket and the logs are;
        relative to the directory that the host is started in.
    @ivar control: path of the control socket.
    @ivar log_dir: where the output of units goes.
    @ivar lifecycle: C{"module:Class"} of an L{ILifecycle
        <sockhost.interfaces.ILifecycle>}, called without arguments.
    @ivar drain: seconds that in-flight requests get when the host stops.
    @ivar strict: treat a bad unit as an error of the whole file.
    @ivar exit_when_done: stop when no unit is running or about to run.
    @ivar wait_for: stop when these units are done; exit status 75 if one of
        them failed.
    """

    name: str = "sockhost"
    run_dir: str = "run"
    control: str = "{run_dir}/control.sock"
    log_dir: str = "{run_dir}/log"
    lifecycle: str | None = None
    drain: float = 0.0
    strict: bool = False
    exit_when_done: bool = False
    wait_for: tuple[str, ...] = ()


@frozen
class Problem:
    """
    One thing that is wrong in a configuration.

    @ivar file: the path of the file.
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
