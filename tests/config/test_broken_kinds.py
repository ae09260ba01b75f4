# -*- test-case-name: tests.config.test_broken_kinds -*-
"""
Tests for L{sockhost.config.units}: kinds that are broken break their units only.
"""

from __future__ import annotations

import abc
from typing import Any

from attrs import field, frozen

from tests.config.test_kinds import ConfigCase, kinds_of


@frozen
class ClashingConfig:
    """Wants keys that every unit has."""

    restart: str = ""
    after: str = ""


class BrokenConfig:
    """Not an attrs class."""


@frozen
class UnresolvedConfig:
    """Has an annotation that cannot be resolved."""

    value: Nowhere = 0  # type: ignore[name-defined]  # noqa: F821


@frozen
class AbstractConfig(abc.ABC):
    """Cannot be instantiated."""

    @abc.abstractmethod
    def missing(self) -> None:
        """Be there."""


def _explode(*_arguments: object) -> None:
    raise KeyError("boom\nbang")


@frozen
class ExplosiveConfig:
    """Has a validator that fails in an unexpected way."""

    value: int = field(default=0, validator=_explode)


class BrokenKindTests(ConfigCase):
    """A third party's kind cannot break more than its units."""

    def told(self, config_class: Any, keys: str = "") -> list[str]:
        """Get what is wrong with a unit of a kind."""
        return self.problems(
            f'[unit.a]\nkind = "odd"\n{keys}', kinds_of(odd=config_class)
        )

    def test_clash(self) -> None:
        """A kind cannot have keys that every unit has."""
        self.assertEqual(
            self.told(ClashingConfig),
            [
                (
                    'unit.a.kind = "odd": this kind cannot be used: it wants for '
                    'itself what every unit has: "after", "restart"'
                )
            ],
        )

    def test_not_attrs(self) -> None:
        """A kind's class must be an attrs class."""
        expected = (
            'unit.a.kind = "odd": this kind cannot be used: its config_class is not '
            "an attrs class"
        )
        self.assertEqual(self.told(BrokenConfig), [expected])
        self.assertEqual(self.told(None), [expected])

    def test_unresolved(self) -> None:
        """A kind's class must have annotations that mean something."""
        self.assertEqual(
            self.told(UnresolvedConfig),
            [
                (
                    'unit.a.kind = "odd": this kind cannot be used: its config_class '
                    "is broken: NameError: name 'Nowhere' is not defined"
                )
            ],
        )

    def test_abstract(self) -> None:
        """A class that has no instances is refused as well."""
        (text,) = self.told(AbstractConfig)
        start = 'unit.a.kind = "odd": this kind cannot be used: '
        self.assertTrue(text.startswith(f"{start}Can't instantiate abstract class"))

    def test_exception_in_validator(self) -> None:
        """Whatever a validator raises is a problem of its key, in one line."""
        self.assertEqual(
            self.told(ExplosiveConfig, "value = 1\n"),
            ["unit.a.value = 1: KeyError: boom bang"],
        )

    def test_exception_in_default(self) -> None:
        """What only the class itself finds is a problem of the table."""
        self.assertEqual(self.told(ExplosiveConfig), ["unit.a: KeyError: boom bang"])
