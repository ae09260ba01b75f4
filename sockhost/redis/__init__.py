# -*- test-case-name: tests.redis -*-
"""
The Redis client: many commands outstanding on one connection, every reply to
the command that it answers, and never a command that runs twice.  Useful in a
host and without one::

    from sockhost.redis import connect

    client = await connect("unix:///run/valkey.sock")
    await client.execute("SET", "a", 1)

The modules, each using only those above it::

    values      what replies are made of, and how much of it is taken
    resp        bytes to replies and back (C{_plain}: the same in Python)
    formatting  commands out of formats
    decoding    replies as text
    names       where a command may be sent, by its name
    url         where a server is, or many (C{tls}: how to be sure of it;
                C{families}: which addresses are tried first)
    settings    what a client can be told
    slots       what the server owes, in a C{line}
    deadlines   how long that is waited for
    wire        the shortest way to the kernel
    outlet      when bytes are sent
    inbox       which message is for whom
    pulse       whether the server is still there
    connection  one connection: all of these, and its C{ending}
    greeting    what is said on a new connection
    dialing     how a connection comes to be (C{credentials}: as whom)
    racing      asking many who should know the same
    sentinel    which server is the primary, and when another one becomes it
    unsent      why a command was not sent, by type
    dedicated   connections beside the one that all share
    alone       commands that block
    lifetime    what waits, and ends with the client
    retrying    commands that may be executed twice
    supply      the connection there is, or what is C{waiting} for it
    push        who is told of what no command has asked for (C{telling}: how)
    mailbox     what waits to be read by an iterator, bounded
    subscription  what one listener of published messages listens to
    hub         wishes, kept in accord with a connection (C{acks}, C{routes})
    pubsub      published messages, on whichever connection takes them
    monitor     every command that the server is given
    cache       what was read, as long as it is true (C{cacheable}: what can be)
    listening   the part of the client that is all of these
    commands    what may be sent, as typed methods
    scripts     what runs in the server
    pipeline    many commands at once
    transaction  all or nothing
    lock        one at a time
    scan        all of many
    streams     members of groups
    working     the part of the client that is all of these
    client      the object that programs hold, through every loss
    unit        the C{redis} kind: what connects the client
    cluster     the client of a cluster (C{cluster_keys}, C{cluster_map},
                C{cluster_nodes}, C{cluster_routing}, C{cluster_spread},
                C{cluster_watch}, C{cluster_batches}, C{cluster_rounds},
                C{cluster_shards}, C{cluster_pubsub}, C{cluster_cache},
                C{cluster_listening}, C{cluster_unit})
    standalone  L{connect}: the client without a host
    adopting    the same on a socket that is connected already
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sockhost.redis.adopting import adopt
    from sockhost.redis.client import RedisClient
    from sockhost.redis.greeting import Greeting
    from sockhost.redis.standalone import connect

__all__ = ["Greeting", "RedisClient", "adopt", "connect"]

_PLACES = {
    "Greeting": "greeting",
    "RedisClient": "client",
    "adopt": "adopting",
    "connect": "standalone",
}


def __getattr__(name: str) -> Any:
    # Most of those who import a module of this room need none of these.
    if name in _PLACES:
        return getattr(import_module(f"sockhost.redis.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
