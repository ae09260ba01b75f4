# -*- test-case-name: tests.redis.test_names -*-
"""
What a command's name says about where it may be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import inf

from sockhost.redis.resp import Argument


class Place(Enum):
    """
    Where a command may be sent.

    @cvar SHARED: to the connection that all share.
    @cvar ALONE: to a connection of its own, because it may keep the server
        from answering anything else there.
    @cvar BEHIND: behind the commands that it is about, on their connection:
        by itself it would be about none.
    @cvar NOWHERE: to none of these, because it changes what the replies of a
        connection mean, or whose they are, or would be lost with it.
    """

    SHARED = "shared"
    ALONE = "alone"
    BEHIND = "behind"
    NOWHERE = "nowhere"


# On a connection that comes back by itself these cannot stay true.
NOT_SHARED = frozenset(
    {
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "PSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SSUBSCRIBE",
        "SUNSUBSCRIBE",
        "MONITOR",
        "SYNC",
        "PSYNC",
        "HELLO",
        "AUTH",
        "SELECT",
        "RESET",
        "QUIT",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH",
        "UNWATCH",
        "ASKING",
        "READONLY",
        "READWRITE",
        "CLIENT REPLY",
        "CLIENT TRACKING",
        "CLIENT CACHING",
    }
)
BLOCKING = frozenset(
    {
        "BLPOP",
        "BRPOP",
        "BRPOPLPUSH",
        "BLMOVE",
        "BLMPOP",
        "BZPOPMIN",
        "BZPOPMAX",
        "BZMPOP",
    }
)
# Of those, whose limit stands in front and not at the end.
_LIMITED_FIRST = frozenset({"BLMPOP", "BZMPOP"})
# They wait for what their own connection has written.
BEHIND = frozenset({"WAIT", "WAITAOF"})
# What a connection that comes back by itself has forgotten, and what to do.
_EACH_TIME = "have client.attached say it on each new connection"
FORGOTTEN = {
    "CLIENT SETNAME": "use the option client_name",
    "CLIENT NO-EVICT": _EACH_TIME,
    "CLIENT NO-TOUCH": _EACH_TIME,
}
BLOCKING_WITH_BLOCK = frozenset({"XREAD", "XREADGROUP"})
_DEPENDS = frozenset({"CLIENT", *BLOCKING_WITH_BLOCK})
# How many names are remembered: more than any server has commands.
_REMEMBERED = 2048
_LONGEST = 64
#: Names, as they were written, of which it is known that their commands go to
#: the shared connection.
ORDINARY: set[object] = set()


def place_of(args: Sequence[Argument]) -> Place:
    """Say where a command may be sent.  It must have a name."""
    first = args[0]
    # The way that nearly all take: a name that was judged before.
    try:
        if first in ORDINARY:
            return Place.SHARED
    except TypeError:
        pass
    return _judge(args)


def _judge(args: Sequence[Argument]) -> Place:
    name = _word(args[0])
    if name in NOT_SHARED:
        return Place.NOWHERE
    if name in BLOCKING:
        return Place.ALONE
    if name in BEHIND:
        return Place.BEHIND
    if name in BLOCKING_WITH_BLOCK:
        # In front of STREAMS there are options only, behind it any name.
        return Place.ALONE if "BLOCK" in _options(args) else Place.SHARED
    if name == "CLIENT" and _is_refused(command_name(args)):
        return Place.NOWHERE
    _remember(args[0], name)
    return Place.SHARED


def _is_refused(name: str) -> bool:
    return name in NOT_SHARED or name in FORGOTTEN


def refusal(args: Sequence[Argument]) -> str:
    """
    Say why a command that belongs nowhere, or behind others, cannot be sent by
    itself, and what to do instead.
    """
    name = command_name(args)
    if name in BEHIND:
        return (
            f"{name} is about what was written on its own connection: "
            "send it behind that, in a pipeline() or a watch()"
        )
    return f"{name} is not possible on a connection that is shared{remedy(name)}"


def remedy(name: str) -> str:
    """What to do instead of a command that is not possible, or nothing."""
    return f": {FORGOTTEN[name]}" if name in FORGOTTEN else ""


def _remember(first: Argument, name: str) -> None:
    room = len(ORDINARY) < _REMEMBERED and len(name) < _LONGEST
    if room and name not in _DEPENDS and isinstance(first, str | bytes):
        ORDINARY.add(first)


def _options(args: Sequence[Argument]) -> list[str]:
    words: list[str] = []
    for value in args[1:]:
        word = _word(value)
        if word == "STREAMS":
            break
        words.append(word)
    return words


def longest(args: Sequence[Argument]) -> float:
    """
    Say for how many seconds a command that blocks may do so; infinite, too, if
    that cannot be told.
    """
    name = _word(args[0])
    try:
        if name in BLOCKING_WITH_BLOCK:
            seconds = float(args[_options(args).index("BLOCK") + 2]) / 1000
        else:
            seconds = float(args[1 if name in _LIMITED_FIRST else -1])
    except (IndexError, TypeError, ValueError):
        return inf
    return seconds or inf


def command_name(args: Sequence[Argument]) -> str:
    """The name of a command, with that of its part: C{"CLIENT REPLY"}."""
    name = _word(args[0])
    return f"{name} {_word(args[1])}" if name == "CLIENT" and len(args) > 1 else name


def _word(value: Argument) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("ascii", "replace").upper()
    return value.upper() if isinstance(value, str) else ""
