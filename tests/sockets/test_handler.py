"""
Tests for L{sockhost.sockets.handler}.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import SockhostError
from sockhost.sockets.handler import (
    load_handler,
    load_object,
    make_handler,
    run_hook,
)


class Good:
    """A handler."""

    def __init__(self, host: object, greeting: str = "hello") -> None:
        self.host = host
        self.greeting = greeting

    def received(self, client: object, frame: bytes) -> None:
        """Do nothing."""


class Mute:
    """No handler: it cannot be given a frame."""

    def __init__(self, host: object) -> None:
        """Take the host."""


class Broken:
    """A handler that cannot be made."""

    def __init__(self, host: object) -> None:
        raise ValueError("no such table")

    def received(self, client: object, frame: bytes) -> None:
        """Do nothing."""


def factory(host: object) -> object:
    """Make a handler of either sort."""
    return Mute(host)


HERE = __name__
not_callable = 7


class LoadTests(SynchronousTestCase):
    """Tests for L{load_object} and L{load_handler}."""

    def setUp(self) -> None:
        """Restore the module search path afterwards."""
        self.patch(sys, "path", list(sys.path))

    def write_module(self, name: str, text: str) -> str:
        """Write a module to a directory of its own."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / f"{name}.py").write_text(text)
        self.addCleanup(sys.modules.pop, name, None)
        return str(directory.absolute())

    def refused(self, spec: str, directory: str | None = None) -> str:
        """Load what cannot be loaded."""
        return str(self.assertRaises(SockhostError, load_handler, spec, directory))

    def test_good(self) -> None:
        """A class is found by the name of its module and its own."""
        self.assertIs(load_handler(f"{HERE}:Good"), Good)
        self.assertIs(load_object(f"{HERE}:Mute"), Mute)

    def test_directory(self) -> None:
        """The directory is searched first, and added once."""
        directory = self.write_module("kv_of_test", "class KV:\n    received = len\n")
        found = load_handler("kv_of_test:KV", directory)
        self.assertEqual(found.__module__, "kv_of_test")
        load_handler("kv_of_test:KV", directory)
        self.assertEqual(sys.path.count(directory), 1)
        self.assertEqual(sys.path[0], directory)

    def test_form(self) -> None:
        """Anything but module:Class is refused."""
        for spec in ("", "os", "os:", ":x"):
            self.assertIn('not of the form "module:Class"', self.refused(spec))

    def test_no_module(self) -> None:
        """A module that is not there is named, and the traceback logged."""
        said = self.refused("no_such_module_here:X")
        self.assertTrue(said.endswith("No module named 'no_such_module_here'"), said)
        self.assertEqual(len(self.flushLoggedErrors(ModuleNotFoundError)), 1)

    def test_module_raises(self) -> None:
        """A module that raises is named with the line."""
        directory = self.write_module("bad_of_test", "x = 1\ny = 1 / 0\n")
        said = self.refused("bad_of_test:X", directory)
        self.assertIn("ZeroDivisionError: division by zero", said)
        self.assertIn("bad_of_test.py, line 2", said)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_syntax(self) -> None:
        """A mistake in the syntax is told where it is, and once."""
        directory = self.write_module("odd_of_test", "def f()\n")
        said = self.refused("odd_of_test:X", directory)
        self.assertTrue(said.endswith("(odd_of_test.py, line 1)"), said)
        self.assertEqual(said.count("line"), 1)
        self.flushLoggedErrors(SyntaxError)

    def test_no_class(self) -> None:
        """A name that the module does not have is told."""
        self.assertIn("no attribute 'Nobody'", self.refused(f"{HERE}:Nobody"))

    def test_not_callable(self) -> None:
        """What cannot be called is no handler."""
        self.assertIn("cannot be called", self.refused(f"{HERE}:not_callable"))

    def test_no_received(self) -> None:
        """A class without C{received} is no handler."""
        self.assertIn("no method received", self.refused(f"{HERE}:Mute"))


class MakeTests(SynchronousTestCase):
    """Tests for L{make_handler}."""

    def setUp(self) -> None:
        """Make something like a host."""
        self.patch(sys, "path", list(sys.path))
        self.host: Any = SimpleNamespace(config_dir=sys.path[0])

    def test_options(self) -> None:
        """The handler gets the host and its options."""
        made = make_handler(f"{HERE}:Good", self.host, {"greeting": "hi"})
        self.assertIs(made.host, self.host)
        self.assertEqual(made.greeting, "hi")

    def test_unknown_option(self) -> None:
        """An option that the handler does not take is named."""
        error = self.assertRaises(
            SockhostError, make_handler, f"{HERE}:Good", self.host, {"colour": "red"}
        )
        self.assertIn("'colour'", str(error))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_raises(self) -> None:
        """A handler that cannot be made says why, and the traceback is logged."""
        error = self.assertRaises(
            SockhostError, make_handler, f"{HERE}:Broken", self.host, {}
        )
        self.assertIn("ValueError: no such table", str(error))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_function(self) -> None:
        """What a function makes must be able to receive too."""
        error = self.assertRaises(
            SockhostError, make_handler, f"{HERE}:factory", self.host, {}
        )
        self.assertIn("no method received", str(error))


class RunHookTests(SynchronousTestCase):
    """Tests for L{run_hook}."""

    def test_missing(self) -> None:
        """A hook that is not there has ended."""
        self.assertIsNone(self.successResultOf(run_hook(object(), "startup")))

    def test_plain(self) -> None:
        """A hook may be an ordinary method."""
        hooks = SimpleNamespace(startup=lambda: 7)
        self.assertEqual(self.successResultOf(run_hook(hooks, "startup")), 7)

    def test_coroutine(self) -> None:
        """A hook may be a coroutine."""
        waited: Deferred[str] = Deferred()

        async def startup() -> str:
            return await waited

        started = run_hook(SimpleNamespace(startup=startup), "startup")
        self.assertNoResult(started)
        waited.callback("done")
        self.assertEqual(self.successResultOf(started), "done")

    def test_fails(self) -> None:
        """A hook that raises fails the Deferred."""
        hooks = SimpleNamespace(startup=lambda: 1 / 0)
        self.failureResultOf(run_hook(hooks, "startup"), ZeroDivisionError)
