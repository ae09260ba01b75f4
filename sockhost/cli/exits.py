# -*- test-case-name: tests.cli.test_command -*-
"""
How the command ends: C{sysexits.h}, as far as it fits.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import click


class ExitStatus(IntEnum):
    """The exit statuses of every command."""

    OK = 0
    REFUSED = 1
    """The host said no, or what was asked for failed."""
    USAGE = 64
    """The command line makes no sense."""
    NO_HOST = 69
    """No host is running there."""
    TIMED_OUT = 75
    """It was not done in time."""
    CONFIG = 78
    """The configuration is bad."""
    INTERRUPTED = 130
    """Ctrl-C, as a shell counts SIGINT."""
    BROKEN_PIPE = 141
    """Nobody reads the output any more, as a shell counts SIGPIPE."""


class Failed(click.ClickException):
    """
    Ends the command with one line on the standard error output.

    @ivar status: what the command ends with.
    """

    def __init__(self, text: str, status: ExitStatus = ExitStatus.REFUSED) -> None:
        super().__init__(text)
        self.status = status

    def show(self, file: object = None) -> None:
        """Print it."""
        complain(self.message)


class Seconds(click.FloatRange):
    """A time on the command line."""

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Read it.  What is no number passes every comparison of a range."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return seconds


def complain(text: str) -> None:
    """Print a line about what went wrong."""
    click.echo(f"sockhost: {text}", err=True)
