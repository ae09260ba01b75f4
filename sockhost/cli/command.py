# -*- test-case-name: tests.cli.test_command -*-
"""
The C{sockhost} command as a whole, and how it ends.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from sockhost import __version__
from sockhost.cli import clients, hosts, local, sending, units
from sockhost.cli.exits import ExitStatus, Failed, complain
from sockhost.cli.reach import run_dir_option


class _Commands(click.Group):
    """Ends quietly when it is interrupted or nobody reads on."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            # There is none where it was closed before.
            if sys.stdout is not None:
                sys.stdout.flush()
        except KeyboardInterrupt:
            raise click.exceptions.Exit(ExitStatus.INTERRUPTED) from None
        except BrokenPipeError:
            raise click.exceptions.Exit(ExitStatus.BROKEN_PIPE) from None
        return result


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="sockhost", message="%(prog)s %(version)s")
@run_dir_option
@click.pass_context
def sockhost(context: click.Context, run_dir: str | None) -> None:
    """See and steer a sockhost host."""
    context.obj = run_dir


for _command in (
    local.run,
    local.check,
    units.status,
    units.start,
    units.stop,
    units.restart,
    units.reload,
    units.logs,
    clients.clients,
    clients.kick,
    hosts.events,
    hosts.metrics,
    sending.send,
    hosts.reconfigure,
    hosts.reopen_logs,
    hosts.shutdown,
):
    sockhost.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @param arguments: those behind its name; C{None} for those of the process.
    @return: its exit status.  Whatever it has to say of an error is printed.
    """
    try:
        status = sockhost.main(arguments, prog_name="sockhost", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return ExitStatus.USAGE
    except Failed as error:
        error.show()
        return error.status
    except click.Abort:
        return ExitStatus.INTERRUPTED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        complain(f"the output cannot be written: {error.strerror}")
        return ExitStatus.REFUSED
    return status or ExitStatus.OK


def main() -> NoReturn:
    """The entry point of the C{sockhost} script."""
    status = run()
    if status == ExitStatus.BROKEN_PIPE or not _is_flushed():
        # The interpreter flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _is_flushed() -> bool:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        return False
    return True
