# -*- test-case-name: tests.redis.test_formatting -*-
"""
Commands out of a format, as C{printf} would have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sockhost.redis.resp import Argument, encode_command

_FIELD = re.compile(
    r"%(?:(?P<plain>[%sb])"
    r"|(?P<flags>[-+ #0]*\d*(?:\.\d+)?)(?:hh|h|ll|l)?(?P<kind>[dioxXueEfFgG]))"
)


def format_command(text: str, *args: Argument) -> bytes:
    """
    Make the bytes of one command from a text whose words are its arguments::

        format_command("SET user:%d %b", 42, data)

    In a word, C{%s} and C{%b} stand for an argument as it is, spaces and all;
    C{%d}, C{%i}, C{%u}, C{%o}, C{%x} and C{%e}, C{%f}, C{%g} for a number, with
    width and precision as in C; and C{%%} for a percent sign.

    @raise ValueError: the text is no format, or asks for more or fewer
        arguments.
    @raise TypeError: an argument is of another type than the text says.
    """
    given = iter(args)
    words = [_word(word, given) for word in text.split(" ") if word]
    if next(given, None) is not None:
        raise ValueError("there are more arguments than the format asks for")
    return encode_command(words)


def _word(word: str, given: Iterator[Argument]) -> bytes:
    pieces: list[bytes] = []
    position = 0
    while position < len(word):
        at = word.find("%", position)
        if at < 0:
            break
        found = _FIELD.match(word, at)
        if found is None:
            raise ValueError(f"{word[at:]!r} is no field of a format")
        pieces += [word[position:at].encode(), _field(found, given)]
        position = found.end()
    return b"".join([*pieces, word[position:].encode()])


def _field(found: re.Match[str], given: Iterator[Argument]) -> bytes:
    if found["plain"] == "%":
        return b"%"
    try:
        value = next(given)
    except StopIteration:
        raise ValueError("the format asks for more arguments") from None
    if found["plain"]:
        return _as_it_is(value)
    kind = "d" if found["kind"] == "u" else found["kind"]
    return (f"%{found['flags']}{kind}" % value).encode()


def _as_it_is(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value).encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"{value!r} is no text")
