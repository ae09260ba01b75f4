# -*- test-case-name: tests.redis.test_hub -*-
"""
Commands that are answered by one acknowledgement for each of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisReplyError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.resp import Push, encode_command
from sockhost.redis.subscription import gather


def send_names(
    connection: RedisConnection,
    word: bytes,
    names: Iterable[bytes],
    granted: Callable[[bytes], object],
    timeout: float | None = None,
) -> Deferred[Any]:
    """
    Send C{SUBSCRIBE}, C{UNSUBSCRIBE} or one of their like.

    @param word: the command, as the server writes it in what it acknowledges.
    @param names: at least one, each once.
    @param granted: is called with each name as it is acknowledged.
    @return: fires when all are.  Fails like a command.
    """
    owed = set(names)
    data = encode_command([word, *owed])

    def acknowledged(push: Push) -> bool:
        if len(push) == 3 and push[0] == word and type(push[1]) is bytes:
            name = push[1]
            if name in owed:
                owed.discard(name)
                granted(name)
        return not owed

    return connection.send_acked(data, acknowledged, timeout)


async def send_separable(
    connection: RedisConnection, word: bytes, names: Sequence[bytes]
) -> list[bytes]:
    """
    Send a command for many names, and where it is refused, one for each: one
    name spoils the command for all.  There is no limit of time.

    @return: the names that are refused.
    """
    if not names:
        return []
    try:
        await send_names(connection, word, names, lambda _: None, 0.0)
    except RedisReplyError:
        if len(names) == 1:
            return list(names)
    else:
        return []
    sending = [
        Deferred.fromCoroutine(send_separable(connection, word, [name]))
        for name in names
    ]
    return [name for refused in await gather(sending) for name in refused]
