# -*- test-case-name: tests.test_config_load -*-
"""
The C{[host]} table: its values refer to each other, so it is read in steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sockhost._config_fit import Misfit
from sockhost._config_placeholders import COMMON, Source, besides, expand
from sockhost._config_structure import keys, make
from sockhost._config_values import HostSettings

_PATHS = ("run_dir", "log_dir", "control")


def read_host(
    table: Mapping[str, Any], config_dir: str, run_dir: str | None
) -> tuple[HostSettings | None, dict[str, Source], list[Misfit]]:
    """
    Read the host's table.

    @param config_dir: the absolute directory of the file.
    @param run_dir: stands in for the table's C{run_dir} if it is not C{None}.
    @return: the settings with absolute paths; what the placeholders in units
        stand for; and all that is wrong, in which case there are no settings.
    """
    given = {**_path_defaults(), **table}
    if run_dir is not None:
        given["run_dir"] = run_dir.replace("{", "{{").replace("}", "}}")
    sources: dict[str, Source] = {"config_dir": config_dir, **COMMON}
    misfits: list[Misfit] = []
    plain: dict[str, Any] = {}
    for key in (*_PATHS, *(key for key in given if key not in _PATHS)):
        value, wrong = expand({key: given[key]}, sources)
        misfits.extend(wrong)
        plain[key] = _absolute(key, value[key])
        if key in ("run_dir", "log_dir") and isinstance(plain[key], str):
            sources[key] = plain[key]
    settings, unfit = make(HostSettings, {key: plain[key] for key in given})
    misfits += besides(misfits, unfit)
    return (None if misfits else settings), sources, misfits


def _path_defaults() -> dict[str, Any]:
    return {key: keys(HostSettings)[key].default for key in _PATHS}


def _absolute(key: str, value: Any) -> Any:
    if key in _PATHS and isinstance(value, str) and value:
        return os.path.abspath(value)
    return value
