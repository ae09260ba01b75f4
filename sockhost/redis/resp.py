# -*- test-case-name: tests.redis.test_resp -*-
"""
The Redis protocol as a codec without I/O: commands to bytes, bytes to replies.

The C reader of C{hiredis} does the work.  It is wrong in a few places: it hands
an attribute out as if it were a reply, and it is dead for good after a blob
error or a map whose key is a list.  So L{RespReader} keeps the bytes since the
last place where no message was under way, and where the C reader fails or an
attribute may be in sight, or a limit, L{PlainReader<sockhost.redis._plain.PlainReader>}
reads on from that place, until the stream is between two messages again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field

from sockhost.interfaces import RedisProtocolError
from sockhost.redis._plain import PlainReader
from sockhost.redis.values import USUAL_LIMITS, Limits, Push, error_reply, hiredis

__all__ = [
    "Argument",
    "Limits",
    "Push",
    "RespReader",
    "encode_command",
    "pack_command",
]

Argument = bytes | str | int | float

# What is held may be this large before a place between two messages is looked
# for, and so many line ends back from the end of the data it is looked for.
HELD_LIMIT = 1 << 20
SEARCH_LINES = 16
# How deep the reader in C goes by itself.
C_DEPTH = 1024

_MORE = object()
_ATTRIBUTE = ord("|")


def pack_plainly(args: tuple[Argument, ...]) -> bytes:
    """
    Do what the packer in C does.

    @raise TypeError: an argument is of no type that can be sent.
    """
    pieces = [b"*%d\r\n" % len(args)]
    for value in args:
        if isinstance(value, str):
            text = value.encode()
        elif type(value) is int or type(value) is float:
            text = repr(value).encode()
        elif isinstance(value, bytes | bytearray | memoryview):
            text = bytes(value)
        else:
            raise TypeError(f"{value!r} cannot be sent")
        pieces.append(b"$%d\r\n%s\r\n" % (len(text), text))
    return b"".join(pieces)


#: Like L{encode_command}, for what is certain to be a command.
pack_command: Callable[[tuple[Argument, ...]], bytes] = (
    pack_plainly if hiredis is None else hiredis.pack_command
)


def encode_command(args: Sequence[Argument]) -> bytes:
    """
    Make the bytes of one command.  C{str} becomes UTF-8, numbers their
    shortest text.

    @raise TypeError: an argument is of another type, C{bool} and C{None} among
        them; the text says which.
    @raise ValueError: there is no argument, or one is no valid text.
    """
    if not args:
        raise ValueError("a command needs at least its name")
    try:
        return pack_command(tuple(args))
    except TypeError:
        return pack_command(_plain(args))


def _plain(args: Sequence[object]) -> tuple[Argument, ...]:
    return tuple(_plain_argument(place, value) for place, value in enumerate(args))


def _plain_argument(place: int, value: object) -> Argument:
    # Subclasses of int and float may print as something else: IntEnum does.
    if isinstance(value, bytes | str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise TypeError(
        f"argument {place} is {value!r}: a command is made of bytes, str, int and float"
    )


def _may_have_attribute(data: bytes) -> bool:
    return data[0] == _ATTRIBUTE or b"\n|" in data


def _make_reader() -> Any:
    return hiredis and hiredis.Reader(
        protocolError=RedisProtocolError,
        replyError=error_reply,
        notEnoughData=_MORE,
    )


@define
class RespReader:
    """
    Read messages from the bytes of one connection.

    Strings of every kind are C{bytes}, a big number is its digits, sets are
    lists, maps are dicts (or a list of pairs where a key cannot be one), an
    error is a L{RedisReplyError<sockhost.interfaces.RedisReplyError>} as a
    value, also within an array, and a push is a C{Push}.  Attributes are left
    out.

    @ivar limits: what is taken.  Limits that are very small cost speed.
    @ivar error: C{None}, or why the stream cannot be continued.  Once set it
        stays, and L{feed} returns nothing any more.
    """

    limits: Limits = USUAL_LIMITS
    error: RedisProtocolError | None = None
    _fast: Any = field(factory=_make_reader)
    _slow: PlainReader | None = None
    # A message of fewer bytes is within the limits whatever it is.
    _harmless: int = 0
    # As long as so few bytes are held, feed() need not look further.
    _plain: int = 0
    # Since the last place between two messages: the bytes, how many they are,
    # and how many messages of them were returned.
    _held: list[bytes] = field(factory=list)
    _held_size: int = 0
    _returned: int = 0

    def __attrs_post_init__(self) -> None:
        limits = self.limits
        self._harmless = min(limits.bulk, 3 * limits.elements)
        if limits.depth < C_DEPTH:
            self._harmless = min(self._harmless, 4 * limits.depth)
        self._plain = min(self._harmless, HELD_LIMIT)
        if self._fast is None:
            self._slow = PlainReader(limits)

    def feed(self, data: bytes) -> list[Any]:
        """
        Take bytes of the stream, cut at any place.

        @return: the messages that are complete now, in order.  Those in front
            of bad bytes are returned, and L{error} is set.
        """
        if (
            self._held_size + len(data) <= self._plain
            and self._slow is None
            and data
            and (b"|" not in data or not _may_have_attribute(data))
        ):
            # Nearly always; the order is that of what the checks cost.  Looking
            # for one byte takes a nanosecond for each 100 bytes, for two 150.
            return self._feed_fast(data)
        return self._feed_carefully(data)

    def show(self, look: Callable[[list[Any]], object], data: bytes) -> list[Any]:
        """
        The same as L{feed}.

        @param look: is called with the messages before they are returned.
        """
        messages = self.feed(data)
        look(messages)
        return messages

    def _feed_carefully(self, data: bytes) -> list[Any]:
        if self.error is not None or not data:
            return []
        if self._slow is not None:
            return self._feed_slow(data)
        size = self._held_size
        if _may_have_attribute(data) or size + len(data) > self._harmless:
            return self._go_slow(data)
        return (
            self._feed_searching(data) if size > HELD_LIMIT else self._feed_fast(data)
        )

    def _feed_fast(self, data: bytes) -> list[Any]:
        # Not for no data, which says nothing about whether a message is under way.
        messages: list[Any] = []
        fast = self._fast
        fast.feed(data)
        try:
            while fast.has_data():
                message = fast.gets()
                if message is _MORE:
                    self._hold(data, len(messages))
                    return messages
                messages.append(message)
        except (RedisProtocolError, TypeError, MemoryError):
            self._returned += len(messages)
            return messages + self._go_slow(data)
        # The last message ended where the bytes end.
        if self._held:
            self._release()
        return messages

    def _hold(self, data: bytes, messages: int) -> None:
        self._held.append(data)
        self._held_size += len(data)
        self._returned += messages

    def _release(self) -> None:
        self._held.clear()
        self._held_size = 0
        self._returned = 0

    def _feed_searching(self, data: bytes) -> list[Any]:
        # A stream that never pauses between two messages must not be held for
        # ever: near the end of the data, look at each line end for such a place.
        cut = len(data)
        for _ in range(SEARCH_LINES):
            cut = max(data.rfind(b"\r\n", 0, cut), 0)
        messages: list[Any] = []
        while data and self._held and self.error is None and self._slow is None:
            after = data.find(b"\r\n", cut) + 2
            if after < 2:
                return messages + self._feed_fast(data)
            messages += self._feed_fast(data[:after])
            data, cut = data[after:], 0
        return messages + self.feed(data) if data else messages

    def _go_slow(self, data: bytes) -> list[Any]:
        self._slow = PlainReader(self.limits)
        skip = self._returned
        held = b"".join([*self._held, data])
        self._release()
        return self._feed_slow(held)[skip:]

    def _feed_slow(self, data: bytes) -> list[Any]:
        slow = self._slow
        assert slow is not None
        messages = slow.feed(data)
        self.error = slow.error
        if slow.error is None and slow.clean and self._fast is not None:
            self._slow = None
            self._fast = _make_reader()
        return messages
