# -*- test-case-name: tests.host.test_hooks -*-
"""
Tests for L{sockhost.host.hooks}.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, ClassVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.host.exit import ExitStatus
from sockhost.host.hooks import HostHooks
from sockhost.interfaces import StartupFailed

MODULE = "sockhost_test_lifecycle"


class Lifecycle:
    """
    Hooks that do what the test says.

    @cvar calls: the hooks that were called, in order.
    @cvar answers: what each hook returns; an exception is raised.
    """

    calls: ClassVar[list[str]] = []
    answers: ClassVar[dict[str, Any]] = {}

    def _call(self, name: str) -> Any:
        self.calls.append(name)
        answer = self.answers.get(name)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def startup(self) -> Any:
        return self._call("startup")

    def reconfigure(self) -> Any:
        return self._call("reconfigure")

    def reopen_logs(self) -> Any:
        return self._call("reopen_logs")

    def wait(self) -> Any:
        return self._call("wait")

    def shutdown(self) -> Any:
        return self._call("shutdown")


class Bare:
    """A lifecycle without any hook: each is optional."""


class Unmakeable:
    """A lifecycle that cannot be made."""

    def __init__(self) -> None:
        raise ValueError("no way")


def install_lifecycle(case: SynchronousTestCase) -> str:
    """
    Make a module with L{Lifecycle} for one test.

    @return: what C{lifecycle =} says for it.
    """
    module = ModuleType(MODULE)
    for one in (Lifecycle, Bare, Unmakeable):
        setattr(module, one.__name__, one)
    sys.modules[MODULE] = module
    Lifecycle.calls, Lifecycle.answers = [], {}
    case.addCleanup(sys.modules.pop, MODULE)
    case.addCleanup(setattr, sys, "path", list(sys.path))
    return f"{MODULE}:Lifecycle"


class HooksCase(SynchronousTestCase):
    """One lifecycle."""

    def setUp(self) -> None:
        self.hooks = HostHooks(install_lifecycle(self), "/nowhere")
        self.ends: list[tuple[ExitStatus, str]] = []

    def run_hook(self, name: str) -> Deferred[None]:
        """Call a hook of the host."""
        return Deferred.fromCoroutine(getattr(self.hooks, name)())

    def started(self) -> None:
        """Have the startup hook succeed."""
        self.successResultOf(self.run_hook("startup"))

    def wait(self) -> None:
        """Call the wait hook."""
        self.hooks.wait(lambda status, reason: self.ends.append((status, reason)))


class StartupTests(HooksCase):
    """The beginning and the end."""

    def test_startup(self) -> None:
        """C{startup} is called and waited for."""
        Lifecycle.answers["startup"] = answer = Deferred[None]()
        starting = self.run_hook("startup")
        self.assertNoResult(starting)
        answer.callback(None)
        self.successResultOf(starting)
        self.assertEqual(Lifecycle.calls, ["startup"])

    def test_fails(self) -> None:
        """A hook that fails ends the start, with its reason and its traceback."""
        Lifecycle.answers["startup"] = ValueError("no database")
        failure = self.failureResultOf(self.run_hook("startup"), StartupFailed)
        self.assertEqual(
            failure.getErrorMessage(), "the startup hook failed: no database"
        )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_not_there(self) -> None:
        """A module that is not there ends the start and is named."""
        hooks = HostHooks("sockhost_no_such_module:Class", "/nowhere")
        starting = Deferred.fromCoroutine(hooks.startup())
        failure = self.failureResultOf(starting, StartupFailed)
        self.assertIn("sockhost_no_such_module", failure.getErrorMessage())
        self.flushLoggedErrors()

    def test_cannot_be_made(self) -> None:
        """A class that raises when it is made ends the start."""
        hooks = HostHooks(f"{MODULE}:Unmakeable", "/nowhere")
        failure = self.failureResultOf(
            Deferred.fromCoroutine(hooks.startup()), StartupFailed
        )
        self.assertIn("no way", failure.getErrorMessage())
        self.flushLoggedErrors()

    def test_cancelled(self) -> None:
        """A startup that is cancelled is no failure of its own."""
        Lifecycle.answers["startup"] = Deferred[None]()
        starting = self.run_hook("startup")
        self.hooks.cancel()
        self.failureResultOf(starting, CancelledError)
        self.successResultOf(self.run_hook("shutdown"))
        self.assertEqual(Lifecycle.calls, ["startup"])

    def test_shutdown(self) -> None:
        """C{shutdown} is called once."""
        self.started()
        self.successResultOf(self.run_hook("shutdown"))
        self.successResultOf(self.run_hook("shutdown"))
        self.assertEqual(Lifecycle.calls, ["startup", "shutdown"])

    def test_no_shutdown(self) -> None:
        """C{shutdown} is not called if C{startup} failed, or never was."""
        self.successResultOf(self.run_hook("shutdown"))
        Lifecycle.answers["startup"] = ValueError("no database")
        self.failureResultOf(self.run_hook("startup"), StartupFailed)
        self.successResultOf(self.run_hook("shutdown"))
        self.assertEqual(Lifecycle.calls, ["startup"])
        self.flushLoggedErrors(ValueError)

    def test_other_failures(self) -> None:
        """Any later hook that fails is logged, and costs nothing else."""
        self.started()
        for name in ("reconfigure", "reopen_logs", "shutdown"):
            Lifecycle.answers[name] = ValueError(name)
            self.successResultOf(self.run_hook(name))
            (failure,) = self.flushLoggedErrors(ValueError)
            self.assertEqual(failure.getErrorMessage(), name)

    def test_exits(self) -> None:
        """A hook that exits has failed, and the host goes on."""
        Lifecycle.answers["startup"] = SystemExit(3)
        failure = self.failureResultOf(self.run_hook("startup"), StartupFailed)
        self.assertEqual(
            failure.getErrorMessage(), "the startup hook failed: SystemExit(3)"
        )
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
        Lifecycle.answers["startup"] = None
        self.started()
        for name in ("reconfigure", "reopen_logs", "shutdown"):
            Lifecycle.answers[name] = SystemExit(0)
            self.successResultOf(self.run_hook(name))
            self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    def test_hurry(self) -> None:
        """C{shutdown} can be cut short, and as often as it goes on."""
        chained, again = Deferred[None](), Deferred[None]()
        chained.addErrback(lambda _: again)
        Lifecycle.answers["shutdown"] = chained
        self.started()
        self.hooks.hurry()
        ending = self.run_hook("shutdown")
        self.hooks.hurry()
        self.assertNoResult(ending)
        self.hooks.hurry()
        self.successResultOf(ending)
        self.hooks.hurry()
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_cancel_calls(self) -> None:
        """What is under way when the host stops is cancelled, and no failure."""
        self.started()
        for name in ("reconfigure", "reopen_logs"):
            Lifecycle.answers[name] = Deferred[None]()
        running = [self.run_hook(name) for name in ("reconfigure", "reopen_logs")]
        self.hooks.cancel()
        for one in running:
            self.successResultOf(one)
        Lifecycle.answers["reconfigure"] = inner = Deferred[None]()
        again = self.run_hook("reconfigure")
        inner.cancel()
        self.successResultOf(again)
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_none(self) -> None:
        """Without a lifecycle there is nothing to call."""
        self.hooks = HostHooks(None, "/nowhere")
        for name in ("startup", "reconfigure", "reopen_logs", "shutdown"):
            self.successResultOf(self.run_hook(name))
        self.wait()
        self.hooks.cancel()
        self.assertEqual(self.ends, [])

    def test_bare(self) -> None:
        """Each hook is optional."""
        self.hooks = HostHooks(f"{MODULE}:Bare", "/nowhere")
        for name in ("startup", "reconfigure", "reopen_logs", "shutdown"):
            self.successResultOf(self.run_hook(name))
        self.wait()
        self.assertEqual(self.ends, [])


class WaitTests(HooksCase):
    """The hook whose end is the end of the host."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting: Deferred[None] = Deferred()
        Lifecycle.answers["wait"] = self.waiting
        self.started()

    def test_ends(self) -> None:
        """Its end is a clean one."""
        self.wait()
        self.assertEqual(self.ends, [])
        self.waiting.callback(None)
        self.assertEqual(self.ends, [(ExitStatus.CLEAN, "the wait hook has ended")])

    def test_ends_at_once(self) -> None:
        """It need not wait for anything."""
        Lifecycle.answers["wait"] = None
        self.wait()
        self.assertEqual(self.ends, [(ExitStatus.CLEAN, "the wait hook has ended")])

    def test_fails(self) -> None:
        """Its failure is exit status 1 and a traceback."""
        self.wait()
        self.waiting.errback(ValueError("lost"))
        self.assertEqual(self.ends, [(ExitStatus.WAIT_FAILED, "the wait hook failed")])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_cancelled(self) -> None:
        """A host that stops for another reason cancels it."""
        self.wait()
        self.hooks.cancel()
        self.assertTrue(self.waiting.called)
        self.assertEqual(self.ends, [])
        self.hooks.cancel()

    def test_cancelled_by_itself(self) -> None:
        """Something that it waited for and that was cancelled is a failure."""
        self.wait()
        self.waiting.cancel()
        self.assertEqual(self.ends, [(ExitStatus.WAIT_FAILED, "the wait hook failed")])
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
