# -*- test-case-name: tests.sockets.test_hubwaiting -*-
"""
Requests of a client without a session that are answered later.

A Deferred that is made, waited for and fired costs 0.9 microseconds, all of them
in Twisted.  To keep account of each by itself, with an entry in a set and with
arguments for its callback, costs half of that again; so one object stands for all
requests of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from sockhost.sockets.answers import cancel

if TYPE_CHECKING:
    from sockhost.sockets.hubanswers import AnsweringConnection

MANY = 16
"""
From how many Deferreds on those that have fired are not kept until the last has.
"""


class Waiting:
    """
    Requests of one length, each with a Deferred that the handler has returned.
    """

    __slots__ = ("_answers", "_connection", "_last", "_left", "_size")

    def __init__(
        self,
        connection: AnsweringConnection,
        answers: Sequence[Deferred[Any]],
        size: int,
    ) -> None:
        """
        @param connection: whose requests they are.
        @param size: how long each is.
        """
        count = len(answers)
        self._connection = connection
        self._answers = answers
        self._size = size
        # How many are to be answered until something is to be done, and how
        # many after that.
        self._last = count // 8 if count >= MANY else 0
        self._left = count - self._last

    def begin(self) -> None:
        """Count them, and take their answers from now on."""
        connection, count = self._connection, self._left + self._last
        if connection.work is None:
            connection.work = {self}
        else:
            connection.work.add(self)
        connection.in_flight += count
        connection.in_flight_bytes += count * self._size
        answered = self._answered
        for answer in self._answers:
            answer.addBoth(answered)

    def cancel(self) -> None:
        """Cancel what has no answer yet."""
        for answer in _unanswered(self._answers):
            cancel(answer)

    def _answered(self, result: object) -> None:
        connection = self._connection
        self._left -= 1
        if not self._left:
            self._dwindle()
        if connection.session is not None:
            session = connection.session
            over = None if self._left else self
            session.answered(result, over, 1, self._size, session.reply)
            connection.sleep()
            return
        connection.in_flight -= 1
        connection.in_flight_bytes -= self._size
        late = connection.late
        if late is not None and type(result) is bytes:
            # As nearly all: what else is to be done is done with the first.
            late.append(result)
        else:
            connection.answer_late(result, self._size)

    def _dwindle(self) -> None:
        self._left, self._last = self._last, 0
        connection = self._connection
        if self._left:
            # The others may be answered in this turn, too.
            connection.hub.later(self._thin)
        elif connection.work is not None:
            connection.work.discard(self)
            if not connection.work:
                connection.work = None

    def _thin(self) -> None:
        if self._left:
            self._answers = _unanswered(self._answers)


def _unanswered(answers: Sequence[Deferred[Any]]) -> list[Deferred[Any]]:
    # One that waits for another has been called, too.
    return [each for each in answers if not each.called or each.paused]
