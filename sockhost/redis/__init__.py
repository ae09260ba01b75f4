# -*- test-case-name: tests.redis -*-
"""
The Redis client: many commands outstanding on one connection, every reply to
the command that it answers, and never a command that runs twice.  Useful in a
host and without one::

    from sockhost.redis import connect

    client = await connect("unix:///run/valkey.sock")
    await client.execute("SET", "a", 1)

The modules, each using only those above it::

    resp        bytes to replies and back (C{_plain}: the same in Python)
    url         where a server is
    pulse       whether it is still there
    connection  one connection: the queue of commands, deadlines, the end
    greeting    what is said on a new connection
    client      the object that programs hold, through every loss
    unit        the C{redis} kind: what connects the client
    standalone  L{connect}: the client without a host
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sockhost.redis.client import RedisClient
    from sockhost.redis.standalone import connect

__all__ = ["RedisClient", "connect"]


def __getattr__(name: str) -> Any:
    # Most of those who import a module of this room need neither.
    if name == "connect":
        from sockhost.redis.standalone import connect

        return connect
    if name == "RedisClient":
        from sockhost.redis.client import RedisClient

        return RedisClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
