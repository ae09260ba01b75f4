"""
The arguments of commands, as C{COMMAND DOCS} describes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

# Numbers of what follows: they are counted, not asked for.
COUNTS = frozenset({"numkeys", "numfields", "num-vertices"})


@frozen
class Argument:
    """
    One argument.

    @ivar counted: whether the number of its values is sent in front of them.
    @ivar since: the version of the server that brought it.
    @ivar parts: what it is a choice from, or made of.
    """

    name: str
    type: str
    token: str | None = None
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    counted: bool = False
    since: str | None = None
    parts: tuple[Argument, ...] = ()

    @property
    def flag(self) -> bool:
        """Whether it is a word that is there or not."""
        return self.type == "pure-token"

    @property
    def leaf(self) -> bool:
        """Whether it is one value."""
        return not self.parts and not self.flag

    @property
    def choice(self) -> bool:
        """Whether it is one of some words."""
        return self.type == "oneof" and all(part.flag for part in self.parts)

    @property
    def plain(self) -> bool:
        """Whether it always is one value of one parameter."""
        return (self.leaf or self.choice) and not (self.optional or self.multiple)

    @property
    def open_choice(self) -> bool:
        """Whether it is a value for which there are words, too."""
        values = [part for part in self.parts if part.leaf and part.token is None]
        return (
            self.type == "oneof"
            and len(values) == 1
            and all(part.flag for part in self.parts if part is not values[0])
        )

    @property
    def pairs(self) -> bool:
        """Whether it is any number of names, each with a value."""
        named = {"field", "key", "parameter", "name"}
        return (
            self.multiple
            and len(self.parts) == 2
            and all(part.plain for part in self.parts)
            and self.parts[0].name in named
        )

    @property
    def block(self) -> bool:
        """Whether its values stand side by side."""
        return self.type == "block"

    @property
    def tuple(self) -> bool:
        """Whether it is a few values that go together."""
        return (
            self.block
            and len(self.parts) > 1
            and (self.token or self.parts[0].token) is not None
            and all(part.plain for part in self.parts)
        )


def read_arguments(doc: Mapping[bytes, Any]) -> tuple[Argument, ...]:
    """Take the arguments of what C{COMMAND DOCS} says of a command."""
    return _counted([_read(reply) for reply in doc.get(b"arguments", ())])


def _read(reply: Mapping[bytes, Any]) -> Argument:
    flags = {flag.decode() for flag in reply.get(b"flags", ())}
    token, since = reply.get(b"token"), reply.get(b"since")
    return Argument(
        reply[b"name"].decode(),
        reply[b"type"].decode(),
        None if token is None else token.decode(),
        optional="optional" in flags,
        multiple=bool(flags & {"multiple", "multiple_token"}),
        multiple_token="multiple_token" in flags,
        since=None if since is None else since.decode(),
        parts=read_arguments(reply),
    )


def _counted(arguments: list[Argument]) -> tuple[Argument, ...]:
    found: list[Argument] = []
    for argument in arguments:
        before = found[-1] if found else None
        if before is not None and before.name in COUNTS and argument.multiple:
            found[-1] = evolve(argument, counted=True, token=before.token)
        else:
            found.append(argument)
    return tuple(found)


# -- where the server's description does not make a good method --------------

Patch = Callable[[tuple[Argument, ...]], tuple[Argument, ...]]


def _raw(name: str, type_: str = "string") -> Patch:
    return lambda _: (Argument(name, type_, multiple=True),)


def _with(name: str, **changes: Any) -> Patch:
    def change(arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return tuple(
            evolve(each, **changes) if each.name == name else each for each in arguments
        )

    return change


def _operations(arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
    return (arguments[0], Argument("operation", "operation", multiple=True))


def _filters(arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
    (_, filters) = arguments[0].parts
    return tuple(evolve(each, optional=True) for each in filters.parts)


def _streams(arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
    return (*arguments[:-1], Argument("streams", "streams"))


def _pair(first: str, second: str, second_type: str) -> Patch:
    parts = (Argument(first, "string"), Argument(second, second_type))
    return lambda _: parts


PATCHES: Mapping[str, Patch] = {
    "bitfield": _operations,
    "client|kill": _filters,
    "xread": _streams,
    "xreadgroup": _streams,
    "zadd": _with("data", type="swapped"),
    # C{NO ONE} is two words.
    "replicaof": _pair("host", "port", "string"),
    "slaveof": _pair("host", "port", "string"),
    "cluster|replicate": _raw("node-id"),
    "cluster|migrateslots": _raw("arg"),
}


def flat(arguments: Sequence[Argument]) -> Iterator[Argument]:
    """All arguments, and all that they are made of."""
    for argument in arguments:
        yield argument
        yield from flat(argument.parts)
