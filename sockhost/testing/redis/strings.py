# -*- test-case-name: tests.testing.test_redis_table -*-
"""
Commands on strings.
"""

from __future__ import annotations

from typing import Any

from sockhost.interfaces import RedisReplyError
from sockhost.testing.redis.table import (
    OK,
    Call,
    as_text,
    command,
    double,
    integer,
    options,
    pairs,
    syntax_error,
    within,
)

_TIMES = {"EX": 1, "PX": 1, "EXAT": 1, "PXAT": 1}


@command("GET", 1)
def _get(call: Call) -> Any:
    return call.store.get(call.key, bytes)


@command("SET", 2, None)
def _set(call: Call) -> Any:
    key, value, *words = call.args
    given = options(words, NX=0, XX=0, GET=0, KEEPTTL=0, IFEQ=1, **_TIMES)
    if {"NX", "XX"} <= given.keys():
        raise syntax_error()
    expires = when(call, given)
    there = call.store.value(key)
    before = call.store.get(key, bytes) if {"GET", "IFEQ"} & given.keys() else None
    if _allowed(there, before, given):
        if "KEEPTTL" in given:
            expires = call.store.expires(key)
        call.store.set(key, value, expires)
        return before if "GET" in given else OK
    return before if "GET" in given else None


def _allowed(there: Any, before: bytes | None, given: dict[str, list[bytes]]) -> bool:
    if "NX" in given:
        return there is None
    if "IFEQ" in given:
        return before == given["IFEQ"][0]
    return "XX" not in given or there is not None


def when(call: Call, given: dict[str, list[bytes]]) -> float | None:
    """
    The time when a key is to be gone that options give.

    @raise RedisReplyError: they give more than one.
    """
    if len(given.keys() & {*_TIMES, "KEEPTTL", "PERSIST"}) > 1:
        raise syntax_error()
    for name in _TIMES:
        if name in given:
            value = integer(given[name][0])
            if value <= 0:
                raise RedisReplyError(
                    f"ERR invalid expire time in '{call.name.lower()}' command"
                )
            seconds = value / 1000 if name.startswith("P") else float(value)
            return seconds if name.endswith("AT") else call.now + seconds
    return None


@command("SETNX", 2)
def _setnx(call: Call) -> int:
    if call.store.value(call.key) is not None:
        return 0
    call.store.set(call.key, call.args[1])
    return 1


@command("SETEX PSETEX", 3)
def _setex(call: Call) -> Any:
    key, time, value = call.args
    given = {"PX" if call.name == "PSETEX" else "EX": [time]}
    call.store.set(key, value, when(call, given))
    return OK


@command("GETSET", 2)
def _getset(call: Call) -> Any:
    before = call.store.get(call.key, bytes)
    call.store.set(call.key, call.args[1])
    return before


@command("GETDEL", 1)
def _getdel(call: Call) -> Any:
    value = call.store.get(call.key, bytes)
    call.store.remove(call.key)
    return value


@command("GETEX", 1, None)
def _getex(call: Call) -> Any:
    given = options(call.args[1:], PERSIST=0, **_TIMES)
    expires = when(call, given)
    value = call.store.get(call.key, bytes)
    if value is not None and given:
        call.store.expire(call.key, expires)
    return value


@command("MGET", 1, None)
def _mget(call: Call) -> Any:
    values = [call.store.value(key) for key in call.args]
    return [value if isinstance(value, bytes) else None for value in values]


@command("MSET", 2, None)
def _mset(call: Call) -> Any:
    for key, value in pairs(call.args, call.name):
        call.store.set(key, value)
    return OK


@command("MSETNX", 2, None)
def _msetnx(call: Call) -> int:
    given = pairs(call.args, call.name)
    if any(call.store.value(key) is not None for key, _ in given):
        return 0
    for key, value in given:
        call.store.set(key, value)
    return 1


@command("APPEND", 2)
def _append(call: Call) -> int:
    value = call.store.read(call.key, bytes) + call.args[1]
    call.store.put(call.key, value)
    return len(value)


@command("STRLEN", 1)
def _strlen(call: Call) -> int:
    return len(call.store.read(call.key, bytes))


@command("GETRANGE SUBSTR", 3, numbers=(1, 2))
def _getrange(call: Call) -> bytes:
    value = call.store.read(call.key, bytes)
    first, last = integer(call.args[1]), integer(call.args[2])
    if last < first < 0:
        return b""
    # Strings, unlike lists, have an end that is never before the first byte.
    begin = max(first + len(value), 0) if first < 0 else first
    end = max(last + len(value), 0) if last < 0 else last
    return value[begin : end + 1]


@command("SETRANGE", 3, numbers=(1,))
def _setrange(call: Call) -> int:
    place = integer(call.args[1])
    if place < 0:
        raise RedisReplyError("ERR offset is out of range")
    value = call.store.read(call.key, bytes)
    part = call.args[2]
    if part:
        padded = value.ljust(place, b"\0")
        value = padded[:place] + part + padded[place + len(part) :]
        call.store.put(call.key, value)
    return len(value)


def span(first: bytes, last: bytes, length: int) -> tuple[int, int]:
    """The places that two numbers mean, of which both may count from the end."""
    begin, end = integer(first), integer(last)
    begin = max(begin + length, 0) if begin < 0 else begin
    end = end + length if end < 0 else end
    return begin, max(min(end + 1, length), begin)


@command("INCR DECR", 1)
def _incr(call: Call) -> int:
    return _add(call, 1 if call.name == "INCR" else -1)


@command("INCRBY DECRBY", 2, numbers=(1,))
def _incrby(call: Call) -> int:
    step = integer(call.args[1])
    return _add(call, step if call.name == "INCRBY" else -step)


def _add(call: Call, step: int) -> int:
    before = call.store.get(call.key, bytes)
    value = within((0 if before is None else integer(before)) + step)
    call.store.put(call.key, b"%d" % value)
    return value


@command("INCRBYFLOAT", 2)
def _incrbyfloat(call: Call) -> bytes:
    before = call.store.get(call.key, bytes)
    held = 0.0 if before is None else double(before)
    value = as_text(held + double(call.args[1]))
    call.store.put(call.key, value)
    return value
