# -*- test-case-name: tests.redis.test_hub -*-
"""
Commands that are answered by one acknowledgement for each of their names.

C{SUNSUBSCRIBE} is not always: the server takes sharded channels away by itself
too, and says so in the same words.  If it does while the command is on its way,
an error comes behind that, or one acknowledgement more.  So a command that is
answered once in any case is sent behind it, and ends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockhost.interfaces import MaybeExecuted, RedisReplyError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.resp import Push, encode_command
from sockhost.redis.slots import Batch
from sockhost.redis.subscription import gather

# Everybody may say this at any time, whatever his rights and the server's state
# are.
_FENCE = encode_command(("HELLO",))
_FENCE_NAME = "'hello'"


def _nothing(_: bytes) -> None:
    """Nobody wants to know."""


def send_names(
    connection: RedisConnection,
    word: bytes,
    names: Iterable[bytes],
    granted: Callable[[bytes], object] = _nothing,
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


@define
class _Fenced(Batch):
    """
    Takes all that comes until the fence has been answered.

    @ivar over: is called then, also where nobody waits any more.
    @ivar refused: what the command was answered with, if with an error.
    """

    over: Callable[[], object] = field(kw_only=True)
    refused: RedisReplyError | None = None

    def take(
        self, message: Any, rest: Iterator[Any], push: Callable[[Push], object]
    ) -> bool:
        """See L{Batch.take}."""
        if isinstance(message, RedisReplyError) and not _of_fence(message):
            self.refused = message
            return False
        self.over()
        return True

    def result(self, _: object) -> None:
        """Say what became of the command."""
        if self.refused is not None:
            raise self.refused

    def lost(self, failure: Failure) -> Failure:
        """Take note that nothing may come any more."""
        if not failure.check(MaybeExecuted):
            self.over()
        return failure


def _of_fence(error: RedisReplyError) -> bool:
    # In RESP2 it is not taken beside subscriptions, and an old server may not
    # know it.
    return _FENCE_NAME in str(error).lower()


@define
class Leaving:
    """
    Sends C{SUNSUBSCRIBE}, and knows what the server has not done with.
    """

    _names: Counter[bytes] = field(factory=Counter)

    def __contains__(self, name: bytes) -> bool:
        return self._names[name] > 0

    def clear(self) -> None:
        """Begin anew: what is under way on one connection is none of the next."""
        self._names = Counter()

    def send(
        self, connection: RedisConnection, word: bytes, names: Sequence[bytes]
    ) -> Deferred[Any]:
        """
        Send the command.

        @param names: at least one, each once.
        @return: like that of L{send_names}.
        """
        under_way = self._names
        under_way.update(names)
        fenced = _Fenced(2, over=partial(_subtract, under_way, names))
        slot = fenced.slot(connection.withdraw)
        sent = connection.enqueue(slot, encode_command([word, *names]) + _FENCE)
        return sent.addCallbacks(fenced.result, fenced.lost)


def _subtract(counts: Counter[bytes], names: Iterable[bytes]) -> None:
    for name in names:
        counts[name] -= 1
        if counts[name] <= 0:
            del counts[name]


async def send_separable(
    connection: RedisConnection,
    word: bytes,
    names: Sequence[bytes],
    wished: Callable[[bytes], bool],
) -> list[bytes]:
    """
    Send a command for many names, and where it is refused, one for each: one
    name spoils the command for all.  There is no limit of time.

    @param wished: says whether a name is still to be asked for then.
    @return: the names that are refused.
    """
    if not names:
        return []
    try:
        await send_names(connection, word, names, timeout=0.0)
    except RedisReplyError:
        if len(names) == 1:
            return list(names)
    else:
        return []
    sending = [
        Deferred.fromCoroutine(send_separable(connection, word, [name], wished))
        for name in names
        if wished(name)
    ]
    return [name for refused in await gather(sending) for name in refused]
