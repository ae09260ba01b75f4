# -*- test-case-name: tests.cli.test_local -*-
"""
The commands that need no running host.  What they need is imported when they
are called: the rest of the command line is to start fast.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import click

from sockhost.cli.exits import ExitStatus
from sockhost.cli.reach import own_run_dir_option, run_dir_given


@click.command()
@click.argument("file", metavar="FILE")
@own_run_dir_option
def check(file: str, run_dir: str | None) -> None:
    """Check the configuration in FILE and print all that is wrong with it."""
    from sockhost.host.start import Start
    from sockhost.interfaces import ConfigError

    start = Start(config=file, run_dir=run_dir_given(run_dir), strict=True)
    try:
        with _errors_shown():
            config = start.read()
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise click.exceptions.Exit(ExitStatus.CONFIG) from None
    count = len(config.units)
    click.echo(f"ok: {count} unit{'' if count == 1 else 's'}")


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Print what is logged as an error meanwhile, such as a plugin that is broken."""
    from twisted import logger

    text = logger.textFileLogObserver(sys.stderr, timeFormat=None)

    def show(event: logger.LogEvent) -> None:
        # While nothing is begun, Twisted itself prints what is critical.
        if event.get("log_level") is logger.LogLevel.error:
            text(event)

    observer = cast(logger.ILogObserver, show)
    logger.globalLogPublisher.addObserver(observer)
    try:
        yield
    finally:
        logger.globalLogPublisher.removeObserver(observer)


@click.command()
@click.option("--config", metavar="FILE", required=True, help="The configuration.")
@click.option("--strict", is_flag=True, help="A bad unit is an error of the whole.")
@click.option(
    "--startup-fd",
    metavar="N",
    type=click.IntRange(0, 2**31 - 1),
    help="Descriptor that gets four zero bytes when the host is ready.",
)
@click.option(
    "--watch-pid",
    metavar="PID",
    type=click.IntRange(1, 2**31 - 1),
    help="Stop when this process ends.",
)
@own_run_dir_option
def run(
    config: str,
    strict: bool,
    startup_fd: int | None,
    watch_pid: int | None,
    run_dir: str | None,
) -> None:
    """Run a host here, as "twistd -n sockhost" does."""
    from sockhost.host.foreground import main

    main(
        config,
        run_dir=run_dir_given(run_dir),
        strict=strict,
        startup_fd=startup_fd,
        watch_pid=watch_pid,
    )
