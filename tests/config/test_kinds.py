# -*- test-case-name: tests.config.test_kinds -*-
"""
Kinds of units for the tests of the configuration, and a way to write its files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.config import Config, command, load, not_negative, unix_path
from sockhost.interfaces import ConfigError, IUnit, IUnitHost, IUnitKind


@frozen(kw_only=True)
class Ready:
    """When a thing is ready."""

    connect: str | None = None
    delay: float = field(default=0.0, validator=not_negative)


@frozen(kw_only=True)
class ThingConfig:
    """
    A thing.

    @ivar path: where it C{listens}.
    @ivar workers: how many, as in
        L{Ready}.
    @ivar ready: see L{there<Ready>}.
    """

    path: str = field(validator=unix_path)
    argv: tuple[str, ...] = field(default=("true",), validator=command)
    env: dict[str, str] = field(factory=dict)
    options: dict[str, Any] = field(factory=dict)
    workers: int = field(default=0, validator=not_negative)
    mode: Literal["stream", "datagram"] = "stream"
    ready: Ready | None = None
    more: tuple[Ready, ...] = ()
    size: int | str = 0


@frozen(kw_only=True)
class PlainConfig:
    """No keys of its own."""


@implementer(IUnitKind)
@frozen
class FakeKind:
    """A kind that makes nothing."""

    name: str
    config_class: Any
    portable: bool = False

    def make(self, name: str, config: Any, host: IUnitHost) -> IUnit:
        """Fail: reading a configuration makes no units."""
        raise NotImplementedError


def kinds_of(**classes: Any) -> Mapping[str, IUnitKind]:
    """Make kinds of the given configuration classes."""
    return {name: FakeKind(name, one) for name, one in classes.items()}


KINDS = kinds_of(thing=ThingConfig, plain=PlainConfig)


class ConfigCase(SynchronousTestCase):
    """A test with a directory for configuration files."""

    def setUp(self) -> None:
        """Make the directory."""
        self.directory = self.mktemp()
        os.makedirs(self.directory)
        self.path = os.path.join(self.directory, "host.toml")

    def write(self, text: str, name: str = "host.toml") -> str:
        """Write a file below the directory."""
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        return path

    def load(
        self, text: str, kinds: Mapping[str, IUnitKind] = KINDS, **options: Any
    ) -> Config:
        """Load a configuration of this text."""
        return load(self.write(text), kinds, **options)

    def problems(
        self, text: str, kinds: Mapping[str, IUnitKind] = KINDS, **options: Any
    ) -> list[str]:
        """Load a configuration and get what is wrong, without the main file's path."""
        try:
            found = self.load(text, kinds, **options).problems
        except ConfigError as error:
            found = error.problems
        return [str(one).removeprefix(f"{self.path}: ") for one in found]

    def unit_problems(self, text: str) -> list[str]:
        """Get what is wrong in the table of a thing with these keys."""
        whole = f'[unit.a]\nkind = "thing"\npath = "p"\n{text}'
        found = self.problems(whole)
        self.assertEqual([one.name for one in self.load(whole).quarantined], ["a"])
        return found


class FakeKindTests(SynchronousTestCase):
    """Tests for L{FakeKind}."""

    def test_interface(self) -> None:
        """It is what the host takes for a kind."""
        self.assertTrue(verifyObject(IUnitKind, FakeKind("thing", ThingConfig)))
