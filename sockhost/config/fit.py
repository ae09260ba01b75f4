# -*- test-case-name: tests.config.test_structure -*-
"""
TOML values fitted to Python types, strictly: no value is turned into another
type, except an integer where a number is wanted.

C{cattrs} finds the hook for a type; the hooks here raise L{Misfits}, which
know the path to each value that is wrong.
"""

from __future__ import annotations

import datetime
import enum
import math
from collections.abc import (
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
)
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
import cattrs
from attrs import frozen

from sockhost.config.text import (
    NOTHING,
    explained,
    is_union,
    key_path,
    members,
    phrase,
)
from sockhost.config.values import Problem

KeyPath = tuple[str | int, ...]


@frozen
class Misfit:
    """
    One value that cannot be used.

    @ivar path: the keys and indexes that lead to it.
    @ivar of_key: it is the key that cannot be used, whatever its value.
    """

    path: KeyPath
    value: Any
    expected: str
    of_key: bool = False

    def problem(self, file: str, key: str) -> Problem:
        """Say it of a table that stands at a key of a file."""
        return Problem(file, key_path(key, self.path), self.value, self.expected)


class Misfits(Exception):
    """A value cannot be used, for one or more reasons."""

    def __init__(self, items: Iterable[Misfit]) -> None:
        super().__init__()
        self.items = tuple(items)

    def below(self, part: str | int) -> list[Misfit]:
        """The same seen from the table or array that holds the value."""
        return [attrs.evolve(item, path=(part, *item.path)) for item in self.items]


def in_order(misfits: Iterable[Misfit], table: Mapping[str, Any]) -> list[Misfit]:
    """Sort by the order of a table's keys, with what is missing at the end."""
    order: dict[object, int] = {key: index for index, key in enumerate(table)}
    return sorted(misfits, key=lambda one: order.get((*one.path, None)[0], len(order)))


def found(raw: Any, path: KeyPath) -> Any:
    """
    Look up what stands in the file, where a placeholder is still one: what it
    stands for may be a secret.
    """
    if not path:
        return NOTHING
    for part in path:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return NOTHING
    return raw


def fit(value: Any, kind: Any) -> Any:
    """
    Make a value of a type.

    @raise Misfits: it is none, or the type is one that TOML has no values for.
    """
    try:
        return converter.get_structure_hook(kind)(value, kind)
    except Misfits:
        raise
    except Exception as error:
        raise Misfits([Misfit((), value, explained(error))]) from error


def refused(value: Any, kind: Any) -> Misfits:
    return Misfits([Misfit((), value, f"expected {phrase(kind)}")])


def _scalar(accepted: type) -> Callable[[Any, Any], Any]:
    def take(value: Any, kind: Any) -> Any:
        if _is_enum(kind):
            return _enum(value, kind)
        if type(value) is not accepted:
            raise refused(value, kind)
        return value

    return take


def _number(value: Any, kind: Any) -> Any:
    if type(value) not in (int, float):
        raise refused(value, kind)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Misfits([Misfit((), value, "expected a finite number")])
    return number


def _path(value: Any, kind: Any) -> Any:
    return Path(fit(value, str))


def _literal(value: Any, kind: Any) -> Any:
    for choice in get_args(kind):
        plain = choice.value if isinstance(choice, enum.Enum) else choice
        if type(value) is type(plain) and value == plain:
            return choice
    raise refused(value, kind)


def _enum(value: Any, kind: type[enum.Enum]) -> Any:
    for member in kind:
        if type(value) is type(member.value) and value == member.value:
            return member
    raise refused(value, kind)


def _mapping(value: Any, kind: Any) -> Any:
    if not isinstance(value, dict):
        raise refused(value, kind)
    of = (*get_args(kind), Any, Any)[:2]
    return dict(
        zip(
            _each(((key, key) for key in value), of[0]),
            _each(value.items(), of[1]),
            strict=True,
        )
    )


def _array(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise refused(value, kind)
    made = _each(enumerate(value), (*get_args(kind), Any)[0])
    wanted = get_origin(kind) or kind
    if issubclass(list, wanted):
        return made
    return set(made) if issubclass(set, wanted) else frozenset(made)


def _tuple(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise refused(value, kind)
    of: tuple[Any, ...] = get_args(kind) or (Any, ...)
    if Ellipsis in of:
        return tuple(_each(enumerate(value), of[0]))
    if len(value) != len(of):
        many = "1 value" if len(of) == 1 else f"{len(of)} values"
        raise Misfits([Misfit((), value, f"expected an array of {many}")])
    made, misfits = [], []
    for index, (item, item_kind) in enumerate(zip(value, of, strict=True)):
        try:
            made.append(fit(item, item_kind))
        except Misfits as error:
            misfits.extend(error.below(index))
    if misfits:
        raise Misfits(misfits)
    return tuple(made)


def _each(items: Iterable[tuple[Any, Any]], kind: Any) -> list[Any]:
    made, misfits = [], []
    for part, value in items:
        try:
            made.append(fit(value, kind))
        except Misfits as error:
            misfits.extend(error.below(part))
    if misfits:
        raise Misfits(misfits)
    return made


def _union(value: Any, kind: Any) -> Any:
    choices = members(kind)
    if len(choices) == 1:
        return fit(value, choices[0])
    inner: Misfits | None = None
    for member in choices:
        try:
            return fit(value, member)
        except Misfits as error:
            # One that fits on the outside is the one that was meant.
            if inner is None and any(item.path for item in error.items):
                inner = error
    raise inner or refused(value, kind)


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda kind: (get_origin(kind) or kind) in kinds


def _hooks() -> cattrs.Converter:
    made = cattrs.Converter(detailed_validation=False)
    for predicate, hook in (
        (_is_enum, _enum),
        (_is_literal, _literal),
        (is_union, _union),
        (_is(tuple), _tuple),
        (_is(list, set, frozenset, Sequence, MutableSequence, AbstractSet), _array),
        (_is(dict, Mapping, MutableMapping), _mapping),
        (_is(datetime.datetime), _scalar(datetime.datetime)),
        (_is(datetime.date), _scalar(datetime.date)),
        (_is(datetime.time), _scalar(datetime.time)),
    ):
        made.register_structure_hook_func(predicate, hook)
    # cattrs has these under singledispatch, which comes before predicates.
    for kind, take in (
        (str, _scalar(str)),
        (int, _scalar(int)),
        (bool, _scalar(bool)),
        (float, _number),
        (Path, _path),
    ):
        made.register_structure_hook(kind, take)
    return made


converter = _hooks()
