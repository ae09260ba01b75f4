# -*- test-case-name: tests.sockets.test_serving -*-
"""
Calling the hooks of a handler that may be called again and again.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sockhost.sockets.answers import cancel
from sockhost.sockets.handler import run_hook


class HandlerHooks:
    """
    The hooks of one handler.  No call of one overlaps with another of the same:
    those that are asked for while one is under way become one, made after it.
    """

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        # Who waits for the next call of a hook, and the calls under way.
        self._waiters: dict[str, list[Deferred[None]]] = {}
        self._calls: dict[str, Deferred[None]] = {}

    def run(self, name: str) -> Deferred[None]:
        """
        Call a hook, if the handler has it.

        @return: fires when a call that was begun after this one was asked for
            has ended; fails as the hook fails, and as if it had been cancelled
            if L{end} comes first.
        """
        waiter: Deferred[None] = Deferred()
        self._waiters.setdefault(name, []).append(waiter)
        if name not in self._calls:
            self._call(name)
        return waiter

    def end(self) -> Deferred[None]:
        """
        Cancel what is under way.

        @return: fires when it has ended: it may have to tidy up before.
        """
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        waiting, self._waiters = self._waiters, {}
        for waiter in chain.from_iterable(waiting.values()):
            waiter.errback(CancelledError())
        for call in list(self._calls.values()):
            cancel(call)
        while self._calls:
            ended: Deferred[None] = Deferred()
            next(iter(self._calls.values())).addBoth(ended.callback)
            await ended

    def _call(self, name: str) -> None:
        waiters = self._waiters.pop(name)
        call = self._calls[name] = run_hook(self._handler, name)
        call.addBoth(self._ended, name, waiters)

    def _ended(self, result: object, name: str, waiters: list[Deferred[None]]) -> None:
        del self._calls[name]
        if name in self._waiters:
            self._call(name)
        for waiter in waiters:
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(None)
