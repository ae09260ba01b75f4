# -*- test-case-name: tests.testing.test_redis_table -*-
"""
Commands on keys of any type.
"""

from __future__ import annotations

import copy
from typing import Any

from sockhost.interfaces import RedisReplyError
from sockhost.testing.redis.store import TYPES
from sockhost.testing.redis.table import (
    OK,
    Call,
    Status,
    command,
    cursor_page,
    integer,
    options,
    pattern,
)


@command("DEL UNLINK", 1, None)
def _del(call: Call) -> int:
    # Looking at them lets those go whose time has come.
    there = [call.store.value(key) is not None for key in call.args]
    return sum(
        call.store.remove(key) for key, is_ in zip(call.args, there, strict=True) if is_
    )


@command("EXISTS TOUCH", 1, None)
def _exists(call: Call) -> int:
    return sum(call.store.value(key) is not None for key in call.args)


@command("TYPE", 1)
def _type(call: Call) -> Status:
    value = call.store.value(call.key)
    return Status(b"none" if value is None else TYPES[type(value)])


@command("KEYS", 1)
def _keys(call: Call) -> list[bytes]:
    matches = pattern(call.key)
    return [key for key in call.store.names() if matches(key)]


@command("SCAN", 1, None)
def _scan(call: Call) -> list[Any]:
    reply = cursor_page(call, 0, call.store.names())
    wanted = options(call.args[1:], MATCH=1, COUNT=1, TYPE=1).get("TYPE")
    if wanted is not None:
        reply[1] = [
            key for key in reply[1] if TYPES[type(call.store.value(key))] == wanted[0]
        ]
    return reply


@command("DBSIZE")
def _dbsize(call: Call) -> int:
    return len(call.store)


@command("RANDOMKEY")
def _randomkey(call: Call) -> bytes | None:
    return next(iter(call.store.names()), None)


@command("FLUSHDB FLUSHALL", 0, 1)
def _flush(call: Call) -> Any:
    stores = [call.store] if call.name == "FLUSHDB" else call.server.stores.values()
    for store in stores:
        store.clear()
    return OK


@command("RENAME RENAMENX", 2)
def _rename(call: Call) -> Any:
    old, new = call.args
    value, expires = call.store.value(old), call.store.expires(old)
    if value is None:
        raise RedisReplyError("ERR no such key")
    if call.name == "RENAMENX" and call.store.value(new) is not None:
        return 0
    call.store.remove(old)
    call.store.set(new, value, expires)
    return OK if call.name == "RENAME" else 1


@command("COPY", 2, None)
def _copy(call: Call) -> int:
    given = options(call.args[2:], DB=1, REPLACE=0)
    value = call.store.value(call.key)
    number = integer(given["DB"][0]) if "DB" in given else call.session.db
    target = call.server.stores[number]
    if value is None or (target.value(call.args[1]) and "REPLACE" not in given):
        return 0
    target.set(call.args[1], copy.copy(value), call.store.expires(call.key))
    return 1


# -- time -------------------------------------------------------------------


@command("EXPIRE PEXPIRE EXPIREAT PEXPIREAT", 2, None)
def _expire(call: Call) -> int:
    given = options(call.args[2:], NX=0, XX=0, GT=0, LT=0)
    value = integer(call.args[1])
    seconds = value / 1000 if call.name.startswith("P") else float(value)
    when = seconds if call.name.endswith("AT") else call.now + seconds
    if call.store.value(call.key) is None:
        return 0
    if not _moves(call.store.expires(call.key), when, given):
        return 0
    call.store.expire(call.key, when)
    return 1


def _moves(before: float | None, when: float, given: dict[str, list[bytes]]) -> bool:
    if "NX" in given and before is not None:
        return False
    if "XX" in given and before is None:
        return False
    # To be there for ever is to be there longest.
    end = float("inf") if before is None else before
    return not ("GT" in given and when <= end) and not ("LT" in given and when >= end)


@command("TTL PTTL EXPIRETIME PEXPIRETIME", 1)
def _ttl(call: Call) -> int:
    if call.store.value(call.key) is None:
        return -2
    expires = call.store.expires(call.key)
    if expires is None:
        return -1
    left = expires if call.name.endswith("TIME") else expires - call.now
    return round(left * 1000) if call.name.startswith("P") else round(left)


@command("PERSIST", 1)
def _persist(call: Call) -> int:
    if call.store.expires(call.key) is None:
        return 0
    call.store.expire(call.key, None)
    return 1
