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
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from sockhost.config import load
from sockhost.host import ExitStatus, Host
from sockhost.interfaces import INotifier, IUnitKind
from sockhost.plugins import kinds as installed_kinds
from sockhost.sockets.client import FrameClient, connect
from sockhost.status import Event


@implementer(INotifier)
@define(eq=False)
class _Waiting:
    """Waits until the host is ready, or will not be."""

    ready: Deferred[bool] = field(factory=Deferred)

    def notify(self, event: Event) -> None:
        if not self.ready.called and event.event in ("ready", "stopping"):
            self.ready.callback(event.event == "ready")


@define(eq=False)
class RunningHost:
    """
    A host that runs until the test ends, or until L{stop}.

    @ivar host: the host itself.
    @ivar directory: everything of it is in there: the configuration, and the
        run directory as C{run}.
    @ivar ended: fires with the exit status.
    """

    host: Host
    directory: Path
    ended: Deferred[ExitStatus]
    _reactor: Any

    def path(self, name: str) -> str:
        """The path of a file in the run directory."""
        return str(Path(self.host.run_dir) / name)

    def connect(self, name: str) -> Deferred[FrameClient]:
        """
        Connect to a framed socket in the run directory.

        @return: fires with the client; see L{connect
            <sockhost.sockets.client.connect>}.
        """
        return connect(self._reactor, self.path(name))

    def write_config(self, text: str) -> None:
        """Change the configuration file, for C{host.reconfigure}."""
        (self.directory / "sockhost.toml").write_text(dedent(text))

    async def stop(self) -> ExitStatus:
        """Stop the host, and wait until nothing of it is left."""
        self.host.shutdown("the test")
        return await self.ended


def running_host(
    case: TestCase,
    config: str,
    files: Mapping[str, str] | None = None,
    kinds: Mapping[str, IUnitKind] | None = None,
    strict: bool = True,
) -> Deferred[RunningHost]:
    """
    Run a host for a test.  It is stopped, and its directory removed, when the
    test ends.

    @param config: the text of the configuration file.
    @param files: more files beside it, such as modules with handlers.
    @param kinds: instead of those that are installed.
    @param strict: whether a bad unit fails the Deferred.
    @return: fires when the host is ready.  Fails with L{ConfigError
        <sockhost.interfaces.ConfigError>}, or with L{AssertionError} if the host
        ends instead of being ready.
    """
    return Deferred.fromCoroutine(_run(case, config, files or {}, kinds, strict))


async def _run(
    case: TestCase,
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
    running = RunningHost(host, directory, host.run(), reactor)
    case.addCleanup(lambda: Deferred.fromCoroutine(running.stop()))
    if not await waiting.ready:
        raise AssertionError(f"the host did not become ready: {host.status()}")
    unsubscribe()
    return running


def _restore_modules(paths: list[str], modules: set[str], directory: Path) -> None:
    # The next test may have a module with the same name and other contents.
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(directory)):
            del sys.modules[name]
