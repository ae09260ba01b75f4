# -*- test-case-name: tests.redis.test_retrying -*-
"""
Sending again what its caller says may be executed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import RedisConnectionError, RedisReplyError
from sockhost.redis.lifetime import Lifetime

# Seconds before the second attempt, and the most before any.
FIRST = 0.02
MOST = 1.0
# Error replies that say that the same may succeed soon.
TRANSIENT = frozenset({"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "BUSY"})


def send_again(
    send: Callable[[], Deferred[Any]], times: int, lifetime: Lifetime
) -> Deferred[Any]:
    """
    Send, and send again when the reply was lost, nothing could be sent, or the
    server says that it cannot do it yet.

    @param times: how many times to send again, at most.
    @param lifetime: that of the client, with which the pauses end.
    @return: fires with the reply, or fails as the last attempt did.  Cancelling
        cancels what is under way.
    """
    return Deferred.fromCoroutine(_send_again(send, times, lifetime))


async def _send_again(
    send: Callable[[], Deferred[Any]], times: int, lifetime: Lifetime
) -> Any:
    for attempt in range(times):
        try:
            return await send()
        except RedisConnectionError:
            pass
        except RedisReplyError as error:
            if error.code not in TRANSIENT:
                raise
        await lifetime.pause(min(FIRST * 2**attempt, MOST))
    return await send()
