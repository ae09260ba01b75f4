# -*- test-case-name: tests.redis.test_cacheable -*-
"""
Which commands can be answered from what was read before: those that read
nothing but the keys that they name, and whose answer changes only with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sockhost.redis.resp import Argument

Request = tuple[bytes, ...]

_ONE_KEY = frozenset(
    b"""
    GET STRLEN GETRANGE SUBSTR GETBIT BITCOUNT BITPOS TYPE
    HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN
    LRANGE LINDEX LLEN LPOS
    SMEMBERS SCARD SISMEMBER SMISMEMBER
    ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX
    ZSCORE ZMSCORE ZCARD ZCOUNT ZLEXCOUNT ZRANK ZREVRANK
    GEOPOS GEODIST GEOHASH GEOSEARCH
    XLEN XRANGE XREVRANGE
    """.split()
)
_ALL_KEYS = frozenset(b"MGET EXISTS SINTER SUNION SDIFF".split())


def keys_of(command: Sequence[bytes]) -> tuple[bytes, ...]:
    """
    Say what a command reads, if it can be cached.

    @param command: the name, in any case, and the arguments.
    @return: its keys; none if it cannot be cached.
    """
    name = command[0].upper()
    if name in _ONE_KEY:
        return tuple(command[1:2])
    return tuple(command[1:]) if name in _ALL_KEYS else ()


def as_request(args: Iterable[Argument | bytearray | memoryview]) -> Request:
    """
    Say what is sent for the arguments of a command.

    @raise ValueError: one has no bytes.
    """
    return tuple(map(_as_bytes, args))


def _as_bytes(value: Argument | bytearray | memoryview) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return repr(value).encode()
