"""Tests of the commands about clients."""

from __future__ import annotations

import json

from tests.cli.memory import CommandTestCase, invoke
from tests.control.fakes import unit
from tests.control.test_api import CLIENT


class ClientsTests(CommandTestCase):
    """sockhost clients, kick"""

    def setUp(self) -> None:
        """Let one unit have a client."""
        super().setUp()
        hidden = {**CLIENT, "id": "2.8", "pid": None}
        self.host.connected["kv"] = [CLIENT, hidden]

    def test_table(self) -> None:
        """Each client is a line; what nobody knows is a dash."""
        outcome = invoke("clients", "kv")
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        heading, first, second = outcome.out.splitlines()
        self.assertTrue(heading.startswith("CLIENT  PID  UID   GID  SINCE"))
        self.assertEqual(first.split()[:4], ["2.7", "42", "1000", "100"])
        self.assertEqual(first.split()[-6:], ["3", "2", "30", "20", "1", "0"])
        self.assertEqual(second.split()[:2], ["2.8", "-"])

    def test_json(self) -> None:
        """The JSON is that of the API."""
        said = json.loads(invoke("clients", "kv", "--json").out)
        self.assertEqual(said, self.host.connected["kv"])

    def test_none(self) -> None:
        """That nobody is connected is said."""
        self.host.connected["kv"] = []
        self.assertEqual(invoke("clients", "kv").out, "no clients\n")

    def test_silent(self) -> None:
        """A worker that did not answer is named, as its clients are missing."""
        workers = [{"index": 1}, {"index": 2, "silent": True}]
        self.host.units["kv"] = unit("kv", details={"workers": workers})
        for more in ((), ("--json",)):
            outcome = invoke("clients", "kv", *more)
            self.assertIn("2.7", outcome.out)
            self.assertEqual(
                (outcome.status, outcome.err),
                (75, "sockhost: worker 2 does not answer: its clients are not shown\n"),
            )

    def test_other_kind(self) -> None:
        """A unit that is no socket has no clients."""
        self.assertIn("it is no socket", self.refused(1, "clients", "store"))

    def test_kick(self) -> None:
        """Each client is dropped in turn."""
        outcome = invoke("kick", "kv", "2.7", "2.8")
        self.assertEqual(
            outcome.out, "kv: client 2.7 is dropped\nkv: client 2.8 is dropped\n"
        )
        self.assertEqual([call.name for call in self.host.calls], ["kv 2.7", "kv 2.8"])

    def test_kick_all(self) -> None:
        """One that is not there keeps no other from being dropped."""
        outcome = invoke("kick", "kv", "9", "2.7")
        self.assertEqual(
            (outcome.status, outcome.out), (1, "kv: client 2.7 is dropped\n")
        )
        self.assertIn("9: no client '9' is connected", outcome.err)

    def test_kick_unknown(self) -> None:
        """A client that is not there is refused in one line."""
        self.assertIn("no client '9'", self.refused(1, "kick", "kv", "9"))
