# -*- test-case-name: tests.testing.test_redis_table -*-
"""
Commands on sorted sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sockhost.interfaces import RedisReplyError
from sockhost.testing.redis.store import SortedSet
from sockhost.testing.redis.strings import span
from sockhost.testing.redis.table import (
    Call,
    Scored,
    as_text,
    command,
    cursor_page,
    double,
    integer,
    options,
    pairs,
    syntax_error,
)

_Bound = Callable[[float], bool]


def _zset(call: Call) -> SortedSet:
    return call.store.read(call.key, SortedSet)


@command("ZADD", 3, None)
def _zadd(call: Call) -> Any:
    words = call.args[1:]
    flags: set[str] = set()
    while words and words[0].upper() in (b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"):
        flags.add(words.pop(0).decode().upper())
    if {"NX", "XX"} <= flags or len(flags & {"NX", "GT", "LT"}) > 1:
        raise syntax_error()
    given = [(double(score), member) for score, member in pairs(words, call.name)]
    held = call.store.change(call.key, SortedSet)
    before = dict(held)
    done = [_put(held, flags, score, member) for score, member in given]
    call.store.keep(call.key)
    if "INCR" in flags:
        return done[-1]
    if "CH" in flags:
        return sum(before.get(each) != held.get(each) for _, each in given)
    return len(held) - len(before)


def _put(held: SortedSet, flags: set[str], score: float, member: bytes) -> float | None:
    old = held.get(member)
    if "INCR" in flags:
        score += old or 0.0
    if old is None:
        refused = "XX" in flags
    else:
        refused = (
            "NX" in flags
            or ("GT" in flags and score <= old)
            or ("LT" in flags and score >= old)
        )
    if refused:
        return None
    held[member] = score
    return score


@command("ZINCRBY", 3)
def _zincrby(call: Call) -> float:
    step = double(call.args[1])
    held = call.store.change(call.key, SortedSet)
    score = held.get(call.args[2], 0.0) + step
    held[call.args[2]] = score
    call.store.keep(call.key)
    return score


@command("ZREM", 2, None)
def _zrem(call: Call) -> int:
    return _remove(call, call.args[1:])


def _remove(call: Call, members: list[bytes]) -> int:
    held = _zset(call)
    gone = sum(held.pop(member, None) is not None for member in members)
    if gone:
        call.store.keep(call.key)
    return gone


@command("ZSCORE", 2)
def _zscore(call: Call) -> float | None:
    return _zset(call).get(call.args[1])


@command("ZMSCORE", 2, None)
def _zmscore(call: Call) -> list[float | None]:
    held = _zset(call)
    return [held.get(member) for member in call.args[1:]]


@command("ZCARD", 1)
def _zcard(call: Call) -> int:
    return len(_zset(call))


@command("ZRANK ZREVRANK", 2, 3)
def _zrank(call: Call) -> Any:
    found = _zset(call).ordered()
    if call.name == "ZREVRANK":
        found.reverse()
    for rank, (member, score) in enumerate(found):
        if member == call.args[1]:
            return rank if len(call.args) == 2 else [rank, score]
    return None


@command("ZPOPMIN ZPOPMAX", 1, 2)
def _zpop(call: Call) -> Any:
    held = _zset(call)
    found = held.ordered()
    if call.name == "ZPOPMAX":
        found.reverse()
    count = integer(call.args[1]) if len(call.args) > 1 else 1
    taken = found[:count]
    _remove(call, [member for member, _ in taken])
    if len(call.args) > 1:
        return Scored(taken)
    return list(taken[0]) if taken else []


# -- ranges -----------------------------------------------------------------


def _from(text: bytes) -> _Bound:
    bound = _bound(text[1:] if text.startswith(b"(") else text)
    if text.startswith(b"("):
        return lambda score: score > bound
    return lambda score: score >= bound


def _to(text: bytes) -> _Bound:
    bound = _bound(text[1:] if text.startswith(b"(") else text)
    if text.startswith(b"("):
        return lambda score: score < bound
    return lambda score: score <= bound


def _bound(text: bytes) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise RedisReplyError("ERR min or max is not a float")
    return value


def _between(call: Call, low: bytes, high: bytes) -> list[tuple[bytes, float]]:
    from_, to = _from(low), _to(high)
    return [each for each in _zset(call).ordered() if from_(each[1]) and to(each[1])]


@command("ZCOUNT", 3)
def _zcount(call: Call) -> int:
    return len(_between(call, call.args[1], call.args[2]))


@command("ZREMRANGEBYSCORE", 3)
def _zremrangebyscore(call: Call) -> int:
    found = _between(call, call.args[1], call.args[2])
    return _remove(call, [member for member, _ in found])


@command("ZREMRANGEBYRANK", 3, numbers=(1, 2))
def _zremrangebyrank(call: Call) -> int:
    found = _zset(call).ordered()
    first, last = span(call.args[1], call.args[2], len(found))
    return _remove(call, [member for member, _ in found[first:last]])


@command("ZRANGE", 3, None)
def _zrange(call: Call) -> Any:
    given = options(call.args[3:], BYSCORE=0, REV=0, LIMIT=2, WITHSCORES=0)
    return _ranged(call, given)


@command("ZREVRANGE", 3, 4)
def _zrevrange(call: Call) -> Any:
    return _ranged(call, {**options(call.args[3:], WITHSCORES=0), "REV": []})


@command("ZRANGEBYSCORE ZREVRANGEBYSCORE", 3, None)
def _zrangebyscore(call: Call) -> Any:
    given = options(call.args[3:], LIMIT=2, WITHSCORES=0)
    given["BYSCORE"] = []
    if call.name == "ZREVRANGEBYSCORE":
        given["REV"] = []
    return _ranged(call, given)


def _ranged(call: Call, given: dict[str, list[bytes]]) -> Any:
    _, first, last = call.args[:3]
    if "BYSCORE" in given:
        low, high = (last, first) if "REV" in given else (first, last)
        found = _between(call, low, high)
        if "REV" in given:
            found.reverse()
        found = _limited(found, given)
    else:
        integer(first), integer(last)
        found = _zset(call).ordered()
        if "REV" in given:
            found.reverse()
        begin, end = span(first, last, len(found))
        found = found[begin:end]
    if "WITHSCORES" in given:
        return Scored(found)
    return [member for member, _ in found]


def _limited(
    found: list[tuple[bytes, float]], given: dict[str, list[bytes]]
) -> list[tuple[bytes, float]]:
    if "LIMIT" not in given:
        return found
    start, count = (integer(each) for each in given["LIMIT"])
    return found[start:] if count < 0 else found[start : start + count]


@command("ZSCAN", 2, None)
def _zscan(call: Call) -> list[Any]:
    cursor, page = cursor_page(call, 1, _zset(call).ordered())
    words = [(member, as_text(score)) for member, score in page]
    return [cursor, [each for pair in words for each in pair]]
