# -*- test-case-name: tests.config.test_host -*-
"""
The C{[host]} table: its values refer to each other, so it is read in steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from sockhost.config.fit import Misfit, found, in_order
from sockhost.config.placeholders import COMMON, Source, besides, expand
from sockhost.config.structure import keys, make
from sockhost.config.values import HostSettings

_PATHS = ("run_dir", "log_dir", "control")


def read_host(
    table: Mapping[str, Any], config_dir: str, run_dir: str | None, base: str = ""
) -> tuple[HostSettings | None, dict[str, Source], list[Misfit]]:
    """
    Read the host's table.

    @param config_dir: the absolute directory of the file.
    @param run_dir: stands in for the table's C{run_dir} if it is not C{None}.
    @param base: where relative paths start; empty for the current directory.
    @return: the settings with absolute paths; what the placeholders in units
        stand for; and all that is wrong, in which case there are no settings.
    """
    given = {**table, **_path_defaults(table)}
    if run_dir is not None:
        given["run_dir"] = run_dir.replace("{", "{{").replace("}", "}}")
    sources: dict[str, Source] = {"config_dir": config_dir, **COMMON}
    misfits: list[Misfit] = []
    plain: dict[str, Any] = {}
    for key in (*_PATHS, *(key for key in given if key not in _PATHS)):
        value, wrong = expand({key: given[key]}, sources)
        misfits.extend(wrong)
        plain[key] = _absolute(key, value[key], base)
        if key in ("run_dir", "log_dir"):
            # A bad one is reported once, not again wherever it is used.
            sources[key] = plain[key] if isinstance(plain[key], str) else "/bad"
    settings, unfit = make(HostSettings, {key: plain[key] for key in given})
    misfits += besides(misfits, unfit)
    told = [
        attrs.evolve(one, value=found(given, one.path))
        for one in in_order(misfits, given)
    ]
    return (None if misfits else settings), sources, told


def _path_defaults(table: Mapping[str, Any]) -> dict[str, Any]:
    missing = [key for key in _PATHS if key not in table]
    return {key: keys(HostSettings)[key].default for key in missing}


def _absolute(key: str, value: Any, base: str) -> Any:
    if key in _PATHS and isinstance(value, str) and value:
        return os.path.abspath(os.path.join(base, value))
    return value
