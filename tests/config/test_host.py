# -*- test-case-name: tests.config.test_host -*-
"""
Tests for L{sockhost.config.host}: what is wrong with the host's table.
"""

from __future__ import annotations

from typing import Any

from sockhost.interfaces import ConfigError
from tests.config.test_kinds import ConfigCase


class HostProblemTests(ConfigCase):
    """What is wrong in the host's table ends the load."""

    def refused(self, text: str, **options: Any) -> list[str]:
        """Get the problems of a host's table that must not load."""
        error = self.assertRaises(ConfigError, self.load, "[host]\n" + text, **options)
        return [str(one).removeprefix(f"{self.path}: ") for one in error.problems]

    def test_unknown_key(self) -> None:
        """A key that the host does not have."""
        self.assertEqual(
            self.refused('rundir = "x"'),
            ['host.rundir = "x": unknown key; did you mean "run_dir"?'],
        )

    def test_values(self) -> None:
        """Every value is checked, and all problems are told."""
        self.assertEqual(
            self.refused(
                'name = ""\nrun_dir = ""\nlog_dir = 1\nlifecycle = "x"\n'
                'strict = "yes"\nwait_for = [1]\n'
            ),
            [
                'host.name = "": expected a string that is not empty',
                'host.run_dir = "": expected a string that is not empty',
                "host.log_dir = 1: expected a string",
                'host.lifecycle = "x": expected "module:name"',
                'host.strict = "yes": expected true or false',
                "host.wait_for[0] = 1: expected a string",
            ],
        )

    def test_notify(self) -> None:
        """A command for events is a table, which is checked as well."""
        self.assertEqual(
            self.refused("notify = { argv = [], on = 'up', timeout = 0, argw = 1 }"),
            [
                "host.notify.argv = []: expected a program and its arguments",
                'host.notify.on = "up": expected an array',
                "host.notify.timeout = 0: expected a number greater than 0",
                (
                    'host.notify.argw = 1: unknown key; did you mean "argv"? known '
                    'here: "argv", "on", "timeout"'
                ),
            ],
        )

    def test_bad_run_dir_once(self) -> None:
        """A bad run directory is told once, not wherever it is used."""
        self.assertEqual(
            self.refused('run_dir = 3\n[unit.a]\nkind = "thing"\npath = "{run_dir}/a"'),
            ["host.run_dir = 3: expected a string"],
        )

    def test_nul(self) -> None:
        """A directory with a NUL character in it."""
        self.assertEqual(
            self.refused(r'log_dir = "a\u0000"'),
            [
                r'host.log_dir = "a\u0000": expected a string without NUL characters',
            ],
        )

    def test_control_too_long(self) -> None:
        """The control socket must fit after it was made absolute."""
        expected = (
            'host.control = "{run_dir}/control.sock": expected a path of at most 107 '
            "bytes for a Unix socket, and this one has 114"
        )
        self.assertEqual(self.refused("", run_dir="/" + "r" * 100), [expected])

    def test_placeholders(self) -> None:
        """Placeholders of units are not the host's, nor is one of itself."""
        self.assertEqual(
            self.refused('run_dir = "{log_dir}"\nname = "{name}"'),
            [
                (
                    'host.run_dir = "{log_dir}": unknown placeholder {log_dir}; '
                    "did you mean {config_dir}? known here: {config_dir}, {env:NAME}, "
                    "{python}, {valkey_server}"
                ),
                (
                    'host.name = "{name}": unknown placeholder {name}; known here: '
                    "{config_dir}, {env:NAME}, {log_dir}, {python}, {run_dir}, "
                    "{valkey_server}"
                ),
            ],
        )

    def test_wait_for_unknown_unit(self) -> None:
        """A unit to wait for must be there."""
        self.assertEqual(
            self.refused('wait_for = ["jop"]\n[unit.job]\nkind = "plain"\n'),
            [
                (
                    'host.wait_for[0] = "jop": unknown unit; did you mean "job"? '
                    'known here: "job"'
                )
            ],
        )
