# -*- test-case-name: tests.redis.test_mailbox -*-
"""
What waits to be read by an iterator: a bounded queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

from attrs import define, field, validators
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

T = TypeVar("T")


class Overflow(Enum):
    """What becomes of an item when as many wait as may."""

    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    PAUSE = "pause"


def _nothing() -> None:
    """Nobody wants to know."""


@define(eq=False)
class Mailbox(Generic[T]):
    """
    A bounded queue between one that puts and any number that get.

    @ivar limit: how many items may wait.
    @ivar overflow: what happens beyond that.  With L{Overflow.PAUSE} everything
        is kept, and it is for the one that puts to stop when L{on_full} says so.
    @ivar dropped: how many items were dropped so far.
    @ivar on_full: is called when the limit is reached.
    @ivar on_space: is called when, after that, half of the items were taken.
    """

    limit: int = field(validator=validators.ge(1))
    overflow: Overflow = Overflow.DROP_OLDEST
    on_full: Callable[[], object] = _nothing
    on_space: Callable[[], object] = _nothing
    dropped: int = 0
    _items: deque[T] = field(factory=deque)
    _getters: dict[Deferred[T], None] = field(factory=dict)
    _full: bool = False
    _end: BaseException | None = None

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    def put(self, item: T) -> bool:
        """
        Add an item, which nobody gets once the mailbox was ended.

        @return: C{False} if it was this item that was dropped.
        """
        if self._end is not None:
            return False
        if self._getters:
            getter = next(iter(self._getters))
            del self._getters[getter]
            getter.callback(item)
        elif len(self._items) < self.limit or self.overflow is Overflow.PAUSE:
            self._keep(item)
        else:
            return self._drop(item)
        return True

    def _keep(self, item: T) -> None:
        self._items.append(item)
        if not self._full and len(self._items) >= self.limit:
            self._full = True
            self.on_full()

    def _drop(self, item: T) -> bool:
        self.dropped += 1
        if self.overflow is Overflow.DROP_NEWEST:
            return False
        self._items.append(item)
        self._items.popleft()
        return True

    def get(self) -> Deferred[T]:
        """
        Take the next item.

        @return: fires with it when there is one.  Fails with what L{end} was
            given once nothing waits any more.  Cancelling leaves the next item
            to others.
        """
        if self._items:
            item = self._items.popleft()
            if self._full and len(self._items) * 2 <= self.limit:
                self._full = False
                self.on_space()
            return succeed(item)
        if self._end is not None:
            return fail(self._end)
        getter: Deferred[T] = Deferred(self._forget)
        self._getters[getter] = None
        return getter

    def _forget(self, getter: Deferred[T]) -> None:
        self._getters.pop(getter, None)

    def end(self, reason: BaseException) -> None:
        """
        Take nothing any more.  What waits can still be taken.

        @param reason: is what a L{get} fails with after that.
        """
        if self._end is not None:
            return
        self._end = reason
        getters, self._getters = self._getters, {}
        for getter in getters:
            if not getter.called:
                getter.errback(Failure(reason))
