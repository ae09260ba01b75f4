# -*- test-case-name: tests.config.test_units -*-
"""
One C{[unit.NAME]} table: the keys that every unit has, those of its restart
policy, and those of its kind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from sockhost.config.checks import UNIT_NAME, UNIT_NAME_EXPECTED
from sockhost.config.fit import KeyPath, Misfit, found, in_order
from sockhost.config.placeholders import Source, besides, expand
from sockhost.config.structure import keys, make
from sockhost.config.text import NOTHING, explained, key_path, shown, unknown
from sockhost.config.values import Problem, RestartPolicy, UnitConfig

if TYPE_CHECKING:
    from sockhost.interfaces import IUnitKind


@frozen(kw_only=True)
class Common:
    """The keys of every unit; L{UnitConfig} says what they mean."""

    kind: str
    enabled: bool = True
    description: str = ""
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


COMMON_KEYS = frozenset(keys(Common)) | frozenset(keys(RestartPolicy))


@frozen(kw_only=True)
class Draft:
    """
    A unit's table as far as it could be read.

    @ivar raw: the table as it stands in the file.
    @ivar common: C{None} if these keys are bad.
    @ivar config: C{None} if anything is bad.
    """

    name: str
    kind: str
    file: str
    raw: Any
    common: Common | None = None
    config: UnitConfig | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def key(self) -> str:
        """The path of the unit's table."""
        return key_path("unit", (self.name,))

    def problem(self, path: KeyPath, expected: str) -> Problem:
        """Say what is wrong with the value at a path in the unit's table."""
        return Problem(
            self.file, key_path(self.key, path), found(self.raw, path), expected
        )


def read_unit(
    name: str,
    raw: Any,
    file: str,
    kinds: Mapping[str, IUnitKind],
    sources: Mapping[str, Source],
) -> Draft:
    """
    Read a unit's table.

    @param raw: what stands in the file.
    @param sources: what the placeholders stand for, except C{{name}}.
    """
    draft = Draft(name=name, kind=_kind_word(raw), file=file, raw=raw)
    if not isinstance(raw, dict):
        problem = Problem(file, draft.key, raw, "expected a table")
        return attrs.evolve(draft, problems=(problem,))
    table, misfits = expand(raw, {**sources, "name": name})
    draft = attrs.evolve(draft, kind=_kind_word(table))
    parts = _Parts(table, draft, kinds)
    misfits += besides(misfits, parts.misfits)
    problems = [draft.problem(one.path, one.expected) for one in in_order(misfits, raw)]
    if not UNIT_NAME.fullmatch(name):
        problems.insert(0, Problem(file, draft.key, NOTHING, UNIT_NAME_EXPECTED))
    return attrs.evolve(
        draft,
        common=parts.common,
        config=None if problems else parts.config(),
        problems=tuple(problems),
    )


class _Parts:
    """The three parts of a table, each structured by its own class."""

    def __init__(
        self, table: Mapping[str, Any], draft: Draft, kinds: Mapping[str, IUnitKind]
    ) -> None:
        self._draft = draft
        self._own_table = {k: v for k, v in table.items() if k not in COMMON_KEYS}
        self.common, self.misfits = make(Common, _picked(table, Common))
        self._policy: RestartPolicy | None = None
        self._own: Any = None
        kind = table.get("kind")
        if kind is None:
            self.misfits = [m for m in self.misfits if m.path != ("kind",)]
            self._refuse_kind(f"missing; expected {_listed(kinds)}")
        elif isinstance(kind, str) and kind not in kinds:
            self._refuse_kind(unknown("kind", kind, kinds))
        elif isinstance(kind, str):
            self._take_own(kinds[kind])
        self._take_policy(table, kinds)

    def config(self) -> UnitConfig:
        """The whole; to be asked for only if there are no misfits."""
        assert self.common is not None
        assert self._policy is not None
        return UnitConfig(
            name=self._draft.name,
            own=self._own,
            table=self._own_table,
            source=os.path.abspath(self._draft.file),
            policy=self._policy,
            **attrs.asdict(self.common, recurse=False),
        )

    def _take_own(self, kind: IUnitKind) -> None:
        try:
            config_class = usable_class(kind)
            self._own, misfits = make(config_class, self._own_table, COMMON_KEYS)
        except Exception as error:
            # Someone else's class; there is no end to what may be odd about it.
            self._refuse_kind(f"this kind cannot be used: {explained(error)}")
        else:
            self.misfits += misfits

    def _take_policy(
        self, table: Mapping[str, Any], kinds: Mapping[str, IUnitKind]
    ) -> None:
        try:
            usual = _usual_policy(kinds, table)
        except Exception as error:
            self._refuse_kind(f"this kind cannot be used: {explained(error)}")
            usual = {}
        policy = {**usual, **_picked(table, RestartPolicy)}
        self._policy, misfits = make(RestartPolicy, policy)
        self.misfits += misfits

    def _refuse_kind(self, expected: str) -> None:
        self.misfits.append(Misfit(("kind",), NOTHING, expected))


def usable_class(kind: IUnitKind) -> type:
    """
    Get a kind's C{config_class}.

    @raise ValueError: it is no class that tables can be read by; the text
        says why.
    """
    try:
        config_class: type = kind.config_class
        known = keys(config_class) if attrs.has(config_class) else None
    except Exception as error:
        raise ValueError(f"its config_class is broken: {explained(error)}") from error
    if known is None:
        raise ValueError("its config_class is not an attrs class")
    if clash := sorted(COMMON_KEYS.intersection(known)):
        named = ", ".join(map(shown, clash))
        raise ValueError(f"it wants for itself what every unit has: {named}")
    return config_class


def _usual_policy(
    kinds: Mapping[str, IUnitKind], table: Mapping[str, Any]
) -> Mapping[str, Any]:
    word = table.get("kind")
    kind = kinds.get(word) if isinstance(word, str) else None
    usual_policy = getattr(kind, "usual_policy", None)
    return {} if usual_policy is None else attrs.asdict(usual_policy(table))


def _picked(table: Mapping[str, Any], by: type) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key in keys(by)}


def _kind_word(raw: Any) -> str:
    kind = raw.get("kind") if isinstance(raw, dict) else None
    return kind if isinstance(kind, str) else ""


def _listed(kinds: Mapping[str, Any]) -> str:
    if not kinds:
        return "the name of a kind, but there are none"
    return "one of " + ", ".join(map(shown, sorted(kinds)))
