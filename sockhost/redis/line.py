# -*- test-case-name: tests.redis.test_connection -*-
"""
The queue of a connection: what the server owes, and what it was not told yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from attrs import define, field

from sockhost.redis.slots import Slot


@define
class Line:
    """
    Slots in order, and the bytes of the last of them.  Both are changed by the
    connection too, which adds to and takes from them with each command.

    @ivar slots: what is owed, the oldest first.
    @ivar unsent: the bytes of as many slots at the end, one piece for each.
    @ivar withdrawn: whether a slot may have been given up since the bytes were
        last taken.
    @ivar beyond: how many more replies than slots are owed, for those who have
        sent many commands in one piece.
    @ivar on_beyond: is called with that when it changes.
    @ivar on_room: is called once when there may be room for more, or C{None}:
        some replies have come, or what was not sent has been given up.
    """

    slots: deque[Slot] = field(factory=deque)
    unsent: list[bytes] = field(factory=list)
    withdrawn: bool = False
    beyond: int = 0
    on_beyond: Callable[[int], object] = int
    on_room: Callable[[], object] | None = None

    def owe(self, more: int) -> None:
        """Take note of more replies that are owed beyond slots, or fewer."""
        if more:
            self.beyond += more
            self.on_beyond(self.beyond)

    def take_bytes(self) -> bytes:
        """
        Take out what is to be sent.  The slots of what was given up meanwhile
        leave the queue with their bytes.
        """
        if self.withdrawn:
            self._drop_withdrawn()
        unsent = self.unsent
        data = unsent[0] if len(unsent) == 1 else b"".join(unsent)
        unsent.clear()
        return data

    def make_room(self) -> None:
        """Say that there may be room, also where somebody was who has gone."""
        if self.withdrawn:
            self._drop_withdrawn()
        self._tell_room()

    def _tell_room(self) -> None:
        on_room, self.on_room = self.on_room, None
        if on_room is not None:
            on_room()

    def sent(self) -> set[Slot]:
        """The slots whose bytes were taken."""
        return set(islice(self.slots, len(self.slots) - len(self.unsent)))

    def end(self) -> Iterator[tuple[Slot, bool]]:
        """
        Take out everything.

        @return: the slots that have not fired when their turn comes, in order,
            and whether their bytes were taken.
        """
        slots = list(self.slots)
        sent = len(slots) - len(self.unsent)
        self.slots.clear()
        self.unsent.clear()
        self.owe(-self.beyond)
        return (
            (slot, place < sent) for place, slot in enumerate(slots) if not slot.called
        )

    def drop(self, gone: set[Slot]) -> None:
        """Take out some of the slots whose bytes were not taken, and these."""
        self._keep(lambda slot: slot not in gone)

    def _drop_withdrawn(self) -> None:
        self.withdrawn = False
        self._keep(lambda slot: not slot.called)

    def _keep(self, wanted: Callable[[Slot], bool]) -> None:
        slots = [self.slots.pop() for _ in self.unsent][::-1]
        pieces = self.unsent[:]
        self.unsent.clear()
        for slot, piece in zip(slots, pieces, strict=True):
            if wanted(slot):
                self.slots.append(slot)
                self.unsent.append(piece)
            else:
                self.owe(-slot.beyond)
        # Nothing may be left for the server to answer, which would say so.
        self._tell_room()
