# -*- test-case-name: tests.redis.test_connection -*-
"""
Which message of the server is for whom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from sockhost.interfaces import RedisError, RedisProtocolError, RedisReplyError
from sockhost.redis.line import Line
from sockhost.redis.slots import Acked, Batch, Slot
from sockhost.redis.telling import watch
from sockhost.redis.values import Push


@define
class Inbox:
    """
    Hands messages to the slots of a queue, which it takes out, and pushes to
    their listener.  By type alone: where a message stands says nothing.

    @ivar ended: C{True} once nothing may be handed out any more.
    @ivar on_push: is called with each push, or C{None}.
    @ivar on_message: is called with each other message first, or C{None}; where
        it returns C{True}, that message answers no slot.
    @ivar channels: what takes the channel and the data of the messages that are
        published on a channel, instead of C{on_push}.
    """

    _log = Logger()

    line: Line
    ended: bool = False
    on_push: Callable[[Push], object] | None = None
    on_message: Callable[[Any], bool] | None = None
    channels: dict[bytes, Callable[[bytes, Any], object]] = field(factory=dict)

    def take(self, messages: list[Any]) -> RedisError | None:
        """
        Hand out messages.

        @return: C{None}, or a reason why the connection cannot go on: the
            message of a server that hangs up, or one that answers nothing.
        """
        slots, unsent = self.line.slots, self.line.unsent
        # Only what was sent can be answered.
        careful = len(messages) > len(slots) - len(unsent)
        channels = self.channels
        rest = iter(messages)
        for message in rest:
            if self.ended:
                return None
            if type(message) is Push:
                if len(message) != 3 or message[0] != b"message":
                    self.push(message)
                    continue
                # The shortest way for what comes most often, and answers no
                # command: a call more takes as long as all of this.
                channel = message[1]
                sink = channels.get(channel)
                if sink is None:
                    self._unrouted(message)
                    continue
                try:
                    result = sink(channel, message[2])
                    if result is not None:
                        watch(result, self._log)
                except Exception:
                    self._log.failure("a listener failed")
            elif self.on_message is not None and self._intercepted(message):
                pass
            elif careful and len(slots) <= len(unsent):
                return _unasked(message)
            else:
                slot = slots.popleft()
                if slot.taker is not None:
                    self._special(slot, message, rest)
                elif slot.called:
                    pass
                elif isinstance(message, RedisReplyError):
                    slot.errback(message)
                else:
                    slot.callback(message)
        return None

    def _unrouted(self, message: Push) -> None:
        if self.on_push is not None:
            try:
                self.on_push(message)
            except Exception:
                self._log.failure("a listener failed")

    def push(self, message: Push) -> None:
        """Take a message that answers no command."""
        if self.on_push is not None:
            try:
                self.on_push(message)
            except Exception:
                self._log.failure("a listener for pushes failed")
        slots = self.line.slots
        taker = slots[0].taker if slots else None
        if isinstance(taker, Acked) and taker.acknowledged(message):
            slots.popleft().settle(message)

    def _special(self, slot: Slot, message: Any, rest: Iterator[Any]) -> None:
        taker = slot.taker
        if isinstance(taker, Batch):
            # It stays in front while it is asked for more, for pushes that come
            # in between.  Where each message is looked at first, they are taken
            # one at a time.
            self.line.slots.appendleft(slot)
            more = rest if self.on_message is None else iter(())
            before = taker.missing
            done = taker.take(message, more, self.push)
            # The last of them is its slot's own.
            self.line.owe(taker.missing - before + done)
            if not done:
                return
            self.line.slots.popleft()
            message = taker.replies
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
