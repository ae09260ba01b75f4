# -*- test-case-name: tests.redis.test_telling -*-
"""
Calling those who listen, whatever they do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger


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
