# -*- test-case-name: tests.redis.test_sentinel -*-
"""
Asking many who should all know the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure

from sockhost.interfaces import RedisConnectionError

T = TypeVar("T")


async def first_of(tries: Sequence[Deferred[T]]) -> T:
    """
    Wait for the first that succeeds, and cancel the others.

    @raise RedisConnectionError: all have failed; the text has every reason.
    """
    failures: list[str] = []
    cancelled = False

    def failed(failure: Failure) -> Failure:
        nonlocal cancelled
        cancelled = cancelled or failure.check(CancelledError) is not None
        failures.append(failure.getErrorMessage())
        return failure

    for each in tries:
        each.addErrback(failed)
    racing: Deferred[Any] = DeferredList(
        tries, fireOnOneCallback=True, consumeErrors=True
    )
    try:
        won = await racing
    finally:
        # Not waited for: to cancel that wait would go unseen.
        for each in tries:
            each.cancel()
    if isinstance(won, tuple):
        return cast(T, won[0])
    if cancelled:
        # The list takes what it has cancelled for results.
        raise CancelledError
    raise RedisConnectionError("; ".join(failures))
