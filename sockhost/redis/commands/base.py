# -*- test-case-name: tests.redis.test_commands -*-
"""
What the generated commands are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred

from sockhost.redis.commands.shapes import Shape

Key = bytes | str
Value = bytes | str | int | float

_A = TypeVar("_A", bound=Value)
_B = TypeVar("_B", bound=Value)
# The keys of a mapping are invariant: a dict of str is none of str | bytes.  And
# beside Iterable, no type checker finds the type of a dict that is written out.
Pairs = Sequence[tuple[_A, _B]] | Mapping[Any, _B]

_P = ParamSpec("_P")
_Q = TypeVar("_Q")


class Caller:
    """
    Has typed methods for commands.
    """

    def execute(self, *args: Value) -> Deferred[Any]:
        """Send one command."""
        raise NotImplementedError

    def _command(self, args: tuple[Any, ...], shape: Shape | None) -> Deferred[Any]:
        sent = self.execute(*args)
        return sent if shape is None else sent.addCallback(shape)


def queued(
    method: Callable[Concatenate[Any, _P], Any],
) -> Callable[Concatenate[_Q, _P], _Q]:
    """
    Take the method of a command for an object whose C{_command} keeps it, and
    returns the object.
    """
    return cast(Callable[Concatenate[_Q, _P], _Q], method)
