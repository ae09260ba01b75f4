# -*- test-case-name: tests.redis.test_connection -*-
"""
What stands in the queue of a connection: one slot for each thing that the
server owes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from math import inf
from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisReplyError
from sockhost.redis.resp import Push

Canceller = Callable[[Deferred[Any]], None]


class Slot(Deferred[Any]):
    """
    A place in the queue.  Whatever becomes of its Deferred, it stays until
    the server has given what it owes.

    @ivar expires: when it is not waited for any more, by the reactor's clock.
    """

    expires: float = inf

    def settle(self, message: Any) -> None:
        """Fire with what the server said, unless nobody waits any more."""
        if self.called:
            pass
        elif isinstance(message, RedisReplyError):
            self.errback(message)
        else:
            self.callback(message)


class Pending(Slot):
    """One command that waits for one reply."""


class Batch(Slot):
    """
    Many commands, sent in one piece, that wait for all their replies.  Fires
    with a list; an error reply is a value in it.

    @ivar missing: how many replies have not come.
    """

    def __init__(self, count: int, canceller: Canceller | None = None) -> None:
        super().__init__(canceller)
        self.missing = count
        self.replies: list[Any] = []

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


class Acked(Slot):
    """
    A command that pushes answer instead of a reply: C{SUBSCRIBE} and its like
    in RESP3.  An error reply fails it.

    @ivar acknowledged: is called with each push that comes while this is what
        the server owes first; says whether that was the last one.
    """

    def __init__(
        self,
        acknowledged: Callable[[Push], bool],
        canceller: Canceller | None = None,
    ) -> None:
        super().__init__(canceller)
        self.acknowledged = acknowledged
