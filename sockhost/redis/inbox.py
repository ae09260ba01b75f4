# -*- test-case-name: tests.redis.test_connection -*-
"""
Which message of the server is for whom.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define
from twisted.logger import Logger

from sockhost.interfaces import RedisError, RedisProtocolError, RedisReplyError
from sockhost.redis.slots import Acked, Batch, Pending, Slot
from sockhost.redis.values import Push


@define
class Inbox:
    """
    Hands messages to the slots of a queue, which it takes out, and pushes to
    their listener.  By type alone: where a message stands says nothing.

    @ivar slots: what is owed, the oldest first.
    @ivar ended: C{True} once nothing may be handed out any more.
    @ivar on_push: is called with each push, or C{None}.
    @ivar on_message: is called with each other message first, or C{None}; where
        it returns C{True}, that message answers no slot.
    """

    _log = Logger()

    slots: deque[Slot]
    ended: bool = False
    on_push: Callable[[Push], object] | None = None
    on_message: Callable[[Any], bool] | None = None

    def take(self, messages: list[Any]) -> RedisError | None:
        """
        Hand out messages.

        @return: C{None}, or a reason why the connection cannot go on: the
            message of a server that hangs up, or one that answers nothing.
        """
        slots = self.slots
        rest = iter(messages)
        for message in rest:
            if self.ended:
                return None
            if type(message) is Push:
                self.push(message)
            elif self.on_message is not None and self._intercepted(message):
                pass
            elif not slots:
                return _unasked(message)
            elif type(slots[0]) is Pending:
                slot = slots.popleft()
                if slot.called:
                    pass
                elif isinstance(message, RedisReplyError):
                    slot.errback(message)
                else:
                    slot.callback(message)
            else:
                self._special(message, rest)
        return None

    def push(self, message: Push) -> None:
        """Take a message that answers no command."""
        if self.on_push is not None:
            try:
                self.on_push(message)
            except Exception:
                self._log.failure("a listener for pushes failed")
        slot = self.slots[0] if self.slots else None
        if isinstance(slot, Acked) and slot.acknowledged(message):
            self.slots.popleft()
            slot.settle(message)

    def _special(self, message: Any, rest: Iterator[Any]) -> None:
        slot = self.slots[0]
        if isinstance(slot, Batch):
            # Where each message is looked at first, one at a time.
            more = rest if self.on_message is None else iter(())
            if slot.take(message, more, self.push):
                self.slots.popleft()
                slot.settle(slot.replies)
        else:
            self.slots.popleft()
            slot.settle(message)

    def _intercepted(self, message: Any) -> bool:
        listener = self.on_message
        try:
            return listener is not None and listener(message)
        except Exception:
            self._log.failure("a listener for messages failed")
            return False


def _unasked(message: object) -> RedisError:
    # "max number of clients reached" and the like come before any command and
    # are the reason of the end of the connection that follows them.
    if isinstance(message, RedisReplyError):
        return message
    return RedisProtocolError("the server sent a reply to no command")
