"""
Tests for L{sockhost.sockets.hubreactor} without any reactor that runs; with one
there are L{tests.functional.test_hub}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

from incremental import Version
from twisted.application.reactors import getReactorTypes
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets import hubreactor
from sockhost.sockets.hubreactor import KNOWN, PRIVATE, install, unknown


class UnknownTests(SynchronousTestCase):
    """Tests for L{unknown}."""

    def setUp(self) -> None:
        """Make what has all the names."""
        self.whole = SimpleNamespace(**dict.fromkeys(PRIVATE))

    def test_known(self) -> None:
        """With a version that it was tested with there is no objection."""
        for version in KNOWN:
            self.assertIsNone(unknown(self.whole, version))

    def test_version(self) -> None:
        """With an older or newer one there is."""
        for version in (Version("Twisted", 25, 5, 0), Version("Twisted", 99, 1, 0)):
            self.assertIn("26.4.0", unknown(self.whole, version) or "")

    def test_names(self) -> None:
        """With a reactor that lacks a name there is."""
        for name in PRIVATE:
            rest = {each: None for each in PRIVATE if each != name}
            self.assertIn(name, unknown(SimpleNamespace(**rest), KNOWN[1]) or "")


class InstallTests(SynchronousTestCase):
    """Tests for L{install}."""

    def install(self, why: str | None) -> tuple[Any, Any]:
        """Install; return our reactor and the one that was installed."""
        installed: list[object] = []
        made = {name: object() for name in ("HubReactor", "EPollReactor")}
        with (
            mock.patch.object(hubreactor, "installReactor", installed.append),
            mock.patch.object(hubreactor, "unknown", return_value=why),
            mock.patch.object(
                hubreactor, "HubReactor", return_value=made["HubReactor"]
            ),
            mock.patch.object(
                hubreactor, "EPollReactor", return_value=made["EPollReactor"]
            ),
        ):
            install()
        (one,) = installed
        return made["HubReactor"], one

    def test_trusted(self) -> None:
        """It is installed if there is no objection."""
        ours, installed = self.install(None)
        self.assertIs(installed, ours)

    def test_not_trusted(self) -> None:
        """Otherwise the ordinary one is, and it is said why."""
        with capturedLogs() as logged:
            ours, installed = self.install("it is too new")
        self.assertIsNot(installed, ours)
        (event,) = logged
        self.assertEqual(event["why"], "it is too new")

    def test_plugin(self) -> None:
        """C{twistd} finds it."""
        (found,) = (each for each in getReactorTypes() if each.shortName == "sockhost")
        self.assertIn("in front of all others", found.description)
