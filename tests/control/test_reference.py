# -*- test-case-name: tests.control.test_reference -*-
"""
Tests for what C{docs/reference/control.md} says of the details of units.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import fields
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import structure
from sockhost.plugins import kinds
from sockhost.sockets.limits import Counters
from sockhost.testing.units import MemoryUnitHost

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "control.md"
KINDS = kinds()
CLUSTER = "redis+cluster://127.0.0.1:1"


def told() -> dict[str, list[str]]:
    """The keys that each row of the table names, in their order."""
    table = PAGE.read_text().partition("### Details")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)
    without = re.compile(r"\([^)]*\)")
    return {
        head.replace("`", ""): re.findall(r"`([a-z_]+)`", without.sub("", keys))
        for head, keys in rows
    }


class DetailsTests(SynchronousTestCase):
    """The table names the keys that the units have."""

    def details(self, kind: str, **table: Any) -> list[str]:
        """The keys that a unit has before it is started."""
        config = structure(KINDS[kind].config_class, table)
        unit = KINDS[kind].make("a", config, MemoryUnitHost(self.mktemp()))
        return list(unit.status())

    def test_programs(self) -> None:
        """Units that run a program have all their keys at any time."""
        told_of = told()
        self.assertEqual(self.details("process", argv=["a"]), told_of["process"])
        cron = self.details("cron", argv=["a"], schedule="* * * * *")
        self.assertEqual(cron, told_of["cron"])

    def test_clients(self) -> None:
        """So have clients and plugins."""
        told_of = told()
        client = self.details("socket-client", path="s")
        self.assertEqual(client, told_of["socket-client"])
        self.assertEqual(self.details("redis", url="redis://h"), told_of["redis"])
        self.assertEqual(self.details("tap", tap="web"), told_of["tap"])
        cluster = self.details("redis", url=CLUSTER)
        self.assertEqual(cluster, told_of["redis of a cluster"][: len(cluster)])

    def test_sockets(self) -> None:
        """A socket has counters while it serves, and workers describe themselves."""
        told_of = told()
        inside = self.details("socket", path="s", handler="a:B")
        counters = {each.name for each in fields(Counters)}
        self.assertEqual(
            {*told_of["socket"]},
            {*inside, *counters, "clients", "buffered", "latency"},
        )
        forked = self.details("socket", path="s", handler="a:B", workers=1)
        self.assertEqual(forked, told_of["socket with workers"][: len(forked)])
