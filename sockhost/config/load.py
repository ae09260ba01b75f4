# -*- test-case-name: tests.config.test_load -*-
"""
From files to a L{Config}.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from sockhost._errors import ConfigError
from sockhost.config.files import Document, read_all
from sockhost.config.graph import dependency_problems, in_order
from sockhost.config.host import read_host
from sockhost.config.placeholders import Source
from sockhost.config.text import NOTHING, key_path, unknown
from sockhost.config.units import Draft, read_unit
from sockhost.config.values import (
    Changes,
    Config,
    HostSettings,
    Problem,
    Quarantined,
)

if TYPE_CHECKING:
    from sockhost.interfaces import IUnitKind


def load(
    path: str,
    kinds: Mapping[str, IUnitKind],
    *,
    strict: bool = False,
    run_dir: str | None = None,
    base: str = "",
) -> Config:
    """
    Read a configuration file and C{units.d/*.toml} beside it, and check them
    whole.

    What is wrong with one unit quarantines this unit.  What is wrong with a
    file as a whole, with the C{[host]} table, or outside of both tables makes
    the configuration unusable.

    @param path: the main file.
    @param kinds: the kinds of units by their names.
    @param strict: treat what is wrong with a unit like the rest.
    @param run_dir: the run directory, instead of the one in the file.
    @param base: where the relative paths of the C{[host]} table start; empty for
        the current directory.
    @raise ConfigError: it cannot be used; with every problem of every file.
        Nothing else is raised.
    """
    try:
        config_dir = os.path.dirname(os.path.abspath(path))
        os.getcwd()
    except OSError as error:
        reason = f"the current directory cannot be found: {error.strerror}"
        raise ConfigError([Problem(path, "", NOTHING, reason)]) from error
    documents, fatal = read_all(path)
    host, sources, misfits = read_host(documents[0].host, config_dir, run_dir, base)
    fatal += [misfit.problem(path, "host") for misfit in misfits]
    drafts, duplicates = _read_units(documents, kinds, sources)
    fatal += _wait_for_problems(path, host, drafts)
    bad = _in_file_order(documents, [*_all_problems(drafts), *duplicates])
    all_count = strict or (host is not None and host.strict)
    if all_count and (fatal or bad):
        raise ConfigError(_in_file_order(documents, [*fatal, *bad]))
    if host is None or fatal:
        # What ends the start first, then what would have cost one unit.
        raise ConfigError([*_in_file_order(documents, fatal), *bad])
    return _config(path, host, drafts, bad)


def _read_units(
    documents: Sequence[Document],
    kinds: Mapping[str, IUnitKind],
    sources: Mapping[str, Source],
) -> tuple[list[Draft], list[Problem]]:
    drafts: dict[str, Draft] = {}
    duplicates = []
    for document in documents:
        for name, raw in document.units.items():
            if name in drafts:
                expected = f"a unit of this name stands in {drafts[name].file} already"
                key = key_path("unit", (name,))
                duplicates.append(Problem(document.file, key, NOTHING, expected))
            else:
                drafts[name] = read_unit(name, raw, document.file, kinds, sources)
    more = dependency_problems(list(drafts.values()))
    whole = [_blamed(draft, more.get(draft.name, ())) for draft in drafts.values()]
    return whole, duplicates


def _blamed(draft: Draft, problems: Iterable[Problem]) -> Draft:
    return attrs.evolve(draft, problems=(*draft.problems, *problems))


def _wait_for_problems(
    path: str, host: HostSettings | None, drafts: Sequence[Draft]
) -> list[Problem]:
    names = [draft.name for draft in drafts]
    return [
        Problem(path, f"host.wait_for[{index}]", name, unknown("unit", name, names))
        for index, name in enumerate(host.wait_for if host else ())
        if name not in names
    ]


def _all_problems(drafts: Iterable[Draft]) -> list[Problem]:
    return [problem for draft in drafts for problem in draft.problems]


def _in_file_order(
    documents: Sequence[Document], problems: Iterable[Problem]
) -> list[Problem]:
    files = {document.file: index for index, document in enumerate(documents)}
    return sorted(problems, key=lambda one: files.get(one.file, len(files)))


def _config(
    path: str, host: HostSettings, drafts: Sequence[Draft], problems: Sequence[Problem]
) -> Config:
    good = [draft.config for draft in drafts if draft.config and not draft.problems]
    return Config(
        path=os.path.abspath(path),
        host=host,
        units=in_order(good),
        quarantined=tuple(
            Quarantined(name=draft.name, kind=draft.kind, problems=draft.problems)
            for draft in drafts
            if draft.problems
        ),
        problems=tuple(problems),
    )


def changes(old: Config, new: Config) -> Changes:
    """
    Say what has to be done to come from one configuration to another.  A unit
    that merely moved to another file is unchanged.
    """
    before, after = _by_name(old), _by_name(new)
    both = [name for name in after if name in before]
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in both if before[name] != after[name]),
        unchanged=tuple(name for name in both if before[name] == after[name]),
    )


def _by_name(config: Config) -> dict[str, object]:
    good: dict[str, object] = {
        unit.name: attrs.evolve(unit, source="") for unit in config.units
    }
    bad = {
        unit.name: [str(one) for one in unit.problems] for unit in config.quarantined
    }
    return {**good, **bad}
