# -*- test-case-name: tests.functional.test_testing_host -*-
"""
A whole host in a temporary directory, in one line of a trial test::

    host = await running_host(self, '''
        [unit.echo]
        kind = "socket"
        path = "{run_dir}/echo.sock"
        handler = "my_package.handlers:Echo"
    ''')
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from sockhost.config import load
from sockhost.host import ExitStatus, Host
from sockhost.interfaces import INotifier, IUnitKind
from sockhost.plugins import kinds as installed_kinds
from sockhost.sockets.client import FrameClient, connect
from sockhost.sockets.codecs import DEFAULT, codec_names, find_codec
from sockhost.status import Event


class HasCleanup(Protocol):
    """A test case, as far as it matters here."""

    def addCleanup(self, f: Callable[..., Any], /, *args: Any, **how: Any) -> Any:
        """Call something when the test has ended, and wait for it."""


@implementer(INotifier)
@define(eq=False)
class _Waiting:
    """Waits until the host is ready, or will not be."""

    ready: Deferred[bool] = field(factory=Deferred)

    def notify(self, event: Event) -> None:
        if event.event in ("ready", "stopping"):
            self.know(event.event == "ready")

    def know(self, ready: bool) -> None:
        """The first to know it says so."""
        if not self.ready.called:
            self.ready.callback(ready)


@define(eq=False)
class RunningHost:
    """
    A host that runs until the test ends, or until L{stop}.

    @ivar host: the host itself.
    @ivar directory: everything of it is in there: the configuration, and the
        run directory as C{run}.
    @ivar status: the exit status, or C{None} while it runs.
    """

    host: Host
    directory: Path
    _reactor: Any
    status: ExitStatus | None = None
    _waiting: list[Deferred[ExitStatus]] = field(factory=list)

    def path(self, name: str) -> str:
        """The path of a file in the run directory."""
        return str(Path(self.host.run_dir) / name)

    def connect(self, name: str, framing: str = DEFAULT) -> Deferred[FrameClient]:
        """
        Connect to a framed socket in the run directory.

        @param framing: that of its unit.
        @return: fires with the client; see L{connect
            <sockhost.sockets.client.connect>}.
        @raise ValueError: there is no such framing.
        """
        codec = find_codec(framing)
        if codec is None:
            known = ", ".join(codec_names())
            raise ValueError(f"no framing is called {framing!r}; known here: {known}")
        return connect(self._reactor, self.path(name), codec=codec)

    def write_config(self, text: str) -> None:
        """Change the configuration file, for C{host.reconfigure}."""
        (self.directory / "sockhost.toml").write_text(dedent(text))

    def ended(self) -> Deferred[ExitStatus]:
        """Fires with the exit status when nothing of the host is left."""
        waiting: Deferred[ExitStatus] = Deferred()
        if self.status is None:
            self._waiting.append(waiting)
        else:
            waiting.callback(self.status)
        return waiting

    def stop(self) -> Deferred[ExitStatus]:
        """
        Stop the host; legal at any time.

        @return: fires with the exit status when nothing of the host is left.
        """
        if self.status is None:
            self.host.shutdown("the test")
        return self.ended()

    def run(self) -> None:
        """Run the host; L{running_host} has done so."""
        self.host.run().addCallback(self._ended)

    def _ended(self, status: ExitStatus) -> None:
        self.status = status
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(status)


def running_host(
    case: HasCleanup,
    config: str,
    files: Mapping[str, str] | None = None,
    kinds: Mapping[str, IUnitKind] | None = None,
    strict: bool = True,
) -> Deferred[RunningHost]:
    """
    Run a host for a test.  It is stopped, and its directory removed, when the
    test ends; modules that were imported from the directory are forgotten then.
    A test may run several hosts; their modules need different names, as all of
    them are in one process.

    @param case: a test case of trial, or whatever has its C{addCleanup}.
    @param config: the text of the configuration file.
    @param files: more files beside it, such as modules with handlers: their
        texts by their names.
    @param kinds: instead of those that are installed.
    @param strict: whether a bad unit fails the Deferred.
    @return: fires when the host is ready.  Fails with L{ConfigError
        <sockhost.interfaces.ConfigError>}, or with L{AssertionError} if the host
        ends instead of being ready.
    """
    return Deferred.fromCoroutine(_run(case, config, files or {}, kinds, strict))


async def _run(
    case: HasCleanup,
    config: str,
    files: Mapping[str, str],
    kinds: Mapping[str, IUnitKind] | None,
    strict: bool,
) -> RunningHost:
    from twisted.internet import reactor

    # The directory of a trial test is too long for the path of a Unix socket.
    directory = Path(tempfile.mkdtemp(prefix="sockhost-"))
    case.addCleanup(shutil.rmtree, directory, ignore_errors=True)
    case.addCleanup(_restore_modules, list(sys.path), set(sys.modules), directory)
    for name, text in {**files, "sockhost.toml": config}.items():
        (directory / name).write_text(dedent(text))
    chosen = installed_kinds() if kinds is None else kinds
    path, run_dir = str(directory / "sockhost.toml"), str(directory / "run")

    def read(strictly: bool) -> Any:
        return load(path, chosen, strict=strictly, run_dir=run_dir)

    host = Host(reactor, read(strict), lambda: read(True), chosen)
    waiting = _Waiting()
    unsubscribe = host.subscribe(waiting)
    running = RunningHost(host, directory, reactor)
    case.addCleanup(running.stop)
    running.run()
    running.ended().addCallback(lambda _: waiting.know(False))
    ready = await waiting.ready
    unsubscribe()
    if not ready:
        raise AssertionError(f"the host did not become ready{_reasons(host)}")
    return running


def _reasons(host: Host) -> str:
    found = [f"; {each.name}: {each.reason}" for each in host.status().units]
    return "".join(found)


def _restore_modules(paths: list[str], modules: set[str], directory: Path) -> None:
    # The next test may have a module with the same name and other contents.
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(directory)):
            del sys.modules[name]
