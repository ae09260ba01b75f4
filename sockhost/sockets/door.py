# -*- test-case-name: tests.sockets.test_door -*-
"""
Deciding about a client before its handler sees it.
"""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from sockhost.sockets.access import EVERYBODY, Access
from sockhost.sockets.credentials import HasSocketOptions, peer_credentials
from sockhost.sockets.limits import Limits

DESCRIPTORS = "descriptors"
DRAINING = "draining"
TOO_MANY = "max_clients"
TOO_MANY_OF_USER = "max_clients_per_uid"
NOT_ALLOWED = "access"
BY_HANDLER = "handler"


@define(eq=False)
class Door:
    """
    Knows who is in, and who may come in.

    @ivar access: who may.
    """

    access: Access = EVERYBODY
    _inside: int = field(default=0, init=False)
    _users: Counter[int | None] = field(factory=Counter, init=False)

    def refusal(self, connection: HasSocketOptions, limits: Limits) -> str | None:
        """
        Say why a client may not come in.

        @param connection: its Unix socket.
        @return: a word, or C{None} if it may.
        @raise OSError: the kernel does not tell who it is.
        """
        peer = peer_credentials(connection)
        if not self.access.admits(peer, connection):
            return NOT_ALLOWED
        if self.is_full(limits):
            return TOO_MANY
        most = limits.max_clients_per_uid
        if most and self._users[peer.uid] >= most:
            return TOO_MANY_OF_USER
        return None

    def is_open(self, limits: Limits) -> bool:
        """Say whether it does not matter who a client is."""
        return self.access is EVERYBODY and not limits.max_clients_per_uid

    def is_full(self, limits: Limits) -> bool:
        """Say whether there are as many as may be, whoever they are."""
        return bool(limits.max_clients) and self._inside >= limits.max_clients

    @property
    def is_empty(self) -> bool:
        """Say whether nobody is in."""
        return not self._inside

    def enter(self, uid: int | None) -> None:
        """A client of this user has come in."""
        self._inside += 1
        self._users[uid] += 1

    def leave(self, uid: int | None) -> None:
        """A client of this user has gone."""
        self._inside -= 1
        self._users[uid] -= 1
        if not self._users[uid]:
            del self._users[uid]
