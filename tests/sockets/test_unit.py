"""
Tests for L{sockhost.sockets.unit}.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    IHookedUnit,
    IListeningUnit,
    IUnit,
    IUnitKind,
    PathInUse,
    SockhostError,
    UnitLost,
)
from sockhost.sockets import reach
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.unit import SocketKind, SocketUnit
from tests.sockets.fakes import FakeSocket, Hooked, Later

CONFIG = SocketConfig(path="kv.sock", handler=f"{__name__}:make", mode="0660")


class FakeBound:
    """A bound socket that notes what happens to it and to others."""

    def __init__(self, events: list[str]) -> None:
        self.socket = FakeSocket()
        self.path = "kv.sock"
        self._events = events

    def fileno(self) -> int:
        """A descriptor."""
        return self.socket.fileno()

    def unlink(self) -> bool:
        """Note it."""
        self._events.append("unlink")
        return True

    def close(self) -> None:
        """Note it."""
        self._events.append("close")
        self.socket.close()


made: list[Hooked] = []
prepared: dict[str, Any] = {}


def make(host: object, **options: object) -> Hooked:
    """Make a handler as the test has prepared it."""
    made.append(Hooked(on=dict(prepared)))
    return made[-1]


class SocketUnitTests(SynchronousTestCase):
    """Tests for L{SocketUnit}."""

    def setUp(self) -> None:
        """Make a unit that is down, and would bind a socket of memory."""
        made.clear()
        prepared.clear()
        self.reactor = cast(Any, MemoryReactorClock())
        host = cast(Any, SimpleNamespace(reactor=self.reactor, config_dir=sys.path[0]))
        self.unit = SocketUnit("kv", CONFIG, host)
        self.events: list[str] = []
        self.bind_error: Exception | None = None
        self.patch(reach, "bind_unix", self.bind)
        self.lost: list[Failure] = []

    def bind(self, path: str, **how: object) -> FakeBound:
        """Bind nothing really."""
        if self.bind_error is not None:
            raise self.bind_error
        self.events.append(f"bind {path} {how['mode']:o}")
        return FakeBound(self.events)

    def start(self) -> Deferred[None]:
        """Start the unit."""
        return self.unit.start(self.lost.append)

    def assert_nothing_left(self) -> None:
        """Nothing of the unit is in the reactor."""
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_interface(self) -> None:
        """It is a unit that listens and has hooks."""
        for each in (IUnit, IListeningUnit, IHookedUnit):
            verifyObject(each, self.unit)

    def test_start(self) -> None:
        """It is ready when it listens, which is after C{startup}."""
        startup = prepared["startup"] = Later()
        starting = self.start()
        self.assertEqual(self.events, [])
        startup[0].callback(None)
        self.assertIsNone(self.successResultOf(starting))
        self.assertEqual(self.events, ["bind kv.sock 660"])
        self.assertEqual(len(self.reactor.getReaders()), 1)

    def test_stop(self) -> None:
        """The file goes first, C{shutdown} comes last, and nothing is left."""
        prepared["shutdown"] = lambda: self.events.append("shutdown")
        self.successResultOf(self.start())
        self.assertIsNone(self.successResultOf(self.unit.stop()))
        self.assertEqual(self.events[1:], ["unlink", "close", "shutdown"])
        self.assert_nothing_left()
        self.assertEqual(self.lost, [])

    def test_socket_stays(self) -> None:
        """If the file cannot be removed, all else is stopped all the same."""

        def unlink(_bound: FakeBound) -> bool:
            raise PermissionError(13, "Permission denied")

        self.patch(FakeBound, "unlink", unlink)
        self.successResultOf(self.start())
        self.assertIsNone(self.successResultOf(self.unit.stop()))
        self.assertEqual(self.events[1:], ["close"])
        self.assert_nothing_left()
        self.assertEqual(len(self.flushLoggedErrors(PermissionError)), 1)

    def test_stop_when_down(self) -> None:
        """Stopping what is down is done at once."""
        self.assertIsNone(self.successResultOf(self.unit.stop()))

    def test_start_again(self) -> None:
        """After a stop it starts with a new handler."""
        for _ in range(2):
            self.successResultOf(self.start())
            self.successResultOf(self.unit.stop())
        self.assertEqual([each.called for each in made], [["startup", "shutdown"]] * 2)

    def test_startup_fails(self) -> None:
        """A failing C{startup} fails the start, and there is no C{shutdown}."""
        prepared["startup"] = lambda: 1 / 0
        self.failureResultOf(self.start(), ZeroDivisionError)
        self.assertEqual(made[0].called, ["startup"])
        self.assertEqual(self.events, [])

    def test_bind_fails(self) -> None:
        """If it cannot bind, C{shutdown} is called and nothing is left."""
        self.bind_error = PathInUse("taken")
        self.failureResultOf(self.start(), PathInUse)
        self.assertEqual(made[0].called, ["startup", "shutdown"])
        self.assert_nothing_left()

    def test_bad_handler(self) -> None:
        """A handler that cannot be loaded fails the start."""
        self.unit.config = evolve(CONFIG, handler="no_such_module_here:X")
        self.failureResultOf(self.start(), SockhostError)
        self.flushLoggedErrors(ModuleNotFoundError)

    def test_stop_during_start(self) -> None:
        """Stopping cancels C{startup}; the start fails and nothing is left."""
        startup = prepared["startup"] = Later()
        starting = self.start()
        self.assertIsNone(self.successResultOf(self.unit.stop()))
        self.failureResultOf(starting, CancelledError)
        self.assertEqual(startup.cancelled, startup.made)
        self.assertEqual(self.events, [])

    def test_stop_during_stubborn_start(self) -> None:
        """A C{startup} that ends well all the same is followed by C{shutdown}."""
        finish: Deferred[None] = Deferred()

        async def startup() -> None:
            try:
                await Deferred()
            except CancelledError:
                await finish

        prepared["startup"] = startup
        starting = self.start()
        stopping = self.unit.stop()
        self.assertNoResult(stopping)
        finish.callback(None)
        self.failureResultOf(starting, CancelledError)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(made[0].called, ["startup", "shutdown"])
        self.assertEqual(self.events, [])

    def test_stop_twice(self) -> None:
        """Two stops at the same time are both done when it is down."""
        shutdown = prepared["shutdown"] = Later()
        self.successResultOf(self.start())
        first, second = self.unit.stop(), self.unit.stop()
        self.assertNoResult(first)
        shutdown[0].callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(len(shutdown.made), 1)

    def test_abort(self) -> None:
        """Aborting cuts a stop short, and does nothing otherwise."""
        shutdown = prepared["shutdown"] = Later()
        self.unit.abort()
        self.successResultOf(self.start())
        self.unit.abort()
        stopping = self.unit.stop()
        self.unit.abort()
        self.assertEqual(shutdown.cancelled, shutdown.made)
        self.assertIsNone(self.successResultOf(stopping))
        self.flushLoggedErrors(CancelledError)

    def test_unlisten(self) -> None:
        """Unlistening removes the socket and leaves the handler."""
        self.successResultOf(self.start())
        self.unit.unlisten()
        self.assertEqual(self.events[1:], ["unlink", "close"])
        self.assertEqual(made[0].called, ["startup"])
        self.successResultOf(self.unit.stop())
        self.assertEqual(self.events[1:], ["unlink", "close"])

    def test_lost(self) -> None:
        """When accepting breaks, it takes itself down, then tells its keeper."""
        shutdown = prepared["shutdown"] = Later()
        self.successResultOf(self.start())
        self.reactor.getReaders()[0].connectionLost(Failure(OSError(9, "broken")))
        self.assertEqual(self.events[1:3], ["unlink", "close"])
        self.assertEqual(self.lost, [])
        shutdown[0].callback(None)
        (reason,) = self.lost
        self.assertIn("broken", reason.getErrorMessage())
        reason.trap(UnitLost)
        self.assert_nothing_left()

    def test_stop_while_losing(self) -> None:
        """A stop that comes meanwhile is all that the keeper hears of."""
        shutdown = prepared["shutdown"] = Later()
        self.successResultOf(self.start())
        self.reactor.getReaders()[0].connectionLost(Failure(OSError(9, "broken")))
        stopping = self.unit.stop()
        shutdown[0].callback(None)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.lost, [])

    def test_reload(self) -> None:
        """Limits are taken as they are; the rest needs a restart."""
        self.successResultOf(self.start())
        reloaded = self.unit.reload(evolve(CONFIG, max_clients=7))
        self.assertTrue(self.successResultOf(reloaded))
        serving = self.unit._serving
        assert serving is not None
        self.assertEqual(serving.server.limits.max_clients, 7)
        other = self.unit.reload(evolve(CONFIG, path="other"))
        self.assertFalse(self.successResultOf(other))
        self.assertEqual(self.unit.config.path, "kv.sock")

    def test_hook(self) -> None:
        """Hooks reach the handler while there is one."""
        self.successResultOf(self.unit.run_hook("reconfigure"))
        self.successResultOf(self.start())
        self.successResultOf(self.unit.run_hook("reconfigure"))
        self.assertEqual(made[0].called, ["startup", "reconfigure"])

    def test_status(self) -> None:
        """The status has the counters while it is up."""
        down = self.unit.status()
        self.assertEqual(
            down, {"path": "kv.sock", "mode": "0660", "handler": CONFIG.handler}
        )
        self.successResultOf(self.start())
        self.assertEqual(self.unit.status()["clients"], 0)


class SocketKindTests(SynchronousTestCase):
    """Tests for L{SocketKind}."""

    def test_interface(self) -> None:
        """It is a kind that plugins are found by."""
        kind = SocketKind()
        verifyObject(IUnitKind, kind)
        verifyObject(IPlugin, kind)
        self.assertEqual(kind.name, "socket")
        self.assertFalse(kind.portable)

    def test_in_host(self) -> None:
        """Without workers the host serves the socket."""
        unit = SocketKind().make("kv", CONFIG, cast(Any, None))
        self.assertIsInstance(unit, SocketUnit)

    def test_in_workers(self) -> None:
        """With workers, another room makes the unit."""
        calls: list[tuple[object, ...]] = []

        def in_workers(*given: object) -> IUnit:
            calls.append(given)
            return cast(IUnit, "unit")

        config = evolve(CONFIG, workers=2)
        unit = SocketKind(in_workers).make("kv", config, cast(Any, "host"))
        self.assertEqual(unit, "unit")
        self.assertEqual(calls, [("kv", config, "host")])

    def test_no_workers_here(self) -> None:
        """Where there can be no workers, asking for them is an error."""
        config = evolve(CONFIG, workers=2)
        self.assertRaises(
            SockhostError, SocketKind().make, "kv", config, cast(Any, None)
        )
