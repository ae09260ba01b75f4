# -*- test-case-name: tests.redis.test_unsent -*-
"""
The errors of commands that were not sent, where what the server has said is the
reason: they are of both kinds.
"""

from __future__ import annotations

from sockhost.interfaces import (
    RedisConnectionError,
    RedisDenied,
    RedisLoading,
    RedisMaxClients,
    RedisReplyError,
)


class UnsentMaxClients(RedisConnectionError, RedisMaxClients):
    """The command was not sent: the server has as many clients as it takes."""


class UnsentLoading(RedisConnectionError, RedisLoading):
    """The command was not sent: the server reads its data."""


class UnsentDenied(RedisConnectionError, RedisDenied):
    """The command was not sent: the server does not let us in."""


_KINDS: tuple[tuple[type[RedisReplyError], type[RedisConnectionError]], ...] = (
    (RedisMaxClients, UnsentMaxClients),
    (RedisLoading, UnsentLoading),
    (RedisDenied, UnsentDenied),
)


def unsent(text: str, reason: BaseException | None = None) -> RedisConnectionError:
    """
    Make the error of a command that was not sent.

    @param text: what is said of it.
    @param reason: why there is no connection.
    """
    for kind, made in _KINDS:
        if isinstance(reason, kind):
            error = made(text)
            # That of what the server said, not the first word of this text.
            error.code = reason.code  # type: ignore[attr-defined]
            return error
    return RedisConnectionError(text)
