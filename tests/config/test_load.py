# -*- test-case-name: tests.config.test_load -*-
"""
Tests for L{sockhost.config.load}, and of what is wrong with whole files.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import (
    Changes,
    Config,
    HostSettings,
    Problem,
    Quarantined,
    RestartPolicy,
    UnitConfig,
    changes,
    load,
    structure,
)
from sockhost.interfaces import ConfigError
from tests.config.test_kinds import ConfigCase, Ready, ThingConfig

KNOWN = 'known here: "host", "unit"'
WHOLE = """
[host]
name = "demo"
strict = false
exit_when_done = true
lifecycle = "demo.hooks:Hooks"
wait_for = ["a"]

[unit.b]
kind = "thing"
path = "b.sock"
requires = ["a"]
restart = "on-failure"
backoff = 0.5
budget = 0
description = "the second"
ready = { connect = "unix:{run_dir}/x", delay = 1 }
more = [{ delay = 2.5 }, {}]
env = { LANG = "C" }
options = { deep = [1, 2.5, true, { a = "{name}" }] }

[unit.a]
kind = "plain"
enabled = false
"""


class LoadTests(ConfigCase):
    """L{load} of files that are good."""

    def test_whole(self) -> None:
        """Every part of a file arrives where it belongs."""
        config = self.load(WHOLE)
        run = os.path.abspath("run")
        self.assertEqual(config.problems, ())
        self.assertEqual(config.path, os.path.abspath(self.path))
        self.assertEqual(
            config.host,
            HostSettings(
                name="demo",
                run_dir=run,
                control=f"{run}/control.sock",
                log_dir=f"{run}/log",
                lifecycle="demo.hooks:Hooks",
                exit_when_done=True,
                wait_for=("a",),
            ),
        )
        unit = config.unit("b")
        assert unit is not None
        self.assertEqual(
            unit.own,
            ThingConfig(
                path="b.sock",
                ready=Ready(connect=f"unix:{run}/x", delay=1.0),
                more=(Ready(delay=2.5), Ready()),
                env={"LANG": "C"},
                options={"deep": [1, 2.5, True, {"a": "b"}]},
            ),
        )
        self.assertEqual(
            unit.policy, RestartPolicy(restart="on-failure", backoff=0.5, budget=0)
        )
        self.assertEqual(unit.requires, ("a",))
        self.assertEqual(unit.description, "the second")
        self.assertEqual(unit.source, os.path.abspath(self.path))

    def test_table_makes_own_again(self) -> None:
        """The plain table of a unit makes its configuration again."""
        unit = self.load(WHOLE).unit("b")
        assert unit is not None
        self.assertEqual(structure(ThingConfig, unit.table), unit.own)
        self.assertNotIn("requires", unit.table)
        self.assertNotIn("backoff", unit.table)

    def test_order(self) -> None:
        """Units stand behind those that they depend on."""
        self.assertEqual([one.name for one in self.load(WHOLE).units], ["a", "b"])

    def test_empty(self) -> None:
        """An empty file is a host with nothing to do."""
        config = self.load("")
        self.assertEqual((config.units, config.problems), ((), ()))
        self.assertEqual(config.host.run_dir, os.path.abspath("run"))

    def test_unknown_unit_name(self) -> None:
        """There is no unit that is not in the file."""
        self.assertIsNone(self.load(WHOLE).unit("c"))

    def test_run_dir_argument(self) -> None:
        """The run directory can be given from outside, braces and all."""
        text = '[host]\nrun_dir = "/a"\nlog_dir = "{run_dir}/l"\n'
        host = self.load(text, run_dir="/b{c}").host
        self.assertEqual(host.run_dir, "/b{c}")
        self.assertEqual(host.log_dir, "/b{c}/l")
        self.assertEqual(host.control, "/b{c}/control.sock")

    def test_placeholders(self) -> None:
        """Each placeholder stands for what the documentation says."""
        self.patch(os, "environ", {**os.environ, "SOCKHOST_T": "t"})
        unit = self.load(
            '[host]\nrun_dir = "/r"\nlog_dir = "{run_dir}/l"\n'
            '[unit.a]\nkind = "thing"\npath = "{run_dir}/{name}"\n'
            'argv = ["{python}", "{config_dir}", "{log_dir}", "{env:SOCKHOST_T}", '
            '"{env:SOCKHOST_U:-u}", "{{}}"]\n'
        ).unit("a")
        assert unit is not None
        self.assertEqual(unit.own.path, "/r/a")
        directory = os.path.abspath(self.directory)
        self.assertEqual(
            unit.own.argv, (sys.executable, directory, "/r/l", "t", "u", "{}")
        )

    def test_units_d(self) -> None:
        """Files in units.d come behind the main file, by name; others are ignored."""
        self.write('[unit.z]\nkind = "plain"\n', "units.d/1.toml")
        self.write('[unit.y]\nkind = "plain"\nafter = ["a"]\n', "units.d/2.toml")
        self.write("bad", "units.d/.3.toml")
        self.write("bad", "units.d/4.toml~")
        config = self.load('[unit.a]\nkind = "plain"\nafter = ["z"]\n')
        self.assertEqual([one.name for one in config.units], ["z", "a", "y"])
        self.assertEqual(
            config.units[0].source, os.path.abspath(f"{self.directory}/units.d/1.toml")
        )


class FileProblemTests(ConfigCase):
    """What is wrong with a file as a whole ends the load."""

    def refused(self, text: str, **options: Any) -> list[str]:
        """Get the problems of a configuration that must not load."""
        error = self.assertRaises(ConfigError, self.load, text, **options)
        told = [str(one).removeprefix(f"{self.path}: ") for one in error.problems]
        self.assertEqual(str(error), "\n".join(map(str, error.problems)))
        return told

    def test_missing(self) -> None:
        """A file that is not there."""
        error = self.assertRaises(ConfigError, load, "/nowhere/x.toml", {})
        self.assertEqual(
            str(error), "/nowhere/x.toml: cannot be read: No such file or directory"
        )

    def test_not_a_file(self) -> None:
        """What is no file is neither waited for nor read without end."""
        os.mkfifo(pipe := os.path.join(self.directory, "pipe.toml"))
        for path, why in (
            (pipe, "not a regular file"),
            ("/dev/zero", "not a regular file"),
            (self.directory, "Is a directory"),
        ):
            before = os.listdir("/proc/self/fd")
            error = self.assertRaises(ConfigError, load, path, {})
            self.assertEqual(str(error), f"{path}: cannot be read: {why}")
            self.assertEqual(os.listdir("/proc/self/fd"), before)

    def test_too_large(self) -> None:
        """A file that no configuration can be is not read into memory."""
        with open(self.path, "wb") as stream:
            stream.truncate(16 * 1024 * 1024 + 1)
        error = self.assertRaises(ConfigError, load, self.path, {})
        self.assertEqual(
            str(error), f"{self.path}: cannot be read: it has more than 16777216 bytes"
        )

    def test_what_ends_it_first(self) -> None:
        """What ends the start comes before what would have cost one unit."""
        text = '[unit.a]\nkind = "no"\n[host]\nname = 1\n[extra]\n'
        told = [one.partition(" ")[0] for one in self.refused(text)]
        self.assertEqual(told, ["extra", "host.name", "unit.a.kind"])

    def test_broken_neighbour_first(self) -> None:
        """So it does from a file behind, but not where all end it."""
        os.mkdir(units_d := os.path.join(os.path.dirname(self.path), "units.d"))
        with open(os.path.join(units_d, "b.toml"), "w") as stream:
            stream.write("[bad]\n")
        text = '[unit.a]\nkind = "no"\n'
        for strict, first in ((False, "bad = {}"), (True, "unit.a.kind")):
            told = self.refused(text, strict=strict)
            self.assertEqual(len(told), 2)
            self.assertIn(first, told[0])

    def test_nul_in_path(self) -> None:
        """A path that cannot be one."""
        error = self.assertRaises(ConfigError, load, "a\0b", {})
        self.assertEqual(str(error), "a\0b: cannot be read: embedded null byte")

    def test_no_current_directory(self) -> None:
        """A current directory that was removed."""

        def gone() -> str:
            raise FileNotFoundError(2, "No such file or directory")

        self.patch(os, "getcwd", gone)
        error = self.assertRaises(ConfigError, load, "x.toml", {})
        self.assertEqual(
            str(error),
            "x.toml: the current directory cannot be found: No such file or directory",
        )

    def test_not_utf8(self) -> None:
        """A file in another encoding."""
        with open(self.path, "wb") as stream:
            stream.write(b'a = "\xff"')
        error = self.assertRaises(ConfigError, load, self.path, {})
        self.assertEqual(str(error), f"{self.path}: not UTF-8 at byte 5")

    def test_syntax(self) -> None:
        """A file that is not TOML."""
        self.assertEqual(
            self.refused("[host\n"),
            [
                (
                    "not valid TOML: Expected ']' at the end of a table declaration "
                    "(at line 1, column 6)"
                )
            ],
        )

    def test_duplicate_in_one_file(self) -> None:
        """A unit twice in one file is a matter of TOML."""
        self.assertEqual(
            self.refused("[unit.a]\n[unit.a]\n"),
            [
                (
                    "not valid TOML: Cannot declare ('unit', 'a') twice "
                    "(at line 2, column 8)"
                )
            ],
        )

    def test_huge_number(self) -> None:
        """A number that Python refuses to read."""
        (told,) = self.refused("a = " + "1" * 5000)
        self.assertTrue(
            told.startswith("not valid TOML: Exceeds the limit (4300"), told
        )

    def test_deep(self) -> None:
        """Tables and arrays within each other without an end in sight."""
        expected = ["not valid TOML: it is nested more than 50 deep"]
        self.assertEqual(self.refused("[unit." + ".".join("a" * 60) + "]"), expected)
        self.assertEqual(self.refused("a = " + "[" * 60 + "]" * 60), expected)
        self.assertEqual(self.refused("a = " + "[" * 9999 + "]" * 9999), expected)

    def test_unknown_top_level_key(self) -> None:
        """A table that is neither the host's nor a unit's."""
        self.assertEqual(
            self.refused('port = 3\n[hots]\nname = "x"\n'),
            [
                'port = 3: unknown key; known here: "host", "unit"',
                (
                    'hots = { name = "x" }: unknown key; did you mean "host"? '
                    'known here: "host", "unit"'
                ),
            ],
        )

    def test_tables_that_are_none(self) -> None:
        """The host and the units must be tables."""
        self.assertEqual(
            self.refused("host = 1\nunit = [2]\n"),
            ["host = 1: expected a table", "unit = [2]: expected a table"],
        )

    def test_unit_that_is_no_table(self) -> None:
        """A unit that is no table is quarantined without a kind."""
        config = self.load("[unit]\na = 3\n")
        self.assertEqual(
            [str(one) for one in config.problems],
            [f"{self.path}: unit.a = 3: expected a table"],
        )
        self.assertEqual(config.quarantined[0].kind, "")

    def test_units_d_problems(self) -> None:
        """Files in units.d are held to the same, and have no host."""
        first = self.write("[host]\nx = 1\n[nuit]\n", "units.d/1.toml")
        second = self.write("=", "units.d/2.toml")
        os.mkdir(f"{self.directory}/units.d/3.toml")
        self.assertEqual(
            self.refused("hots = 1"),
            [
                f'hots = 1: unknown key; did you mean "host"? {KNOWN}',
                (
                    f"{first}: host = {{ x = 1 }}: the host's table stands in the main "
                    "file only"
                ),
                (
                    f'{first}: nuit = {{}}: unknown key; did you mean "unit"? '
                    'known here: "unit"'
                ),
                f"{second}: not valid TOML: Invalid statement (at line 1, column 1)",
                f"{self.directory}/units.d/3.toml: cannot be read: Is a directory",
            ],
        )

    def test_units_d_unreadable(self) -> None:
        """A units.d that is no directory."""
        path = self.write("", "units.d")
        self.assertEqual(self.refused(""), [f"{path}: cannot be read: Not a directory"])

    def test_everything_at_once(self) -> None:
        """Problems of units are told along with those that end the load."""
        self.assertEqual(
            self.refused('hots = 1\n[host]\nstrict = "x"\n[unit.a]\nkind = "k"\n'),
            [
                f'hots = 1: unknown key; did you mean "host"? {KNOWN}',
                'host.strict = "x": expected true or false',
                'unit.a.kind = "k": unknown kind; known here: "plain", "thing"',
            ],
        )

    def test_strict(self) -> None:
        """Told to be strict, a bad unit ends the load."""
        text = '[unit.a]\nkind = "plain"\nx = 1\n'
        expected = ["unit.a.x = 1: unknown key"]
        self.assertEqual(self.refused(text, strict=True), expected)
        self.assertEqual(self.refused("[host]\nstrict = true\n" + text), expected)


class ChangesTests(SynchronousTestCase):
    """Tests for L{changes}."""

    def unit(self, name: str, **keys: Any) -> UnitConfig:
        """Make a unit's configuration."""
        return UnitConfig(name=name, kind="plain", own=None, table={}, **keys)

    def bad(self, name: str, value: int) -> Quarantined:
        """Make a quarantined unit."""
        problem = Problem("f", f"unit.{name}.x", value, "unknown key")
        return Quarantined(name=name, kind="plain", problems=(problem,))

    def test_each(self) -> None:
        """Every unit is in one of the four."""
        old = Config(path="f", units=(self.unit("a"), self.unit("b"), self.unit("c")))
        new = Config(
            path="f",
            units=(self.unit("d"), self.unit("c"), self.unit("b", enabled=False)),
        )
        self.assertEqual(
            changes(old, new),
            Changes(added=("d",), removed=("a",), changed=("b",), unchanged=("c",)),
        )

    def test_moved(self) -> None:
        """A unit that moved to another file is unchanged."""
        old = Config(path="f", units=(self.unit("a", source="/f"),))
        new = Config(path="f", units=(self.unit("a", source="/g"),))
        self.assertEqual(changes(old, new), Changes(unchanged=("a",)))

    def test_quarantined(self) -> None:
        """A unit changes when it becomes bad, becomes good, or is bad otherwise."""
        old = Config(
            path="f",
            units=(self.unit("a"),),
            quarantined=(self.bad("b", 1), self.bad("c", 1), self.bad("d", 1)),
        )
        new = Config(
            path="f",
            units=(self.unit("b"),),
            quarantined=(self.bad("a", 1), self.bad("c", 2), self.bad("d", 1)),
        )
        self.assertEqual(
            changes(old, new), Changes(changed=("b", "a", "c"), unchanged=("d",))
        )

    def test_nothing(self) -> None:
        """A file compared with itself has not changed."""
        config = Config(path="f", units=(self.unit("a"),))
        self.assertEqual(changes(config, config), Changes(unchanged=("a",)))
