# -*- test-case-name: tests.host.test_events -*-
"""
The events of a host, and the command of C{[host] notify} that is told of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from sockhost.config import NotifySettings
from sockhost.interfaces import INotifier, ISpawner
from sockhost.processes import Spawner
from sockhost.status import Event
from sockhost.supervise.events import CommandNotifier, Notifiers

PARTING = 5.0
"""Seconds that the last commands get when the host ends."""


def wanted(on: tuple[str, ...]) -> Callable[[Event], bool]:
    """
    Make what decides about events: by their name, and those that tell of a
    state by that too.
    """
    words = frozenset(on)

    def is_wanted(event: Event) -> bool:
        state = event.fields.get("state") if event.event == "state" else None
        return not words or event.event in words or state in words

    return is_wanted


@define(eq=False)
class HostEvents:
    """
    Tells all who want to know what happens in a host.

    @ivar settings: the command; C{None} for none.
    """

    _reactor: Any
    settings: NotifySettings | None = None
    _spawner: Callable[[Any], ISpawner] = Spawner
    _notifiers: Notifiers = field(factory=Notifiers, init=False)
    _command: CommandNotifier | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.settings is not None:
            self._command = CommandNotifier(
                reactor=self._reactor,
                spawner=self._spawner(self._reactor),
                argv=self.settings.argv,
                timeout=self.settings.timeout,
                wanted=wanted(self.settings.on),
            )
            self.subscribe(self._command)

    def publish(self, event: Event) -> None:
        """Tell of an event.  Never raises."""
        self._notifiers.publish(event)

    def subscribe(self, notifier: INotifier) -> Callable[[], None]:
        """See L{Notifiers.subscribe}."""
        return self._notifiers.subscribe(notifier)

    def finish(self) -> Deferred[None]:
        """
        Have the command told of what it was not told of yet.

        @return: fires when nothing of it is left, after L{PARTING} at most.
        """
        return succeed(None) if self._command is None else self._command.finish(PARTING)
