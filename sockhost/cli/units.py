# -*- test-case-name: tests.cli.test_units -*-
"""
The commands about units.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from sockhost.cli.exits import ExitStatus, Failed, Seconds, complain
from sockhost.cli.reach import STREAM_SILENCE, connect, refusals, run_dir_option
from sockhost.cli.table import host_line, unit_page, unit_table
from sockhost.control.client import ControlClient, target

STATUS_TIMEOUT = 5.0
"""Seconds; a host answers at once, or something is wrong that has to be told."""


@click.command()
@click.argument("unit", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON of the API.")
@run_dir_option
def status(unit: str | None, as_json: bool, run_dir: str | None) -> None:
    """Show the host and its units, or all that is known of one UNIT."""
    with refusals():
        path = target("host") if unit is None else target("units", unit)
        said = connect(run_dir, STATUS_TIMEOUT).request("GET", path)
    if as_json:
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    for line in _page(said) if unit is None else unit_page(said, time.time()):
        click.echo(line)


def _page(host: dict[str, Any]) -> list[str]:
    now = time.time()
    problems = [f"problem: {problem}" for problem in host["problems"]]
    table = unit_table(host["units"], now) if host["units"] else ["no units"]
    return [host_line(host, now), *problems, "", *table]


def _steer(verb: str, text: str, done: str) -> click.Command:
    """Make the command that has the host do something to units."""

    @click.command(verb, help=text)
    @click.argument("unit", nargs=-1, required=True)
    @click.option(
        "--timeout",
        metavar="SECONDS",
        type=Seconds(min=0, max=604800),
        default=60.0,
        show_default=True,
        help="How long to wait for each unit.",
    )
    @click.option("--no-wait", is_flag=True, help="Do not wait until it is done.")
    @run_dir_option
    def command(
        unit: tuple[str, ...], timeout: float, no_wait: bool, run_dir: str | None
    ) -> None:
        client = connect(run_dir, timeout)
        query: dict[str, object] = {"wait": 0} if no_wait else {"timeout": timeout}

        def one(name: str) -> str:
            path = target("units", name, verb, **query)
            return _said(client.request("POST", path), done)

        for_each(unit, one)

    return command


def _said(answer: dict[str, Any], done: str) -> str:
    unit = answer["unit"]
    if not answer["done"]:
        return f"{unit['name']}: asked for, now {unit['state']}"
    if answer.get("in_place"):
        return f"{unit['name']}: reloaded in place, {unit['state']}"
    if "in_place" in answer and unit["goal"] == "down":
        return f"{unit['name']}: reloaded, {unit['state']}"
    return f"{unit['name']}: {done}, {unit['state']}"


def for_each(names: Sequence[str], one: Callable[[str], str]) -> None:
    """Try all; end with the status that all failures share, or else with 1."""
    statuses: set[ExitStatus] = set()
    for name in names:
        try:
            with refusals():
                click.echo(one(name))
        except Failed as failure:
            if failure.status == ExitStatus.NO_HOST:
                raise
            said = failure.message.removeprefix(f"{name}: ")
            complain(f"{name}: {said}")
            statuses.add(failure.status)
    if statuses:
        only = statuses.pop()
        raise click.exceptions.Exit(ExitStatus.REFUSED if statuses else only)


start = _steer("start", "Start each UNIT and what it requires.", "started")
stop = _steer("stop", "Stop each UNIT and keep it down.", "stopped")
restart = _steer("restart", "Take each UNIT down and up again.", "restarted")
reload = _steer(
    "reload", "Give each UNIT its present configuration again.", "restarted"
)


@click.command()
@click.argument("unit")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    default=100,
    show_default=True,
    help="How many lines to begin with.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added.")
@run_dir_option
def logs(unit: str, lines: int, follow: bool, run_dir: str | None) -> None:
    """Show the output of a UNIT."""
    client = connect(run_dir, STREAM_SILENCE)
    with refusals():
        if follow:
            _follow(client, target("units", unit, "logs", lines=lines, follow=1))
            return
        text = client.read("GET", target("units", unit, "logs", lines=lines))
    click.echo(text, nl=False)


def _follow(client: ControlClient, path: str) -> None:
    for line in client.stream(path):
        click.echo(line)
