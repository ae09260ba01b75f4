# -*- test-case-name: tests.sockets.test_beside -*-
"""
What comes beside the bytes of one client: descriptors, and who wrote them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from attrs import define, field

from sockhost.sockets.credentials import PeerCredentials
from sockhost.sockets.descriptors import Kept

TOO_MANY = "it passed more descriptors than are taken (max_fds)"
NONE_LEFT = "it passed descriptors when none were left for clients"

Attach = Callable[[Sequence[int]], None]


@define(eq=False)
class Beside:
    """
    Holds descriptors until somebody takes them, within a limit, and none of
    those that no client may have.

    @ivar attach: sends descriptors with the byte that is put in next.
    @ivar sender: who wrote what was read last, or C{None} if that is not told.
    """

    attach: Attach
    _limit: int
    _kept: Kept
    sender: PeerCredentials | None = field(default=None, init=False)
    _received: list[int] = field(factory=list, init=False)

    def receive(self, descriptors: Sequence[int]) -> str | None:
        """
        Take charge of descriptors that have come.

        @return: why they cannot be had, if so: all that are held are closed
            then.
        """
        self._received += descriptors
        if len(self._received) > self._limit:
            self.close()
            return TOO_MANY
        if any(each >= self._kept.first for each in descriptors):
            self.close()
            self._kept.tell("drops clients that pass descriptors")
            return NONE_LEFT
        return None

    def take(self) -> list[int]:
        """Hand over all that have come, in order, for the caller to close."""
        taken, self._received = self._received, []
        return taken

    def close(self) -> None:
        """Close what nobody has taken."""
        for descriptor in self.take():
            os.close(descriptor)
