# -*- test-case-name: tests.test_tap,tests.test_tap_service -*-
"""
The ways in: C{twistd sockhost} and C{sockhost run}.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from attrs import field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError
from zope.interface import implementer

from sockhost.config import Config, Problem, load
from sockhost.host import ExitStatus, Host
from sockhost.host.around import Surroundings
from sockhost.host.exit import leave_with
from sockhost.host.lock import run_dir_lock
from sockhost.host.log import at_least
from sockhost.host.notify import DaemonPipe, StartupFd, SystemdNotifier
from sockhost.host.rehearsal import path_problems, rehearse
from sockhost.host.signals import Signals, expect_early
from sockhost.interfaces import ConfigError, HostLocked, INotifier, SockhostError
from sockhost.plugins import kinds
from sockhost.processes.collector import settle_in
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


MOST = 2**31 - 1
"""No descriptor and no process id is greater: the kernel keeps them in 32 bits."""


def _number(least: int, what: str) -> Callable[[str], int]:
    def coerce(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= MOST:
            raise ValueError(f"{text!r} is not {what}")
        return number

    return coerce


def _open_descriptor(text: str) -> int:
    number = _number(0, "the number of a descriptor")(text)
    if not _is_open(number):
        raise ValueError(f"descriptor {number} is not open")
    return number


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


class Options(UsageOptions):
    """
    The command line of C{twistd sockhost}.
    """

    synopsis = "[twistd options] sockhost --config FILE [options]"
    longdesc = (
        "Runs the units of a configuration file.  Exit statuses: 0 clean, "
        "1 the wait hook failed, 64 usage, 69 the watched process is gone, "
        "70 startup failed, 73 another host runs there, "
        "75 a unit that was waited for failed, 78 configuration."
    )
    optParameters = [
        ["config", "c", None, "The configuration file (TOML)."],
        ["run-dir", None, None, "Run directory, instead of the one in the file."],
        [
            "startup-fd",
            None,
            None,
            "A descriptor that gets 4 zero bytes when all is ready.",
            _open_descriptor,
        ],
        [
            "watch-pid",
            None,
            None,
            "Stop when this process ends (exit status 69).",
            _number(1, "a process id"),
        ],
    ]
    optFlags = [["strict", None, "Treat a bad unit as an error of the whole file."]]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read the command line.

        @raise SystemExit: it is wrong (64); twistd's own status would be 1.
        """
        try:
            super().parseOptions(options)
        except UsageError as error:
            _leave(ExitStatus.USAGE, f"{error}; twistd sockhost --help tells more")

    def postOptions(self) -> None:
        """Check the command line as a whole."""
        if not self["config"]:
            raise UsageError("--config FILE is needed")
        # twistd's own pid file trusts any live process with that number.  The
        # host's is locked, so it does without twistd's unless told otherwise.
        if self.parent is not None and self.parent.get("pidfile") == "twistd.pid":
            self.parent["pidfile"] = ""

    def start(self) -> Start:
        """Say how the host is to be started."""
        return Start(
            config=self["config"],
            run_dir=self["run-dir"],
            strict=bool(self["strict"]),
            startup_fd=self["startup-fd"],
            watch_pid=self["watch-pid"],
            root=None if self.parent is None else self.parent.get("chroot"),
        )


class HostService(Service):
    """
    A host under C{twistd}.

    It lives while the reactor runs, and stops the reactor when it ends.  When
    something else stops the reactor, that waits for the host to stop.

    @ivar status: what the host ended with, or C{None} before that.
    """

    def __init__(
        self,
        make_host: Callable[[DaemonPipe], Host],
        reactor: Any,
        twistd: dict[str, Any],
    ) -> None:
        """
        @param make_host: makes the host, after C{twistd} went to the background.
        @param twistd: the options of C{twistd}.
        """
        self.status: ExitStatus | None = None
        self._make_host = make_host
        self._reactor = reactor
        self._twistd = twistd
        self._host: Host | None = None
        self._stopping = False
        self._ended: Deferred[None] = Deferred()

    def startService(self) -> None:
        """Lock the run directory, and live as soon as the reactor runs."""
        super().startService()
        # Left where it is, twistd would say "started" before anything was.
        parent = DaemonPipe(self._twistd.pop("statusPipe", None))
        self._host = self._make_host(parent)
        try:
            self._host.acquire()
        except (SockhostError, OSError) as error:
            parent.failed(str(error))
            _leave_unlocked(error)
        self._reactor.callWhenRunning(self._live)

    def stopService(self) -> Deferred[None] | None:
        """Stop the host.  Fires when nothing of it is left."""
        super().stopService()
        if self._host is None or self.status is not None:
            return None
        self._stopping = True
        self._host.shutdown("the reactor stops")
        return self._ended

    def _live(self) -> None:
        assert self._host is not None
        settle_in()
        self._host.run().addCallback(self._end)

    def _end(self, status: ExitStatus) -> None:
        self.status = status
        leave_with(status)
        self._ended.callback(None)
        if not self._stopping:
            self._reactor.stop()


def makeService(options: Options) -> HostService:
    """
    Make the service that C{twistd} runs.

    @raise SystemExit: the configuration cannot be used (78), or another host
        has the run directory (73); the reasons were printed.
    """
    from twisted.internet import reactor

    expect_early()
    start = options.start()
    config = _read_or_leave(start)
    twistd = options.parent if options.parent is not None else {}
    # Who becomes another user, or moves to another root, sees another directory.
    if not any(twistd.get(word) is not None for word in ("uid", "gid", "chroot")):
        try:
            run_dir_lock(config.host.run_dir).check()
        except SockhostError as error:
            _leave_unlocked(error)
    return HostService(
        lambda parent: start.make_host(reactor, config, parent), reactor, twistd
    )


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
    if startup_fd is not None and not _is_open(startup_fd):
        _leave(ExitStatus.USAGE, f"--startup-fd: descriptor {startup_fd} is not open")
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
    checked = _read_or_leave(start)
    least = LogLevel.levelWithName(checked.host.log_level)
    terminal.setLogLevelForNamespace("", least)

    async def live(reactor: Any) -> None:
        host = start.make_host(reactor, checked, DaemonPipe())
        try:
            host.acquire()
        except (SockhostError, OSError) as error:
            _leave_unlocked(error)
        # When it begins to run, the reactor takes signals for itself.
        running: Deferred[None] = Deferred()
        reactor.callWhenRunning(running.callback, None)
        await running
        settle_in()
        raise SystemExit(int(await host.run()))

    react(live)


def _read_or_leave(start: Start) -> Config:
    try:
        return start.read()
    except ConfigError as error:
        _leave(ExitStatus.CONFIG, str(error))


def _leave_unlocked(error: SockhostError | OSError) -> NoReturn:
    """The run directory cannot be had."""
    if isinstance(error, HostLocked):
        _leave(ExitStatus.LOCKED, str(error))
    if isinstance(error, SockhostError):
        _leave(ExitStatus.STARTUP_FAILED, str(error))
    _leave(ExitStatus.STARTUP_FAILED, f"cannot lock the run directory: {error}")


def _leave(status: ExitStatus, message: str) -> NoReturn:
    sys.stderr.write(f"sockhost: {message}\n")
    sys.stderr.flush()
    raise SystemExit(int(status))
