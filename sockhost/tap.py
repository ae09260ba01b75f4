# -*- test-case-name: tests.test_tap,tests.test_tap_service -*-
"""
The plugin of C{twistd}: C{twistd sockhost}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from sockhost.host import ExitStatus, Host
from sockhost.host.exit import leave_with
from sockhost.host.leaving import leave, leave_unlocked
from sockhost.host.lock import run_dir_lock
from sockhost.host.notify import DaemonPipe, is_open
from sockhost.host.signals import expect_early
from sockhost.host.start import Start
from sockhost.interfaces import SockhostError
from sockhost.processes.collector import settle_in

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
    if not is_open(number):
        raise ValueError(f"descriptor {number} is not open")
    return number


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
            leave(ExitStatus.USAGE, f"{error}; twistd sockhost --help tells more")

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
            leave_unlocked(error)
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
    config = start.read_or_leave()
    twistd = options.parent if options.parent is not None else {}
    # Who becomes another user, or moves to another root, sees another directory.
    if not any(twistd.get(word) is not None for word in ("uid", "gid", "chroot")):
        try:
            run_dir_lock(config.host.run_dir).check()
        except (SockhostError, OSError) as error:
            leave_unlocked(error)
    return HostService(
        lambda parent: start.make_host(reactor, config, parent), reactor, twistd
    )
