# -*- test-case-name: tests.host.test_signals -*-
"""
The signals that a host listens to.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReactorFromThreads

Handler = Callable[[], None]

ASKING = (signal.SIGUSR1, signal.SIGHUP)
"""Signals that ask for something that is done once for all who have asked."""


def host_handlers(
    stop: Callable[[str], None], reconfigure: Callable[[str], None], hang_up: Handler
) -> dict[int, Handler]:
    """
    Say what a host does at which signal.

    @param stop: is called with the name of the signal, and so is
        C{reconfigure}.
    """
    return {
        signal.SIGINT: lambda: stop("SIGINT"),
        signal.SIGTERM: lambda: stop("SIGTERM"),
        signal.SIGQUIT: lambda: stop("SIGQUIT"),
        signal.SIGUSR1: lambda: reconfigure("SIGUSR1"),
        signal.SIGHUP: hang_up,
    }


@define(eq=False)
class TooEarly:
    """
    Takes a signal that the host cannot act on yet, and that would end it:
    who has it read its configuration again may not know how far it is.

    @ivar came: whether there was one.
    """

    came: bool = False

    def __call__(self, _signum: int, _frame: FrameType | None) -> None:
        """Remember it."""
        self.came = True


def expect_early(
    get: Callable[[int], Any] = signal.getsignal,
    install: Callable[[int, Any], Any] = signal.signal,
) -> None:
    """Have signals that ask for a new configuration wait for the host."""
    for signum in ASKING:
        if get(signum) is signal.SIG_DFL:
            install(signum, TooEarly())


@define
class Signals:
    """
    Handlers for signals, called in turns of the reactor: once a turn for those
    of L{ASKING}, however many have come.  To read a configuration takes some
    milliseconds, and signals that come faster would leave no time for clients.
    The others count: a second one to stop means something else.

    @ivar install: puts a handler in place and returns the one before.
    """

    reactor: IReactorFromThreads
    install: Callable[[int, Any], Any] = signal.signal
    _before: dict[int, Any] = field(factory=dict, init=False)
    # Which have come and are not acted on yet.
    _asked: set[int] = field(factory=set, init=False)

    def listen(self, handlers: Mapping[int, Handler]) -> None:
        """
        Call each handler for its signal from now on, and for one that came
        too early.
        """
        for signum, handler in handlers.items():
            before = self.install(signum, self._bridge(signum, handler))
            self._before[signum] = before
            if isinstance(before, TooEarly) and before.came:
                self.reactor.callFromThread(handler)

    def restore(self) -> None:
        """
        Put back what was there before.  Where that only waited for a host, the
        signal is ignored from now on.
        """
        before, self._before = self._before, {}
        for signum, handler in before.items():
            if isinstance(handler, TooEarly):
                # A process that exits gives up its handlers some time before,
                # and who asks so late must not kill it.
                handler = signal.SIG_IGN
            # None: it was set by something other than Python, and is lost.
            self.install(signum, signal.SIG_DFL if handler is None else handler)

    def _bridge(
        self, signum: int, handler: Handler
    ) -> Callable[[int, FrameType | None], None]:
        # A signal handler runs between any two instructions of whatever runs.
        if signum not in ASKING:
            return lambda _signum, _frame: self.reactor.callFromThread(handler)

        def act() -> None:
            self._asked.discard(signum)
            handler()

        def note(_signum: int, _frame: FrameType | None) -> None:
            if signum not in self._asked:
                self._asked.add(signum)
                self.reactor.callFromThread(act)

        return note
