# -*- test-case-name: tests.supervise.test_program -*-
"""
What the units that run a program have in common in their configuration, and
what becomes of it when it is executed.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from attrs.validators import optional

from sockhost.config import command, not_empty, not_negative, positive
from sockhost.interfaces import SockhostError
from sockhost.processes.child import signal_number
from sockhost.processes.leftovers import MARK
from sockhost.processes.output import BACKUPS, MAX_BYTES, OutputLog
from sockhost.processes.privileges import find_credentials
from sockhost.processes.spec import ChildSpec

#: What the host's own manager told the host, and nobody else.
_OURS_ALONE = frozenset(
    (
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "MAINPID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    )
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def signal_name(_instance: object, _attribute: object, value: str) -> None:
    """
    Accept the name of a signal, C{"TERM"} or C{"SIGTERM"}.

    @raise ValueError: there is no such signal.
    """
    try:
        signal_number(value)
    except ValueError:
        raise ValueError('expected the name of a signal, such as "SIGTERM"') from None


def octal_mask(_instance: object, _attribute: object, value: str) -> None:
    """
    Accept a file mode mask in octal digits.

    @raise ValueError: it is none.
    """
    if not re.fullmatch(r"0?[0-7]{1,3}", value):
        raise ValueError('expected a mask in octal digits, such as "0022"')


def variables(_instance: object, _attribute: object, value: dict[str, str]) -> None:
    """
    Accept variables for an environment.

    @raise ValueError: one of them cannot be in any.
    """
    for name, text in value.items():
        if not name or "=" in name or "\0" in name + text:
            raise ValueError('expected names without "=", and no NUL characters')


@frozen(kw_only=True)
class ProgramConfig:
    """
    A program and its surroundings.

    @ivar argv: the program and its arguments; there is no shell.
    @ivar env: variables that are added to the host's environment.  The host
        itself sets C{SOCKHOST_UNIT} and C{SOCKHOST_RUN}, by which the next host
        finds what was left running if this one is killed.
    @ivar clear_env: begin with an empty environment instead of the host's.
    @ivar env_file: a file of C{NAME=value} lines that are added before C{env};
        read at every start.
    @ivar cwd: the directory to run in; by default that of the host.
    @ivar user: name or number of the user to run as.
    @ivar group: name or number of the group to run as.
    @ivar umask: the file mode mask, in octal digits.
    @ivar stop_signal: what asks the program, and all that it started, to end.
    @ivar grace: seconds that they have for it before they are killed.
    @ivar log_max_bytes: the size at which the log of the output is rotated.
    @ivar log_backups: how many older logs are kept.
    """

    argv: tuple[str, ...] = field(validator=command)
    env: dict[str, str] = field(factory=dict, validator=variables)
    clear_env: bool = False
    env_file: str | None = field(default=None, validator=optional(not_empty))
    cwd: str | None = field(default=None, validator=optional(not_empty))
    user: str | None = None
    group: str | None = None
    umask: str = field(default="0022", validator=octal_mask)
    stop_signal: str = field(default="SIGTERM", validator=signal_name)
    grace: float = field(default=10.0, validator=not_negative)
    log_max_bytes: int = field(default=MAX_BYTES, validator=positive)
    log_backups: int = field(default=BACKUPS, validator=not_negative)


def child_spec(
    config: ProgramConfig, name: str, extra: Mapping[str, str] | None = None
) -> ChildSpec:
    """
    Say what is to be executed for a unit.

    @param name: the unit's name.
    @param extra: variables that come before all others.
    @raise SockhostError: the file of variables cannot be used.
    """
    return ChildSpec(
        argv=config.argv,
        env={**environment(config, os.environ), MARK: name, **(extra or {})},
        cwd=config.cwd,
        user=config.user,
        group=config.group,
        umask=int(config.umask, 8),
    )


def environment(config: ProgramConfig, inherited: Mapping[str, str]) -> dict[str, str]:
    """
    Put a program's environment together.

    @raise SockhostError: the file of variables cannot be used.
    """
    result: dict[str, str] = {}
    if not config.clear_env:
        result = {k: v for k, v in inherited.items() if k not in _OURS_ALONE}
    if config.env_file is not None:
        result.update(_read_env_file(config.env_file))
    result.update(config.env)
    return result


def parse_env_file(text: str) -> dict[str, str]:
    """
    Parse C{NAME=value} lines.  Empty lines and those that begin with C{#} are
    skipped; C{export} in front is skipped; a value in a pair of quotes is taken
    without them.  Nothing in a value is replaced.

    @raise ValueError: a line is none of these; the text says which.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not _NAME.fullmatch(name) or "\0" in value:
            raise ValueError(f"line {number} is not NAME=value")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name] = value
    return found


def check_account(config: ProgramConfig) -> None:
    """
    Look whether the user and the group of a program exist.

    @raise SockhostError: one of them does not.
    """
    try:
        find_credentials(config.user, config.group)
    except LookupError as error:
        raise SockhostError(str(error)) from error


def output_log(config: ProgramConfig, log_dir: str, name: str) -> OutputLog:
    """Make the log of a unit's output."""
    return OutputLog(
        os.path.join(log_dir, f"{name}.log"), config.log_max_bytes, config.log_backups
    )


def stop_signal_of(config: ProgramConfig) -> signal.Signals:
    """Look up the number of the stop signal."""
    return signal.Signals(signal_number(config.stop_signal))


def _read_env_file(path: str) -> dict[str, Any]:
    try:
        return parse_env_file(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise SockhostError(f"env_file {path} cannot be used: {error}") from error
