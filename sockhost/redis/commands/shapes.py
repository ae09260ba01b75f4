# -*- test-case-name: tests.redis.test_shapes -*-
"""
What typed commands make of replies: the same value from RESP2 as from RESP3.

Each function here takes the reply of a command that succeeded.  An error reply
never gets here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple

Shape = Callable[[Any], Any]


class StreamEntry(NamedTuple):
    """
    An entry of a stream.

    @ivar id: as the server gave it.
    @ivar items: the pairs of field and value, in their order; a field may be
        in it twice.  Empty for an entry that was deleted meanwhile.
    """

    id: bytes
    items: tuple[tuple[bytes, bytes], ...]

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The fields with their values, the last of each."""
        return dict(self.items)


class Claimed(NamedTuple):
    """
    What C{XAUTOCLAIM} took over.

    @ivar cursor: where to go on; C{b"0-0"} at the end.
    @ivar entries: the entries, or their ids if only these were asked for.
    @ivar deleted: the ids of those that are not in the stream any more.
    """

    cursor: bytes
    entries: list[Any]
    deleted: list[bytes]


# -- scalars ----------------------------------------------------------------


def done(reply: Any) -> bool:
    """C{OK} or nothing, and whatever else stands for these."""
    return reply is not None


def flag(reply: Any) -> bool:
    """1 or 0."""
    return bool(reply)


def number(reply: Any) -> float:
    """A double, or its text."""
    return float(reply)


def optional_number(reply: Any) -> float | None:
    """A double, its text, or nothing."""
    return None if reply is None else float(reply)


# -- lists ------------------------------------------------------------------


def flags(reply: Any) -> list[bool]:
    """A list of 1 and 0."""
    return [bool(each) for each in reply]


def numbers(reply: Any) -> list[float | None]:
    """A list of doubles, their texts, and nothing."""
    return [optional_number(each) for each in reply]


def items(reply: Any) -> list[Any]:
    """A list, or nothing for an empty one."""
    return list(reply or ())


def members(reply: Any) -> set[Any]:
    """A set, as a list."""
    return set(reply)


def pair(reply: Any) -> tuple[Any, Any] | None:
    """A list of two, or nothing."""
    return tuple(reply) if reply else None


def counted(reply: Any) -> tuple[int, int]:
    """Two numbers, or their texts."""
    first, second = reply
    return int(first), int(second)


# -- pairs and maps ---------------------------------------------------------


def pairs(reply: Any) -> list[tuple[Any, Any]]:
    """Pairs: a map, a list of pairs, or a list of firsts and seconds in turn."""
    if not reply:
        return []
    if isinstance(reply, dict):
        return list(reply.items())
    if isinstance(reply[0], list | tuple):
        return [(first, second) for first, second in reply]
    return list(zip(reply[::2], reply[1::2], strict=True))


def mapping(reply: Any) -> dict[Any, Any]:
    """A map."""
    return reply if isinstance(reply, dict) else dict(pairs(reply))


def scored(reply: Any) -> list[tuple[Any, float]]:
    """Members with their scores."""
    return [(member, float(score)) for member, score in pairs(reply)]


def scored_one(reply: Any) -> tuple[Any, float] | None:
    """One member with its score, or nothing."""
    return scored(reply)[0] if reply else None


def ranked(reply: Any) -> tuple[int, float] | None:
    """A rank with a score, or nothing."""
    return (reply[0], float(reply[1])) if reply else None


def popped(reply: Any) -> tuple[Any, list[Any]] | None:
    """A key with elements of it, or nothing."""
    return (reply[0], list(reply[1])) if reply else None


def popped_scored(reply: Any) -> tuple[Any, list[tuple[Any, float]]] | None:
    """A key with scored members of it, or nothing."""
    return (reply[0], scored(reply[1])) if reply else None


def popped_score(reply: Any) -> tuple[Any, Any, float] | None:
    """A key with one member of it and its score, or nothing."""
    return (reply[0], reply[1], float(reply[2])) if reply else None


# -- cursors ----------------------------------------------------------------


def page(reply: Any) -> tuple[int, list[Any]]:
    """A cursor with elements."""
    return int(reply[0]), list(reply[1])


def token_page(reply: Any) -> tuple[Any, list[Any]]:
    """A cursor that is no number, with elements."""
    return reply[0], list(reply[1])


def page_pairs(reply: Any) -> tuple[int, list[tuple[Any, Any]]]:
    """A cursor with pairs."""
    return int(reply[0]), pairs(reply[1])


def page_scored(reply: Any) -> tuple[int, list[tuple[Any, float]]]:
    """A cursor with scored members."""
    return int(reply[0]), scored(reply[1])


# -- places -----------------------------------------------------------------


def positions(reply: Any) -> list[tuple[float, float] | None]:
    """Longitudes with latitudes."""
    return [_position(each) for each in reply]


def _position(value: Any) -> tuple[float, float] | None:
    return (float(value[0]), float(value[1])) if value else None


def found(reply: Any) -> Any:
    """What is near a place: members, or tuples of what was asked for of each."""
    return [_found(each) for each in reply] if isinstance(reply, list) else reply


def _found(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return (value[0], *(_detail(each) for each in value[1:]))


def _detail(value: Any) -> Any:
    if isinstance(value, list):
        return _position(value)
    return value if isinstance(value, int) else float(value)


# -- streams ----------------------------------------------------------------


def entry(reply: Any) -> StreamEntry:
    """One entry of a stream."""
    return StreamEntry(reply[0], tuple(pairs(reply[1])))


def entries(reply: Any) -> list[StreamEntry]:
    """Entries of a stream.  Older servers have nothing in place of deleted ones."""
    return [entry(each) for each in reply or () if each is not None]


def streams(reply: Any) -> dict[Any, list[StreamEntry]]:
    """Streams with entries, or nothing."""
    return {name: entries(each) for name, each in pairs(reply)}


def claimed(reply: Any) -> Claimed:
    """A cursor, entries, and since 7.0 the ids of deleted ones."""
    return Claimed(reply[0], entries(reply[1]), _deleted(reply))


def claimed_ids(reply: Any) -> Claimed:
    """A cursor, ids, and since 7.0 the ids of deleted ones."""
    return Claimed(reply[0], list(reply[1]), _deleted(reply))


def _deleted(reply: Any) -> list[bytes]:
    return list(reply[2]) if len(reply) > 2 else []


# -- what servers tell of themselves ----------------------------------------

# In RESP2 maps are lists, and only their names tell them from other lists.
_MAPS = frozenset(
    {"running_script", "histogram_usec", "begin_search", "find_keys", "spec"}
)
_LISTS_OF_MAPS = frozenset(
    {"groups", "consumers", "functions", "nodes", "selectors", "arguments"}
)
_MAPS_OF_MAPS = frozenset({"engines", "subcommands"})
_NUMBERS = frozenset({"age-seconds", "peak.percentage", "dataset.percentage"})
_NUMBER_ENDINGS = ("ratio", "fragmentation")


def tree(reply: Any) -> dict[Any, Any]:
    """A map whose values may be maps too."""
    return {name: _branch(_name(name), value) for name, value in pairs(reply)}


def trees(reply: Any) -> list[dict[Any, Any]]:
    """A list of maps whose values may be maps too."""
    return [tree(each) for each in reply or ()]


def forest(reply: Any) -> dict[Any, dict[Any, Any]]:
    """A map of maps whose values may be maps too."""
    return {name: tree(each) for name, each in pairs(reply)}


def optional_tree(reply: Any) -> Any:
    """A map, or something else that is told from it by its type."""
    return tree(reply) if isinstance(reply, dict | list) else reply


def infos(reply: Any) -> list[Any]:
    """What C{COMMAND INFO} says of each command, or nothing."""
    return [each and _info(each) for each in reply]


def _info(reply: Any) -> list[Any]:
    # Since 7.0 with key specifications, and with the parts of a command.
    specifications, parts = reply[8:9], reply[9:10]
    return [
        *reply[:8],
        *(trees(each) for each in specifications),
        *(infos(each) for each in parts),
    ]


def _branch(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _MAPS_OF_MAPS:
        return forest(value)
    if name in _MAPS or name.startswith("db."):
        return tree(value)
    if name in _LISTS_OF_MAPS and _is_list_of_lists(value):
        return trees(value)
    if name in _NUMBERS or name.endswith(_NUMBER_ENDINGS):
        return float(value)
    return value


def _is_list_of_lists(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(e, dict | list) for e in value)


def _name(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


# -- arguments --------------------------------------------------------------


def flat(value: Any) -> list[Any]:
    """Names and values in turn, of a map or of pairs."""
    pairs_: Iterable[Any] = value.items() if hasattr(value, "items") else value
    return list(chain.from_iterable(pairs_))


def swapped(value: Any) -> list[Any]:
    """Like L{flat}, with each pair the other way round."""
    pairs_: Iterable[Any] = value.items() if hasattr(value, "items") else value
    return [each for first, second in pairs_ for each in (second, first)]
