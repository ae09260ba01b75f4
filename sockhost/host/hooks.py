# -*- test-case-name: tests.host.test_hooks -*-
"""
The hooks of the host: C{[host] lifecycle = "module:Class"}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.host.exit import ExitStatus
from sockhost.host.units import Units
from sockhost.interfaces import IHookedUnit, SockhostError, StartupFailed
from sockhost.sockets.handler import load_object, run_hook


@define(eq=False)
class HostHooks:
    """
    Calls the hooks of one L{ILifecycle<sockhost.interfaces.ILifecycle>}, each
    when it is its turn.

    @ivar lifecycle: C{"module:Class"}, or C{None} for no hooks.
    @ivar directory: where the module may be.
    """

    lifecycle: str | None
    directory: str
    _hooks: Any = field(default=None, init=False)
    _started: bool = field(default=False, init=False)
    _waiting: Deferred[Any] | None = field(default=None, init=False)
    _calls: list[Deferred[Any]] = field(factory=list, init=False)
    _ending: Deferred[None] | None = field(default=None, init=False)
    log = Logger()

    async def startup(self) -> None:
        """
        Load the hooks and call C{startup}.

        @raise StartupFailed: it cannot be loaded, or failed.
        """
        if self.lifecycle is None:
            return
        try:
            self._hooks = load_object(self.lifecycle, self.directory)()
            self._waiting = run_hook(self._hooks, "startup")
            await self._waiting
        except CancelledError:
            raise
        except SockhostError as error:
            raise StartupFailed(str(error)) from error
        except (Exception, SystemExit) as error:
            self.log.failure("the startup hook failed")
            said = repr(error) if isinstance(error, SystemExit) else str(error)
            raise StartupFailed(f"the startup hook failed: {said}") from error
        finally:
            self._waiting = None
        self._started = True

    def wait(self, finish: Callable[[ExitStatus, str], None]) -> None:
        """
        Call C{wait}, if there is such a hook, and C{finish} when it ends.
        """
        if getattr(self._hooks, "wait", None) is None:
            return

        def failed(failure: Failure) -> None:
            if self._waiting is None and failure.check(CancelledError):
                return
            self.log.failure("the wait hook failed", failure)
            finish(ExitStatus.WAIT_FAILED, "the wait hook failed")

        self._waiting = run_hook(self._hooks, "wait")
        self._waiting.addCallbacks(
            lambda _: finish(ExitStatus.CLEAN, "the wait hook has ended"), failed
        )

    def cancel(self) -> None:
        """Cancel whatever is under way but C{shutdown}."""
        waiting, self._waiting = self._waiting, None
        calls, self._calls = self._calls, []
        for call in ([] if waiting is None else [waiting]) + calls:
            call.cancel()

    def hurry(self) -> None:
        """Cancel C{shutdown}, if it is under way."""
        if self._ending is not None:
            self._ending.cancel()

    async def reconfigure(self) -> None:
        """Call C{reconfigure}; its failure is logged."""
        await self._call("reconfigure")

    async def reopen_logs(self) -> None:
        """Call C{reopen_logs}; its failure is logged."""
        await self._call("reopen_logs")

    async def shutdown(self) -> None:
        """Call C{shutdown}, if C{startup} succeeded; its failure is logged."""
        if self._started:
            self._started = False
            self._ending = run_hook(self._hooks, "shutdown")
            self._ending.addErrback(self._blame, "shutdown")
            await self._ending
            self._ending = None

    async def _call(self, name: str) -> None:
        call = run_hook(self._hooks, name)
        self._calls.append(call)
        try:
            await call
        except (Exception, SystemExit):
            # One that is not among the calls any more was cancelled with them.
            if call in self._calls:
                self._blame(Failure(), name)
        finally:
            self._calls = [other for other in self._calls if other is not call]

    def _blame(self, failure: Failure, name: str) -> None:
        self.log.failure("the {hook} hook failed", failure, hook=name)


def run_unit_hooks(units: Units, hook: str) -> None:
    """Call a hook of all units that have such; failures are logged."""
    for name, unit in units.hooked(IHookedUnit):
        running = maybeDeferred(unit.run_hook, hook)
        running.addErrback(_blame_hook, hook, name)


def _blame_hook(failure: Failure, hook: str, name: str) -> None:
    HostHooks.log.failure("{hook} of {unit} failed", failure, hook=hook, unit=name)
