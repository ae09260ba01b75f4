# -*- test-case-name: tests.sockets.test_matching -*-
"""
Which answer belongs to which request: by their order, or by a number that the
server sends back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from struct import Struct
from typing import Protocol

from attrs import define, field

from sockhost.interfaces import FrameError

_NUMBER = Struct("=I")
_NUMBERS = 2**32


class Matcher(Protocol):
    """
    Knows the requests of one connection that are not answered.  Each has a key
    that no other one of them has.

    @ivar tells_apart: whether answers can still be told apart after one has not
        come in time.  If not, the connection is of no use then.
    """

    tells_apart: bool

    def outgoing(self, payload: bytes) -> tuple[int, bytes]:
        """
        A request is about to be sent.

        @return: its key, and what is to be sent.
        """

    def unsent(self, key: int) -> None:
        """The request that was made last was not sent after all."""

    def incoming(self, frame: bytes) -> tuple[int | None, bytes]:
        """
        A frame has come.

        @return: the key of the request that it answers, and the answer; no key
            if nobody has asked for it.
        @raise FrameError: it cannot be an answer.
        """

    def abandon(self, key: int) -> None:
        """Nobody waits for the answer to this request any more."""


MakeMatcher = Callable[[], Matcher]


@define(eq=False)
class InOrder:
    """
    Answers come in the order of the requests, one for each.  This is so with
    every handler that answers at once; one that answers later may let answers
    overtake.  A request that never gets an answer would leave that of the next
    to it, so once one has not come in time, no later one is trusted.
    """

    tells_apart = False
    _keys: count[int] = field(factory=count, init=False)
    _unanswered: deque[int] = field(factory=deque, init=False)

    def outgoing(self, payload: bytes) -> tuple[int, bytes]:
        """The request gets the next place."""
        key = next(self._keys)
        self._unanswered.append(key)
        return key, payload

    def unsent(self, key: int) -> None:
        """Its place is the next one's."""
        self._unanswered.pop()

    def incoming(self, frame: bytes) -> tuple[int | None, bytes]:
        """It answers the request that waits for the longest time."""
        return (self._unanswered.popleft() if self._unanswered else None), frame

    def abandon(self, key: int) -> None:
        """Its answer still comes in its place, and is for nobody then."""


def push_number(payload: bytes, number: int) -> bytes:
    """Put four bytes in front of a payload, in the byte order of the machine."""
    return _NUMBER.pack(number) + payload


def pull_number(frame: bytes) -> tuple[int, bytes]:
    """
    The contrary of L{push_number}.

    @raise FrameError: the frame has no four bytes.
    """
    if len(frame) < _NUMBER.size:
        raise FrameError(f"an answer of {len(frame)} bytes has no request number")
    return _NUMBER.unpack_from(frame)[0], frame[_NUMBER.size :]


@define(eq=False)
class ByNumber:
    """
    Each request has a number of 32 bits, which its answer has too, so answers
    may come in any order.  Numbers that nobody waits for are ignored: their
    requests were given up.

    @ivar push: puts the number into a request.
    @ivar pull: finds the number of an answer, and the answer without it.
    """

    tells_apart = True
    push: Callable[[bytes, int], bytes] = push_number
    pull: Callable[[bytes], tuple[int, bytes]] = pull_number
    _last: int = field(default=0, init=False)
    _unanswered: set[int] = field(factory=set, init=False)

    def outgoing(self, payload: bytes) -> tuple[int, bytes]:
        """The request gets the next number that is free."""
        number = self._last
        while True:
            number = (number + 1) % _NUMBERS
            if number and number not in self._unanswered:
                break
        self._last = number
        self._unanswered.add(number)
        return number, self.push(payload, number)

    def unsent(self, key: int) -> None:
        """Its number is free."""
        self.abandon(key)

    def incoming(self, frame: bytes) -> tuple[int | None, bytes]:
        """It answers the request of its number."""
        number, answer = self.pull(frame)
        self._unanswered.discard(number)
        return number, answer

    def abandon(self, key: int) -> None:
        """Its number is free."""
        self._unanswered.discard(key)
