# -*- test-case-name: tests.cli.test_clients -*-
"""
The commands about the clients of a unit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sockhost.cli.exits import ExitStatus, complain
from sockhost.cli.reach import connect, refusals, run_dir_option
from sockhost.cli.table import age, align
from sockhost.cli.units import for_each
from sockhost.control.client import target

HEADINGS = (
    "CLIENT",
    "PID",
    "UID",
    "GID",
    "SINCE",
    "FRAMES IN",
    "OUT",
    "BYTES IN",
    "OUT",
    "IN FLIGHT",
    "QUEUED",
)

_COUNTS = ("frames_in", "frames_out", "bytes_in", "bytes_out", "in_flight", "queued")


@click.command()
@click.argument("unit")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON of the API.")
@run_dir_option
def clients(unit: str, as_json: bool, run_dir: str | None) -> None:
    """Show who is connected to the socket of a UNIT."""
    host = connect(run_dir)
    with refusals():
        found = host.request("GET", target("units", unit, "clients"))
        details = host.request("GET", target("units", unit))["details"]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _show(found)
    silent = [one["index"] for one in details.get("workers", ()) if one.get("silent")]
    for index in silent:
        complain(f"worker {index} does not answer: its clients are not shown")
    if silent:
        raise click.exceptions.Exit(ExitStatus.TIMED_OUT)


def _show(found: Sequence[Mapping[str, Any]]) -> None:
    if not found:
        click.echo("no clients")
        return
    now = time.time()
    for line in align([HEADINGS, *(_cells(client, now) for client in found)]):
        click.echo(line.rstrip())


@click.command()
@click.argument("unit")
@click.argument("client", nargs=-1, required=True)
@run_dir_option
def kick(unit: str, client: tuple[str, ...], run_dir: str | None) -> None:
    """
    Drop each CLIENT of a UNIT, as "sockhost clients" calls it.  All are tried.
    """
    host = connect(run_dir)

    def one(name: str) -> str:
        host.request("POST", target("units", unit, "clients", name, "kick"))
        return f"{unit}: client {name} is dropped"

    for_each(client, one)


def _cells(client: Mapping[str, Any], now: float) -> list[str]:
    who = (_text(client[name]) for name in ("id", "pid", "uid", "gid"))
    counts = (str(client[name]) for name in _COUNTS)
    return [*who, age(now - client["connected_at"]), *counts]


def _text(value: object) -> str:
    return "-" if value is None else str(value)
