# -*- test-case-name: tests.testing.test_redis_table -*-
"""
Commands on lists.
"""

from __future__ import annotations

from typing import Any

from sockhost.interfaces import RedisReplyError
from sockhost.testing.redis.store import Elements
from sockhost.testing.redis.strings import span
from sockhost.testing.redis.table import (
    OK,
    Call,
    command,
    double,
    integer,
    options,
    syntax_error,
)


class Blocked(Exception):
    """
    A command has to wait until one of some keys has changed.

    @ivar timeout: seconds, 0 for ever.
    """

    def __init__(self, keys: list[bytes], timeout: float) -> None:
        super().__init__()
        self.keys = keys
        self.timeout = timeout


def _list(call: Call) -> Elements:
    return call.store.read(call.key, Elements)


@command("LPUSH RPUSH LPUSHX RPUSHX", 2, None)
def _push(call: Call) -> int:
    if call.name.endswith("X") and not _list(call):
        return 0
    held = call.store.change(call.key, Elements)
    for value in call.args[1:]:
        held.insert(0 if call.name.startswith("L") else len(held), value)
    call.store.keep(call.key)
    return len(held)


@command("LPOP RPOP", 1, 2, numbers=(1,))
def _pop(call: Call) -> Any:
    count = integer(call.args[1]) if len(call.args) > 1 else 1
    if count < 0:
        raise RedisReplyError("ERR value is out of range, must be positive")
    held = call.store.get(call.key, Elements)
    if held is None:
        return None
    taken = [_take(held, call.name[0]) for _ in range(min(count, len(held)))]
    call.store.keep(call.key)
    return taken if len(call.args) > 1 else taken[0]


def _take(held: Elements, end: str) -> bytes:
    return held.pop(0 if end == "L" else -1)


@command("BLPOP BRPOP", 2, None)
def _blocking_pop(call: Call) -> Any:
    *keys, text = call.args
    timeout = double(text)
    for key in keys:
        held = call.store.get(key, Elements)
        if held:
            value = _take(held, call.name[1])
            call.store.keep(key)
            return [key, value]
    raise Blocked(keys, timeout)


@command("LLEN", 1)
def _llen(call: Call) -> int:
    return len(_list(call))


@command("LRANGE", 3, numbers=(1, 2))
def _lrange(call: Call) -> list[bytes]:
    held = _list(call)
    first, last = span(call.args[1], call.args[2], len(held))
    return held[first:last]


@command("LTRIM", 3, numbers=(1, 2))
def _ltrim(call: Call) -> Any:
    held = _list(call)
    first, last = span(call.args[1], call.args[2], len(held))
    if held:
        held[:] = held[first:last]
        call.store.keep(call.key)
    return OK


@command("LINDEX", 2)
def _lindex(call: Call) -> bytes | None:
    held = _list(call)
    if not held:
        return None
    place = integer(call.args[1])
    return held[place] if -len(held) <= place < len(held) else None


@command("LSET", 3)
def _lset(call: Call) -> Any:
    held = call.store.get(call.key, Elements)
    if held is None:
        raise RedisReplyError("ERR no such key")
    place = integer(call.args[1])
    if not -len(held) <= place < len(held):
        raise RedisReplyError("ERR index out of range")
    held[place] = call.args[2]
    call.store.keep(call.key)
    return OK


@command("LREM", 3, numbers=(1,))
def _lrem(call: Call) -> int:
    held, count, value = _list(call), integer(call.args[1]), call.args[2]
    places = [place for place, each in enumerate(held) if each == value]
    if count:
        places = places[:count] if count > 0 else places[count:]
    for place in reversed(places):
        del held[place]
    if places:
        call.store.keep(call.key)
    return len(places)


@command("LINSERT", 4)
def _linsert(call: Call) -> int:
    _, where, pivot, value = call.args
    held = _list(call)
    if where.upper() not in (b"BEFORE", b"AFTER"):
        raise syntax_error()
    if pivot not in held:
        return -1 if held else 0
    held.insert(held.index(pivot) + (where.upper() == b"AFTER"), value)
    call.store.keep(call.key)
    return len(held)


@command("LPOS", 2, None)
def _lpos(call: Call) -> Any:
    given = options(call.args[2:], RANK=1, COUNT=1, MAXLEN=1)
    rank = integer(given.get("RANK", [b"1"])[0])
    held = _list(call)
    places = [place for place, each in enumerate(held) if each == call.args[1]]
    places = places[rank - 1 :] if rank > 0 else places[::-1][-rank - 1 :]
    if "COUNT" in given:
        return places[: integer(given["COUNT"][0]) or None]
    return places[0] if places else None


@command("LMOVE", 4)
def _lmove(call: Call) -> Any:
    source, target, from_, to = call.args
    return _move(call, source, target, from_.upper()[:1], to.upper()[:1])


@command("RPOPLPUSH", 2)
def _rpoplpush(call: Call) -> Any:
    source, target = call.args
    return _move(call, source, target, b"R", b"L")


def _move(call: Call, source: bytes, target: bytes, from_: bytes, to: bytes) -> Any:
    held = call.store.get(source, Elements)
    if not held:
        return None
    call.store.get(target, Elements)
    value = _take(held, from_.decode())
    call.store.keep(source)
    new = call.store.change(target, Elements)
    new.insert(0 if to == b"L" else len(new), value)
    call.store.keep(target)
    return value
