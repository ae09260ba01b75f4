# -*- test-case-name: tests.config.test_files -*-
"""
The files of a configuration: which there are, reading them, and writing one in
C{units.d/} so that it is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from sockhost._errors import ConfigError
from sockhost.config.checks import UNIT_NAME, UNIT_NAME_EXPECTED
from sockhost.config.text import NOTHING, key_part, unknown
from sockhost.config.values import Problem

UNITS_D = "units.d"
_DEPTH_MAX = 50
_SIZE_MAX = 16 * 1024 * 1024


@frozen
class Document:
    """
    One file that was read.

    @ivar host: its C{[host]} table; empty in a file of C{units.d/}.
    @ivar units: its C{[unit.NAME]} tables, which may yet be anything.
    """

    file: str
    host: Mapping[str, Any]
    units: Mapping[str, Any]


def read_all(path: str) -> tuple[list[Document], list[Problem]]:
    """
    Read a configuration file and those in C{units.d/} beside it, in the order
    of their names.

    @return: what could be read, and everything that is wrong with files as a
        whole.
    """
    problems: list[Problem] = []
    documents = [_document(path, ("host", "unit"), problems)]
    for file in _unit_files(os.path.join(os.path.dirname(path), UNITS_D), problems):
        documents.append(_document(file, ("unit",), problems))
    return documents, problems


def _unit_files(directory: str, problems: list[Problem]) -> list[str]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        problems.append(_unreadable(directory, error))
        return []
    return [
        os.path.join(directory, name)
        for name in names
        if name.endswith(".toml") and not name.startswith(".")
    ]


def _document(
    file: str, sections: tuple[str, ...], problems: list[Problem]
) -> Document:
    content = _parsed(file, problems)
    tables: dict[str, dict[str, Any]] = {"host": {}, "unit": {}}
    for key, value in content.items():
        if key == "host" and key not in sections:
            expected = "the host's table stands in the main file only"
        elif key not in sections:
            expected = unknown("key", key, sections)
        elif not isinstance(value, dict):
            expected = "expected a table"
        else:
            tables[key] = value
            continue
        problems.append(Problem(file, key_part(key), value, expected))
    return Document(file, tables["host"], tables["unit"])


def _parsed(file: str, problems: list[Problem]) -> dict[str, Any]:
    try:
        text = _content(file).decode("utf-8")
    except (OSError, ValueError) as error:
        problems.append(_unreadable(file, error))
        return {}
    try:
        content = _toml(text)
    except ValueError as error:
        problems.append(Problem(file, "", NOTHING, f"not valid TOML: {error}"))
        return {}
    return content


def _content(file: str) -> bytes:
    # A pipe would have the host wait, and a device never ends.
    with open(file, "rb", opener=_open_now) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError("not a regular file")
        content = stream.read(_SIZE_MAX + 1)
    if len(content) > _SIZE_MAX:
        raise ValueError(f"it has more than {_SIZE_MAX} bytes")
    return content


def _open_now(file: str, flags: int) -> int:
    return os.open(file, flags | os.O_NONBLOCK)


def _unreadable(file: str, error: OSError | ValueError) -> Problem:
    if isinstance(error, UnicodeDecodeError):
        return Problem(file, "", NOTHING, f"not UTF-8 at byte {error.start}")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Problem(file, "", NOTHING, f"cannot be read: {reason}")


def _toml(text: str) -> dict[str, Any]:
    """
    @raise ValueError: it is not TOML (what C{tomllib} raises is one), or goes
        too deep for those that walk through it.
    """
    try:
        content = tomllib.loads(text)
    except RecursionError:
        content = {}
        deep = True
    else:
        deep = _is_deep(content)
    if deep:
        raise ValueError(f"it is nested more than {_DEPTH_MAX} deep")
    return content


def _is_deep(content: dict[str, Any]) -> bool:
    level: list[Any] = [content]
    for _ in range(_DEPTH_MAX):
        level = [
            item
            for part in level
            for item in (part.values() if isinstance(part, dict) else part)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def write_unit(
    units_d: str, name: str, text: str, *, fsync: Callable[[int], None] = os.fsync
) -> str:
    """
    Write C{units.d/NAME.toml} so that a reader, and a machine that loses its
    power, sees the file as it was before or as it is now.  For programs that
    add units to a host while it runs: have it reconfigure afterwards.  Nothing
    in the host itself writes there.

    @param units_d: the directory; it is made if it is missing.
    @param text: the whole file.  Only the owner can read it, as it may hold secrets.
    @param fsync: for tests.
    @return: the path of the file.
    @raise ConfigError: the name or the text cannot be used.
    @raise OSError: it could not be written; the former file is untouched.
    """
    path = os.path.join(units_d, f"{name}.toml")
    _check_unit_file(path, name, text)
    is_new = not os.path.isdir(units_d)
    os.makedirs(units_d, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{name}.", dir=units_d)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            fsync(stream.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise
    _sync_directory(units_d, fsync)
    if is_new:
        _sync_directory(os.path.dirname(os.path.abspath(units_d)), fsync)
    return path


def _check_unit_file(path: str, name: str, text: str) -> None:
    if not UNIT_NAME.fullmatch(name):
        raise ConfigError([Problem(path, "unit", name, UNIT_NAME_EXPECTED)])
    try:
        _toml(text)
    except ValueError as error:
        raise ConfigError(
            [Problem(path, "", NOTHING, f"not valid TOML: {error}")]
        ) from error


def _sync_directory(path: str, fsync: Callable[[int], None]) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)
