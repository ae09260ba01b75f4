# -*- test-case-name: tests.config.test_structure -*-
"""
From TOML tables to frozen attrs classes: everything that is wrong in a table
is found at once.
"""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar, cast, get_origin

import attrs

from sockhost._errors import ConfigError
from sockhost.config.fit import Misfit, Misfits, converter, fit, in_order, refused
from sockhost.config.text import NOTHING, explained, phrase, unknown

T = TypeVar("T")


def structure(
    config_class: type[T], table: Mapping[str, Any], *, file: str = "", key: str = ""
) -> T:
    """
    Make an instance of a configuration class from plain TOML values.

    @param config_class: a frozen attrs class.  A field whose converter has an
        annotated parameter takes what that says; with any other converter,
        whatever stands in the table.
    @param file: what problems give as the file.
    @param key: what problems give as the key of the table.
    @raise ConfigError: with every problem of the table.
    """
    made, misfits = make(config_class, table)
    if misfits:
        raise ConfigError([misfit.problem(file, key) for misfit in misfits])
    return cast("T", made)


def make(
    config_class: type[T], table: Mapping[str, Any], also: Iterable[str] = ()
) -> tuple[T | None, list[Misfit]]:
    """
    Make an instance, or say all that prevents it.

    @param also: keys that are known besides, for hints about unknown ones.
    """
    made: Any = config_class
    known = keys(made)
    misfits = [
        Misfit((name,), value, unknown("key", name, {*known, *also}), of_key=True)
        for name, value in table.items()
        if name not in known
    ]
    draft = object.__new__(config_class)
    values = _fill(draft, known, table, misfits)
    _validate(draft, known, values, table, misfits)
    if misfits:
        return None, in_order(misfits, table)
    try:
        return made(**values), []
    except Exception as error:
        return None, [Misfit((), NOTHING, explained(error))]


@cache
def keys(config_class: Any) -> Mapping[str, attrs.Attribute[Any]]:
    """
    The keys that a class accepts, with the attributes that they set.  A key is
    the attribute's name; only one that Python reserves, as in C{class_}, stands
    in the file without the underscore.

    @raise Exception: its annotations cannot be resolved.
    """
    attrs.resolve_types(config_class)
    return {_key(one.name): one for one in attrs.fields(config_class) if one.init}


def _key(name: str) -> str:
    reserved = name.endswith("_") and keyword.iskeyword(name[:-1])
    return name[:-1] if reserved else name


def _argument(attribute: attrs.Attribute[Any]) -> str:
    return attribute.alias or attribute.name


def _fill(
    draft: object,
    known: Mapping[str, attrs.Attribute[Any]],
    table: Mapping[str, Any],
    misfits: list[Misfit],
) -> dict[str, Any]:
    """
    Set the attributes of an instance that validators can look at.

    @return: the arguments that make the real one.
    """
    values = {}
    for key, attribute in known.items():
        try:
            if key in table:
                given, held = _taken(draft, attribute, table[key])
                values[_argument(attribute)] = given
            else:
                held = _default(draft, attribute, not misfits)
            object.__setattr__(draft, attribute.name, held)
        except Misfits as error:
            misfits.extend(error.below(key))
    return values


def _taken(
    draft: object, attribute: attrs.Attribute[Any], value: Any
) -> tuple[Any, Any]:
    """What to call the class with, and what the instance will hold."""
    converter: Any = attribute.converter
    if converter is None:
        fitted = fit(value, attribute.type)
        return fitted, fitted
    # attrs.Converter says that it takes more than the value.
    takes_more = isinstance(converter, attrs.Converter)
    given = fit(value, _parameter(converter.converter if takes_more else converter))
    more = (draft, attribute) if takes_more else ()
    try:
        return given, converter(given, *more)
    except Exception as error:
        raise Misfits([Misfit((), value, explained(error))]) from error


def _parameter(converter: Any) -> Any:
    """The type that a converter takes, or C{Any} if it does not say."""
    try:
        signature = inspect.signature(converter, eval_str=True)
        first = next(iter(signature.parameters.values()))
    except (ValueError, TypeError, NameError, StopIteration):
        return Any
    return Any if first.annotation is first.empty else first.annotation


def _default(draft: object, attribute: attrs.Attribute[Any], whole: bool) -> Any:
    default: Any = attribute.default
    if default is NOTHING:
        wanted = f"missing; expected {phrase(attribute.type)}"
        raise Misfits([Misfit((), NOTHING, wanted)])
    made = isinstance(default, attrs.Factory)  # type: ignore[arg-type]
    if not made:
        return default
    try:
        return default.factory(draft) if default.takes_self else default.factory()
    except Exception as error:
        if _is_consequence(error, whole):
            raise Misfits([]) from error
        raise Misfits([Misfit((), NOTHING, explained(error))]) from error


def _is_consequence(error: Exception, whole: bool) -> bool:
    """
    Tell whether a default or a validator only failed for want of an attribute
    whose own value is bad, which is reported already.
    """
    return not whole and isinstance(error, AttributeError)


def _validate(
    draft: object,
    known: Mapping[str, attrs.Attribute[Any]],
    values: Mapping[str, Any],
    table: Mapping[str, Any],
    misfits: list[Misfit],
) -> None:
    whole = not misfits
    for key, attribute in known.items():
        if attribute.validator is None or _argument(attribute) not in values:
            continue
        try:
            attribute.validator(draft, attribute, getattr(draft, attribute.name))
        except Exception as error:
            if not _is_consequence(error, whole):
                misfits.append(Misfit((key,), table[key], explained(error)))


def _table(value: Any, kind: Any) -> Any:
    if not isinstance(value, dict):
        raise refused(value, kind)
    made, misfits = make(get_origin(kind) or kind, value)
    if misfits:
        raise Misfits(misfits)
    return made


# Registered last, as cattrs asks the newest hook first.
converter.register_structure_hook_func(attrs.has, _table)
