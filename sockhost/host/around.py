# -*- test-case-name: tests.host.test_around -*-
"""
Who started the host, and what it is to live no longer than.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from sockhost.host.notify import DaemonPipe, StartupFd, SystemdNotifier
from sockhost.host.watch import PidWatch


@define(eq=False)
class Surroundings:
    """
    Everybody outside who is told how the host is.  Every part may be absent.

    @ivar startup_fd: the descriptor of C{--startup-fd}.
    @ivar systemd: the service manager.
    @ivar parent: the process that waits while C{twistd} goes into the
        background.
    @ivar watch_pid: a process that the host is to live no longer than.
    """

    startup_fd: StartupFd = field(factory=lambda: StartupFd(None))
    systemd: SystemdNotifier = field(factory=lambda: SystemdNotifier(None))
    parent: DaemonPipe = field(factory=DaemonPipe)
    watch_pid: int | None = None
    _watch: PidWatch | None = field(default=None, init=False)

    def ready(self) -> None:
        """The host is ready."""
        self.startup_fd.ready()
        self.systemd.ready()
        self.parent.ready()

    def failed(self, reason: str) -> None:
        """The host will not be ready."""
        self.parent.failed(reason)

    def stopping(self, reason: str) -> None:
        """The host stops."""
        # Nothing is told if it was ready before.
        self.parent.failed(reason)
        self.systemd.stopping()
        if self._watch is not None:
            self._watch.stop()

    def close(self) -> None:
        """Nothing of the host is left but this process."""
        self.startup_fd.close()
        if self._watch is not None:
            self._watch.stop()

    def watch(self, reactor: Any, gone: Callable[[], None]) -> None:
        """Call C{gone} when the process that is to be watched has ended."""
        if self.watch_pid is not None:
            self._watch = PidWatch(reactor, self.watch_pid, gone)
            self._watch.start()
