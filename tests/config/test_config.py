# -*- test-case-name: tests.config.test_config -*-
"""
Tests for L{sockhost.config}: what it offers.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost import config
from sockhost.config import Config, Problem, Quarantined, UnitConfig


class ExportsTests(SynchronousTestCase):
    """The public names."""

    def test_names(self) -> None:
        """They are these; one that goes missing breaks someone's plugin."""
        self.assertEqual(
            set(config.__all__),
            {
                *("Changes", "Config", "HostSettings", "KeyDoc"),
                *("NotifySettings", "Problem"),
                *("Quarantined", "RestartPolicy", "UnitConfig", "Validator"),
                *("between", "changes", "command", "describe", "load", "not_empty"),
                *("not_negative", "one_of", "positive", "python_name", "structure"),
                *("unit_name", "unix_path", "write_unit"),
            },
        )
        for name in config.__all__:
            self.assertTrue(hasattr(config, name), name)


class ValueTests(SynchronousTestCase):
    """What the values of a configuration can say about themselves."""

    def test_dependencies(self) -> None:
        """A unit knows all that it depends on, each once."""
        unit = UnitConfig(
            name="a",
            kind="plain",
            own=None,
            table={},
            after=("b", "c"),
            requires=("c",),
            uses=("d", "b"),
        )
        self.assertEqual(unit.dependencies, ("b", "c", "d"))

    def test_unit(self) -> None:
        """A configuration finds its good units by name."""
        unit = UnitConfig(name="a", kind="plain", own=None, table={})
        bad = Quarantined(name="b", kind="plain", problems=())
        whole = Config(path="f", units=(unit,), quarantined=(bad,))
        self.assertIs(whole.unit("a"), unit)
        self.assertIsNone(whole.unit("b"))

    def test_problem(self) -> None:
        """A problem is one line, with what is known of the place."""
        self.assertEqual(str(Problem("f", "a.b", "x", "bad")), 'f: a.b = "x": bad')
        self.assertEqual(str(Problem("f", "", 1, "bad")), "f: bad")
        self.assertEqual(str(Problem("", "", "x", "bad")), "bad")
