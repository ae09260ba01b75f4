# -*- test-case-name: tests.supervise.test_program -*-
"""Tests for L{sockhost.supervise.program}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import structure
from sockhost.interfaces import ConfigError, SockhostError
from sockhost.supervise.program import (
    ProgramConfig,
    child_spec,
    environment,
    output_log,
    parse_env_file,
)


def config(**options: Any) -> ProgramConfig:
    """Make a configuration."""
    return ProgramConfig(argv=("prog",), **options)


class ConfigTests(SynchronousTestCase):
    """What is refused at once."""

    def test_refused(self) -> None:
        """Signals, masks and numbers that are none."""
        for options in (
            {"stop_signal": "SIGNOPE"},
            {"umask": "0999"},
            {"umask": "77777"},
            {"grace": -1.0},
            {"log_max_bytes": 0},
            {"env": {"A=B": "c"}},
            {"env": {"": "c"}},
            {"env": {"A": "b\0"}},
            {"env": {"A\0": "b"}},
            {"cwd": "a\0"},
            {"cwd": ""},
            {"env_file": "a\0"},
        ):
            with self.subTest(options):
                self.assertRaises(ValueError, config, **options)
        self.assertRaises(ValueError, ProgramConfig, argv=())

    def test_told(self) -> None:
        """They are problems with a place, a value and what was expected."""
        table = {"argv": ["prog"], "env": {"A=B": "c"}, "cwd": "a\0"}
        error = self.assertRaises(ConfigError, structure, ProgramConfig, table)
        self.assertEqual(
            [f"{problem.key}: {problem.expected}" for problem in error.problems],
            [
                'env: expected names without "=", and no NUL characters',
                "cwd: expected a string without NUL characters",
            ],
        )


class EnvironmentTests(SynchronousTestCase):
    """A program's environment."""

    def test_added(self) -> None:
        """Variables are added to the host's."""
        self.assertEqual(
            environment(config(env={"A": "1"}), {"A": "0", "B": "2"}),
            {"A": "1", "B": "2"},
        )

    def test_clear(self) -> None:
        """The host's are left out on request."""
        self.assertEqual(
            environment(config(env={"A": "1"}, clear_env=True), {"B": "2"}), {"A": "1"}
        )

    def test_for_the_host_alone(self) -> None:
        """What the host's own manager told the host is not passed on."""
        inherited = {"NOTIFY_SOCKET": "/run/x", "LISTEN_FDS": "1", "B": "2"}
        self.assertEqual(environment(config(), inherited), {"B": "2"})

    def test_file(self) -> None:
        """Variables of a file come before those of the table."""
        path = self.mktemp()
        Path(path).write_text("A=file\nB=file\n")
        found = environment(config(env={"A": "table"}, env_file=path), {"B": "host"})
        self.assertEqual(found, {"A": "table", "B": "file"})

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        error = self.assertRaises(
            SockhostError, environment, config(env_file="/no/file"), {}
        )
        self.assertIn("env_file /no/file cannot be used", str(error))

    def test_spec(self) -> None:
        """A child knows the unit that it belongs to."""
        spec = child_spec(config(umask="027", cwd="/srv"), "web", {"X": "1"})
        assert spec.env is not None
        self.assertEqual((spec.env["SOCKHOST_UNIT"], spec.env["X"]), ("web", "1"))
        self.assertEqual((spec.umask, spec.cwd), (0o27, "/srv"))

    def test_log(self) -> None:
        """The log is named for the unit."""
        log = output_log(config(log_max_bytes=5, log_backups=2), "/logs", "web")
        self.assertEqual(
            (log.path, log.max_bytes, log.backups), ("/logs/web.log", 5, 2)
        )


class EnvFileTests(SynchronousTestCase):
    """C{NAME=value} lines."""

    def test_lines(self) -> None:
        """Comments, quotes and C{export} are understood; nothing is replaced."""
        text = "# comment\n\nA=1\nexport B = two words \nC='q # $A'\nD=\"x\"\nE=\nF='\n"
        self.assertEqual(
            parse_env_file(text),
            {"A": "1", "B": "two words", "C": "q # $A", "D": "x", "E": "", "F": "'"},
        )

    def test_refused(self) -> None:
        """A line that is none is named."""
        for text in ("A", "A=1\n1B=2", "=x", "A B=1", "A=\0"):
            error = self.assertRaises(ValueError, parse_env_file, text)
            self.assertIn("is not NAME=value", str(error))

    @given(st.text(max_size=60))
    def test_nothing_else_is_raised(self, text: str) -> None:
        """Any text is a file or a ValueError."""
        try:
            found = parse_env_file(text)
        except ValueError:
            return
        self.assertTrue(all("=" not in name for name in found))
