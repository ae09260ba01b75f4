"""
Tests for L{sockhost.sockets.codecs}.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import ICodec
from sockhost.sockets.codecs import codec_names, find_codec
from sockhost.sockets.framing import Int32Codec, Length32Codec
from sockhost.sockets.line import LineCodec
from sockhost.sockets.netstring import NetstringCodec

PLUGINS = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from sockhost.interfaces import ICodecKind
from sockhost.sockets.line import LineCodec

@implementer(IPlugin, ICodecKind)
class Foreign:
    name = "foreign"
    def make(self, max_frame):
        return LineCodec(max_frame)

@implementer(IPlugin, ICodecKind)
class Usurper(Foreign):
    name = "netstring"

@implementer(IPlugin, ICodecKind)
class Nameless:
    def make(self, max_frame):
        raise NotImplementedError

foreign, usurper, nameless = Foreign(), Usurper(), Nameless()
"""


class FindCodecTests(SynchronousTestCase):
    """Tests for L{find_codec}."""

    def package(self) -> ModuleType:
        """A package of plugins with codecs in it."""
        parent = Path(self.mktemp()).absolute()
        directory = parent / "some_package_of_codecs"
        directory.mkdir(parents=True)
        (directory / "__init__.py").touch()
        (directory / "some_codecs.py").write_text(PLUGINS)
        self.patch(sys, "path", [str(parent), *sys.path])
        self.addCleanup(self.forget)
        return import_module(directory.name)

    def forget(self) -> None:
        """Let the next test have its own."""
        for name in list(sys.modules):
            if name.startswith("some_package_of_codecs"):
                del sys.modules[name]

    def test_ours(self) -> None:
        """Each of ours is found by its name, and takes the limit."""
        expected = {
            "length32": Length32Codec,
            "length32be-exclusive": Int32Codec,
            "netstring": NetstringCodec,
            "line": LineCodec,
        }
        for name, codec in expected.items():
            make = find_codec(name)
            assert make is not None
            made = make(77)
            self.assertIsInstance(made, codec)
            verifyObject(ICodec, made)
            self.assertEqual(getattr(made, "max_frame", None), 77)
        self.assertEqual(codec_names()[:4], list(expected))

    def test_own_class(self) -> None:
        """The default is the class itself, so that it can be recognised."""
        self.assertIs(find_codec("length32"), Length32Codec)

    def test_unknown(self) -> None:
        """There is no codec for a name that nobody has."""
        self.assertIsNone(find_codec("no-such-framing"))

    def test_installed(self) -> None:
        """One of an installed package is found; a broken one is passed over."""
        package = self.package()
        make = find_codec("foreign", package)
        assert make is not None
        self.assertIsInstance(make(10), LineCodec)
        self.assertIn("foreign", codec_names(package))

    def test_ours_first(self) -> None:
        """Nobody can take the place of one of ours."""
        make = find_codec("netstring", self.package())
        assert make is not None
        self.assertIsInstance(make(10), NetstringCodec)
