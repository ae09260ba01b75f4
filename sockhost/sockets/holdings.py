# -*- test-case-name: tests.sockets.test_holdings -*-
"""
What all clients of a socket together make the process hold: beginnings of
frames, requests that are worked on, answers that are not taken.

Well before the limit, clients to whom something is owed are not read from,
which ends by itself as they take it, or when others have let enough go.
Beginnings of frames do not end by themselves: at the limit, whoever holds most
is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.sockets.ends import HOLDS_MOST

RELIEF = 0.01
"""
Seconds until those who were not read from are tried again: to try them each time
that it ceases to be tight would be a lot of work when there is enough of that.
"""

TOO_MUCH = "the clients of the socket make it hold too much, this one most of all"


class Holder(Protocol):
    """
    Somebody for whom something is held.

    @ivar held: how many bytes.
    """

    @property
    def held(self) -> int: ...

    def abort(self, reason: str, why: str | None) -> None:
        """End it at once, so that nothing is held for it any more."""


@define(eq=False)
class Holdings:
    """
    Keeps the sum.

    @ivar total: how many bytes are held.
    """

    _reactor: IReactorTime
    _limit: Callable[[], int]
    _holders: Callable[[], Iterable[Holder]]
    # Has those read from who were not.
    _go_on: Callable[[], object]
    total: int = field(default=0, init=False)
    _dropping: bool = field(default=False, init=False)
    # Whether somebody may be waiting for its being not tight.
    _hinders: bool = field(default=False, init=False)
    _relief: IDelayedCall | None = field(default=None, init=False)

    @property
    def tight(self) -> bool:
        """
        Whether so much is held that no more should be begun.  Who is told so is
        tried again when it is not so any more.
        """
        if self._is_tight():
            self._hinders = True
            return True
        return False

    def change(self, difference: int) -> None:
        """
        Take notice that more or less is held, and drop who holds most while
        it is too much.
        """
        self.total += difference
        if difference > 0 and not self._dropping and self._too_much():
            self._dropping = True
            try:
                self._drop_greatest()
            finally:
                self._dropping = False
        if self._hinders and self._relief is None and not self._is_tight():
            self._relief = self._reactor.callLater(RELIEF, self._relieve)

    def close(self) -> None:
        """Nobody is read from any more."""
        self._hinders = False
        if self._relief is not None:
            self._relief.cancel()
            self._relief = None

    def _relieve(self) -> None:
        self._relief, self._hinders = None, False
        self._go_on()

    def _is_tight(self) -> bool:
        limit = self._limit()
        return 0 < limit * 3 // 4 < self.total

    def _too_much(self) -> bool:
        return 0 < self._limit() < self.total

    def _drop_greatest(self) -> None:
        greatest = sorted(self._holders(), key=lambda each: each.held)
        while greatest and self._too_much():
            greatest.pop().abort(TOO_MUCH, HOLDS_MOST)
