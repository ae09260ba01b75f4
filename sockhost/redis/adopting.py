# -*- test-case-name: tests.functional.test_redis_parity -*-
"""
A client on a connection that somebody else has made.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.greeting import Greeting, greet


def adopt(
    connected: socket.socket,
    reactor: Any = None,
    greeting: Greeting | None = None,
    timeout: float = 0.0,
    ping_interval: float = 0.0,
    decode: str | None = None,
) -> Deferred[RedisClient]:
    """
    Use a connected socket: one that was inherited, or passed, or leads through
    something.  When the connection is lost, the client is at its end: it cannot
    make another, and no connections beside it.

    @param connected: of a stream.  It is taken over, and is not to be used any
        more, whatever becomes of this.
    @param reactor: by default the global one.
    @param greeting: as whom, and where, to be on it.
    @param timeout: seconds after which a command without a reply fails.
    @param ping_interval: seconds between the pings that look for a dead server.
    @param decode: the encoding of replies, or C{None} for bytes.
    @return: fires with the client when the server has answered.  Fails with
        L{RedisConnectionError<sockhost.interfaces.RedisConnectionError>}, or
        with L{RedisReplyError<sockhost.interfaces.RedisReplyError>} if the
        server refuses the greeting.  Cancelling gives up.
    """
    if reactor is None:
        from twisted.internet import reactor
    connection = RedisConnection(reactor, timeout, ping_interval)
    factory = Factory.forProtocol(lambda: connection)
    factory.noisy = False
    with connected:
        # It works on a copy.
        connected.setblocking(False)
        reactor.adoptStreamConnection(connected.fileno(), connected.family, factory)
    client = RedisClient(reactor, wait=0.0, decode=decode)
    return Deferred.fromCoroutine(_begin(client, connection, greeting or Greeting()))


async def _begin(
    client: RedisClient, connection: RedisConnection, greeting: Greeting
) -> RedisClient:
    try:
        await greet(connection, greeting)
    except BaseException:
        connection.abort()
        await connection.when_disconnected()
        raise
    client.attach(connection)
    return client
