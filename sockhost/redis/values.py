# -*- test-case-name: tests.redis.test_plain -*-
"""
What replies are made of beside the types of Python, and where the C library
that reads them is.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from sockhost.interfaces import (
    RedisDenied,
    RedisLoading,
    RedisMaxClients,
    RedisReplyError,
)

hiredis: Any
try:
    import hiredis
    from hiredis import PushNotification as Push
except ImportError:
    hiredis = None

    class Push(list):  # type: ignore[no-redef,type-arg]
        """A message that answers no command: its kind, and what belongs to it."""


__all__ = ["USUAL_LIMITS", "Limits", "Push", "error_reply", "hiredis"]


@frozen(kw_only=True)
class Limits:
    """
    What is taken from a server.  More is an error that ends the connection,
    noticed when it is announced or, at the latest, when it has come.

    @ivar depth: how deep replies may be nested.
    @ivar elements: how many an array, a set or a map may have.
    @ivar bulk: how many bytes a string may have.
    """

    depth: int = 1024
    elements: int = 1 << 28
    bulk: int = 512 << 20


USUAL_LIMITS = Limits()


# Errors that a program may want to tell apart, by their first word.
_ERRORS: dict[str, type[RedisReplyError]] = {
    "LOADING": RedisLoading,
    "DENIED": RedisDenied,
    "-DENIED": RedisDenied,
    "NOAUTH": RedisDenied,
    "NOPERM": RedisDenied,
    "WRONGPASS": RedisDenied,
}


def error_reply(text: str) -> RedisReplyError:
    """Make the value that stands for an error reply."""
    if text.startswith("ERR max number of clients"):
        return RedisMaxClients(text)
    return _ERRORS.get(text.split(" ", 1)[0], RedisReplyError)(text)
