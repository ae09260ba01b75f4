"""
Tests for L{sockhost.sockets.hub}.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from functools import partial
from unittest import mock

from attrs import define, field
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.sockets.hub import Hub, hub_of
from tests.sockets.hub_fakes import DrivenClock


@define(eq=False)
class Ear:
    """
    Notes what it is told.

    @ivar then: what it does about an event.
    """

    heard: list[int] = field(factory=list)
    ends: list[Failure] = field(factory=list)
    then: object = None

    def event(self, events: int) -> None:
        """Note it."""
        self.heard.append(events)
        if callable(self.then):
            self.then()

    def shut(self, reason: Failure) -> None:
        """Note it."""
        self.ends.append(reason)


class HubCase(SynchronousTestCase):
    """A hub, and a descriptor that is readable."""

    def setUp(self) -> None:
        """Make them."""
        self.reactor = MemoryReactorClock()
        self.hub = Hub(self.reactor)
        self.addCleanup(self.end)

    def end(self) -> None:
        """Let nothing be watched any more."""
        for fd in list(self.hub.watched):
            self.hub.forget(fd)

    def readable(self) -> int:
        """Make a descriptor with something to read."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        # Before it is closed, which matters where the process has forked.
        self.addCleanup(self.end)
        theirs.send(b"x")
        return ours.fileno()


class HubTests(HubCase):
    """Tests for L{Hub}."""

    def test_interface(self) -> None:
        """It is what a reactor reads from."""
        verifyObject(IReadDescriptor, self.hub)
        self.assertEqual(self.hub.logPrefix(), "sockhost hub")

    def test_event(self) -> None:
        """Who is watched hears of its descriptor, as long as it wants to."""
        ear, fd = Ear(), self.readable()
        self.hub.watch(fd, ear, select.EPOLLIN)
        self.hub.doRead()
        self.assertEqual(ear.heard, [select.EPOLLIN])
        self.hub.change(fd, select.EPOLLOUT)
        self.hub.doRead()
        self.assertEqual(ear.heard, [select.EPOLLIN, select.EPOLLOUT])
        self.hub.unwatch(fd)
        self.hub.doRead()
        self.assertEqual(len(ear.heard), 2)

    def test_mute(self) -> None:
        """Of one who is muted nothing is told, not even the end, until it changes."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        ear, fd = Ear(), ours.fileno()
        self.hub.watch(fd, ear, 0)
        theirs.close()
        self.hub.doRead()
        self.hub.mute(fd)
        self.hub.doRead()
        self.assertEqual(ear.heard, [select.EPOLLHUP])
        self.hub.change(fd, select.EPOLLIN)
        self.hub.doRead()
        self.assertEqual(ear.heard[1:], [select.EPOLLIN | select.EPOLLHUP])
        self.hub.mute(fd)
        self.hub.unwatch(fd)
        self.assertEqual((self.hub.muted, self.hub.fileno()), (set(), -1))

    def test_holds_nothing(self) -> None:
        """It is a reader, and has a descriptor, while it watches something."""
        self.assertEqual(self.hub.fileno(), -1)
        for _ in range(2):
            fd = self.readable()
            self.hub.watch(fd, Ear(), select.EPOLLIN)
            self.assertEqual(self.reactor.getReaders(), [self.hub])
            self.assertGreater(self.hub.fileno(), -1)
            self.hub.unwatch(fd)
            self.assertEqual(self.reactor.getReaders(), [])
            self.assertEqual(self.hub.fileno(), -1)

    def test_not_read(self) -> None:
        """It is not taken for open when the reactor cannot read from it."""
        fd, error = self.readable(), OSError(errno.ENOSPC, "no")
        with mock.patch.object(self.reactor, "addReader", side_effect=error):
            self.assertRaises(OSError, self.hub.watch, fd, Ear(), select.EPOLLIN)
        self.assertEqual(self.hub.fileno(), -1)
        self.hub.watch(fd, Ear(), select.EPOLLIN)
        self.assertEqual(self.reactor.getReaders(), [self.hub])

    def test_ended_by_another(self) -> None:
        """Who is ended by somebody's event does not hear of its own any more."""
        first, second = self.readable(), self.readable()
        ears = {first: Ear(), second: Ear()}

        def end_both() -> None:
            self.hub.unwatch(first)
            self.hub.unwatch(second)

        for fd, ear in ears.items():
            ear.then = end_both
            self.hub.watch(fd, ear, select.EPOLLIN)
        self.hub.doRead()
        self.assertEqual(sum(len(each.heard) for each in ears.values()), 1)
        self.assertEqual(self.hub.fileno(), -1)

    def test_defect(self) -> None:
        """Who breaks is logged and ended, and the others are served."""
        bad, good = Ear(then=lambda: 1 / 0), Ear()
        self.hub.watch(self.readable(), bad, select.EPOLLIN)
        self.hub.watch(self.readable(), good, select.EPOLLIN)
        self.hub.doRead()
        self.assertEqual(len(good.heard), 1)
        self.assertEqual(len(bad.ends), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_reactor_ends(self) -> None:
        """Everybody is told when the reactor gives it up, and it is closed."""
        ears = [Ear(), Ear()]
        for ear in ears:
            self.hub.watch(self.readable(), ear, select.EPOLLIN)
        reason = Failure(RuntimeError("over"))
        self.hub.connectionLost(reason)
        self.assertEqual([ear.ends for ear in ears], [[reason], [reason]])
        self.assertEqual(self.hub.fileno(), -1)

    def test_one_for_all(self) -> None:
        """All who use a reactor at the same time have one hub."""
        hub = hub_of(self.reactor)
        self.assertIs(hub_of(self.reactor), hub)
        self.assertIsNot(hub_of(MemoryReactorClock()), hub)


class LaterTests(HubCase):
    """What is done at the end of a turn."""

    def test_within_turn(self) -> None:
        """What an event asks for is done when all events are through."""
        done: list[str] = []

        def ask() -> None:
            self.hub.later(lambda: done.append("later"))
            done.append("event")

        for _ in range(2):
            self.hub.watch(self.readable(), Ear(then=ask), select.EPOLLIN)
        self.hub.doRead()
        self.assertEqual(done, ["event", "event", "later", "later"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_outside(self) -> None:
        """What is asked for outside of a turn is done soon, all at once."""
        done: list[int] = []
        for number in range(3):
            self.hub.later(partial(done.append, number))
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.advance(0)
        self.assertEqual(done, [0, 1, 2])

    def test_again(self) -> None:
        """Who asks again and again does not keep the others waiting."""
        done: list[int] = []

        def ask() -> None:
            done.append(len(done))
            if len(done) < 3:
                self.hub.later(ask)

        self.hub.later(ask)
        for number in (1, 2, 3):
            self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
            self.hub.settle()
            self.assertEqual(len(done), number)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_defect(self) -> None:
        """A failure is logged and keeps nobody else."""
        done: list[int] = []
        self.hub.later(lambda: done.append(1 // 0))
        self.hub.later(lambda: done.append(1))
        self.reactor.advance(0)
        self.assertEqual(done, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_defect_of_watched(self) -> None:
        """What is watched is ended by its own failure, however it is called."""

        class Broken(Ear):
            def fails(self, number: int = 0) -> None:
                raise ValueError("bug")

        first, second = Broken(), Broken()
        self.hub.later(first.fails)
        self.hub.later(partial(second.fails, 1))
        self.reactor.advance(0)
        self.assertEqual([len(each.ends) for each in (first, second)], [1, 1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_driven(self) -> None:
        """A reactor that drives the hub settles it, and needs no call."""
        reactor = DrivenClock()
        hub = Hub(reactor)
        done: list[int] = []
        hub.later(lambda: done.append(1))
        self.assertEqual(reactor.getDelayedCalls(), [])
        hub.settle()
        self.assertEqual(done, [1])

    def test_nested(self) -> None:
        """What a reactor nests in the hub does not keep it open."""
        fd, nested = self.readable(), self.readable()
        ear = Ear()
        self.hub.watch(fd, Ear(), select.EPOLLIN)
        self.hub.nest(nested, ear)
        self.hub.doRead()
        self.assertEqual(len(ear.heard), 1)
        self.hub.unwatch(fd)
        self.assertEqual(self.hub.fileno(), -1)
        self.assertEqual(self.hub.watched, {})
        os.fstat(nested)
