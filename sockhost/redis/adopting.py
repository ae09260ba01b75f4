# -*- test-case-name: tests.functional.test_redis_adopting -*-
"""
A client on a connection that somebody else has made.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004
from twisted.internet.protocol import Factory

from sockhost.interfaces import MaybeExecuted, RedisConnectionError
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.greeting import Greeting, greet
from sockhost.redis.resp import RespReader
from sockhost.redis.values import USUAL_LIMITS, Limits


def adopt(
    connected: socket.socket,
    reactor: Any = None,
    greeting: Greeting | None = None,
    timeout: float = 0.0,
    ping_interval: float = 0.0,
    decode: str | None = None,
    max_queued: int = 100_000,
    connect_timeout: float = 5.0,
    limits: Limits = USUAL_LIMITS,
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
    @param max_queued: how many commands may be unanswered.
    @param connect_timeout: seconds that the greeting may take.
    @param limits: what is taken from the server.
    @return: fires with the client when the server has answered.  Fails with
        L{RedisConnectionError<sockhost.interfaces.RedisConnectionError>}, or
        with L{RedisReplyError<sockhost.interfaces.RedisReplyError>} if the
        server refuses the greeting.  Cancelling gives up.
    """
    if reactor is None:
        from twisted.internet import reactor
    reader = RespReader(limits)
    connection = RedisConnection(reactor, timeout, ping_interval, reader=reader)
    factory = Factory.forProtocol(lambda: connection)
    factory.noisy = False
    with connected:
        # It works on a copy.
        connected.setblocking(False)
        reactor.adoptStreamConnection(connected.fileno(), connected.family, factory)
    greeting = greeting or Greeting()
    client = RedisClient(reactor, wait=0.0, max_queued=max_queued, decode=decode)
    greeted = Deferred.fromCoroutine(greet(connection, greeting))
    greeted.addTimeout(connect_timeout, reactor)
    return Deferred.fromCoroutine(_begin(client, connection, greeted, connect_timeout))


async def _begin(
    client: RedisClient,
    connection: RedisConnection,
    greeted: Deferred[None],
    limit: float,
) -> RedisClient:
    try:
        await greeted
    except BaseException as error:
        connection.abort(_reason(error, limit))
        # Of one that was lost the reason is the one that it had before.
        reason = await connection.when_disconnected()
        if isinstance(error, MaybeExecuted | TimeoutError):
            raise RedisConnectionError(str(reason)) from None
        raise
    client.attach(connection)
    return client


def _reason(error: BaseException, limit: float) -> RedisConnectionError:
    if isinstance(error, TimeoutError):
        return RedisConnectionError(f"no answer within {limit} s")
    return RedisConnectionError(str(error))
