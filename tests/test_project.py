# -*- test-case-name: tests.test_project -*-
"""
What holds for the project as a whole: that what is written is installed, that
the maps are true, that the rules of size are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
OURS = (
    "sockhost",
    "twisted",
    "tests",
    "benchmarks",
    "scripts",
    "examples",
    "docs",
    ".ci",
)
MOST = 400
"""Lines of a module."""
# Still to be split; a name that is no longer needed here fails the test too.
TOO_LONG = [
    "tests/functional/test_reach.py",
    "tests/functional/test_sock_daemon.py",
    "tests/functional/test_upstream_defects.py",
    "tests/redis/test_hiredis_parity.py",
    "tests/sockets/test_hubconnection.py",
]


def modules() -> Iterator[Path]:
    """Every module of the project."""
    for directory in OURS:
        yield from sorted((ROOT / directory).rglob("*.py"))


class PackagingTests(SynchronousTestCase):
    """What is written is installed."""

    def test_every_package_is_listed(self) -> None:
        """A new room is also in setup.cfg, or an installed host lacks it."""
        config = ConfigParser()
        config.read(ROOT / "setup.cfg")
        listed = config["options"]["packages"].split()
        found = {
            ".".join(path.parent.relative_to(ROOT).parts)
            for path in (ROOT / "sockhost").rglob("__init__.py")
        }
        self.assertEqual(sorted(listed), sorted([*found, "twisted.plugins"]))

    def test_plugins_are_no_package(self) -> None:
        """An __init__.py in twisted/plugins would hide everybody else's."""
        for place in (ROOT, ROOT / "examples" / "plugin"):
            self.assertFalse((place / "twisted" / "__init__.py").exists())
            self.assertFalse((place / "twisted" / "plugins" / "__init__.py").exists())


class ModuleTests(SynchronousTestCase):
    """What holds for each module."""

    def test_size(self) -> None:
        """No module is over 400 lines, but those that are still to be split."""
        over = [
            str(path.relative_to(ROOT))
            for path in modules()
            if len(path.read_text().splitlines()) > MOST
        ]
        self.assertEqual(sorted(over), TOO_LONG)

    def test_named_tests_exist(self) -> None:
        """The first line of a module names tests that are there."""
        missing = []
        for path in modules():
            match = re.match(r"# -\*- test-case-name: (\S+) -\*-", path.read_text())
            for name in match[1].split(",") if match else ():
                if not _module_exists(name):
                    missing.append(f"{path.relative_to(ROOT)}: {name}")
        self.assertEqual(missing, [])


def _module_exists(name: str) -> bool:
    inside = Path(*name.split("."))
    return any(
        (base / inside).with_suffix(".py").exists() or (base / inside).is_dir()
        for base in (ROOT, ROOT / "examples" / "plugin")
    )


class ReadmeTests(SynchronousTestCase):
    """What the pages outside docs/ say is there."""

    def test_links(self) -> None:
        """Each relative link leads to a file."""
        missing = []
        for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
            for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
                if not (page.parent / target).exists():
                    missing.append(f"{page.name}: {target}")
        self.assertEqual(missing, [])
