"""
Tests for L{sockhost.workers.port}.
"""

from __future__ import annotations

import json
import os
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionClosed
from twisted.python.failure import Failure
from twisted.test.iosim import connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from sockhost.status import Event
from sockhost.workers.port import (
    CLIENTS_AT_ONCE,
    MAX_VALUE,
    Broken,
    Clients,
    Created,
    Hook,
    HookFailed,
    HostPort,
    HostSide,
    Kick,
    Quit,
    Ready,
    Serve,
    Unlisten,
    WorkerPort,
    WorkerSide,
)
from tests.workers.fakes import loose


@define
class Host:
    """The host's side: remembers what it is told."""

    told: list[Any] = field(factory=list)

    def worker_created(self, pid: int) -> None:
        """Remember it."""
        self.told.append(("created", pid))

    def worker_ready(self) -> None:
        """Remember it."""
        self.told.append("ready")

    def worker_broken(self, reason: str) -> None:
        """Remember it."""
        self.told.append(("broken", reason))

    def worker_counted(self, counters: dict[str, Any]) -> None:
        """Remember it."""
        self.told.append(counters)

    def worker_published(self, event: Event) -> None:
        """Remember it."""
        self.told.append(event)

    def port_lost(self) -> None:
        """Remember it."""
        self.told.append("lost")


@define
class Worker:
    """The worker's side: remembers what it is told."""

    told: list[Any] = field(factory=list)
    hooked: Deferred[None] = field(factory=lambda: succeed(None))

    def port_open(self) -> None:
        """Remember it."""
        self.told.append("open")

    def serve(self, listener: int) -> None:
        """Remember it."""
        self.told.append(("serve", listener))

    def unlisten(self) -> None:
        """Remember it."""
        self.told.append("unlisten")

    def quit(self) -> None:
        """Remember it."""
        self.told.append("quit")

    def hook(self, name: str) -> Deferred[None]:
        """Remember it."""
        self.told.append(("hook", name))
        return self.hooked

    def clients(self, after: int, most: int) -> list[dict[str, Any]]:
        """There are three, whose ids are not side by side."""
        found = [{"id": str(each)} for each in (3, 5, 300) if each > after]
        return found[: min(most, 2)]

    def kick(self, client: str) -> bool:
        """Remember it."""
        self.told.append(("kick", client))
        return client == "5"

    def port_lost(self) -> None:
        """Remember it."""
        self.told.append("lost")


_host_is_a_side: type[HostSide] = Host
_worker_is_a_side: type[WorkerSide] = Worker


class PortTests(SynchronousTestCase):
    """
    Both ends of a port, connected in memory.
    """

    def setUp(self) -> None:
        """Connect the ends."""
        self.host, self.worker = Host(), Worker()
        self.host_end, self.worker_end, self.pump = connectedServerAndClient(
            lambda: WorkerPort(self.worker), lambda: HostPort(self.host)
        )

    def call(self, end: Any, command: Any, **arguments: Any) -> Deferred[Any]:
        """Call a command and have everything delivered."""
        result: Deferred[Any] = end.callRemote(command, **arguments)
        self.pump.flush()
        return result

    def test_start(self) -> None:
        """A worker says that it lives and that it is ready."""
        self.assertEqual(self.worker.told, ["open"])
        self.successResultOf(self.call(self.worker_end, Created, pid=7))
        self.successResultOf(self.call(self.worker_end, Ready))
        self.assertEqual(self.host.told, [("created", 7), "ready"])

    def test_clients(self) -> None:
        """Clients are described some at a time."""

        def described(after: int) -> object:
            answer = self.call(self.host_end, Clients, after=after)
            return json.loads(self.successResultOf(answer)["clients"])

        self.assertEqual(described(0), [{"id": "3"}, {"id": "5"}])
        self.assertEqual(described(5), [{"id": "300"}])
        self.assertEqual(described(300), [])

    def test_clients_fit(self) -> None:
        """So many as are asked for at once fit, however long what is said."""
        keys = ("id", "pid", "uid", "gid", "connected_at", "frames_in", "frames_out")
        more = ("bytes_in", "bytes_out", "in_flight", "queued")
        most = dict.fromkeys((*keys, *more), 2**63)
        self.assertLess(len(json.dumps([most] * CLIENTS_AT_ONCE)), MAX_VALUE)

    def test_kick(self) -> None:
        """A client is dropped, and whether there was one is told."""
        for client, found in (("5", True), ("6", False)):
            answer = self.call(self.host_end, Kick, client=client)
            self.assertEqual(self.successResultOf(answer), {"found": found})
        self.assertEqual(self.worker.told[1:], [("kick", "5"), ("kick", "6")])

    def test_broken(self) -> None:
        """A worker says why it cannot serve."""
        self.successResultOf(self.call(self.worker_end, Broken, reason="no é"))
        self.assertEqual(self.host.told, [("broken", "no é")])

    def test_counters(self) -> None:
        """Counters arrive."""
        self.worker_end.count({"clients": 3})
        self.pump.flush()
        self.assertEqual(self.host.told, [{"clients": 3}])

    def test_publish(self) -> None:
        """An event arrives as it was."""
        event = Event(at=1.5, event="seen", unit="kv", fields={"n": [1]})
        self.worker_end.publish(event)
        self.pump.flush()
        self.assertEqual(self.host.told, [event])

    def test_publish_too_much(self) -> None:
        """An event that is too large is dropped, and the port goes on."""
        self.worker_end.publish(
            Event(at=1.5, event="seen", fields={"text": "x" * MAX_VALUE})
        )
        self.pump.flush()
        self.assertEqual(self.host.told, [])
        self.successResultOf(self.call(self.host_end, Unlisten))

    def test_orders(self) -> None:
        """The host's orders arrive and are answered."""
        self.successResultOf(self.call(self.host_end, Unlisten))
        self.successResultOf(self.call(self.host_end, Quit))
        self.assertEqual(self.worker.told, ["open", "unlisten", "quit"])

    def test_hook(self) -> None:
        """A hook is answered when it has ended."""
        self.worker.hooked = Deferred()
        result = self.call(self.host_end, Hook, name="reconfigure")
        self.assertNoResult(result)
        self.worker.hooked.callback(None)
        self.pump.flush()
        self.successResultOf(result)
        self.assertEqual(self.worker.told[-1], ("hook", "reconfigure"))

    def test_hook_fails(self) -> None:
        """A failed hook fails at the host, with its text."""
        self.worker.hooked = fail(HookFailed("worker 1: reconfigure: no"))
        failures: list[Failure] = []
        result = self.host_end.callRemote(Hook, name="reconfigure")
        result.addErrback(failures.append)
        self.pump.flush()
        self.assertEqual([failure.type for failure in failures], [HookFailed])
        self.assertIn("worker 1: reconfigure: no", failures[0].getErrorMessage())

    def test_serve(self) -> None:
        """The listener is sent as a duplicate, which is closed when it is there."""
        calls: list[Any] = []
        answer: Deferred[Any] = Deferred()

        def call(command: Any, **arguments: Any) -> Deferred[Any]:
            calls.append((command, arguments))
            return answer

        closed: list[int] = []
        self.patch(self.host_end, "callRemote", call)
        self.patch(os, "dup", lambda descriptor: descriptor + 100)
        self.patch(os, "close", closed.append)
        served = self.host_end.serve(5)
        self.assertEqual((calls, closed), ([(Serve, {"listener": 105})], []))
        answer.callback({})
        self.successResultOf(served)
        self.assertEqual(closed, [105])

    def test_serve_after_loss(self) -> None:
        """A worker that is gone gets no listener, and no duplicate of it stays."""
        loose(self.host_end.transport).abortConnection()
        self.pump.flush()
        self.patch(os, "dup", lambda descriptor: self.fail("it is duplicated"))
        self.failureResultOf(self.host_end.serve(5), ConnectionClosed)

    def test_loss(self) -> None:
        """Both ends are told once, and what was asked fails."""
        self.worker.hooked = Deferred()
        result = self.call(self.host_end, Hook, name="reconfigure")
        loose(self.host_end.transport).abortConnection()
        self.pump.flush()
        self.assertEqual(self.host.told, ["lost"])
        self.assertEqual(self.worker.told[-1], "lost")
        self.failureResultOf(result, ConnectionClosed)
        self.worker.hooked.callback(None)
