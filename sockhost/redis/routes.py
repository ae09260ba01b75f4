# -*- test-case-name: tests.redis.test_hub -*-
"""
From the name of a channel or a pattern to those who listen to it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sockhost.redis.resp import Push
from sockhost.redis.subscription import Listener, Mode, Subscription


def watch(result: object, log: Logger) -> None:
    """See to it that a failure of what a listener has returned is told."""
    if iscoroutine(result):
        coroutine: Coroutine[Deferred[Any], Any, Any] = result
        result = Deferred.fromCoroutine(coroutine)
    if isinstance(result, Deferred):
        result.addErrback(lambda why: log.failure("a listener failed", why))


def tell(log: Logger, listener: Callable[..., object], *args: Any) -> None:
    """
    Call a listener, who may be C{async} or return a Deferred.  What it raises
    is logged, and goes no further.
    """
    try:
        result = listener(*args)
    except Exception:
        log.failure("a listener failed")
    else:
        if result is not None:
            watch(result, log)


class Routes:
    """
    Hands each message of one kind to those who listen.  What one of them
    raises is logged, and the others are called all the same.
    """

    _log = Logger()

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        # A pattern's message carries the pattern in front of the channel.
        self._length = 4 if mode is Mode.PATTERN else 3
        self._sinks: dict[bytes, dict[Subscription, Listener]] = {}

    def take(self, push: Push) -> None:
        """Hand a message on."""
        if len(push) != self._length:
            return
        sinks = self._sinks.get(push[1])
        if sinks is not None:
            channel, data = push[-2:]
            for subscription, sink in tuple(sinks.items()):
                # One of them may have ended another.
                if subscription in sinks:
                    tell(self._log, sink, channel, data)

    def add(self, name: bytes, subscription: Subscription) -> None:
        """Hand a subscription what comes by a name."""
        sinks = self._sinks.setdefault(name, {})
        if subscription not in sinks:
            sinks[subscription] = subscription.sink(self._mode, name)

    def remove(self, name: bytes, subscription: Subscription) -> None:
        """Hand a subscription nothing more of a name."""
        sinks = self._sinks.get(name)
        if sinks is not None:
            sinks.pop(subscription, None)
            if not sinks:
                del self._sinks[name]

    def clear(self) -> None:
        """Hand out nothing more."""
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
