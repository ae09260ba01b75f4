# -*- test-case-name: tests.redis.test_cluster -*-
"""
Commands that are for several nodes of a cluster, and how their replies are
joined.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from sockhost.interfaces import MaybeExecuted, RedisConnectionError
from sockhost.redis.cluster_keys import Arguments, name_of, slot_of

Join = Callable[[Sequence[Any]], Any]

# What is divided by slot, as each part is the same command for fewer keys, and
# how the replies are joined.  MSET is not: its keys are set at once.
_ADDED = frozenset({"DEL", "UNLINK", "EXISTS", "TOUCH"})
_DIVIDED = _ADDED | {"MGET"}


def _first(replies: Sequence[Any]) -> Any:
    return replies[0]


def _joined(replies: Sequence[Any]) -> Any:
    return [each for reply in replies for each in reply]


def _all_of(replies: Sequence[Any]) -> Any:
    return [int(all(each)) for each in zip(*replies, strict=True)]


# What goes to every node that has slots.
_EVERYWHERE: dict[str, Join] = {
    "DBSIZE": lambda replies: reduce(operator.add, replies),
    "KEYS": _joined,
    "FLUSHALL": _first,
    "FLUSHDB": _first,
    "SCRIPT LOAD": _first,
    "SCRIPT FLUSH": _first,
    "SCRIPT EXISTS": _all_of,
    "FUNCTION LOAD": _first,
    "FUNCTION DELETE": _first,
    "FUNCTION FLUSH": _first,
    "FUNCTION RESTORE": _first,
}


def join_of(args: Arguments) -> Join | None:
    """
    Say how the replies of all nodes are joined.

    @return: C{None} for a command that is not for all of them.
    """
    name = name_of(args)
    found = _EVERYWHERE.get(name)
    if found is None and name in ("SCRIPT", "FUNCTION") and len(args) > 1:
        found = _EVERYWHERE.get(f"{name} {name_of(args[1:])}")
    return found


def is_for_all(args: Arguments) -> bool:
    """Say whether a command goes to every node that has slots."""
    return join_of(args) is not None


def is_divided(args: Arguments) -> bool:
    """Say whether a command may have keys in several slots."""
    return name_of(args) in _DIVIDED


async def gather_parts(sent: Sequence[Deferred[Any]], reads: bool) -> list[Any]:
    """
    Wait for what was sent to several nodes.

    @param reads: whether it does not matter who has executed it.
    @raise MaybeExecuted: some could not be sent to, but not all.
    """
    results = await DeferredList(sent, consumeErrors=True)
    failures = [value for success, value in results if not success]
    if failures:
        if not reads and failures[0].check(RedisConnectionError):
            _check_unsent(failures, len(results))
        failures[0].raiseException()
    return [value for _, value in results]


def _check_unsent(failures: Sequence[Failure], count: int) -> None:
    # None of the parts may have been executed, if nothing was.
    for each in failures:
        if each.check(MaybeExecuted):
            each.raiseException()
    if len(failures) < count:
        error = failures[0].value
        raise MaybeExecuted(f"not by all nodes: {error}") from error


class Division:
    """
    One command for keys in several slots, as one for each slot.

    @ivar parts: the commands.
    """

    def __init__(self, args: Arguments) -> None:
        self._adds = name_of(args) in _ADDED
        self._count = len(args) - 1
        places: dict[int, list[int]] = {}
        for place, key in enumerate(args[1:]):
            places.setdefault(slot_of(key), []).append(place)
        self._places = list(places.values())
        self.parts: list[Arguments] = [
            (args[0], *(args[place + 1] for place in some)) for some in self._places
        ]

    def join(self, replies: Iterable[Any]) -> Any:
        """Make the reply to the whole of the replies to the parts."""
        if self._adds:
            return sum(replies)
        found = {
            place: value
            for some, reply in zip(self._places, replies, strict=True)
            for place, value in zip(some, reply, strict=True)
        }
        return [found[place] for place in range(self._count)]
