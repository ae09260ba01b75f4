# -*- test-case-name: tests.redis.test_hub -*-
"""
From the name of a channel or a pattern to those who listen to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from sockhost.redis.resp import Push
from sockhost.redis.subscription import Listener, Mode, Subscription
from sockhost.redis.telling import tell


@define(eq=False)
class Routes:
    """
    Hands each message of one kind to those who listen.  What one of them
    raises is logged, and the others are called all the same.

    @ivar mode: which kind.
    @ivar by_name: for each name, what takes the channel and the data.
    """

    mode: Mode
    by_name: dict[bytes, Listener] = field(factory=dict)
    _sinks: dict[bytes, dict[Subscription, Listener]] = field(factory=dict)

    _log = Logger()

    def take(self, push: Push) -> None:
        """Hand a message on."""
        # A pattern's message carries the pattern in front of the channel.
        if len(push) == (4 if self.mode is Mode.PATTERN else 3):
            sink = self.by_name.get(push[1])
            if sink is not None:
                tell(self._log, sink, *push[-2:])

    def _take_for_all(self, name: bytes, channel: bytes, data: Any) -> None:
        sinks = self._sinks.get(name, {})
        for subscription, sink in tuple(sinks.items()):
            # One of them may have ended another.
            if subscription in sinks:
                tell(self._log, sink, channel, data)

    def add(self, name: bytes, subscription: Subscription) -> None:
        """Hand a subscription what comes by a name."""
        sinks = self._sinks.setdefault(name, {})
        if subscription not in sinks:
            sinks[subscription] = subscription.sink(self.mode, name)
            self._update(name, sinks)

    def remove(self, name: bytes, subscription: Subscription) -> None:
        """Hand a subscription nothing more of a name."""
        sinks = self._sinks.get(name)
        if sinks is not None and sinks.pop(subscription, None) is not None:
            self._update(name, sinks)

    def _update(self, name: bytes, sinks: dict[Subscription, Listener]) -> None:
        if len(sinks) > 1:
            self.by_name[name] = partial(self._take_for_all, name)
        elif sinks:
            [self.by_name[name]] = sinks.values()
        else:
            del self.by_name[name], self._sinks[name]

    def clear(self) -> None:
        """Hand out nothing more."""
        self.by_name.clear()
        for sinks in self._sinks.values():
            sinks.clear()
        self._sinks.clear()

    def has(self, name: bytes, subscription: Subscription) -> bool:
        """Say whether a subscription gets what comes by a name."""
        return subscription in self._sinks.get(name, {})

    def names(self) -> list[bytes]:
        """Every name that somebody listens to."""
        return list(self._sinks)

    def listeners(self) -> Iterable[Subscription]:
        """Everybody who listens to something; some may come more than once."""
        return [one for sinks in self._sinks.values() for one in sinks]

    def listeners_to(self, name: bytes) -> list[Subscription]:
        """Everybody who listens to a name."""
        return list(self._sinks.get(name, {}))
