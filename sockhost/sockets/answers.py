# -*- test-case-name: tests.sockets.test_answers -*-
"""
What a method of a handler returned: a plain value, a Deferred or a coroutine.

Whatever it raises, C{SystemExit} and C{KeyboardInterrupt} too, is its failure
and concerns that client alone, as in Deferreds: a library that calls
C{sys.exit()} must not end the connections of all.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()


def settle(result: object) -> object:
    """
    Get on with what a handler returned as far as it goes without waiting.

    @return: a L{Deferred} if it has to be waited for; cancelling that cancels
        the handler's work.  Any other value is the value itself: a coroutine
        that did not wait costs no Deferred.
    @raise BaseException: whatever the coroutine raised.
    """
    if isinstance(result, Coroutine):
        return _begin(result)
    return result


def invoke(function: Callable[..., object], *args: object) -> Deferred[Any]:
    """
    Call a method of a handler.

    @return: fires with what it returned, when that is known; fails with what
        it raised.  Cancelling cancels the handler's work.
    """

    async def call() -> Any:
        result = settle(function(*args))
        return await result if isinstance(result, Deferred) else result

    return Deferred.fromCoroutine(call())


def cancel(work: Deferred[Any]) -> None:
    """
    Cancel what a handler has begun.  What its canceller raises is its failure:
    whoever cancels has others to care for, and nothing else would end it.
    """
    try:
        work.cancel()
    except BaseException:
        failure = Failure()
        # It is the one at the end of the chain whose canceller was called.
        waits_for: Any = work
        while isinstance(waits_for, Deferred):
            work, waits_for = waits_for, getattr(waits_for, "result", None)
        if work.called:
            _log.failure("cancelling a handler's work failed", failure)
        else:
            work.errback(failure)


def check_payload(payload: object) -> None:
    """
    Look at what a handler sends by itself.

    @raise TypeError: it is not C{bytes}.  What can change would be changed
        while it waits to be sent.
    """
    if not isinstance(payload, bytes):
        raise TypeError(f"a handler sends bytes, not {payload!r:.60}")


def check_batch(answers: Any, count: int) -> Sequence[object]:
    """
    Look at what a handler has returned for several frames.

    @return: the same.
    @raise TypeError: it is no list of as many answers.
    """
    if isinstance(answers, Sequence) and len(answers) == count:
        return answers
    raise TypeError(
        f"{count} frames are answered with a list of as many answers, or with "
        f"None, not with {answers!r:.60}"
    )


def one_by_one(
    received_batch: Callable[[Any, Sequence[bytes]], object],
) -> Callable[[Any, bytes], object]:
    """
    Make a handler's method for single frames of its method for several.
    """

    def only(answers: object) -> object:
        return None if answers is None else check_batch(answers, 1)[0]

    def received(client: Any, frame: bytes) -> object:
        answers = settle(received_batch(client, [frame]))
        if isinstance(answers, Deferred):
            return answers.addCallback(only)
        return only(answers)

    return received


def _begin(work: Coroutine[Any, Any, object]) -> object:
    # Its own context, as Deferred.fromCoroutine gives: what it sets in context
    # variables is seen by the rest of it, and by nobody else.
    context = copy_context()
    try:
        waits_for = context.run(work.send, None)
    except StopIteration as stop:
        return stop.value
    return context.run(_continue, work, waits_for)


def _continue(work: Coroutine[Any, Any, object], waits_for: object) -> Deferred[object]:
    async def rest() -> object:
        return await _Started(work, waits_for)

    return Deferred.fromCoroutine(rest())


class _Started:
    """A coroutine that has run up to its first wait, as something to await."""

    def __init__(self, work: Coroutine[Any, Any, object], waits_for: object) -> None:
        self._work = work
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, object]:
        waits_for = self._waits_for
        while True:
            try:
                value = yield waits_for
            except BaseException as error:
                resume = partial(self._work.throw, error)
            else:
                resume = partial(self._work.send, value)
            try:
                waits_for = resume()
            except StopIteration as stop:
                return stop.value
