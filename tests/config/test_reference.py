# -*- test-case-name: tests.config.test_reference -*-
"""
Tests for C{docs/generate_config.py}.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import RestartPolicy
from tests.config.test_kinds import KINDS, FakeKind

PATH = Path(__file__).resolve().parents[2] / "docs" / "generate_config.py"


def generator() -> ModuleType:
    """Import the script, which is in no package."""
    spec = importlib.util.spec_from_file_location("generate_config", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class StubbornKind(FakeKind):
    """A kind that does not give up."""

    def usual_policy(self, _table: object) -> RestartPolicy:
        """Say so."""
        return RestartPolicy(budget=0, backoff_max=2.0)


class ReferenceTests(SynchronousTestCase):
    """The reference of the configuration."""

    def setUp(self) -> None:
        """Have the generator, or skip where there is only the package."""
        if not PATH.exists():
            self.skipTest("the documentation is not here")
        self.generator = generator()

    def test_markup(self) -> None:
        """Epytext becomes reStructuredText."""
        for text, expected in (
            ("a C{b} c", "a ``b`` c"),
            ('C{{run_dir}} and C{a = "{x}"}', '``{run_dir}`` and ``a = "{x}"``'),
            ("L{IUnit} or L{the unit <sockhost.IUnit>}.", "``IUnit`` or the unit."),
            ("L{a.b.C}", "``C``"),
            ("I{so} B{so}", "*so* **so**"),
            ("2 * 3 | x_ `y`", r"2 \* 3 \| x\_ \`y\`"),
            ("a_b", "a_b"),
        ):
            self.assertEqual(self.generator.to_rst(text), expected)

    def test_page(self) -> None:
        """Every key is there with its type, default and text."""
        page = self.generator.page(KINDS)
        for lines in (
            'Units of ``kind = "thing"``\n---------------------------\n\nA thing.\n',
            "``path``\n    | a string, required\n    | where it ``listens``.\n",
            "``ready``\n    | a table\n    | see there.\n",
            "``ready.delay``\n    | a number; default ``0.0``\n",
            "``enabled``\n    | true or false; default ``true``\n    | whether",
            "``kind``\n    | a string, required\n",
        ):
            self.assertIn(lines, page)
        self.assertNotIn("``own``", page)
        self.assertNotIn("``policy.budget``", page)

    def test_usual_policy(self) -> None:
        """Defaults of restarts that are others for a kind are told with its keys."""
        kind = StubbornKind("stubborn", KINDS["plain"].config_class)
        page = self.generator.page({"stubborn": kind})
        self.assertIn(
            "No keys of its own.\n\nUnless its table says something else:"
            " ``backoff_max = 2.0``, ``budget = 0``.\n",
            page,
        )
        self.assertNotIn("Unless its table", self.generator.page(KINDS))

    def test_only_ours(self) -> None:
        """Kinds of other packages do not change the page."""
        self.assertEqual(self.generator.ours(KINDS), {})
