# -*- test-case-name: tests.functional.test_host -*-
"""
A host in the foreground, without C{twistd}: C{sockhost run}.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    globalLogBeginner,
    textFileLogObserver,
)

from sockhost.host.exit import ExitStatus
from sockhost.host.leaving import leave, leave_unlocked
from sockhost.host.log import at_least
from sockhost.host.notify import DaemonPipe, is_open
from sockhost.host.signals import expect_early
from sockhost.host.start import Start
from sockhost.interfaces import SockhostError
from sockhost.processes.collector import settle_in


def main(
    config: str,
    run_dir: str | None = None,
    strict: bool = False,
    startup_fd: int | None = None,
    watch_pid: int | None = None,
) -> NoReturn:
    """
    Run a host in the foreground without C{twistd}; see L{Start}.

    @raise SystemExit: always, with the exit status of the host.
    """
    if startup_fd is not None and not is_open(startup_fd):
        leave(ExitStatus.USAGE, f"--startup-fd: descriptor {startup_fd} is not open")
    start = Start(
        config=config,
        run_dir=run_dir,
        strict=strict,
        startup_fd=startup_fd,
        watch_pid=watch_pid,
    )
    expect_early()
    # What is refused is to be read as it is, and not as lines of a log.
    terminal = at_least("info")
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(textFileLogObserver(sys.stdout), [terminal])],
        redirectStandardIO=False,
    )
    checked = start.read_or_leave()
    least = LogLevel.levelWithName(checked.host.log_level)
    terminal.setLogLevelForNamespace("", least)

    async def live(reactor: Any) -> None:
        host = start.make_host(reactor, checked, DaemonPipe())
        try:
            host.acquire()
        except (SockhostError, OSError) as error:
            leave_unlocked(error)
        # When it begins to run, the reactor takes signals for itself.
        running: Deferred[None] = Deferred()
        reactor.callWhenRunning(running.callback, None)
        await running
        settle_in()
        raise SystemExit(int(await host.run()))

    react(live)
