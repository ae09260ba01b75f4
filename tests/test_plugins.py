# -*- test-case-name: tests.test_plugins -*-
"""
Tests for L{sockhost.plugins}, on packages of plugins that each test writes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from textwrap import dedent
from types import ModuleType

from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import IUnitKind
from sockhost.plugins import kinds
from tests.host.test_fakes import temporary

PACKAGE = "sockhost_test_plugins"

BEGIN = """
from attrs import frozen
from twisted.plugin import IPlugin
from zope.interface import implementer
from sockhost.interfaces import IUnitKind

@frozen
class Config:
    pass

@implementer(IPlugin, IUnitKind)
class Kind:
    config_class = Config
    portable = False

    def __init__(self, name):
        self.name = name

    def make(self, name, config, host):
        raise NotImplementedError
"""

OURS = BEGIN + "Kind.__module__ = 'sockhost.somewhere'\n"


class PluginsCase(SynchronousTestCase):
    """A package of plugins."""

    def setUp(self) -> None:
        self.directory = temporary(self)
        self.package = ""
        self.begin()
        sys.path.insert(0, str(self.directory))
        self.addCleanup(self.forget)
        self.logs: list[LogEvent] = []

    def begin(self) -> None:
        """Begin with an empty package."""
        self.package = f"{PACKAGE}_{len(list(self.directory.glob('*')))}"
        (self.directory / self.package).mkdir(parents=True)
        self.write("__init__", "")

    def forget(self) -> None:
        """Leave nothing of the package behind."""
        sys.path.remove(str(self.directory))
        for name in [one for one in sys.modules if one.startswith(PACKAGE)]:
            del sys.modules[name]

    def write(self, name: str, text: str) -> None:
        """Write a module of the package."""
        path = self.directory / self.package / f"{name}.py"
        path.write_text(dedent(text))

    def find(self) -> Mapping[str, IUnitKind]:
        """Find the kinds of the package, and keep what is logged."""
        importlib.invalidate_caches()
        package: ModuleType = importlib.import_module(self.package)
        with capturedLogs() as logs:
            found = kinds(package)
        self.logs = list(logs)
        return found

    def errors(self) -> list[str]:
        """What was logged as an error."""
        return [
            str(formatEvent(one))
            for one in self.logs
            if one["log_level"].name != "info"
        ]


class FindingTests(PluginsCase):
    """Good kinds and broken ones."""

    def test_found(self) -> None:
        """Kinds are found in all modules, by their names."""
        self.write("first", BEGIN + "a = Kind('a')\nb = Kind('b')\n")
        self.write("second", BEGIN + "c = Kind('c')\n")
        found = self.find()
        self.assertEqual(sorted(found), ["a", "b", "c"])
        self.assertEqual(found["a"].name, "a")
        self.assertEqual(self.errors(), [])

    def test_other_plugins(self) -> None:
        """Plugins that are no kinds are none of our business."""
        self.write(
            "first",
            """
            from twisted.application.service import ServiceMaker
            tap = ServiceMaker("x", "x", "x", "x")
            """,
        )
        self.assertEqual((self.find(), self.errors()), ({}, []))

    def test_broken_module(self) -> None:
        """A module that cannot be imported is told with its traceback."""
        self.write("broken", "import sockhost_no_such_module\n")
        self.write("good", BEGIN + "a = Kind('a')\n")
        self.assertEqual(list(self.find()), ["a"])
        (failure,) = self.flushLoggedErrors(ImportError)
        self.assertIn("sockhost_no_such_module", failure.getErrorMessage())
        self.assertIn("broken.py", failure.getTraceback())

    def test_syntax(self) -> None:
        """So is one that is not even Python."""
        self.write("broken", "this is no Python\n")
        self.write("good", BEGIN + "a = Kind('a')\n")
        self.assertEqual(list(self.find()), ["a"])
        self.assertEqual(len(self.flushLoggedErrors(SyntaxError)), 1)

    def test_cannot_be_made(self) -> None:
        """So is one whose kind raises when it is made."""
        self.write("broken", BEGIN + "a = Kind()\n")
        self.write("good", BEGIN + "b = Kind('b')\n")
        self.assertEqual(list(self.find()), ["b"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_installed(self) -> None:
        """The kinds that come with sockhost are found like any others."""
        ours = ("cron", "process", "redis", "socket", "socket-client", "tap")
        for name in ours:
            self.assertIn(name, kinds())


class RefusedTests(PluginsCase):
    """Objects that are no good as a kind."""

    def refused(self, text: str) -> str:
        """Find a good kind beside a bad one, and say what is told of the bad."""
        self.write("first", BEGIN + dedent(text))
        self.write("second", BEGIN + "good = Kind('good')\n")
        self.assertEqual(list(self.find()), ["good"])
        (error,) = self.errors()
        return error

    def test_no_make(self) -> None:
        """One that lacks a method is left out, with what it lacks."""
        error = self.refused("del Kind.make\nbad = Kind('bad')\n")
        self.assertIn("is not used:", error)
        self.assertIn("make", error)

    def test_no_attribute(self) -> None:
        """One that lacks an attribute too."""
        self.assertIn("portable", self.refused("del Kind.portable\nb = Kind('b')\n"))

    def test_wrong_arguments(self) -> None:
        """One whose method cannot be called as it will be, too."""
        error = self.refused(
            """
            def make(self, name):
                raise NotImplementedError
            Kind.make = make
            bad = Kind("bad")
            """
        )
        self.assertIn("make", error)

    def test_name(self) -> None:
        """A name is a string, and not an empty one."""
        for name in ("''", "None", "7", "['a']"):
            error = self.refused(f"bad = Kind({name})\n")
            self.assertIn("its name is not a string", error)
            self.begin()

    def test_config_class(self) -> None:
        """The class of its configuration is an attrs class."""
        for value in ("dict", "None", "Config()"):
            error = self.refused(f"bad = Kind('bad')\nbad.config_class = {value}\n")
            self.assertIn("its config_class is not an attrs class", error)
            self.begin()

    def test_raises(self) -> None:
        """What raises when it is looked at is left out with what it raised."""
        error = self.refused(
            """
            class Bad(Kind):
                config_class = property(lambda self: 1 / 0)
            bad = Bad("bad")
            """
        )
        self.assertIn("division by zero", error)


class DuplicateTests(PluginsCase):
    """Two kinds with one name."""

    def test_first(self) -> None:
        """One of them is used, and the other is named."""
        self.write("first", BEGIN + "one = Kind('a')\ntwo = Kind('a')\n")
        self.assertEqual(list(self.find()), ["a"])
        (error,) = self.errors()
        self.assertTrue(error.startswith("kind 'a' of "), error)
        self.assertIn("is not used", error)

    def test_ours(self) -> None:
        """Sockhost's own wins, wherever it stands."""
        for names in (("first", "second"), ("second", "first")):
            self.write(names[0], OURS + "a = Kind('a')\n")
            self.write(names[1], BEGIN + "a = Kind('a')\n")
            found = self.find()
            self.assertEqual(type(found["a"]).__module__, "sockhost.somewhere")
            self.assertEqual(len(self.errors()), 1)
            self.begin()
