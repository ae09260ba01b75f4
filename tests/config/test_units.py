# -*- test-case-name: tests.config.test_units -*-
"""
Tests for L{sockhost.config.units}: what is wrong with one unit, or its kind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from sockhost.config import Problem, Quarantined, RestartPolicy
from tests.config.test_kinds import ConfigCase, FakeKind, PlainConfig


@frozen
class PatientKind(FakeKind):
    """A kind that has an opinion on restarts."""

    def usual_policy(self, table: Mapping[str, Any]) -> RestartPolicy:
        """Be patient, or break."""
        return RestartPolicy(budget=10 // len(table["description"]))


class UsualPolicyTests(ConfigCase):
    """What a kind thinks of restarts."""

    def test_policy(self) -> None:
        """A kind's own policy stands in for what the table does not say."""
        config = self.load(
            '[unit.a]\nkind = "plain"\ndescription = "12345"\nbackoff_max = 5.0\n',
            {"plain": PatientKind("plain", PlainConfig)},
        )
        self.assertEqual(
            config.units[0].policy, RestartPolicy(budget=2, backoff_max=5.0)
        )

    def test_broken(self) -> None:
        """A kind that cannot say it quarantines the unit."""
        problems = self.problems(
            '[unit.a]\nkind = "plain"\ndescription = ""\n',
            {"plain": PatientKind("plain", PlainConfig)},
        )
        self.assertEqual(
            problems,
            [
                (
                    'unit.a.kind = "plain": this kind cannot be used: '
                    "ZeroDivisionError: integer division or modulo by zero"
                )
            ],
        )


class UnitProblemTests(ConfigCase):
    """What is wrong with a unit quarantines it."""

    def test_others_run(self) -> None:
        """A bad unit is set aside with its problems; the others stay."""
        config = self.load(
            '[unit.bad]\nkind = "plain"\nx = 1\n'
            '[unit.good]\nkind = "plain"\nrequires = ["bad"]\n'
        )
        problem = Problem(self.path, "unit.bad.x", 1, "unknown key")
        self.assertEqual([one.name for one in config.units], ["good"])
        self.assertEqual(
            config.quarantined,
            (Quarantined(name="bad", kind="plain", problems=(problem,)),),
        )
        self.assertEqual(config.problems, (problem,))

    def test_unknown_key(self) -> None:
        """An unknown key is told with the one that is probably meant."""
        self.assertEqual(
            self.unit_problems('wrokers = 2\nbakoff = 1\nxyz = "q"'),
            [
                'unit.a.wrokers = 2: unknown key; did you mean "workers"?',
                'unit.a.bakoff = 1: unknown key; did you mean "backoff"?',
                'unit.a.xyz = "q": unknown key',
            ],
        )

    def test_unknown_key_in_table(self) -> None:
        """In a small table all keys are listed."""
        self.assertEqual(
            self.unit_problems("ready = { conect = 1 }"),
            [
                (
                    'unit.a.ready.conect = 1: unknown key; did you mean "connect"? '
                    'known here: "connect", "delay"'
                )
            ],
        )

    def test_wrong_types(self) -> None:
        """No value is turned into another type."""
        self.assertEqual(
            self.unit_problems(
                'workers = "2"\nargv = "ls"\nenv = { A = 1, B = true }\nmode = "x"\n'
                "ready = []\nmore = [{ delay = true }, 3]\nsize = 1.5\n"
                'enabled = 1\ndescription = 2\nafter = "b"\nrestart = "no"\n'
                'backoff = "1"\nbudget = 1.0\nhealthy_after = nan\njitter = false\n'
            ),
            [
                'unit.a.workers = "2": expected an integer',
                'unit.a.argv = "ls": expected an array',
                "unit.a.env.A = 1: expected a string",
                "unit.a.env.B = true: expected a string",
                'unit.a.mode = "x": expected one of "stream", "datagram"',
                "unit.a.ready = []: expected a table",
                "unit.a.more[0].delay = true: expected a number",
                "unit.a.more[1] = 3: expected a table",
                "unit.a.size = 1.5: expected an integer or a string",
                "unit.a.enabled = 1: expected true or false",
                "unit.a.description = 2: expected a string",
                'unit.a.after = "b": expected an array',
                (
                    'unit.a.restart = "no": expected one of "always", "on-failure", '
                    '"never"'
                ),
                'unit.a.backoff = "1": expected a number',
                "unit.a.budget = 1.0: expected an integer",
                "unit.a.healthy_after = nan: expected a finite number",
                "unit.a.jitter = false: expected a number",
            ],
        )

    def test_policy_values(self) -> None:
        """The numbers of a restart policy have bounds."""
        self.assertEqual(
            self.unit_problems(
                "backoff = 0\nbackoff_max = -1\njitter = 1.5\nhealthy_after = -1\n"
                "budget = -1\nbudget_window = 0\nstart_timeout = -0.1\n"
            ),
            [
                "unit.a.backoff = 0: expected a number greater than 0",
                "unit.a.backoff_max = -1: expected a number greater than 0",
                "unit.a.jitter = 1.5: expected a number from 0 to 1",
                "unit.a.healthy_after = -1: expected a number that is 0 or greater",
                "unit.a.budget = -1: expected a number that is 0 or greater",
                "unit.a.budget_window = 0: expected a number greater than 0",
                "unit.a.start_timeout = -0.1: expected a number that is 0 or greater",
            ],
        )

    def test_validators_of_the_kind(self) -> None:
        """What a kind's validators say is told with the key."""
        path = "/" + "x" * 107
        self.assertEqual(
            self.problems(
                f'[unit.a]\nkind = "thing"\npath = "{path}"\nargv = []\nworkers = -1\n'
                "ready = { delay = -1 }\n"
            ),
            [
                (
                    f'unit.a.path = "{path[:58]}…: expected a path of at most 107 '
                    "bytes for a Unix socket, and this one has 108"
                ),
                "unit.a.argv = []: expected a program and its arguments",
                "unit.a.workers = -1: expected a number that is 0 or greater",
                "unit.a.ready.delay = -1: expected a number that is 0 or greater",
            ],
        )

    def test_missing_key(self) -> None:
        """A key without a default must be there."""
        self.assertEqual(
            self.problems('[unit.a]\nkind = "thing"\n'),
            ["unit.a.path: missing; expected a string"],
        )

    def test_missing_kind(self) -> None:
        """A unit must say its kind, and its other keys are checked all the same."""
        self.assertEqual(
            self.problems("[unit.a]\nbudget = -1\n"),
            [
                "unit.a.budget = -1: expected a number that is 0 or greater",
                'unit.a.kind: missing; expected one of "plain", "thing"',
            ],
        )
        self.assertEqual(
            self.problems("[unit.a]\n", {}),
            ["unit.a.kind: missing; expected the name of a kind, but there are none"],
        )

    def test_kind_of_wrong_type(self) -> None:
        """A kind is a string."""
        self.assertEqual(
            self.problems("[unit.a]\nkind = 3\n"),
            ["unit.a.kind = 3: expected a string"],
        )

    def test_unknown_kind(self) -> None:
        """An unknown kind is told with those that there are."""
        self.assertEqual(
            self.problems('[unit.a]\nkind = "thin"\n'),
            [
                (
                    'unit.a.kind = "thin": unknown kind; did you mean "thing"? '
                    'known here: "plain", "thing"'
                )
            ],
        )

    def test_bad_name(self) -> None:
        """A unit's name is a plain word, as it names files and addresses."""
        expected = (
            'expected a name of at most 64 letters, digits, "_", "." and "-" that '
            "begins with a letter or a digit"
        )
        for name, key in (
            ("-a", "unit.-a"),
            ('"a b"', 'unit."a b"'),
            ('"../x"', 'unit."../x"'),
            ('""', 'unit.""'),
            ('"é"', 'unit."é"'),
            ('"a\\n"', 'unit."a\\n"'),
            ("a" * 65, "unit." + "a" * 65),
        ):
            self.assertEqual(
                self.problems(f'[unit.{name}]\nkind = "plain"\n'),
                [f"{key}: {expected}"],
            )
        self.assertEqual(self.problems(f'[unit.{"a" * 64}]\nkind = "plain"\n'), [])

    def test_duplicate_name(self) -> None:
        """Of two units of one name in two files the first one stands."""
        first = self.write('[unit.b]\nkind = "plain"\n', "units.d/1.toml")
        second = self.write(
            '[unit.a]\nkind = "plain"\n[unit.b]\nkind = "plain"\nenabled = false\n',
            "units.d/2.toml",
        )
        config = self.load('[unit.a]\nkind = "thing"\npath = "x"\n')
        self.assertEqual(
            [str(one) for one in config.problems],
            [
                f"{second}: unit.a: a unit of this name stands in {self.path} already",
                f"{second}: unit.b: a unit of this name stands in {first} already",
            ],
        )
        self.assertEqual(
            [(one.name, one.kind, one.enabled) for one in config.units],
            [("a", "thing", True), ("b", "plain", True)],
        )
        self.assertEqual(config.quarantined, ())

    def test_placeholders(self) -> None:
        """A placeholder that cannot be replaced is told, and only once."""
        known = (
            "known here: {config_dir}, {env:NAME}, {log_dir}, {name}, {python}, "
            "{run_dir}, {valkey_server}"
        )
        self.assertEqual(
            self.unit_problems(
                'argv = ["{pyton}", "{env:SOCKHOST_NO}", "${", "{env:}"]\n'
                'mode = "{xyz}"\n'
            ),
            [
                (
                    'unit.a.argv[0] = "{pyton}": unknown placeholder {pyton}; '
                    f"did you mean {{python}}? {known}"
                ),
                (
                    'unit.a.argv[1] = "{env:SOCKHOST_NO}": the environment variable '
                    "SOCKHOST_NO is not set; {env:SOCKHOST_NO:-default} gives a default"
                ),
                (
                    'unit.a.argv[2] = "${": expected "{{" or "}}" for a brace that is '
                    "none of a placeholder"
                ),
                (
                    'unit.a.argv[3] = "{env:}": unknown placeholder {env:}; '
                    f"did you mean {{env:NAME}}? {known}"
                ),
                f'unit.a.mode = "{{xyz}}": unknown placeholder {{xyz}}; {known}',
            ],
        )

    def test_secret_stays_hidden(self) -> None:
        """A problem shows what stands in the file, not what it stands for."""
        self.patch(os, "environ", {**os.environ, "SOCKHOST_SECRET": "hunter2"})
        self.assertEqual(
            self.unit_problems('mode = "{env:SOCKHOST_SECRET}"'),
            [
                (
                    'unit.a.mode = "{env:SOCKHOST_SECRET}": expected one of "stream", '
                    '"datagram"'
                )
            ],
        )

    def test_quoted_names(self) -> None:
        """A name with a dot stands in quotes in the path of a key."""
        self.assertEqual(
            self.problems('[unit."a.b"]\nkind = "plain"\n"x y" = 1\n'),
            ['unit."a.b"."x y" = 1: unknown key'],
        )
