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

from sockhost.interfaces import RedisProtocolError, RedisReplyError
from sockhost.redis.values import USUAL_LIMITS, Limits, Push, error_reply

_INTEGER = re.compile(rb"[+-]?\d{1,19}\Z")
_BIG = re.compile(rb"[+-]?\d+\Z")
_DOUBLE = re.compile(rb"(?i:[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan))\Z")
_BOOLEAN = {b"t": True, b"T": True, b"f": False, b"F": False}


class _NeedMore(Exception):
    """The next token is not complete yet."""


@define
class _Frame:
    """
    An aggregate whose elements are still arriving, or a string in pieces.

    @ivar left: how many are missing; -1 if that is not known before the end.
    """

    kind: int
    left: int
    items: list[Any] = field(factory=list)


@define
class PlainReader:
    """
    Read replies from bytes.

    @ivar limits: what is taken.
    @ivar error: C{None}, or why the stream cannot be continued.
    """

    limits: Limits = USUAL_LIMITS
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
        if self._stack and self._stack[-1].kind == _STRING:
            self._piece(kind, line, end)
        elif kind == _END:
            self._end_streamed(line)
            self._position = end
        elif kind in _STREAMED and line == b"?":
            self._open(_Frame(kind, -1))
            self._position = end
        elif kind in _AGGREGATES and line != b"-1":
            self._open(_Frame(kind, self._count(kind, line)))
            self._position = end
        else:
            self._put(self._scalar(kind, line, end), messages)
        self._close_finished(messages)

    def _line(self) -> tuple[int, bytes, int]:
        start = self._position
        end = self._buffer.find(b"\r\n", start)
        if start < len(self._buffer) and self._buffer[start] not in _KINDS:
            raise RedisProtocolError(
                f"{bytes(self._buffer[start : start + 1])!r} begins no reply"
            )
        if (end if end >= 0 else len(self._buffer)) - start > self.limits.bulk + 1:
            raise RedisProtocolError("a line is longer than the limit of strings")
        if end < 0:
            raise _NeedMore
        return self._buffer[start], bytes(self._buffer[start + 1 : end]), end + 2

    def _open(self, frame: _Frame) -> None:
        if len(self._stack) >= self.limits.depth:
            raise RedisProtocolError(
                f"replies are nested more than {self.limits.depth} deep"
            )
        self._stack.append(frame)

    def _count(self, kind: int, line: bytes) -> int:
        count = _integer(line)
        if not 0 <= count <= self.limits.elements:
            raise RedisProtocolError(f"{line!r} is no number of elements")
        return count * 2 if kind in _PAIRED else count

    def _scalar(self, kind: int, line: bytes, end: int) -> Any:
        if kind == _PIECE:
            raise RedisProtocolError("a piece of no string")
        if kind in _BLOBS:
            value, end = self._blob(kind, line, end)
        else:
            value = None if kind in _AGGREGATES else _LINES[kind](line)
        self._position = end
        return value

    def _blob(self, kind: int, line: bytes, start: int) -> tuple[Any, int]:
        if line == b"-1":
            return None, start
        text, end = self._counted(line, start)
        return _BLOBS[kind](text), end

    def _counted(self, line: bytes, start: int) -> tuple[bytes, int]:
        size = _integer(line)
        if not 0 <= size <= self.limits.bulk:
            raise RedisProtocolError(f"{line!r} is no length")
        stop = start + size
        if len(self._buffer) < stop + 2:
            raise _NeedMore
        if self._buffer[stop : stop + 2] != b"\r\n":
            raise RedisProtocolError("a string is longer than its length says")
        return bytes(self._buffer[start:stop]), stop + 2

    def _piece(self, kind: int, line: bytes, start: int) -> None:
        frame = self._stack[-1]
        if kind != _PIECE:
            raise RedisProtocolError("a string in pieces is not ended")
        if line == b"0":
            frame.left = 0
            self._position = start
            return
        piece, self._position = self._counted(line, start)
        frame.items.append(piece)
        if sum(map(len, frame.items)) > self.limits.bulk:
            raise RedisProtocolError("a string in pieces is longer than the limit")

    def _end_streamed(self, line: bytes) -> None:
        frame = self._stack[-1] if self._stack else None
        if line or frame is None or frame.left >= 0:
            raise RedisProtocolError("the end of nothing")
        if frame.kind in _PAIRED and len(frame.items) % 2:
            raise RedisProtocolError("a map ends with a key")
        frame.left = 0

    def _put(self, value: Any, messages: list[Any]) -> None:
        if self._stack:
            frame = self._stack[-1]
            frame.items.append(value)
            if frame.left > 0:
                frame.left -= 1
            elif len(frame.items) > self.limits.elements * 2:
                raise RedisProtocolError("an aggregate has more than the limit")
        else:
            messages.append(value)

    def _close_finished(self, messages: list[Any]) -> None:
        while self._stack and not self._stack[-1].left:
            frame = self._stack.pop()
            # An attribute stands in front of a reply and is none.
            if frame.kind != _ATTRIBUTE:
                self._put(_CLOSERS[frame.kind](frame.items), messages)


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
_STRING = ord("$")
_PIECE = ord(";")
_END = ord(".")
_STREAMED = frozenset(b"$*~%>|")
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
    ord(">"): Push,
    ord("%"): _dict,
    _ATTRIBUTE: list,
}
_CLOSERS: dict[int, Callable[[list[Any]], Any]] = {**_AGGREGATES, _STRING: b"".join}
_KINDS = frozenset({*_LINES, *_BLOBS, *_AGGREGATES, _PIECE, _END})
