# -*- test-case-name: tests.testing.test_redis_table -*-
"""
Commands on hashes.
"""

from __future__ import annotations

from typing import Any

from sockhost.testing.redis.store import Hash
from sockhost.testing.redis.table import (
    OK,
    Call,
    as_text,
    command,
    cursor_page,
    double,
    integer,
    pairs,
    within,
)


def _hash(call: Call) -> Hash:
    return call.store.read(call.key, Hash)


@command("HSET HMSET", 3, None)
def _hset(call: Call) -> Any:
    given = pairs(call.args[1:], call.name)
    held = call.store.change(call.key, Hash)
    new = len({field for field, _ in given} - held.keys())
    held.update(given)
    call.store.keep(call.key)
    return new if call.name == "HSET" else OK


@command("HSETNX", 3)
def _hsetnx(call: Call) -> int:
    if call.args[1] in _hash(call):
        return 0
    call.store.change(call.key, Hash)[call.args[1]] = call.args[2]
    call.store.keep(call.key)
    return 1


@command("HGET", 2)
def _hget(call: Call) -> bytes | None:
    return _hash(call).get(call.args[1])


@command("HMGET", 2, None)
def _hmget(call: Call) -> list[bytes | None]:
    held = _hash(call)
    return [held.get(field) for field in call.args[1:]]


@command("HGETALL", 1)
def _hgetall(call: Call) -> dict[bytes, bytes]:
    return dict(_hash(call))


@command("HDEL", 2, None)
def _hdel(call: Call) -> int:
    held = _hash(call)
    gone = sum(held.pop(field, None) is not None for field in call.args[1:])
    if gone:
        call.store.keep(call.key)
    return gone


@command("HEXISTS", 2)
def _hexists(call: Call) -> int:
    return int(call.args[1] in _hash(call))


@command("HLEN", 1)
def _hlen(call: Call) -> int:
    return len(_hash(call))


@command("HSTRLEN", 2)
def _hstrlen(call: Call) -> int:
    return len(_hash(call).get(call.args[1], b""))


@command("HKEYS", 1)
def _hkeys(call: Call) -> list[bytes]:
    return list(_hash(call))


@command("HVALS", 1)
def _hvals(call: Call) -> list[bytes]:
    return list(_hash(call).values())


@command("HINCRBY", 3, numbers=(2,))
def _hincrby(call: Call) -> int:
    before = integer(_hash(call).get(call.args[1], b"0"))
    value = within(before + integer(call.args[2]))
    call.store.change(call.key, Hash)[call.args[1]] = b"%d" % value
    call.store.keep(call.key)
    return value


@command("HINCRBYFLOAT", 3)
def _hincrbyfloat(call: Call) -> bytes:
    before = _hash(call).get(call.args[1], b"0")
    value = as_text(double(before) + double(call.args[2]))
    call.store.change(call.key, Hash)[call.args[1]] = value
    call.store.keep(call.key)
    return value


@command("HSCAN", 2, None)
def _hscan(call: Call) -> list[Any]:
    novalues = call.args[-1].upper() == b"NOVALUES"
    if novalues:
        call.args.pop()
    cursor, page = cursor_page(call, 1, list(_hash(call).items()))
    if novalues:
        return [cursor, [field for field, _ in page]]
    return [cursor, [each for pair in page for each in pair]]
