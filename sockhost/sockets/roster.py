# -*- test-case-name: tests.sockets.test_roster -*-
"""
The clients of a socket, for the people who run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sockhost.interfaces import IClient

KICKED = "kicked by the administrator"

_FACTS = (
    "pid",
    "uid",
    "gid",
    "connected_at",
    "frames_in",
    "frames_out",
    "bytes_in",
    "bytes_out",
    "in_flight",
    "queued",
)


def describe(client: IClient) -> dict[str, object]:
    """
    Say what is known of a client.

    @return: what C{json} can write; C{id} is a string, as a client is called by
        its socket.
    """
    facts: dict[str, object] = {"id": str(client.id)}
    facts.update((name, getattr(client, name)) for name in _FACTS)
    return facts


def describe_all(clients: Iterable[IClient]) -> list[Mapping[str, object]]:
    """Describe clients, those who came first in front."""
    return [describe(client) for client in sorted(clients, key=lambda one: one.id)]


def kick(clients: Iterable[IClient], name: str, reason: str = KICKED) -> bool:
    """
    Drop a client.

    @param name: its C{id}.
    @param reason: what the handler is told.
    @return: whether there was one.
    """
    for client in clients:
        if str(client.id) == name:
            # Clients of the host's own count it apart from what handlers do.
            getattr(client, "kick", client.drop)(reason)
            return True
    return False
