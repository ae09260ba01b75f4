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

from sockhost.plugins import kinds

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
README = ROOT / "README.md"
MOST = 400
"""Lines of a module."""


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
        """No module is over 400 lines."""
        over = [
            str(path.relative_to(ROOT))
            for path in modules()
            if len(path.read_text().splitlines()) > MOST
        ]
        self.assertEqual(over, [])

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


class BenchmarkTests(SynchronousTestCase):
    """What is said of the benchmarks."""

    def setUp(self) -> None:
        """See which there are."""
        paths = [p for p in (ROOT / "benchmarks").glob("*.py") if p.stem != "__init__"]
        self.modules = sorted(path.stem for path in paths)
        self.commands = sorted(
            path.stem for path in paths if "options = arguments(" in path.read_text()
        )

    def test_commands(self) -> None:
        """CONTRIBUTING.md names all that can be run."""
        text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Benchmarks")[2]
        named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
        self.assertEqual(sorted(named), self.commands)

    def test_map(self) -> None:
        """The package names all its modules."""
        text = (ROOT / "benchmarks" / "__init__.py").read_text()
        named = re.findall(r"L\{benchmarks\.(\w+)\}", text)
        self.assertEqual(sorted(named), self.modules)


class ReadmeTests(SynchronousTestCase):
    """What the pages outside docs/ say is there."""

    def test_kinds(self) -> None:
        """The table of the README has the kinds that ship, and no others."""
        _, _, behind = README.read_text().partition("| kind |")
        table, _, _ = behind.partition("\n\n")
        named = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
        ours = [n for n, k in kinds().items() if type(k).__module__.startswith("sockh")]
        self.assertEqual(sorted(named), sorted(ours))

    def test_handler(self) -> None:
        """The handler of the README is the one that is run by a test."""
        listing = (ROOT / "docs" / "listings" / "hello.py").read_text()
        self.assertIn(f"```python\n{listing}```\n", README.read_text())

    def test_links(self) -> None:
        """Each relative link leads to a file."""
        missing = []
        for page in (README, ROOT / "CONTRIBUTING.md"):
            for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
                if not (page.parent / target).exists():
                    missing.append(f"{page.name}: {target}")
        self.assertEqual(missing, [])
