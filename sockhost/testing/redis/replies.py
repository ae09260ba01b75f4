# -*- test-case-name: tests.testing.test_redis_replies -*-
"""
Values as the bytes of replies.
"""

from __future__ import annotations

from typing import Any

from sockhost.interfaces import RedisReplyError
from sockhost.redis.resp import Push
from sockhost.testing.redis.table import Scored, Status, as_text


def encode_reply(value: Any, protocol: int = 3) -> bytes:
    """
    Make the bytes of a reply: of C{None}, C{bytes}, C{str}, C{int}, C{float},
    C{bool}, C{list}, C{set} or C{dict}, at any depth, of a
    L{RedisReplyError<sockhost.interfaces.RedisReplyError>} or of a push.

    @param protocol: 2 or 3.
    @raise TypeError: it is of another type.
    """
    if value is None:
        return b"_\r\n" if protocol == 3 else b"$-1\r\n"
    if isinstance(value, bool):
        return b"#%c\r\n" % (b"f", b"t")[value] if protocol == 3 else b":%d\r\n" % value
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        text = as_text(value)
        return b",%b\r\n" % text if protocol == 3 else _bulk(text)
    if isinstance(value, str):
        return _bulk(value.encode())
    if isinstance(value, bytes):
        return b"+%b\r\n" % value if isinstance(value, Status) else _bulk(value)
    if isinstance(value, RedisReplyError):
        return b"-%b\r\n" % str(value).encode()
    return _aggregate(value, protocol)


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _aggregate(value: Any, protocol: int) -> bytes:
    kind = b"*"
    if isinstance(value, Push):
        kind = b">" if protocol == 3 else b"*"
    elif isinstance(value, Scored):
        value = _scored(value, protocol)
    elif isinstance(value, dict):
        value = [each for pair in value.items() for each in pair]
        if protocol == 3:
            return b"%%%d\r\n" % (len(value) // 2) + _all(value, protocol)
    elif isinstance(value, set | frozenset):
        kind, value = b"~" if protocol == 3 else b"*", sorted(value)
    elif not isinstance(value, list | tuple):
        raise TypeError(f"no reply can be made of {value!r}")
    return b"%b%d\r\n" % (kind, len(value)) + _all(value, protocol)


def _scored(value: Scored, protocol: int) -> list[Any]:
    if protocol == 3:
        return [[member, score] for member, score in value]
    return [each for pair in value for each in pair]


def _all(values: Any, protocol: int) -> bytes:
    return b"".join(encode_reply(each, protocol) for each in values)
