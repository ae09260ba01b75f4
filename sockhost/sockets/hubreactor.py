# -*- test-case-name: tests.sockets.test_hubreactor -*-
"""
C{twistd --reactor=sockhost}: Twisted's epoll reactor, turned inside out.

When a hub is a reader of a reactor, each turn of the reactor costs 2.8
microseconds before the hub's begins.  Here the reactor waits in the hub's epoll,
and Twisted's own epoll is one descriptor in it, so that timers, threads,
processes, signals and all other transports work as they do.  As long as nothing
else is due, it stays within the hub.

What is not in the hub (HTTP, a Redis connection, a pipe) is read without the log
context that Twisted enters for each event, which takes 2 microseconds: a command
of L{sockhost.redis} for which the program waits takes a tenth less time.  All
that is lost by it is the name of a protocol in front of what is logged by the
old C{log.msg}.

That takes private names of Twisted.  L{install} installs the reactor only with a
version for which they are known; with another, the ordinary epoll reactor is
installed, on which the hub is a reader.
"""

from __future__ import annotations

from typing import Any

from incremental import Version
from twisted._version import __version__ as installed_version
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python.log import callWithLogger
from zope.interface import implementer

from sockhost.sockets.hub import EVENTS, Hub, IHubReactor

KNOWN = (Version("Twisted", 26, 4, 0), Version("Twisted", 26, 10, 0))
"""The first and the last version that this was tested with."""

PRIVATE = (
    "_disconnectSelectable",
    "_doReadOrWrite",
    "_newTimedCalls",
    "_pendingTimedCalls",
    "_poller",
    "_selectables",
)
"""What is used of the reactor that is no public interface of it."""

LONGEST = 2147483
"""Seconds that one call of the kernel can be told to wait."""

_EPOLLIN = 1

_log = Logger()


class _Others:
    """Twisted's own epoll, as the hub watches it."""

    def __init__(self, reactor: HubReactor) -> None:
        self._reactor = reactor

    def event(self, events: int) -> None:
        """Some of what the reactor itself watches has something."""
        self._reactor.serve_others()

    def shut(self, reason: object) -> None:
        """The reactor closes its epoll itself."""


@implementer(IHubReactor)
class HubReactor(EPollReactor):
    """An epoll reactor that waits in a hub, while there is one."""

    _hub: Hub | None = None
    # Whether Twisted's part of a turn is due.
    _due = False

    def drive(self, hub: Hub) -> None:
        """See L{IHubReactor.drive}."""
        self._hub = hub
        hub.nest(self._poller.fileno(), _Others(self))

    def release(self, hub: Hub) -> None:
        """See L{IHubReactor.release}."""
        self._hub = None

    def removeAll(self) -> list[Any]:
        """Remove everything, the hub too, and return it."""
        others: list[Any] = super().removeAll()
        return others if self._hub is None else [*others, self._hub]

    def serve_others(self) -> None:
        """Serve what is not in the hub."""
        self._due = True
        self._poll_others(0)

    def stop(self) -> None:
        """Stop, after this turn."""
        self._due = True
        super().stop()

    def crash(self) -> None:
        """Stop without saying so to anybody."""
        self._due = True
        super().crash()

    def doPoll(self, timeout: float | None) -> None:
        """Wait for something, and serve it."""
        self._due = False
        hub = self._hub
        if hub is not None and hub.unsettled:
            hub.settle()
            # Something may be due now for which nobody has told us to be back.
            if self._due or self._newTimedCalls:
                timeout = 0
        if self._hub is None:
            self._poll_others(-1 if timeout is None else timeout)
        else:
            self._turn(self._hub, -1 if timeout is None else timeout)

    def _poll_others(self, timeout: float) -> None:
        selectables = self._selectables
        happened = self._poller.poll(timeout, len(selectables) or 1)
        meant = [selectables.get(fd) for fd, _ in happened]
        for (fd, events), selectable in zip(happened, meant, strict=True):
            # An earlier event may have ended it, and somebody else have its
            # number.
            if selectables.get(fd) is not selectable or selectable is None:
                continue
            if events != _EPOLLIN:
                callWithLogger(selectable, self._doReadOrWrite, selectable, fd, events)
                continue
            try:
                why = selectable.doRead()
            except BaseException as error:
                _log.failure("{selectable} could not be read", selectable=selectable)
                why = error
            if why:
                self._disconnectSelectable(selectable, why, True)

    def _turn(self, hub: Hub, timeout: float) -> None:
        hub.turning = True
        try:
            self._spin(hub, timeout)
        finally:
            hub.turning = False

    def _spin(self, hub: Hub, timeout: float) -> None:
        poll, watched = hub.poller.poll, hub.watched
        # If not, it is not for the next call, either: what was due has crashed the
        # reactor, or the program turns it itself.
        may_wait = timeout != 0
        while True:
            happened = poll(0 if hub.unsettled else timeout, EVENTS)
            if len(happened) == 1:
                # As in any ping-pong.  What is not called and not looked up
                # here are 0.2 of the 7 microseconds that one takes.
                ((fd, events),) = happened
                one = watched[fd]
                try:
                    one.event(events)
                except BaseException:
                    hub.broken(one)
                if hub.unsettled:
                    hub.settle()
            else:
                hub.serve(happened)
            # A call from another thread wakes the reactor by a descriptor.
            if self._due or self._newTimedCalls or self._hub is None:
                return
            if not may_wait:
                return
            # Nothing but the hub: do not leave it for what is not due, which
            # would cost as much as a turn of the hub itself.
            if self._pendingTimedCalls:
                timeout = self._pendingTimedCalls[0].time - self.seconds()
                if timeout <= 0:
                    return
                timeout = min(timeout, LONGEST)
            elif timeout >= 0:
                return

    doIteration = doPoll


def unknown(reactor: object, installed: Version = installed_version) -> str | None:
    """
    Say why a L{HubReactor} cannot be trusted, if it cannot.

    @param installed: the version of Twisted.
    """
    first, last = KNOWN
    if not first <= installed <= last:
        return f"it is known to work with {first.public()} to {last.public()}"
    missing = [name for name in PRIVATE if not hasattr(reactor, name)]
    return f"that of this Twisted has no {missing[0]}" if missing else None


def install() -> None:
    """Install the reactor, or the ordinary one if it cannot be trusted."""
    reactor = HubReactor()
    why = unknown(reactor)
    if why is None:
        installReactor(reactor)
    else:
        _log.warn("the epoll reactor serves in place of sockhost's: {why}", why=why)
        installReactor(EPollReactor())
