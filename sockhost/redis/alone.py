# -*- test-case-name: tests.redis.test_dedicated,tests.redis.test_alone -*-
"""
Commands that block, each on a connection to itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from sockhost.redis.connection import RedisConnection
from sockhost.redis.slots import Batch, Slot


class Lender(Protocol):
    """What lends connections: the client."""

    def dedicated(self) -> Deferred[RedisConnection]:
        """Lend a connection."""

    def release(self, connection: RedisConnection) -> None:
        """Take it back."""


def _nothing(_: RedisConnection) -> None:
    """Nobody wants to know."""


def execute_alone(
    lender: Lender,
    data: bytes,
    timeout: float | None = None,
    blocks: Callable[[RedisConnection], object] = _nothing,
) -> Deferred[Any]:
    """
    Send one encoded command on a connection to itself.

    @param timeout: seconds; otherwise the command's own limit is the only one,
        as that of the connection is for commands that are answered at once.
    @param blocks: is called with the connection.
    @return: like that of L{RedisConnection.execute}, but cancelling it, or its
        running out of time, closes the connection: so the server does not take
        an item out of a list for nobody.
    """
    return Deferred.fromCoroutine(_execute(lender, None, data, timeout, blocks))


def send_alone(
    lender: Lender, count: int, data: bytes, timeout: float | None = None
) -> Deferred[list[Any]]:
    """
    Send encoded commands, of which some block, in one piece and on a connection
    to themselves.

    @param count: how many they are.
    @return: like that of L{RedisConnection.send_many}, but for cancelling, which
        is that of L{execute_alone}.
    """
    return Deferred.fromCoroutine(_execute(lender, count, data, timeout, _nothing))


async def _execute(
    lender: Lender,
    count: int | None,
    data: bytes,
    timeout: float | None,
    blocks: Callable[[RedisConnection], object],
) -> Any:
    connection = await lender.dedicated()
    blocks(connection)
    limit = 0.0 if timeout is None else timeout
    connection.hold_pings(True)
    try:
        if count is None:
            slot = Slot(connection.withdraw)
        else:
            slot = Batch(count).slot(connection.withdraw)
        return await connection.enqueue(slot, data, limit)
    finally:
        connection.hold_pings(False)
        # One that still owes the reply is closed by this.
        lender.release(connection)
