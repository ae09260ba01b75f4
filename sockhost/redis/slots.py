# -*- test-case-name: tests.redis.test_awaiting,tests.redis.test_slot_firing -*-
"""
What stands in the queue of a connection: one slot for each thing that the
server owes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import islice
from math import inf
from typing import Any

from attrs import define, field
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockhost.interfaces import RedisReplyError
from sockhost.redis.resp import Push

Canceller = Callable[[Deferred[Any]], None]

# What Deferreds have in place of a callback where they are chained.
_CONTINUE: Any = getattr(defer, "_CONTINUE", None)


class Slot(Deferred[Any]):
    """
    A place in the queue, of one command that waits for one reply unless it has
    a C{taker}.  Whatever becomes of its Deferred, it stays until the server has
    given what it owes.

    There is this one class of them, and what differs is beside it: for every
    class of Deferreds that there is, each callback of each Deferred in the
    process takes 15 ns longer.

    @ivar expires: when it is not waited for any more, by the reactor's clock.
    @ivar taker: what is given the messages for it, or C{None}.
    """

    expires: float = inf
    taker: Batch | Acked | None = None

    def __await__(self) -> Generator[Deferred[Any], Any, Any]:
        # What drives a coroutine sends it the result: that is 0.1 us sooner
        # than to look for it here.
        if not self.called:
            result = yield self
            if result is not None:
                return result
        elif not (self.paused or isinstance(self.result, Failure)):
            return self.result
        return (yield from super().__await__())

    def callback(self, result: Any) -> None:
        """
        Fire, as any Deferred does.  Nearly always one callback waits, that of a
        coroutine, and returns C{None}.  To do just that, without what chains
        need, takes a sixth less of all that 64 outstanding commands cost.
        """
        callbacks = self._callbacks
        if len(callbacks) != 1 or self.called or self.paused or self.debug:
            super().callback(result)
            return
        call: Any
        call, args, kwargs = callbacks[0][0]
        if call is _CONTINUE or isinstance(result, Failure):
            super().callback(result)
            return
        del callbacks[0]
        self._canceller = None
        self.result = result
        self.called = self._runningCallbacks = True
        try:
            self.result = outcome = call(result, *args, **kwargs)
        except BaseException:
            self.result = outcome = Failure(captureVars=False)
        self._runningCallbacks = False
        if outcome is not None or callbacks:
            # It is Twisted's to go on from here.
            again: Any = (_same, (outcome,), {})
            callbacks.insert(0, (again, again))
            self._runCallbacks()

    @property
    def beyond(self) -> int:
        """How many commands it stands for, beyond one."""
        return self.taker.missing - 1 if isinstance(self.taker, Batch) else 0

    def settle(self, message: Any) -> None:
        """Fire with what the server said, unless nobody waits any more."""
        if self.called:
            pass
        elif isinstance(message, RedisReplyError):
            self.errback(message)
        else:
            self.callback(message)


def _same(_before: object, outcome: Any) -> Any:
    return outcome


def short_way_known(deferred: object) -> bool:
    """
    Say whether a Deferred has the private parts that L{Slot.callback} uses, as
    those of Twisted 26 have.
    """
    parts = ("_callbacks", "_canceller", "_runningCallbacks", "_runCallbacks")
    return _CONTINUE is not None and all(hasattr(deferred, part) for part in parts)


if not short_way_known(Deferred()):
    del Slot.callback


@define
class Batch:
    """
    Takes the replies of many commands that were sent in one piece.  Its slot
    fires with a list; an error reply is a value in it.

    @ivar missing: how many replies have not come.
    """

    missing: int
    replies: list[Any] = field(factory=list)

    def slot(self, canceller: Canceller) -> Slot:
        """Make a slot whose messages this takes."""
        return _slot(self, canceller)

    def take(
        self, message: Any, rest: Iterator[Any], push: Callable[[Push], object]
    ) -> bool:
        """
        Take a reply, and as many of those behind it as are wanted.

        @param push: is given the pushes among them, which are no replies.
        @return: C{True} if all replies have come.
        """
        self.replies.append(message)
        self.missing -= 1
        while self.missing:
            more = list(islice(rest, self.missing))
            if not more:
                return False
            if Push in map(type, more):
                # Seldom.
                for each in more:
                    if type(each) is Push:
                        push(each)
                more = [each for each in more if type(each) is not Push]
            self.replies += more
            self.missing -= len(more)
        return True


@define
class Acked:
    """
    Takes the pushes that answer a command instead of a reply: C{SUBSCRIBE} and
    its like in RESP3.  An error reply fails its slot.

    @ivar acknowledged: is called with each push that comes while this is what
        the server owes first; says whether that was the last one.
    """

    acknowledged: Callable[[Push], bool]

    def slot(self, canceller: Canceller) -> Slot:
        """Make a slot whose messages this takes."""
        return _slot(self, canceller)


def _slot(taker: Batch | Acked, canceller: Canceller) -> Slot:
    slot = Slot(canceller)
    slot.taker = taker
    return slot
