# -*- test-case-name: tests.testing.test_redis_table -*-
"""
The commands that the server in memory knows.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, frozen

from sockhost.interfaces import RedisReplyError

if TYPE_CHECKING:
    from sockhost.testing.redis.server import MemoryRedis
    from sockhost.testing.redis.session import Session
    from sockhost.testing.redis.store import Store


@define
class Call:
    """
    A command under way.

    @ivar name: in upper case.
    @ivar args: what stands behind it.
    """

    name: str
    args: list[bytes]
    session: Session

    @property
    def server(self) -> MemoryRedis:
        """The server."""
        return self.session.server

    @property
    def store(self) -> Store:
        """The database that is selected."""
        return self.session.store

    @property
    def key(self) -> bytes:
        """The first argument."""
        return self.args[0]

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self.session.server.now()


Body = Callable[[Call], Any]


@frozen
class Command:
    """
    A command.

    @ivar least: how many arguments it needs.
    @ivar most: how many it takes, or C{None} for any number.
    @ivar numbers: the places of those that are numbers: they are looked at
        before anything else.
    """

    body: Body
    least: int
    most: int | None
    numbers: tuple[int, ...] = ()


COMMANDS: dict[str, Command] = {}


def command(
    names: str,
    least: int = 0,
    most: int | None = -1,
    numbers: tuple[int, ...] = (),
) -> Callable[[Body], Body]:
    """
    Say that a function is a command.

    @param names: one or more.
    @param most: -1 for no more than C{least}.
    """

    takes = least if most == -1 else most

    def known(body: Body) -> Body:
        for name in names.split():
            COMMANDS[name] = Command(body, least, takes, numbers)
        return body

    return known


class Status(bytes):
    """A short word of the server, such as C{OK}."""


class Scored(list[tuple[bytes, float]]):
    """Members with scores: pairs in RESP3, one after the other in RESP2."""


OK = Status(b"OK")

# -- arguments --------------------------------------------------------------


def syntax_error() -> RedisReplyError:
    """What is said of options that make no sense."""
    return RedisReplyError("ERR syntax error")


def integer(text: bytes) -> int:
    """Read a number of 64 bits."""
    if not re.fullmatch(rb"-?(0|[1-9]\d*)", text) or abs(int(text)) >= 1 << 63:
        raise RedisReplyError("ERR value is not an integer or out of range")
    return int(text)


def within(value: int) -> int:
    """A sum, if it has no more than 64 bits."""
    if not -(1 << 63) <= value < 1 << 63:
        raise RedisReplyError("ERR increment or decrement would overflow")
    return value


def double(text: bytes) -> float:
    """Read a number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise RedisReplyError("ERR value is not a valid float")
    return value


def as_text(value: float) -> bytes:
    """A number as the server writes it."""
    if value == int(value) and abs(value) < 1e17 if math.isfinite(value) else False:
        return b"%d" % int(value)
    return repr(value).encode()


def options(words: list[bytes], **takes: int) -> dict[str, list[bytes]]:
    """
    Read options.

    @param takes: how many values each takes.
    """
    found: dict[str, list[bytes]] = {}
    place = 0
    while place < len(words):
        name = words[place].decode("ascii", "replace").upper()
        if name not in takes or place + takes[name] >= len(words):
            raise syntax_error()
        found[name] = words[place + 1 : place + 1 + takes[name]]
        place += 1 + takes[name]
    return found


def pattern(text: bytes) -> Callable[[bytes], bool]:
    """Make what says whether something matches, as C{KEYS} does."""
    translated = fnmatch.translate(
        re.sub(r"\\(.)", r"[\1]", text.decode("latin-1")).replace("[^", "[!")
    )
    compiled = re.compile(translated.encode("latin-1"), re.DOTALL)
    return lambda name: compiled.match(name) is not None


def pairs(words: list[bytes], name: str) -> list[tuple[bytes, bytes]]:
    """Two by two."""
    if not words or len(words) % 2:
        raise wrong_number(name)
    return list(zip(words[::2], words[1::2], strict=True))


def wrong_number(name: str) -> RedisReplyError:
    """What is said when there are too many arguments, or too few."""
    return RedisReplyError(
        f"ERR wrong number of arguments for '{name.lower()}' command"
    )


def cursor_page(call: Call, place: int, elements: list[Any]) -> list[Any]:
    """What C{SCAN} and its like give: a cursor, and a page of elements."""
    words = call.args[place + 1 :]
    found = options(words, MATCH=1, COUNT=1, TYPE=1)
    start, count = integer(call.args[place]), integer(found.get("COUNT", [b"10"])[0])
    page = elements[start : start + count]
    if "MATCH" in found:
        matches = pattern(found["MATCH"][0])
        page = [each for each in page if matches(_name(each))]
    end = start + count
    return [b"0" if end >= len(elements) else b"%d" % end, page]


def _name(element: Any) -> bytes:
    name: bytes = element[0] if isinstance(element, tuple) else element
    return name
