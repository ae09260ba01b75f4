"""
Tests for L{sockhost.workers.worker}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.workers import worker
from sockhost.workers.port import Broken, CannotServe, Created, HookFailed, Ready
from sockhost.workers.spec import WorkerSpec
from sockhost.workers.worker import COUNT_INTERVAL, FAILED, Worker
from tests.workers import plugs
from tests.workers.fakes import FakeReactor, loose


class FakePort:
    """A port that remembers what is said, and can be silent."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.counted: list[dict[str, Any]] = []

    def callRemote(self, command: Any, **arguments: Any) -> Deferred[Any]:
        """Remember it."""
        self.said.append((command, arguments) if arguments else command)
        return succeed({})

    def publish(self, event: Any) -> None:
        """Remember it."""
        self.said.append(event)

    def count(self, counters: dict[str, Any]) -> None:
        """Remember it."""
        self.counted.append(counters)


class FakeListener:
    """A listener."""

    def __init__(self, _reactor: Any, bound: Any, server: Any, lost: Any) -> None:
        self.bound, self.server, self.lost = bound, server, lost
        self.state = "new"

    def start(self) -> None:
        """Begin."""
        self.state = "started"

    def stop(self) -> None:
        """End."""
        self.state = "stopped"


class WorkerTests(SynchronousTestCase):
    """
    Tests for L{Worker}.
    """

    def setUp(self) -> None:
        """Put fakes in place of the kernel."""
        plugs.journal.clear()
        plugs.under_way.clear()
        self.reactor = loose(FakeReactor())
        self.exits: list[int] = []
        self.listeners: list[FakeListener] = []
        self.patch(worker, "WorkerPort", lambda _side: FakePort())
        self.patch(worker, "make_listener", self._listen)
        self.patch(worker, "adopt_unix", lambda fd, backlog: (fd, backlog))

    def _listen(self, *args: Any) -> FakeListener:
        self.listeners.append(FakeListener(*args))
        return self.listeners[-1]

    def make(self, handler: str = "Handler", **options: Any) -> Worker:
        """Make a worker whose port has just opened."""
        spec = WorkerSpec(
            unit="kv",
            socket={
                "path": "/r/kv.sock",
                "handler": f"tests.workers.plugs:{handler}",
                "options": options,
                "backlog": 5,
            },
            run_dir="/r",
            log_dir="/l",
            config_dir="/c",
        )
        made = Worker(self.reactor, spec, 1, self.exits.append)
        made.port_open()
        self.port = loose(made.port)
        return made

    def commands(self) -> list[Any]:
        """What was said, without the arguments."""
        return [each[0] if isinstance(each, tuple) else each for each in self.port.said]

    def reason(self) -> str:
        """Why it says that it is broken."""
        command, arguments = self.port.said[-1]
        self.assertIs(command, Broken)
        reason: str = arguments["reason"]
        return reason

    def test_start(self) -> None:
        """It says that it lives, makes the handler, and says when that is ready."""
        self.make(greeting="hi")
        self.assertEqual(self.commands(), [Created, Ready])
        self.assertEqual(plugs.journal, ["hi", "startup"])
        self.assertEqual(self.listeners, [])

    def test_startup_fails(self) -> None:
        """A startup hook that fails is told and logged, and the worker ends."""
        made = self.make(fails="startup")
        self.assertEqual(self.reason(), "ValueError: startup is no good")
        self.assertEqual((made.status, self.reactor.stopped), (FAILED, 1))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.successResultOf(made.end())
        self.assertEqual(plugs.journal, ["hello", "startup"])

    def test_no_handler(self) -> None:
        """A handler that cannot be made is told."""
        self.make(handler="NoSuchHandler")
        self.assertIn("NoSuchHandler", self.reason())
        self.flushLoggedErrors()

    def test_serve(self) -> None:
        """It accepts on the descriptor that it is handed."""
        made = self.make()
        made.serve(9)
        (listener,) = self.listeners
        self.assertEqual((listener.bound, listener.state), ((9, 5), "started"))

    def test_serve_too_early(self) -> None:
        """It does not accept before its handler has started."""
        made = self.make(fails="hang")
        self.refuses(made)
        self.assertEqual(self.listeners, [])

    def test_serve_twice(self) -> None:
        """It accepts on one descriptor, and goes on when it is handed another."""
        made = self.make()
        made.serve(9)
        self.refuses(made)
        self.assertEqual(self.listeners[0].state, "started")

    def test_serve_at_the_end(self) -> None:
        """It does not begin to accept while it ends."""
        made = self.make()
        made.quit()
        self.refuses(made)
        self.successResultOf(made.end())
        self.assertEqual(self.listeners, [])

    def refuses(self, made: Worker) -> None:
        """Check that it does not accept on a descriptor, which it closes."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.assertRaises(CannotServe, made.serve, writer)
        self.assertRaises(OSError, os.fstat, writer)

    def test_counters(self) -> None:
        """Counters are sent when they have changed, and not otherwise."""
        made = self.make()
        made.serve(9)
        self.assertEqual([each["accepted"] for each in self.port.counted], [0])
        self.reactor.advance(COUNT_INTERVAL)
        self.assertEqual(len(self.port.counted), 1)
        self.listeners[0].server.totals.accepted += 1
        self.reactor.advance(COUNT_INTERVAL)
        self.assertEqual([each["accepted"] for each in self.port.counted], [0, 1])

    def test_end(self) -> None:
        """It accepts no more, drains and runs the shutdown hook; nothing is left."""
        made = self.make()
        made.serve(9)
        made.quit()
        made.quit()
        self.assertEqual(self.reactor.stopped, 1)
        self.successResultOf(made.end())
        self.assertEqual(self.listeners[0].state, "stopped")
        self.assertTrue(self.listeners[0].server.draining)
        self.assertEqual(plugs.journal, ["hello", "startup", "shutdown"])
        self.assertEqual((made.status, self.reactor.getDelayedCalls()), (0, []))

    def test_end_before_it_serves(self) -> None:
        """One that never served ends too."""
        self.successResultOf(self.make().end())
        self.assertEqual(plugs.journal[-1], "shutdown")

    def test_end_during_startup(self) -> None:
        """A startup hook that is under way is cancelled; there is no shutdown."""
        made = self.make(fails="hang")
        made.quit()
        self.successResultOf(made.end())
        self.assertEqual(plugs.journal, ["hello", "startup"])
        self.assertEqual(made.status, 0)

    def test_shutdown_fails(self) -> None:
        """A shutdown hook that fails is logged, and the worker ends."""
        made = self.make(fails="shutdown")
        self.successResultOf(made.end())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_unlisten(self) -> None:
        """It accepts no more when told, but does not end."""
        made = self.make()
        made.unlisten()
        made.serve(9)
        made.unlisten()
        self.assertEqual(self.listeners[0].state, "stopped")
        self.assertEqual(self.reactor.stopped, 0)

    def test_host_gone(self) -> None:
        """Without its host it ends at once, whatever it does."""
        self.make().port_lost()
        self.assertEqual(self.exits, [FAILED])

    def test_port_closed_at_the_end(self) -> None:
        """That the port closes when it has ended is as it should be."""
        made = self.make()
        self.successResultOf(made.end())
        made.port_lost()
        self.assertEqual(self.exits, [])

    def test_hook(self) -> None:
        """Hooks run, and those that the handler lacks do nothing."""
        made = self.make()
        self.successResultOf(made.hook("reconfigure"))
        self.successResultOf(made.hook("reopen_logs"))
        self.assertEqual(plugs.journal[-1], "reconfigure")

    def test_hook_fails(self) -> None:
        """A hook that fails is logged here and told."""
        made = self.make(fails="reconfigure")
        error = self.failureResultOf(made.hook("reconfigure"), HookFailed).value
        self.assertEqual(str(error), "worker 1: reconfigure: reconfigure is no good")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_hook_exits(self) -> None:
        """A hook that exits has failed, and costs the worker nothing."""
        made = self.make(fails="exit")
        self.failureResultOf(made.hook("reconfigure"), HookFailed)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
        self.assertEqual((self.exits, self.reactor.stopped), ([], 0))

    def test_hooks_become_one(self) -> None:
        """What is asked for during a call becomes one call after it."""
        made = self.make(fails="slow")
        asked = [made.hook("reconfigure") for _ in range(3)]
        self.assertEqual(plugs.journal.count("reconfigure"), 1)
        plugs.under_way[0].callback(None)
        self.successResultOf(asked[0])
        self.assertEqual(plugs.journal.count("reconfigure"), 2)
        self.assertNoResult(asked[1])
        plugs.under_way[1].callback(None)
        for one in asked[1:]:
            self.successResultOf(one)

    def test_hook_at_the_end(self) -> None:
        """A hook that is under way has ended before the shutdown hook begins."""
        made = self.make(fails="slow")
        asked = made.hook("reconfigure")
        self.successResultOf(made.end())
        self.successResultOf(asked)
        self.assertTrue(plugs.under_way[0].called)
        self.successResultOf(made.hook("reconfigure"))
        self.assertEqual(plugs.journal[-2:], ["reconfigure", "shutdown"])

    def test_cannot_accept(self) -> None:
        """When the listener breaks, the worker ends and fails."""
        made = self.make()
        made.serve(9)
        self.listeners[0].lost(Failure(ConnectionLost()))
        self.assertEqual((made.status, self.reactor.stopped), (FAILED, 1))
        self.flushLoggedErrors(ConnectionLost)
