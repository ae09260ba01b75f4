# -*- test-case-name: tests.cli.test_hosts -*-
"""
The commands about the host as a whole.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from sockhost.cli.exits import ExitStatus, Failed, Seconds
from sockhost.cli.reach import STREAM_SILENCE, connect, refusals, run_dir_option
from sockhost.control.client import target


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@run_dir_option
def events(as_json: bool, run_dir: str | None) -> None:
    """Show what happens in the host, as it happens."""
    client = connect(run_dir, STREAM_SILENCE)
    with refusals():
        for data in client.stream(target("events")):
            click.echo(data if as_json else event_line(json.loads(data)))


def event_line(event: dict[str, Any]) -> str:
    """Write an event for people: when, where, what."""
    at = datetime.fromtimestamp(event["at"]).strftime("%Y-%m-%d %H:%M:%S")
    fields = (f"{key}={value}" for key, value in event["fields"].items())
    return " ".join((at, event["unit"] or "host", event["event"], *fields))


@click.command()
@run_dir_option
def metrics(run_dir: str | None) -> None:
    """Print the numbers of the host and its units, for Prometheus."""
    with refusals():
        text = connect(run_dir).read("GET", target("metrics"))
    click.echo(text, nl=False)


@click.command()
@run_dir_option
def reconfigure(run_dir: str | None) -> None:
    """Have the host read its configuration again."""
    with refusals():
        changes = connect(run_dir).request("POST", target("reconfigure"))
    for word, names in changes.items():
        if names and word != "unchanged":
            click.echo(f"{word}: {', '.join(names)}")
    if not any(names for word, names in changes.items() if word != "unchanged"):
        click.echo("nothing changed")


@click.command("reopen-logs")
@run_dir_option
def reopen_logs(run_dir: str | None) -> None:
    """Have the host open its log files anew, after they were rotated."""
    with refusals():
        connect(run_dir).request("POST", target("reopen-logs"))


@click.command()
@click.option("--wait", is_flag=True, help="Wait until the host's process has ended.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Seconds(min=0, max=604800),
    default=60.0,
    show_default=True,
    help="How long to wait.",
)
@run_dir_option
def shutdown(wait: bool, timeout: float, run_dir: str | None) -> None:
    """
    Have the host stop its units and end.  A second time cuts the grace of the
    units short.
    """
    client = connect(run_dir)
    with refusals():
        if not wait:
            client.request("POST", target("shutdown"))
            return
        pid: int = client.request("GET", target("host"))["pid"]
        # Held from before the host is asked, so that it is this process whose
        # end is seen, whoever has its number then.
        with _watched(pid) as watch:
            client.request("POST", target("shutdown"))
            _await_end(watch, pid, timeout)


@contextmanager
def _watched(pid: int) -> Iterator[int]:
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        raise Failed(f"cannot see process {pid} of the host from here") from None
    try:
        yield watch
    finally:
        os.close(watch)


def _await_end(watch: int, pid: int, timeout: float) -> None:
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    if not poll.poll(timeout * 1000):
        text = f"process {pid} has not ended after {timeout:g} s; it goes on stopping"
        raise Failed(text, ExitStatus.TIMED_OUT)
