# -*- test-case-name: tests.redis.test_plain -*-
"""
RESP2 and RESP3 in plain Python: the whole protocol, slowly.

L{PlainReader} reads what the C reader cannot, and says what is right when the
two are compared.  It may be fed at any cut and continues where it stood, so a
reply costs what its size is however it arrives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import define, field
from hiredis import PushNotification

from sockhost.interfaces import (
    RedisDenied,
    RedisLoading,
    RedisMaxClients,
    RedisProtocolError,
    RedisReplyError,
)

# Deeper than anything that a server nests; a bound on what garbage can cost.
MAX_DEPTH = 1024

_INTEGER = re.compile(rb"[+-]?\d{1,19}\Z")
_BIG = re.compile(rb"[+-]?\d+\Z")
_DOUBLE = re.compile(rb"(?i:[+-]?(\d+(\.\d*)?(e[+-]?\d+)?|inf|nan))\Z")
_BOOLEAN = {b"t": True, b"f": False}


# Errors that a program may want to tell apart, by their first word.
_ERRORS: dict[str, type[RedisReplyError]] = {
    "LOADING": RedisLoading,
    "DENIED": RedisDenied,
    "-DENIED": RedisDenied,
    "NOAUTH": RedisDenied,
    "NOPERM": RedisDenied,
    "WRONGPASS": RedisDenied,
}


class _NeedMore(Exception):
    """The next token is not complete yet."""


def error_reply(text: str) -> RedisReplyError:
    """Make the value that stands for an error reply."""
    if text.startswith("ERR max number of clients"):
        return RedisMaxClients(text)
    return _ERRORS.get(text.split(" ", 1)[0], RedisReplyError)(text)


@define
class _Frame:
    """An aggregate whose elements are still arriving."""

    kind: int
    left: int
    items: list[Any] = field(factory=list)


@define
class PlainReader:
    """
    Read replies from bytes.

    @ivar error: C{None}, or why the stream cannot be continued.
    """

    error: RedisProtocolError | None = None
    _buffer: bytearray = field(factory=bytearray)
    _position: int = 0
    _stack: list[_Frame] = field(factory=list)

    @property
    def clean(self) -> bool:
        """C{True} if no part of an unfinished message is held."""
        return not self._buffer and not self._stack

    def feed(self, data: bytes) -> list[Any]:
        """
        Take bytes of the stream.

        @return: the messages that are complete now.  Those in front of bad
            bytes are returned, and L{error} is set.
        """
        messages: list[Any] = []
        self._buffer += data
        try:
            while self.error is None:
                self._read_into(messages)
        except _NeedMore:
            pass
        except RedisProtocolError as error:
            self.error = error
        del self._buffer[: self._position]
        self._position = 0
        return messages

    def _read_into(self, messages: list[Any]) -> None:
        kind, line, end = self._line()
        if kind in _AGGREGATES and line != b"-1":
            self._open(kind, line)
            self._position = end
            self._close_finished(messages)
        else:
            value = self._scalar(kind, line, end)
            self._put(value, messages)
            self._close_finished(messages)

    def _line(self) -> tuple[int, bytes, int]:
        start = self._position
        end = self._buffer.find(b"\r\n", start)
        if start < len(self._buffer) and self._buffer[start] not in _KINDS:
            raise RedisProtocolError(
                f"{bytes(self._buffer[start : start + 1])!r} begins no reply"
            )
        if end < 0:
            raise _NeedMore
        return self._buffer[start], bytes(self._buffer[start + 1 : end]), end + 2

    def _open(self, kind: int, line: bytes) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise RedisProtocolError(f"replies are nested more than {MAX_DEPTH} deep")
        count = _integer(line)
        if count < 0:
            raise RedisProtocolError(f"{line!r} is no number of elements")
        self._stack.append(_Frame(kind, count * 2 if kind in _PAIRED else count))

    def _scalar(self, kind: int, line: bytes, end: int) -> Any:
        if kind in _BLOBS:
            value, end = self._blob(kind, line, end)
        else:
            value = None if kind in _AGGREGATES else _LINES[kind](line)
        self._position = end
        return value

    def _blob(self, kind: int, line: bytes, start: int) -> tuple[Any, int]:
        if line == b"-1":
            return None, start
        size = _integer(line)
        if size < 0:
            raise RedisProtocolError(f"{line!r} is no length")
        stop = start + size
        if len(self._buffer) < stop + 2:
            raise _NeedMore
        if self._buffer[stop : stop + 2] != b"\r\n":
            raise RedisProtocolError("a string is longer than its length says")
        return _BLOBS[kind](bytes(self._buffer[start:stop])), stop + 2

    def _put(self, value: Any, messages: list[Any]) -> None:
        if self._stack:
            frame = self._stack[-1]
            frame.items.append(value)
            frame.left -= 1
        else:
            messages.append(value)

    def _close_finished(self, messages: list[Any]) -> None:
        while self._stack and not self._stack[-1].left:
            frame = self._stack.pop()
            # An attribute stands in front of a reply and is none.
            if frame.kind != _ATTRIBUTE:
                self._put(_AGGREGATES[frame.kind](frame.items), messages)


def _integer(line: bytes) -> int:
    value = int(line) if _INTEGER.match(line) else 1 << 63
    if not -(1 << 63) <= value < 1 << 63:
        raise RedisProtocolError(f"{line[:40]!r} is no integer")
    return value


def _big(line: bytes) -> bytes:
    if not _BIG.match(line):
        raise RedisProtocolError(f"{line[:40]!r} is no big number")
    return line


def _double(line: bytes) -> float:
    if not _DOUBLE.match(line):
        raise RedisProtocolError(f"{line[:40]!r} is no double")
    return float(line)


def _boolean(line: bytes) -> bool:
    if line not in _BOOLEAN:
        raise RedisProtocolError(f"{line[:40]!r} is no boolean")
    return _BOOLEAN[line]


def _null(line: bytes) -> None:
    if line:
        raise RedisProtocolError(f"{line[:40]!r} follows a null")


def _error(line: bytes) -> RedisReplyError:
    return error_reply(line.decode("utf-8", "replace"))


def _verbatim(text: bytes) -> bytes:
    if text[3:4] != b":":
        raise RedisProtocolError("a verbatim string does not name its format")
    return text[4:]


def _dict(items: list[Any]) -> Any:
    pairs = list(zip(items[::2], items[1::2], strict=True))
    try:
        return dict(pairs)
    except TypeError:
        # A key is a list or a map; nothing of it is lost in pairs.
        return pairs


_ATTRIBUTE = ord("|")
_PAIRED = frozenset(b"%|")
_LINES: dict[int, Callable[[bytes], Any]] = {
    ord("+"): bytes,
    ord("-"): _error,
    ord(":"): _integer,
    ord("_"): _null,
    ord(","): _double,
    ord("#"): _boolean,
    ord("("): _big,
}
_BLOBS: dict[int, Callable[[bytes], Any]] = {
    ord("$"): bytes,
    ord("!"): _error,
    ord("="): _verbatim,
}
_AGGREGATES: dict[int, Callable[[list[Any]], Any]] = {
    ord("*"): list,
    ord("~"): list,
    ord(">"): PushNotification,
    ord("%"): _dict,
    _ATTRIBUTE: list,
}
_KINDS = frozenset({*_LINES, *_BLOBS, *_AGGREGATES})
