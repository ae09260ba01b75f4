"""
Tests for L{sockhost.sockets.hubreactor} without any reactor that runs; with one
there are L{tests.functional.test_hub}.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

from incremental import Version
from twisted.application.reactors import getReactorTypes
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets import hubreactor
from sockhost.sockets.hubreactor import (
    KNOWN,
    LONGEST,
    PRIVATE,
    HubReactor,
    install,
    unknown,
)


class UnknownTests(SynchronousTestCase):
    """Tests for L{unknown}."""

    def setUp(self) -> None:
        """Make what has all the names."""
        self.whole = SimpleNamespace(**dict.fromkeys(PRIVATE))

    def test_known(self) -> None:
        """With a version that it was tested with there is no objection."""
        for version in KNOWN:
            self.assertIsNone(unknown(self.whole, version))

    def test_version(self) -> None:
        """With an older or newer one there is."""
        for version in (Version("Twisted", 25, 5, 0), Version("Twisted", 99, 1, 0)):
            self.assertIn("26.4.0", unknown(self.whole, version) or "")

    def test_names(self) -> None:
        """With a reactor that lacks a name there is."""
        for name in PRIVATE:
            rest = {each: None for each in PRIVATE if each != name}
            self.assertIn(name, unknown(SimpleNamespace(**rest), KNOWN[1]) or "")


class InstallTests(SynchronousTestCase):
    """Tests for L{install}."""

    def install(self, why: str | None) -> tuple[Any, Any]:
        """Install; return our reactor and the one that was installed."""
        installed: list[object] = []
        made = {name: object() for name in ("HubReactor", "EPollReactor")}
        with (
            mock.patch.object(hubreactor, "installReactor", installed.append),
            mock.patch.object(hubreactor, "unknown", return_value=why),
            mock.patch.object(
                hubreactor, "HubReactor", return_value=made["HubReactor"]
            ),
            mock.patch.object(
                hubreactor, "EPollReactor", return_value=made["EPollReactor"]
            ),
        ):
            install()
        (one,) = installed
        return made["HubReactor"], one

    def test_trusted(self) -> None:
        """It is installed if there is no objection."""
        ours, installed = self.install(None)
        self.assertIs(installed, ours)

    def test_not_trusted(self) -> None:
        """Otherwise the ordinary one is, and it is said why."""
        with capturedLogs() as logged:
            ours, installed = self.install("it is too new")
        self.assertIsNot(installed, ours)
        (event,) = logged
        self.assertEqual(event["why"], "it is too new")

    def test_plugin(self) -> None:
        """C{twistd} finds it."""
        (found,) = (each for each in getReactorTypes() if each.shortName == "sockhost")
        self.assertIn("in front of all others", found.description)


class FakeHub:
    """
    A hub whose epoll says what a test wants.

    @ivar polled: how long each wait might have taken.
    @ivar events: what each descriptor was told.
    """

    def __init__(self, *happened: list[tuple[int, int]]) -> None:
        self.poller = self
        self.polled: list[float] = []
        self.events: list[tuple[int, int]] = []
        self.broken = mock.Mock()
        self.turning = False
        self.on_event: Callable[[], object] = list
        self.unsettled: list[Callable[[], object]] = []
        self.watched = {fd: SimpleNamespace(event=self.event) for fd in range(3)}
        self._happened = list(happened)

    def poll(self, timeout: float, _: int) -> list[tuple[int, int]]:
        """See C{select.epoll}."""
        self.polled.append(timeout)
        return self._happened.pop(0) if self._happened else []

    def event(self, events: int) -> None:
        """See L{Watched}."""
        self.events.append((len(self.events), events))
        self.on_event()

    def serve(self, happened: list[tuple[int, int]]) -> None:
        """See L{Hub.serve}."""
        self.events += happened

    def settle(self) -> None:
        """See L{Hub.settle}."""
        calls, self.unsettled = self.unsettled, []
        for call in calls:
            call()


class Selectable:
    """
    Something in the reactor's own epoll.

    @ivar why: what reading it says.
    """

    def __init__(self, why: object = None) -> None:
        self.why = why
        self.reads = 0

    def doRead(self) -> object:
        """See C{IReadDescriptor}."""
        self.reads += 1
        if isinstance(self.why, ArithmeticError):
            raise self.why
        return self.why

    def logPrefix(self) -> str:
        """See C{ILoggingContext}."""
        return "selectable"


class OthersTests(SynchronousTestCase):
    """Tests for what the reactor watches beside a hub."""

    def setUp(self) -> None:
        """Make a reactor without a descriptor."""
        made: Any = HubReactor.__new__(HubReactor)
        self.reactor = made
        made._selectables = {}
        self.ended: list[tuple[object, object, bool]] = []
        made._disconnectSelectable = lambda *told: self.ended.append(told)
        self.others: list[tuple[object, int, int]] = []
        made._doReadOrWrite = lambda *told: self.others.append(told)

    def poll(self, *happened: tuple[int, int], timeout: float | None = None) -> FakeHub:
        """Do a turn without a hub."""
        epoll = FakeHub(list(happened))
        self.reactor._poller = epoll
        self.reactor.doPoll(timeout)
        return epoll

    def test_read(self) -> None:
        """Whoever can be read is."""
        one = self.reactor._selectables[3] = Selectable()
        self.assertEqual(self.poll((3, 1)).polled, [-1])
        self.assertEqual((one.reads, self.ended, self.others), (1, [], []))

    def test_timeout(self) -> None:
        """It waits as long as it is told."""
        self.assertEqual(self.poll(timeout=1.5).polled, [1.5])

    def test_ended(self) -> None:
        """What reading says is the end of it."""
        one = self.reactor._selectables[3] = Selectable("the end")
        self.poll((3, 1))
        self.assertEqual(self.ended, [(one, "the end", True)])

    def test_raises(self) -> None:
        """What raises is ended and logged, and the next is read."""
        broken = self.reactor._selectables[3] = Selectable(ZeroDivisionError("bug"))
        fine = self.reactor._selectables[4] = Selectable()
        self.poll((3, 1), (4, 1))
        self.assertEqual(self.ended, [(broken, broken.why, True)])
        self.assertEqual(fine.reads, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_gone(self) -> None:
        """What an earlier event of the turn has ended is not read."""
        one, two = Selectable(), Selectable()
        self.reactor._selectables.update({3: one, 4: two})
        one.doRead = lambda: self.reactor._selectables.clear()  # type: ignore[method-assign]
        self.poll((3, 1), (4, 1))
        self.assertEqual(two.reads, 0)

    def test_replaced(self) -> None:
        """Nor is who has its number since then: it is told of its own events only."""
        one, two, three = Selectable(), Selectable(), Selectable()
        selectables = self.reactor._selectables
        selectables.update({3: one, 4: two})
        one.doRead = lambda: selectables.update({4: three})  # type: ignore[method-assign]
        self.poll((3, 1), (4, 16))
        self.assertEqual((two.reads, three.reads, self.others), (0, 0, []))

    def test_other_events(self) -> None:
        """Whatever else happened is Twisted's to deal with."""
        one = self.reactor._selectables[3] = Selectable()
        self.poll((3, 5), (3, 16))
        self.assertEqual(self.others, [(one, 3, 5), (one, 3, 16)])
        self.assertEqual(one.reads, 0)


class TurnTests(SynchronousTestCase):
    """Tests for a turn of the reactor that waits in a hub."""

    def setUp(self) -> None:
        """Make a reactor without a descriptor."""
        made: Any = HubReactor.__new__(HubReactor)
        self.reactor = made
        made._newTimedCalls, made._pendingTimedCalls = [], []
        made._stopped, made._eventTriggers = False, {}
        made.seconds = lambda: 100.0

    def poll(self, hub: FakeHub, timeout: float | None = None) -> FakeHub:
        """Do a turn."""
        self.reactor._hub = hub
        self.reactor.doPoll(timeout)
        return hub

    def call_later(self) -> object:
        """Ask for a call."""
        return self.reactor.callLater(0, list)

    def test_stays(self) -> None:
        """It waits again and again, until a call is due."""
        hub = FakeHub([(1, 1)], [(1, 1), (2, 4)], [(0, 16)])
        hub.on_event = lambda: len(hub.polled) == 3 and self.call_later()
        self.poll(hub)
        self.assertEqual(hub.polled, [-1, -1, -1])
        self.assertEqual(hub.events, [(0, 1), (1, 1), (2, 4), (3, 16)])

    def test_stop(self) -> None:
        """A stop, of either kind, is not waited with."""
        for stop in (self.reactor.stop, self.reactor.crash):
            hub = FakeHub([(1, 1)], [(1, 1)])
            hub.on_event = stop
            self.assertEqual(self.poll(hub).polled, [-1])

    def test_no_wait(self) -> None:
        """A turn that is not to wait does not wait for the next call, either."""
        self.reactor._pendingTimedCalls.append(SimpleNamespace(time=103.0))
        hub = self.poll(FakeHub([(1, 1)]), 0)
        self.assertEqual((hub.polled, hub.events), ([0], [(0, 1)]))

    def test_wanted_at_the_end(self) -> None:
        """What the end of the last turn has asked for is not waited with."""
        for ask in (self.call_later, self.reactor.stop):
            hub = FakeHub()
            hub.unsettled.append(ask)
            self.assertEqual(self.poll(hub).polled, [0])
            self.reactor._newTimedCalls.clear()

    def test_unsettled(self) -> None:
        """It does not wait while something is to be done at the end of a turn."""
        hub = FakeHub([(1, 1)], [(1, 1)])
        done: list[int] = []
        hub.on_event = lambda: hub.unsettled.append(lambda: done.append(1))
        hub.unsettled.append(lambda: hub.unsettled.append(lambda: done.append(0)))
        self.poll(hub, 7)
        self.assertEqual((hub.polled, done), ([0], [0, 1]))

    def test_pending(self) -> None:
        """It waits no longer than until the next call, and only so often."""
        for due, polled in ((103.0, [9, 3.0]), (1e9, [9, LONGEST]), (99.0, [9])):
            self.reactor._pendingTimedCalls[:] = [SimpleNamespace(time=due)]
            hub = FakeHub([(1, 1)], [(1, 1)])
            hub.on_event = lambda hub=hub: (  # type: ignore[misc]
                len(hub.polled) == 2 and self.call_later()
            )
            self.assertEqual(self.poll(hub, 9).polled, polled)
            self.reactor._newTimedCalls.clear()

    def test_turning(self) -> None:
        """The hub knows whether somebody in it may be in the middle of a call."""
        hub, told = FakeHub([(1, 1)]), []
        hub.on_event = lambda: told.append(hub.turning)
        self.poll(hub, 0)
        self.assertEqual((told, hub.turning), ([True], False))

    def test_breaks(self) -> None:
        """A connection that cannot take its event is ended, and no other."""

        def fail() -> None:
            hub.watched.clear()
            raise ValueError("bug")

        hub = FakeHub([(1, 1)], [(1, 1), (2, 1)])
        one, hub.on_event = hub.watched[1], fail
        self.poll(hub, 0)
        hub.broken.assert_called_once_with(one)
