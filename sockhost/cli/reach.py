# -*- test-case-name: tests.cli.test_reach -*-
"""
Finding the host that a command is for, and turning what it will not do into
the end of the command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from sockhost.cli.exits import ExitStatus, Failed
from sockhost.control.client import (
    ControlClient,
    ControlError,
    HostNotRunning,
    HostSilent,
)
from sockhost.control.place import find_control

_F = TypeVar("_F", bound=Callable[..., Any])

VARIABLE = "SOCKHOST_RUN_DIR"
DEFAULT = "run"
LONGER = 10.0
"""Seconds that a host may be late with the answer that its time is up."""
STREAM_SILENCE = 60.0
"""Seconds after which a stream is dead: four keep-alives have not come."""

run_dir_option = click.option(
    "--run-dir",
    metavar="DIR",
    help=f"Run directory of the host (else ${VARIABLE}, else ./{DEFAULT}).",
)

own_run_dir_option = click.option(
    "--run-dir", metavar="DIR", help="Run directory, instead of the one in the file."
)
"""For the commands that read a configuration themselves."""


def run_dir_given(own: str | None) -> str | None:
    """The run directory that the command line says, behind or before the command."""
    given: str | None = own or click.get_current_context().find_root().obj
    return given


def control_path(own: str | None) -> str:
    """
    Say where the control socket of the host is.

    @param own: the C{--run-dir} behind the command's name.
    """
    run_dir = run_dir_given(own) or os.environ.get(VARIABLE) or DEFAULT
    return find_control(run_dir)


def connect(run_dir: str | None, timeout: float | None = 60.0) -> ControlClient:
    """
    Make the client of the host.

    @param timeout: seconds that the host takes for an answer at most.
    """
    wait = None if timeout is None else timeout + LONGER
    return ControlClient(control_path(run_dir), wait)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn every way in which the host does not do it into L{Failed}."""
    try:
        yield
    except ControlError as error:
        raise Failed(str(error), _status(error)) from None
    except HostNotRunning as error:
        raise Failed(str(error), ExitStatus.NO_HOST) from None
    except HostSilent as error:
        raise Failed(str(error), ExitStatus.TIMED_OUT) from None


def _status(error: ControlError) -> ExitStatus:
    kinds = {"timeout": ExitStatus.TIMED_OUT, "config": ExitStatus.CONFIG}
    return kinds.get(error.kind, ExitStatus.REFUSED)
