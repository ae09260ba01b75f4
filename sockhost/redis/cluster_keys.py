# -*- test-case-name: tests.redis.test_cluster -*-
"""
Which keys a command is about, and so where in a cluster it goes.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import field, frozen

from sockhost.interfaces import RedisError
from sockhost.redis.resp import Argument

SLOTS = 16384
Arguments = Sequence[Argument]

# Where the number of keys is, in front of them; and a key in front of that.
_COUNTED = {
    **dict.fromkeys(("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"), 2),
    **dict.fromkeys(("FCALL", "FCALL_RO", "BLMPOP", "BZMPOP"), 2),
    **dict.fromkeys(("ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD"), 1),
    **dict.fromkeys(("SINTERCARD", "LMPOP", "ZMPOP"), 1),
}
_COUNTED_INTO = frozenset({"ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"})
_STREAMS = frozenset({"XREAD", "XREADGROUP"})
_STORING = frozenset({"SORT", "GEORADIUS", "GEORADIUSBYMEMBER"})


def as_bytes(value: Argument) -> bytes:
    """The bytes that are sent for an argument."""
    if isinstance(value, int | float):
        return str(value).encode()
    return value.encode() if isinstance(value, str) else bytes(value)


def slot_of(key: Argument) -> int:
    """The slot of a key: that of what is in its first braces, if anything is."""
    raw = as_bytes(key)
    start = raw.find(b"{")
    if start >= 0:
        end = raw.find(b"}", start + 1)
        if end > start + 1:
            raw = raw[start + 1 : end]
    return crc_hqx(raw, 0) % SLOTS


def name_of(args: Arguments) -> str:
    """The first word of a command, in capitals."""
    return as_bytes(args[0]).decode("ascii", "replace").upper()


@frozen
class _Known:
    """
    What the server says of a command: the places of its first key and of the
    last one, and the step between them.
    """

    first: int
    last: int
    step: int
    reads: bool


@frozen
class KeyTable:
    """
    Knows the commands of a server by what it says of them itself.
    """

    _commands: dict[str, _Known] = field(factory=dict, repr=False)

    @classmethod
    def read(cls, reply: Sequence[Any]) -> KeyTable:
        """Take what C{COMMAND} answers."""
        table: dict[str, _Known] = {}
        for entry in _with_parts(reply):
            name, _, flags, first, last, step = entry[:6]
            known = _Known(first, last, step, b"readonly" in _plain(flags))
            table[name.decode().upper()] = known
        return cls(table)

    def keys(self, args: Arguments) -> Sequence[Argument]:
        """
        Say which keys a command is about.

        @raise RedisError: it is not well-formed.
        """
        name = name_of(args)
        finder = _FINDERS.get(name)
        if finder is not None:
            try:
                return finder(args)
            except (ValueError, IndexError):
                raise RedisError(f"{name}: cannot tell its keys") from None
        known = self._find(args)
        if known is None or known.first <= 0:
            return ()
        last = known.last if known.last >= 0 else len(args) + known.last
        return args[known.first : last + 1 : max(known.step, 1)]

    def slots(self, args: Arguments) -> set[int]:
        """Say in which slots the keys of a command are."""
        return {slot_of(key) for key in self.keys(args)}

    def reads(self, args: Arguments) -> bool:
        """Say whether a replica can execute a command."""
        known = self._find(args)
        return known is not None and known.reads

    def _find(self, args: Arguments) -> _Known | None:
        name = name_of(args)
        if len(args) > 1:
            part = self._commands.get(f"{name}|{_text(args[1])}")
            if part is not None:
                return part
        return self._commands.get(name)


def _with_parts(reply: Iterable[Any]) -> Iterable[Any]:
    for entry in reply:
        yield entry
        if len(entry) > 9:
            yield from _with_parts(entry[9])


def _plain(flags: Iterable[Any]) -> set[bytes]:
    return {bytes(each) for each in flags}


def _text(value: Argument) -> str:
    return as_bytes(value).decode("ascii", "replace").upper()


def _counted(place: int) -> Callable[[Arguments], Arguments]:
    def find(args: Arguments) -> Arguments:
        return args[place + 1 : place + 1 + int(as_bytes(args[place]))]

    return find


def _counted_into(args: Arguments) -> Arguments:
    return [args[1], *args[3 : 3 + int(as_bytes(args[2]))]]


def _streams(args: Arguments) -> Arguments:
    names = [_text(each) for each in args]
    rest = args[names.index("STREAMS") + 1 :]
    return rest[: len(rest) // 2]


def _storing(args: Arguments) -> Arguments:
    into = [
        args[place + 1]
        for place, each in enumerate(args[:-1])
        if place > 1 and _text(each) in ("STORE", "STOREDIST")
    ]
    return [args[1], *into]


def _all(args: Arguments) -> Arguments:
    return args[1:]


_FINDERS: dict[str, Callable[[Arguments], Arguments]] = {
    # Also before the server has said so.
    **dict.fromkeys(("MGET", "DEL", "UNLINK", "EXISTS", "TOUCH", "WATCH"), _all),
    **{name: _counted(place) for name, place in _COUNTED.items()},
    **dict.fromkeys(_COUNTED_INTO, _counted_into),
    **dict.fromkeys(_STREAMS, _streams),
    **dict.fromkeys(_STORING, _storing),
}
