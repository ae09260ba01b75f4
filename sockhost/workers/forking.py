# -*- test-case-name: tests.workers.test_forking -*-
"""
Forking a process that has a reactor in it.

Many modules install a reactor when they are imported, so a prototype that has
imported a plugin has one, which never ran.  A fork shares what it is made of
with its parent and its siblings: the epoll object and the pipe that wakes it.
L{renew} gives the child its own, before anything is registered.  That needs
private names of Twisted, which L{check_reactor} looks for; a Twisted without
them is refused with a clear reason.
"""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ReactorNotRunning
from twisted.python.failure import Failure

from sockhost.interfaces import SockhostError
from sockhost.workers.linux import thread_count

_REACTOR_MODULE = "twisted.internet.reactor"
_NEEDED = (
    "_poller",
    "_reads",
    "_writes",
    "_selectables",
    "_internalReaders",
    "_continuousPolling",
    "waker",
    "installWaker",
    "running",
)


class CannotFork(SockhostError):
    """
    This process must not be forked.  The text says why, and what to change in
    the plugin.
    """


def installed_reactor() -> Any:
    """Get the reactor that something has installed, or C{None}."""
    return sys.modules.get(_REACTOR_MODULE)


def check_reactor(reactor: Any) -> None:
    """
    Make sure that a reactor can be renewed in a fork.

    @raise CannotFork: it cannot.
    """
    if not isinstance(reactor, EPollReactor):
        raise CannotFork(
            f"importing the handler installed a {type(reactor).__name__}; "
            "workers run on Twisted's epoll reactor"
        )
    missing = [name for name in _NEEDED if not hasattr(reactor, name)]
    if missing:
        raise CannotFork(
            f"this version of Twisted has no reactor.{missing[0]}: "
            "its reactor cannot be forked"
        )
    if reactor.running:
        raise CannotFork("importing the handler started the reactor")
    strangers = _registered(reactor)
    if strangers:
        raise CannotFork(
            "importing the handler opened what a fork would share: "
            + ", ".join(map(repr, strangers))
        )


def check_threads(starters: list[str], count: int | None = None) -> None:
    """
    Make sure that no thread but this one runs: a fork would not have it, but
    would have its locks as they are now.

    @param starters: which modules started threads, as L{watch_threads} saw.
    @param count: how many threads run, if not to be counted.
    @raise CannotFork: there is another.
    """
    running = thread_count() if count is None else count
    if running <= 1:
        return
    names = sorted(
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.current_thread()
    )
    culprit = f"by {', '.join(starters)}" if starters else "by a library in C"
    raise CannotFork(
        f"importing the handler left {running - 1} thread(s) running, started "
        f"{culprit}{': ' + ', '.join(names) if names else ''}; "
        "start threads in the handler's startup hook"
    )


@contextmanager
def watch_threads() -> Iterator[list[str]]:
    """
    Note which modules start threads meanwhile.

    @return: a context manager that gives the list of their names.
    """
    starters: list[str] = []
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        module = sys._getframe(1).f_globals.get("__name__", "?")
        if module not in starters:
            starters.append(module)
        original(thread)

    setattr(threading.Thread, "start", start)  # noqa: B010 - for mypy
    try:
        yield starters
    finally:
        setattr(threading.Thread, "start", original)  # noqa: B010


def renew(reactor: Any, epoll: Callable[[], Any] = select.epoll) -> None:
    """
    Give this process its own epoll object and waker, right after the fork.

    @param reactor: one that L{check_reactor} has found good before the fork.
    """
    # Only this process' reference is closed.  Unregistering anything would
    # take it out of the epoll object of the parent and the siblings too.
    reactor._poller.close()
    reactor._poller = epoll()
    for registered in (
        reactor._reads,
        reactor._writes,
        reactor._selectables,
        reactor._internalReaders,
    ):
        registered.clear()
    old, reactor.waker = reactor.waker, None
    if old is not None:
        old.connectionLost(Failure(ReactorNotRunning()))
    reactor.installWaker()


def _registered(reactor: Any) -> list[Any]:
    present = [*reactor.getReaders(), *reactor.getWriters()]
    return [each for each in present if each not in reactor._internalReaders]
