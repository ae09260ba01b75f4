"""Tests of the commands about units."""

from __future__ import annotations

import json
import sys
from tempfile import TemporaryDirectory

from attrs import evolve

from sockhost.interfaces import UnitFailed
from sockhost.status import Goal, State, to_json
from tests.cli.memory import CommandTestCase, Outcome, invoke


class StatusTests(CommandTestCase):
    """sockhost status"""

    def test_table(self) -> None:
        """The host and its units are shown, and what is wrong with the file."""
        self.host.problems = ("a.toml: unit.x = 3: expected a table",)
        outcome = invoke("status")
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        lines = outcome.out.splitlines()
        self.assertIn("fake ready", lines[0])
        self.assertEqual(lines[1], "problem: a.toml: unit.x = 3: expected a table")
        self.assertEqual(
            [line.split()[:1] for line in lines[3:]], [["NAME"], ["kv"], ["store"]]
        )
        self.assertNotIn("\x1b", outcome.out)

    def test_no_units(self) -> None:
        """A host without units is no error."""
        self.host.units.clear()
        self.assertIn("no units", invoke("status").out)

    def test_one(self) -> None:
        """One unit is a page of its own."""
        self.assertIn("path      /run/kv.sock\n", invoke("status", "kv").out)

    def test_json(self) -> None:
        """The JSON is that of the API."""
        said = json.loads(invoke("status", "--json").out)
        self.assertEqual(said, json.loads(json.dumps(to_json(self.host.status()))))
        self.assertEqual(json.loads(invoke("status", "kv", "--json").out)["name"], "kv")

    def test_unknown(self) -> None:
        """An unknown unit is refused in one line."""
        text = self.refused(1, "status", "x y")
        self.assertIn("no unit is called 'x y'; units here: kv, store", text)


class SteeringTests(CommandTestCase):
    """sockhost start, stop, restart, reload"""

    def test_done(self) -> None:
        """Each unit is asked for in turn and told when it is done."""
        for verb, word in (
            ("start", "started"),
            ("stop", "stopped"),
            ("restart", "restarted"),
            ("reload", "restarted"),
        ):
            self.host.at_once[verb] = None
            outcome = invoke(verb, "kv", "store")
            self.assertEqual(
                outcome, Outcome(0, f"kv: {word}, up\nstore: {word}, up\n", "")
            )
            asked = [(call.verb, call.name) for call in self.host.calls[-2:]]
            self.assertEqual(asked, [(verb, "kv"), (verb, "store")])

    def test_reloaded(self) -> None:
        """A unit that took its configuration in place is told so."""
        self.host.at_once["reload"] = True
        self.assertEqual(invoke("reload", "kv").out, "kv: reloaded in place, up\n")

    def test_reloaded_down(self) -> None:
        """Of one that is to stay down, nobody says that it was started."""
        self.host.at_once["reload"] = False
        down = evolve(self.host.units["kv"], goal=Goal.DOWN, state=State.DOWN)
        self.host.units["kv"] = down
        self.assertEqual(invoke("reload", "kv").out, "kv: reloaded, down\n")

    def test_no_wait(self) -> None:
        """Without waiting it is told what the unit is now."""
        outcome = invoke("stop", "kv", "--no-wait")
        self.assertEqual(outcome, Outcome(0, "kv: asked for, now up\n", ""))
        self.assertFalse(self.host.calls[0].done.called)

    def test_all_are_tried(self) -> None:
        """One that fails keeps none of the others from being tried."""
        self.host.at_once["restart"] = None
        outcome = invoke("restart", "x", "kv", "y")
        self.assertEqual((outcome.status, outcome.out), (1, "kv: restarted, up\n"))
        errors = outcome.err.splitlines()
        self.assertEqual(len(errors), 2)
        self.assertTrue(errors[0].startswith("sockhost: x: no unit is called 'x'"))

    def test_failed(self) -> None:
        """The reason of a failure is printed."""
        self.host.at_once["start"] = UnitFailed("exit code 1, 10 times")
        text = self.refused(1, "start", "kv")
        self.assertEqual(text, "sockhost: kv: exit code 1, 10 times\n")

    def test_timed_out(self) -> None:
        """When the time is up the status is 75; mixed with others it is 1."""
        text = self.refused(75, "stop", "kv", "--timeout", "0")
        self.assertEqual(text, "sockhost: kv: the host is silent\n")
        self.control.clock.advance(1)
        self.assertEqual(invoke("stop", "kv", "x", "--timeout", "0").status, 1)

    def test_timeout_is_told(self) -> None:
        """The host is told how long to wait, and the client waits longer."""
        clients = []
        init = self.client.__init__

        def remember(client: object, path: str, timeout: float | None) -> None:
            clients.append(timeout)
            init(client, path, timeout)  # type: ignore[arg-type]

        self.patch(self.client, "__init__", remember)
        self.host.at_once["stop"] = None
        invoke("stop", "kv", "--timeout", "100")
        self.assertEqual(clients, [110.0])

    def test_usage(self) -> None:
        """A unit has to be named, and a time-out be a number."""
        self.assertEqual(invoke("start").status, 64)
        self.assertEqual(invoke("start", "kv", "--timeout", "soon").status, 64)


class LogsTests(CommandTestCase):
    """sockhost logs"""

    def setUp(self) -> None:
        """Have a log."""
        super().setUp()
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.host.log_dir = directory.name
        with open(self.host.log_path("kv"), "w") as log:
            log.write("".join(f"line {n}\n" for n in range(200)))

    def test_tail(self) -> None:
        """The last hundred lines are printed, or as many as are asked for."""
        outcome = invoke("logs", "kv")
        self.assertEqual((outcome.status, outcome.out.count("\n")), (0, 100))
        self.assertEqual(invoke("logs", "kv", "-n", "2").out, "line 198\nline 199\n")

    def test_follow(self) -> None:
        """Following prints what comes, and says when the host goes away."""
        outcome = invoke("logs", "kv", "-f", "-n", "2")
        self.assertEqual((outcome.status, outcome.out), (69, "line 198\nline 199\n"))
        self.assertIn("it went away", outcome.err)

    def test_unknown(self) -> None:
        """An unknown unit is refused, followed or not."""
        self.assertIn("no unit is called 'x'", self.refused(1, "logs", "x"))
        self.assertIn("no unit is called 'x'", self.refused(1, "logs", "x", "-f"))

    def test_interrupted(self) -> None:
        """Ctrl-C ends it without a word, with status 130."""

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        self.patch(self.client, "stream", interrupted)
        self.assertEqual(invoke("logs", "kv", "-f"), Outcome(130, "", ""))

    def test_nobody_reads(self) -> None:
        """When nobody reads on it ends without a word."""

        class Broken:
            def write(self, *_: object) -> None:
                raise BrokenPipeError

            flush = write

        from sockhost.cli.command import run

        self.patch(sys, "stdout", Broken())
        self.assertEqual(run(["logs", "kv"]), 141)
