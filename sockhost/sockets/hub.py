# -*- test-case-name: tests.sockets.test_hub -*-
"""
One epoll of our own for all framed sockets of a process.

A reactor of Twisted spends 5 to 8 microseconds around each event: it looks the
descriptor up, enters a log context, asks for its number again, and starts and
stops writing with two more calls of the kernel.  A ping-pong of small frames
costs 5.4 microseconds altogether when the descriptors sit in a set of their
own and are called directly; that is what a L{Hub} is.

The descriptor of an epoll can itself be watched, so to the reactor the hub is
a single reader, on any reactor, by public interfaces only.  A reactor that
provides L{IHubReactor} turns that inside out: see
L{hubreactor<sockhost.sockets.hubreactor>}.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Protocol
from weakref import WeakValueDictionary

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

EVENTS = 256
"""How many descriptors one turn serves before the reactor's others have theirs."""


TURN_BYTES = 512 * 1024
LEAST_SHARE = 2048
"""
What the streams of a turn may bring together, and what each may bring however
many they are.  With 64 KiB for each of 100 clients that flood, somebody else
waited for 100 ms.
"""

CROWD, GREEDY = 8, 4
"""
From how many on that have something at once those who take all that they may are
put last, and how many of these a turn serves then.  Among 1,000 clients of which
100 flood, somebody else waits for 1.5 ms that way, and for 6.5 ms without.
"""


class IHubReactor(Interface):
    """A reactor that polls a hub itself."""

    def drive(hub: Hub) -> None:
        """
        Call the hub's L{turn<Hub.turn>} when there is something for it, and
        its L{settle<Hub.settle>} before waiting.
        """

    def release(hub: Hub) -> None:
        """Forget the hub: nothing is left in it."""


class Watched(Protocol):
    """Something with a descriptor in a hub."""

    def event(self, events: int) -> None:
        """
        The kernel has something to say about the descriptor.

        @param events: C{EPOLLIN} and its like.
        """

    def shut(self, reason: Failure) -> None:
        """The reactor ends: close now."""


@implementer(IReadDescriptor)
class Hub:
    """
    Watches descriptors, and calls what belongs to them.

    It holds nothing while it watches nothing: the epoll is made for the first
    descriptor and closed after the last.

    @ivar watched: what is called, by descriptor.
    @ivar unsettled: what L{settle} is to call.
    @ivar turning: whether those who have something are being served: one of
        them may be in the middle of it.
    @ivar share: how much a stream of frames should read in this turn.
    @ivar greedy: the descriptors of those who have read all of their share and
        may have more, those who wait for the longest time in front.
    @ivar muted: the descriptors of which nothing is told.
    @cvar shared: whether another process may have our descriptors, too.
    """

    _log = Logger()

    shared: ClassVar[bool] = False

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: provides L{IReactorFDSet
            <twisted.internet.interfaces.IReactorFDSet>} and L{IReactorTime
            <twisted.internet.interfaces.IReactorTime>}, or L{IHubReactor}.
        """
        self.watched: dict[int, Watched] = {}
        self.unsettled: list[Callable[[], None]] = []
        self.share = TURN_BYTES
        self.greedy: dict[int, None] = {}
        self.muted: set[int] = set()
        self._reactor = reactor
        self._driven = IHubReactor.providedBy(reactor)
        self._epoll: select.epoll | None = None
        # How many of the watched are the reactor's own.
        self._nested = 0
        self.turning = False
        self._settling: IDelayedCall | None = None

    # -- who is watched ------------------------------------------------------

    def watch(self, fd: int, watched: Watched, events: int) -> None:
        """
        Call somebody for a descriptor from now on.

        @param events: C{EPOLLIN} and its like; the end of a connection is told
            in any case.
        """
        (self._epoll or self._open()).register(fd, events)
        self.watched[fd] = watched

    def change(self, fd: int, events: int) -> None:
        """Wait for other events of a descriptor that is watched, or was muted."""
        if fd in self.muted:
            self.muted.discard(fd)
            self.poller.register(fd, events)
        else:
            self.poller.modify(fd, events)

    def mute(self, fd: int) -> None:
        """
        Be told nothing of a descriptor until L{change} is called for it.  That
        a connection has ended cannot be masked, and would be told for ever.
        """
        self.poller.unregister(fd)
        self.muted.add(fd)

    def unwatch(self, fd: int) -> None:
        """
        Call nobody for this descriptor any more.  It must still be open, and
        an event that this turn has for it already is discarded.
        """
        if fd not in self.muted:
            self.poller.unregister(fd)
        self._drop(fd)

    def forget(self, fd: int) -> None:
        """
        Like L{unwatch}, for a descriptor that is closed right after this:
        closing removes it from the epoll without another call of the kernel.
        """
        if self.shared:
            # Not if it is open elsewhere: its end would be told for ever, to
            # whoever has this number next.
            self.unwatch(fd)
        else:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        del self.watched[fd]
        if self.greedy:
            self.greedy.pop(fd, None)
        if self.muted:
            self.muted.discard(fd)
        if len(self.watched) == self._nested:
            if self.turning or self._driven:
                self.unsettled.append(self._close_if_empty)
            else:
                self._close()

    def nest(self, fd: int, watched: Watched) -> None:
        """
        Watch a descriptor for the reactor that drives this.  It does not count:
        the hub is closed when nothing else is left.
        """
        self.poller.register(fd, select.EPOLLIN)
        self._nested = 1
        self.watched[fd] = watched

    @property
    def poller(self) -> select.epoll:
        """The epoll; there is one while anything is watched."""
        assert self._epoll is not None
        return self._epoll

    # -- turns ---------------------------------------------------------------

    def later(self, call: Callable[[], None]) -> None:
        """
        Call something at the end of this turn, or soon if there is none.

        Answers that come one by one are collected that way and written with
        one call of the kernel: the answers of 64 pipelined requests cost 1.5
        instead of 5 microseconds each.
        """
        self.unsettled.append(call)
        if not self.turning and not self._driven and self._settling is None:
            self._settling = self._reactor.callLater(0, self._settle_later)

    def turn(self, timeout: float = 0) -> None:
        """
        Serve who has something.

        @param timeout: seconds to wait if nobody has; -1 for no limit.
        """
        if self._epoll is None:
            return
        self.turning = True
        try:
            self.serve(self._epoll.poll(0 if self.unsettled else timeout, EVENTS))
        finally:
            self.turning = False

    def serve(self, happened: list[tuple[int, int]]) -> None:
        """
        Do a turn for those who have something.

        @param happened: what the epoll says.
        """
        count = len(happened)
        if count > 1:
            self.share = max(TURN_BYTES // count, LEAST_SHARE)
            if count > CROWD and self.greedy:
                happened = self._serve_fairly(happened)
        self._serve(happened)
        self.share = TURN_BYTES
        if self.unsettled:
            self.settle()

    def settle(self) -> None:
        """
        Do what L{later} was asked for.  What that asks for in turn is done the
        next time, which is soon, so that nobody can keep the others waiting.
        """
        calls, self.unsettled = self.unsettled, []
        for call in calls:
            try:
                call()
            except BaseException:
                self._broken_later(call)
        if self.unsettled and not self._driven and self._settling is None:
            self._settling = self._reactor.callLater(0, self._settle_later)

    # -- what a reactor asks for ---------------------------------------------

    def fileno(self) -> int:
        """The descriptor of the epoll, which is readable when a turn is due."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        """What the reactor logs as the place of an error in here."""
        return "sockhost hub"

    def doRead(self) -> None:
        """Do one turn."""
        self.turn()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends, or somebody has taken all its readers away."""
        for watched in list(self.watched.values()):
            watched.shut(reason)
        self._close()

    def _settle_later(self) -> None:
        self._settling = None
        self.settle()

    def _serve_fairly(self, happened: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Serve all but those who are greedy; say which of these come then."""
        greedy = {fd: events for fd, events in happened if fd in self.greedy}
        self._serve([each for each in happened if each[0] not in greedy])
        # Whoever has no turn is reported again in the next.
        turn = list(islice((fd for fd in self.greedy if fd in greedy), GREEDY))
        for fd in turn:
            del self.greedy[fd]
        self.share = TURN_BYTES
        return [(fd, greedy[fd]) for fd in turn]

    def _serve(self, happened: list[tuple[int, int]]) -> None:
        get = self.watched.get
        for fd, events in happened:
            # An earlier event of this turn may have ended it.
            watched = get(fd)
            if watched is not None:
                try:
                    watched.event(events)
                except BaseException:
                    self.broken(watched)

    def _close_if_empty(self) -> None:
        if len(self.watched) == self._nested:
            self._close()

    def broken(self, watched: Watched) -> None:
        """An event was too much for it: what may be damaged by that is ended."""
        failure = Failure()
        self._log.failure("a connection broke", failure)
        watched.shut(failure)

    def _broken_later(self, call: Any) -> None:
        # A method of what is watched, if it is not of something that has one.
        method = call.func if isinstance(call, partial) else call
        owner: Any = getattr(method, "__self__", None)
        if hasattr(owner, "shut"):
            self.broken(owner)
        else:
            self._log.failure("a connection broke")

    def _open(self) -> select.epoll:
        epoll = self._epoll = select.epoll()
        try:
            if self._driven:
                self._reactor.drive(self)
            else:
                self._reactor.addReader(self)
        except OSError:
            # Nobody would poll it.
            self._close()
            raise
        return epoll

    def _close(self) -> None:
        if self._epoll is None:
            return
        if self._driven:
            self._reactor.release(self)
        else:
            self._reactor.removeReader(self)
        self._epoll.close()
        self._epoll = None
        self._nested = 0
        self.watched.clear()
        self.greedy.clear()
        self.muted.clear()


def _share() -> None:
    Hub.shared = True


def _own() -> None:
    Hub.shared = False


# What is executed by a child of subprocess has none of them; what a handler
# forks, as multiprocessing does, has them all.
os.register_at_fork(before=_share, after_in_child=_own)


# By the id of the reactor, which cannot be another's while its hub holds it.
_hubs: WeakValueDictionary[int, Hub] = WeakValueDictionary()


def hub_of(reactor: Any) -> Hub:
    """Get the hub of a reactor: the same for all who use it at the same time."""
    hub = _hubs.get(id(reactor))
    if hub is None:
        hub = _hubs[id(reactor)] = Hub(reactor)
    return hub
