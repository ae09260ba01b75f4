# -*- test-case-name: tests.redis.test_scan -*-
"""
All of a great number, a few at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

_T = TypeVar("_T")

#: Given a cursor, fires with the next one, and some elements.
FetchPage = Callable[[int], Deferred[tuple[int, list[_T]]]]


class Scan(Generic[_T]):
    """
    Goes through what C{SCAN} and its like give::

        async for key in client.scan_keys(match="user:*"):
            ...

    The next page is asked for when the last one is used up, so that nothing
    runs ahead.  What is there from beginning to end is given at least once, and
    may be given again; what is added or removed meanwhile may be given or not.
    May be gone through once; ending early leaves nothing behind.
    """

    def __init__(self, fetch: FetchPage[_T]) -> None:
        self._fetch = fetch
        self._page: deque[_T] = deque()
        self._cursor: int | None = None

    def __aiter__(self) -> Scan[_T]:
        return self

    async def __anext__(self) -> _T:
        while not self._page:
            if self._cursor == 0:
                raise StopAsyncIteration
            self._cursor, page = await self._fetch(self._cursor or 0)
            self._page.extend(page)
        return self._page.popleft()

    def all(self) -> Deferred[list[_T]]:
        """
        Go through all.

        @return: fires with a list.
        """
        return Deferred.fromCoroutine(self._all())

    async def _all(self) -> list[_T]:
        return [each async for each in self]
