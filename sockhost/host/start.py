# -*- test-case-name: tests.host.test_start -*-
"""
How a host is to be started: its configuration is read, and it is made.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

from attrs import field, frozen
from zope.interface import implementer

from sockhost.config import Config, Problem, load
from sockhost.host.around import Surroundings
from sockhost.host.exit import ExitStatus
from sockhost.host.host import Host
from sockhost.host.leaving import leave
from sockhost.host.notify import DaemonPipe, StartupFd, SystemdNotifier
from sockhost.host.rehearsal import path_problems, rehearse
from sockhost.host.signals import Signals
from sockhost.interfaces import ConfigError, INotifier
from sockhost.plugins import kinds
from sockhost.status import Event


@frozen(kw_only=True)
class Start:
    """
    How a host is to be started.

    @ivar config: the configuration file.
    @ivar run_dir: the run directory, instead of the one in the file.
    @ivar strict: treat a bad unit as an error of the whole file.
    @ivar startup_fd: a descriptor that gets 4 zero bytes when all is ready.
    @ivar watch_pid: a process that the host is to live no longer than.
    @ivar root: where C{twistd --chroot} will have the root, or C{None}.
    @ivar base: the directory that relative paths start at: C{twistd} may go to
        another one when the host is made.
    """

    config: str
    run_dir: str | None = None
    strict: bool = False
    startup_fd: int | None = None
    watch_pid: int | None = None
    root: str | None = None
    base: str = field(factory=lambda: _here(), eq=False)

    def read(self) -> Config:
        """
        Read the configuration.

        @raise ConfigError: it cannot be used.
        """
        from twisted.internet import reactor

        found = kinds()
        config = load(self.config, found, strict=self.strict, run_dir=self.run_dir)
        if self.strict or config.host.strict:
            _refuse(rehearse(config, found, reactor))
        return config

    def read_or_leave(self) -> Config:
        """
        Read the configuration.

        @raise SystemExit: it cannot be used (78); the reasons were printed.
        """
        try:
            return self.read()
        except ConfigError as error:
            leave(ExitStatus.CONFIG, str(error))

    def read_again(self) -> Config:
        """
        Read it for a host that runs, whole or not at all.  That host makes the
        units that are new, and finds out what is wrong with those.

        @raise ConfigError: it cannot be used.
        """
        path = os.path.abspath(os.path.join(self.base, self.config))
        if self.root is not None:
            path = _below(path, os.path.join(self.base, self.root))
        config = load(path, kinds(), strict=True, run_dir=self.run_dir, base=self.base)
        _refuse(path_problems(config))
        return config

    def make_host(self, reactor: Any, config: Config, parent: DaemonPipe) -> Host:
        """Make the host.  Takes C{NOTIFY_SOCKET} out of the environment."""
        # What the host starts must not speak to systemd in its place.
        systemd = SystemdNotifier(os.environ.pop("NOTIFY_SOCKET", None))
        around = Surroundings(
            startup_fd=StartupFd(self.startup_fd),
            systemd=systemd,
            parent=parent,
            watch_pid=self.watch_pid,
        )
        signals = Signals(reactor)
        host = Host(reactor, config, self.read_again, kinds(), around, signals)
        host.subscribe(SettleMemory())
        return host


@implementer(INotifier)
@frozen
class SettleMemory:
    """
    Has the collector of garbage leave alone what is there when a host is ready.

    That is 75,000 objects, nearly all of them modules and classes that stay.
    Going through them takes 30 to 80 ms, in which no client is served, each
    time that a full collection is due; afterwards it takes next to nothing.
    """

    collect: Callable[[], object] = gc.collect
    freeze: Callable[[], object] = gc.freeze

    def notify(self, event: Event) -> None:
        """Do so when the host is ready."""
        if event.event == "ready":
            self.collect()
            self.freeze()


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # what is relative cannot be read anyway, which load() tells


def _below(path: str, root: str) -> str:
    """Say where a file is once a directory is the root, if it is in there."""
    inside = os.path.relpath(path, os.path.abspath(root))
    return path if inside.startswith("..") else f"/{inside}"


def _refuse(problems: Iterable[Problem]) -> None:
    found = tuple(problems)
    if found:
        raise ConfigError(found)
