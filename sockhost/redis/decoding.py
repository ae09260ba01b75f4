# -*- test-case-name: tests.redis.test_settings -*-
"""
Replies as text instead of bytes, where somebody asks for it.
"""

from __future__ import annotations

from typing import Any

from sockhost.redis.values import Push


def decode_reply(reply: Any, encoding: str) -> Any:
    """
    Decode all strings of a reply, at every depth, the keys of maps too.
    Numbers and errors stay what they are; nothing is guessed.

    @raise UnicodeDecodeError: a string is not text in that encoding.
    """
    if isinstance(reply, bytes):
        return reply.decode(encoding)
    if isinstance(reply, Push):
        return Push(decode_reply(each, encoding) for each in reply)
    if isinstance(reply, list | tuple | set):
        return type(reply)(decode_reply(each, encoding) for each in reply)
    if isinstance(reply, dict):
        return {
            decode_reply(key, encoding): decode_reply(value, encoding)
            for key, value in reply.items()
        }
    return reply
