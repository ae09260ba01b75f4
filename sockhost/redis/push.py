# -*- test-case-name: tests.redis.test_push -*-
"""
Messages that answer no command, and who is told of them.

RESP3 marks them.  In RESP2 they are arrays like others, on a connection that
was given over to them: L{pushes_in_arrays} makes such a connection behave like
one of RESP3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sockhost.interfaces import RedisError
from sockhost.redis.resp import Push

if TYPE_CHECKING:
    from sockhost.redis.connection import RedisConnection

PushHandler = Callable[[Push], object]

# What a connection of RESP2 gets while it is subscribed, and how long it is.
_ARRAY_PUSHES = {
    b"message": 3,
    b"pmessage": 4,
    b"smessage": 3,
    b"subscribe": 3,
    b"psubscribe": 3,
    b"ssubscribe": 3,
    b"unsubscribe": 3,
    b"punsubscribe": 3,
    b"sunsubscribe": 3,
}


class PushRouter:
    """
    Hands each push to the one who handles its kind.

    @ivar on_push: is called with each push of a kind that nobody handles; the
        first element is the kind.  C{None} drops them.
    @ivar channels: what takes the channel and the data of the messages of a
        channel: for L{RedisConnection.route_channels}.
    """

    def __init__(self) -> None:
        self._handlers: dict[bytes, PushHandler] = {}
        self.on_push: PushHandler | None = None
        self.channels: dict[bytes, Callable[[bytes, Any], object]] = {}

    def attach(self, connection: RedisConnection) -> None:
        """Take the pushes of a connection."""
        connection.on_push = self.take
        connection.route_channels(self.channels)

    def handle(self, kind: bytes, handler: PushHandler) -> None:
        """
        Have a handler called with each push of exactly this kind.

        @raise RedisError: the kind has one already.
        """
        if kind in self._handlers:
            raise RedisError(f"pushes of the kind {kind!r} are handled already")
        self._handlers[kind] = handler

    def release(self, kind: bytes) -> None:
        """Take the handler of a kind away."""
        self._handlers.pop(kind, None)

    def take(self, push: Push) -> None:
        """Hand a push on.  What its handler raises is raised."""
        kind = push[0] if push else None
        handler = self._handlers.get(kind) if type(kind) is bytes else None
        if handler is not None:
            handler(push)
        elif self.on_push is not None:
            self.on_push(push)


def pushes_in_arrays(connection: RedisConnection) -> None:
    """
    Have a connection of RESP2, on which nothing is sent but what is allowed
    after C{SUBSCRIBE}, take the arrays that are messages or acknowledgements
    for pushes.  The array that answers C{PING} stays a reply.
    """

    def intercept(message: Any) -> bool:
        if type(message) is not list or not message:
            return False
        kind = message[0]
        if type(kind) is not bytes or _ARRAY_PUSHES.get(kind) != len(message):
            return False
        connection.take_push(Push(message))
        return True

    connection.on_message = intercept
