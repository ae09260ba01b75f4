# -*- test-case-name: tests.supervise.test_events -*-
"""
Notifiers, and telling them in order what happens.
"""

from __future__ import annotations

import json
import signal
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessProtocol,
    IProcessTransport,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import IChild, INotifier, ISpawner, SpawnError
from sockhost.processes.spec import ChildSpec
from sockhost.status import Event, to_json

_MAX_OUTPUT = 2000


@define(eq=False)
class Notifiers:
    """
    Tells each of its notifiers of each event, all in the same order: an event
    that is published while another is being told waits for its turn.
    """

    _log = Logger()

    _notifiers: list[INotifier] = field(factory=list)
    _waiting: deque[Event] = field(factory=deque)
    _telling: bool = False

    def subscribe(self, notifier: INotifier) -> Callable[[], None]:
        """
        Tell a notifier of every event from now on.

        @return: call it to end the subscription; more calls do nothing.
        """
        self._notifiers.append(notifier)
        ended = False

        def unsubscribe() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._notifiers.remove(notifier)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell of an event.  Never raises."""
        self._waiting.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._waiting:
                self._tell(self._waiting.popleft())
        finally:
            self._telling = False

    def _tell(self, event: Event) -> None:
        for notifier in tuple(self._notifiers):
            if notifier not in self._notifiers:
                continue  # an earlier one has unsubscribed it
            try:
                notifier.notify(event)
            except Exception:
                self._log.failure("telling {notifier} of an event", notifier=notifier)


@implementer(INotifier)
@define(eq=False)
class LogNotifier:
    """Writes each event to the host's log."""

    _log: Logger = field(factory=Logger)

    def notify(self, event: Event) -> None:
        """Write it, with its fields as fields."""
        self._log.info(
            "{unit}: {event} {fields}",
            unit=event.unit or "host",
            event=event.event,
            fields=dict(event.fields),
        )


@implementer(INotifier)
@define(eq=False, kw_only=True)
class CommandNotifier:
    """
    Runs a command for each event, without a shell; it gets the event as one
    line of JSON on its stdin.

    @ivar argv: the command.
    @ivar timeout: seconds after which it is killed.
    @ivar concurrency: how many run at once; further events wait, in order.
    @ivar backlog: how many events wait at most; further ones are dropped.
    @ivar dropped: how many were.
    @ivar wanted: says for which events it is run.
    """

    _log = Logger()

    _reactor: IReactorTime
    _spawner: ISpawner
    argv: tuple[str, ...]
    timeout: float = 30.0
    concurrency: int = 4
    backlog: int = 1000
    dropped: int = 0
    wanted: Callable[[Event], bool] = lambda _: True
    _running: set[_Command] = field(factory=set)
    _waiting: deque[Event] = field(factory=deque)
    _closed: bool = False
    _idle: list[Deferred[None]] = field(factory=list)

    def notify(self, event: Event) -> None:
        """Run the command, now or when its turn comes."""
        if self._closed or not self.wanted(event):
            return
        if len(self._waiting) >= self.backlog:
            if not self.dropped:
                command = self.argv[0]
                self._log.error(
                    "{command} is too slow: events are dropped", command=command
                )
            self.dropped += 1
            return
        self._waiting.append(event)
        self._run_waiting()

    def close(self) -> None:
        """Forget the events that wait, and kill what runs."""
        self._closed = True
        self._waiting.clear()
        for command in tuple(self._running):
            command.kill()

    def finish(self, patience: float) -> Deferred[None]:
        """
        Take no more events, and let those be told that were taken.

        @param patience: seconds after which the rest is given up.
        @return: fires when nothing runs any more.
        """
        return Deferred.fromCoroutine(self._finish(patience))

    async def _finish(self, patience: float) -> None:
        late = self._reactor.callLater(patience, self.close)
        while self._running:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle
        if late.active():
            late.cancel()
        self._closed = True

    def _run_waiting(self) -> None:
        while self._waiting and len(self._running) < self.concurrency:
            self._run(self._waiting.popleft())

    def _run(self, event: Event) -> None:
        command = _Command(self._ended)
        spec = ChildSpec(argv=self.argv, stdin="pipe")
        try:
            command.child = self._spawner.spawn(spec, command)
        except SpawnError as error:
            self._log.error("notifying: {error}", error=error)
            return
        self._running.add(command)
        command.timer = self._reactor.callLater(self.timeout, command.kill)
        command.give(json.dumps(to_json(event)).encode() + b"\n")

    def _ended(self, command: _Command, reason: Failure) -> None:
        self._running.discard(command)
        if getattr(reason.value, "exitCode", None) != 0:
            self._log.error(
                "{command}: {reason}: {output}",
                command=self.argv[0],
                reason=reason.value,
                output=bytes(command.output).decode(errors="replace"),
            )
        self._run_waiting()
        if not self._running:
            idle, self._idle = self._idle, []
            for each in idle:
                each.callback(None)


@implementer(IProcessProtocol)
@define(eq=False)
class _Command:
    """One run of the command of a L{CommandNotifier}."""

    _when_ended: Callable[[_Command, Failure], None]
    child: IChild | None = None
    timer: IDelayedCall | None = None
    output: bytearray = field(factory=bytearray)

    def give(self, data: bytes) -> None:
        """Write to its stdin, and close that."""
        transport: Any = IProcessTransport(self.child)
        transport.writeToChild(0, data)
        transport.closeStdin()

    def kill(self) -> None:
        """Kill it and whatever it started."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        if self.child is not None:
            self.child.signal_group(signal.SIGKILL)

    def makeConnection(self, process: IProcessTransport) -> None:
        """It gets its input from L{give}."""

    def childDataReceived(self, _number: int, data: bytes) -> None:
        """Keep the beginning, for the log."""
        self.output += data[: _MAX_OUTPUT - len(self.output)]

    def childConnectionLost(self, _number: int) -> None:
        """The end is told besides."""

    def processExited(self, _reason: Failure) -> None:
        """Leave nothing of it behind."""
        self.kill()

    def processEnded(self, reason: Failure) -> None:
        """Make room for another."""
        self._when_ended(self, reason)
