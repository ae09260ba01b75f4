# -*- test-case-name: tests.host.test_once -*-
"""
Doing a thing again only when it has ended, and once for all who ask meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

_T = TypeVar("_T")


@define(eq=False)
class Coalesced(Generic[_T]):
    """
    Work that must not overlap with itself.

    @ivar work: does it, for the person who asked first.
    """

    work: Callable[[str], Awaitable[_T]]
    _asking: list[tuple[str, Deferred[_T]]] = field(factory=list, init=False)
    _busy: bool = field(default=False, init=False)

    def call(self, asked_by: str) -> Deferred[_T]:
        """
        Have the work done, from its beginning, some time from now on.

        @return: fires or fails with the outcome.
        """
        waiting: Deferred[_T] = Deferred(lambda d: self._withdraw(d))
        self._asking.append((asked_by, waiting))
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._work_off())
        return waiting

    async def _work_off(self) -> None:
        try:
            while self._asking:
                asking, self._asking = self._asking, []
                await self._work_for(asking)
        finally:
            self._busy = False

    async def _work_for(self, asking: Sequence[tuple[str, Deferred[_T]]]) -> None:
        try:
            result = await self.work(asking[0][0])
        except (Exception, SystemExit):
            failure = Failure()
            for waiting in _who_waits(asking):
                waiting.errback(failure)
        else:
            for waiting in _who_waits(asking):
                waiting.callback(result)

    def _withdraw(self, waiting: Deferred[_T]) -> None:
        self._asking = [(who, d) for who, d in self._asking if d is not waiting]


def _who_waits(asking: Iterable[tuple[str, Deferred[_T]]]) -> Iterator[Deferred[_T]]:
    # Those who lost interest during the work were cancelled.
    return (waiting for _, waiting in asking if not waiting.called)
