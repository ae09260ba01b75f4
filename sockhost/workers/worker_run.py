# -*- test-case-name: tests.workers.test_worker_run -*-
"""
One worker from its fork to its end: its process and its port together.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from operator import itemgetter
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import ProcessLost, SockhostError, UnitFailed, UnitLost
from sockhost.status import Event
from sockhost.workers.latch import Latch
from sockhost.workers.port import Clients, Hook, HostPort, Kick, Quit, Unlisten
from sockhost.workers.process import Ending, WorkerProcess
from sockhost.workers.prototype_process import RunningPrototype

FORK_GRACE = 5.0
"""Seconds that a prototype has to fork, once nobody wants that any more."""

EXIT_GRACE = 1.0
"""Seconds that a worker has to exit when its port is closed."""


class PrototypeGone(SockhostError):
    """The prototype went before it forked; another one can do it."""


class WorkerRun:
    """
    One worker.  Whichever end of it is noticed first, of its process or of
    its port, ends the other too.

    @ivar pid: its process id, once it was forked.
    @ivar ready: fires when it can serve.  Fails with L{PrototypeGone} if it
        was not forked for that reason, with L{UnitFailed} if it cannot serve,
        and with L{UnitLost} if it ended first.
    @ivar gone: closed when nothing of it is left.
    @ivar counters: what it said last that it has done.
    """

    _log = Logger()

    def __init__(self, title: str, publish: Callable[[Event], object]) -> None:
        """
        @param title: names it in reasons and logs: C{"worker 1"}.
        @param publish: gets the events that it publishes.
        """
        self.ready: Deferred[None] = Deferred()
        self.gone = Latch()
        self._blamed: Exception | None = None
        self.counters: dict[str, Any] = {}
        self._title = title
        self._publish = publish
        self._process: WorkerProcess | None = None
        self._reactor: Any = None
        self._prototype: RunningPrototype | None = None
        self._timer: IDelayedCall | None = None
        self._forking = False
        self._doomed = False
        self._port_open = False
        self._port = HostPort(self)

    @property
    def reason(self) -> Exception:
        """Why it ended, as far as that is known."""
        return self._blamed or UnitLost(f"{self._title} has ended")

    @property
    def pid(self) -> int | None:
        """Its process id, once it was forked."""
        return self._process.pid if self._process is not None else None

    def begin(self, reactor: Any, prototype: RunningPrototype, index: int) -> None:
        """
        Have it forked.  L{ready} tells if that fails.
        """
        self._reactor = reactor
        self._prototype = prototype
        try:
            theirs = self._open_port()
        except OSError as e:
            return self.not_forked(f"{self._title}: no port: {e.strerror}", False)
        self._forking = True
        prototype.fork(index, theirs, self)
        return None

    def serve(self, listener: int) -> Deferred[Any]:
        """
        Have it accept.

        @param listener: the listening descriptor; stays the caller's.
        @return: fires when it does; fails if it ends first.
        """
        return self._port.serve(listener)

    def hook(self, name: str) -> Deferred[Any]:
        """Have it run a hook of its handler; fires when that has ended."""
        return self._call(Hook, name=name)

    def clients(self) -> Deferred[list[dict[str, Any]]]:
        """Ask it who is connected to it; fires with all, in their order."""
        return Deferred.fromCoroutine(self._clients())

    def kick(self, client: str) -> Deferred[bool]:
        """Have it drop a client; fires with whether it was there."""
        return self._call(Kick, client=client).addCallback(itemgetter("found"))

    def unlisten(self) -> Deferred[Any]:
        """Have it accept no more; fires when it does not."""
        return self._call(Unlisten)

    def quit(self) -> Deferred[Any]:
        """Ask it to end in good order; L{gone} tells when it has."""
        return self._call(Quit)

    def signal(self, number: int) -> None:
        """Send a signal to its process, if it has one."""
        if self._process is not None:
            self._process.signal(number)

    def kill(self) -> None:
        """Kill it, or have it killed as soon as it is forked."""
        self._doomed = True
        self.signal(signal.SIGKILL)
        if self._forking:
            self._set_timer(FORK_GRACE, self._kill_prototype)

    def give_up(self, error: Exception) -> None:
        """
        Kill it for a reason.

        @param error: what L{ready} fails with, and the L{reason}.
        """
        self._blame(error)
        if not self.ready.called:
            self.ready.errback(error)
        self.kill()

    # -- what the prototype says --------------------------------------------

    def forked(self, process: WorkerProcess) -> None:
        """It is there."""
        self._forking = False
        self._process = process
        if self._doomed:
            self.kill()
        elif not self._port_open:
            self._set_timer(EXIT_GRACE, self.kill)

    def not_forked(self, reason: str, prototype_lost: bool) -> None:
        """It will not be there."""
        self._forking = False
        self._blame((PrototypeGone if prototype_lost else UnitFailed)(reason))
        self._close_port()
        self._check_gone()

    def ended(self, ending: Ending) -> None:
        """Its process has ended."""
        pid, self._process = self.pid, None
        text = f"{self._title} (process {pid}) {ending}"
        self._blame(ProcessLost(text, ending.code, ending.signal))
        self._close_port()
        self._check_gone()

    # -- what the port says -------------------------------------------------

    def worker_created(self, pid: int) -> None:
        """It lives."""
        self._log.debug("{title} is process {pid}", title=self._title, pid=pid)

    def worker_ready(self) -> None:
        """It can serve."""
        if not self.ready.called:
            self.ready.callback(None)

    def worker_broken(self, reason: str) -> None:
        """It cannot serve, and is about to exit."""
        self._blame(UnitFailed(f"{self._title}: {reason}"))

    def worker_counted(self, counters: dict[str, Any]) -> None:
        """It has done so much."""
        self.counters = counters

    def worker_published(self, event: Event) -> None:
        """Something happened in it."""
        self._publish(event)

    def port_lost(self) -> None:
        """Its port is closed."""
        self._port_open = False
        if self._process is not None:
            # One that quits closes its port a moment before it exits.
            self._set_timer(EXIT_GRACE, self.kill)
        self._check_gone()

    def _blame(self, error: Exception) -> None:
        # What is known first is the cause of what is known later.
        self._blamed = self._blamed or error

    def _open_port(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            with ours:
                ours.setblocking(False)
                factory = Factory.forProtocol(lambda: self._port)
                self._reactor.adoptStreamConnection(
                    ours.fileno(), socket.AF_UNIX, factory
                )
        except OSError:
            theirs.close()
            raise
        self._port_open = True
        return theirs

    def _call(self, command: type[Any], **arguments: Any) -> Deferred[Any]:
        result: Deferred[Any] = self._port.callRemote(command, **arguments)
        return result

    async def _clients(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            answer = await self._call(Clients, after=after)
            some = json.loads(answer["clients"])
            if not some:
                return found
            found += some
            after = int(some[-1]["id"])

    def _set_timer(self, delay: float, call: Callable[[], None]) -> None:
        self._clear_timer()
        self._timer = self._reactor.callLater(delay, call)

    def _clear_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _kill_prototype(self) -> None:
        # It neither forks nor dies: it is stuck.
        if self._prototype is not None:
            self._prototype.kill()

    def _close_port(self) -> None:
        if self._port_open:
            cast("Any", self._port.transport).abortConnection()

    def _check_gone(self) -> None:
        left = self._forking or self._port_open or self._process is not None
        if left or self.gone.closed:
            return
        self._clear_timer()
        if not self.ready.called:
            self.ready.errback(Failure(self.reason))
        self.gone.close()
