# -*- test-case-name: tests.test_plugins -*-
"""
Finding the kinds of units: sockhost's own and those of installed packages,
all in the same way, by L{twisted.plugin}.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType

import attrs
import twisted.plugins
from twisted.logger import Logger
from twisted.plugin import getPlugins
from zope.interface.verify import verifyObject

from sockhost.interfaces import IUnitKind

log = Logger()


def kinds(package: ModuleType = twisted.plugins) -> Mapping[str, IUnitKind]:
    """
    Find all kinds.

    A plugin module that cannot be imported, and an object that is no good as a
    kind, are logged with the reason and left out: one broken package must not
    cost the others.  Of two kinds with one name, sockhost's own wins, and
    otherwise the one found first.

    @param package: where to look.
    @return: kinds by their names.
    """
    found: dict[str, IUnitKind] = {}
    for kind in _ours_first(getPlugins(IUnitKind, package)):
        problem = _problem(kind)
        if problem is not None:
            log.error(
                "kind {kind!r} is not used: {problem}", kind=kind, problem=problem
            )
        elif kind.name in found:
            log.error(
                "kind {name!r} of {kind!r} is not used: {other!r} has that name",
                name=kind.name,
                kind=kind,
                other=found[kind.name],
            )
        else:
            found[kind.name] = kind
    return found


def _ours_first(found: Iterable[IUnitKind]) -> list[IUnitKind]:
    return sorted(found, key=lambda kind: not _is_ours(kind))


def _is_ours(kind: object) -> bool:
    return type(kind).__module__.partition(".")[0] == "sockhost"


def _problem(kind: IUnitKind) -> str | None:
    try:
        verifyObject(IUnitKind, kind)
    except Exception as error:
        # What a foreign object raises when it is looked at is its own affair.
        return " ".join(str(error).split())
    if not isinstance(kind.name, str) or not kind.name:
        return "its name is not a string"
    if not inspect.isclass(kind.config_class) or not attrs.has(kind.config_class):
        return "its config_class is not an attrs class"
    return None
