# -*- test-case-name: tests.testing.test_redis_table -*-
"""
Commands on sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from sockhost.testing.redis.store import Members
from sockhost.testing.redis.table import Call, command, cursor_page, integer


def _set(call: Call) -> Members:
    return call.store.read(call.key, Members)


@command("SADD", 2, None)
def _sadd(call: Call) -> int:
    held = call.store.change(call.key, Members)
    before = len(held)
    held.update(dict.fromkeys(call.args[1:]))
    call.store.keep(call.key)
    return len(held) - before


@command("SREM", 2, None)
def _srem(call: Call) -> int:
    held = _set(call)
    gone = [each for each in dict.fromkeys(call.args[1:]) if each in held]
    for each in gone:
        del held[each]
    if gone:
        call.store.keep(call.key)
    return len(gone)


@command("SMEMBERS", 1)
def _smembers(call: Call) -> set[bytes]:
    return set(_set(call))


@command("SISMEMBER", 2)
def _sismember(call: Call) -> int:
    return int(call.args[1] in _set(call))


@command("SMISMEMBER", 2, None)
def _smismember(call: Call) -> list[int]:
    held = _set(call)
    return [int(each in held) for each in call.args[1:]]


@command("SCARD", 1)
def _scard(call: Call) -> int:
    return len(_set(call))


@command("SPOP", 1, 2)
def _spop(call: Call) -> Any:
    held = _set(call)
    count = integer(call.args[1]) if len(call.args) > 1 else 1
    taken = list(held)[:count]
    for each in taken:
        del held[each]
    if taken:
        call.store.keep(call.key)
    if len(call.args) > 1:
        return set(taken)
    return taken[0] if taken else None


@command("SRANDMEMBER", 1, 2)
def _srandmember(call: Call) -> Any:
    held = list(_set(call))
    if len(call.args) == 1:
        return held[0] if held else None
    count = integer(call.args[1])
    return held[:count] if count >= 0 else held[:1] * -count


@command("SMOVE", 3)
def _smove(call: Call) -> int:
    source, target, member = call.args
    held = call.store.read(source, Members)
    if held:
        call.store.get(target, Members)
    if member not in held:
        return 0
    del held[member]
    call.store.keep(source)
    call.store.change(target, Members)[member] = None
    call.store.keep(target)
    return 1


@command("SINTER SUNION SDIFF", 1, None)
def _combine(call: Call) -> set[bytes]:
    return _combined(call, call.name, call.args)


@command("SINTERSTORE SUNIONSTORE SDIFFSTORE", 2, None)
def _store(call: Call) -> int:
    name = call.name.removesuffix("STORE")
    found = Members.fromkeys(sorted(_combined(call, name, call.args[1:])))
    call.store.set(call.key, Members(found))
    call.store.keep(call.key)
    return len(found)


def _combined(call: Call, name: str, keys: Iterable[bytes]) -> set[bytes]:
    sets = [set(call.store.read(key, Members)) for key in keys]
    ways = {"SINTER": set.intersection, "SUNION": set.union, "SDIFF": set.difference}
    way: Any = ways[name]
    found: set[bytes] = reduce(way, sets)
    return found


@command("SSCAN", 2, None)
def _sscan(call: Call) -> list[Any]:
    return cursor_page(call, 1, list(_set(call)))
