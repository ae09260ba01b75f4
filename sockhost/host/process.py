# -*- test-case-name: tests.host.test_process -*-
"""
What a host takes over in its process while it lives, and gives back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from sockhost.host.log import HostLog
from sockhost.host.signals import Signals
from sockhost.interfaces import StartupFailed
from sockhost.processes.orphans import OrphanReaper, become_subreaper


@define(eq=False)
class HostProcess:
    """
    The signals, the log of all events, and the orphans of the host's children.

    @ivar log_dir: is made if it is not there.
    @ivar signals: the signals of the process; C{None} to leave them.
    @ivar log_level: the least level of event that is logged.
    """

    reactor: Any
    log_dir: str
    signals: Signals | None = None
    log_level: str = "info"
    _log: HostLog = field(init=False)
    _orphans: OrphanReaper = field(init=False)
    _subreaper: Callable[[bool], None] = become_subreaper
    _taken: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        path = os.path.join(self.log_dir, "host.jsonl")
        self._log = HostLog(path, level=self.log_level)
        self._orphans = OrphanReaper(self.reactor)

    def take(self, handlers: Mapping[int, Callable[[], None]]) -> None:
        """
        Take it all over.

        @param handlers: what to do at which signal.
        @raise StartupFailed: the directory cannot be made; nothing was taken.
        """
        try:
            os.makedirs(self.log_dir, mode=0o750, exist_ok=True)
        except OSError as error:
            raise StartupFailed(f"no log directory: {error}") from error
        self._taken = True
        if self.signals is not None:
            self.signals.listen(handlers)
        self._log.start()
        # Workers whose prototype is killed, and what daemonised itself, would
        # end as zombies of process 1, which in a container may bury nobody.
        self._subreaper(True)
        self._orphans.install()

    def reopen_log(self) -> None:
        """Close the log file and open the one that now has its name."""
        self._log.reopen()

    def give_back(self) -> None:
        """Leave the process as it was; legal if nothing was taken."""
        taken, self._taken = self._taken, False
        if not taken:
            return
        self._orphans.uninstall()
        self._subreaper(False)
        self._log.stop()
        if self.signals is not None:
            self.signals.restore()
