# -*- test-case-name: tests.testing.test_kind_contracts -*-
"""
The contract of L{IUnitKind<sockhost.interfaces.IUnitKind>} as tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import attrs
from twisted.plugin import IPlugin
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.config import RestartPolicy, structure
from sockhost.interfaces import ConfigError, IUnit, IUnitHost, IUnitKind
from sockhost.testing.contracts._case import ContractCase, contract_tests


class _KindContract(ContractCase):
    """What L{IUnitKind} promises."""

    kind: IUnitKind
    table: Mapping[str, Any]
    bad: Sequence[Mapping[str, Any]]

    def config(self) -> Any:
        """The table, as the kind's units get it."""
        return structure(self.kind.config_class, self.table)

    def test_interface(self) -> None:
        """It is a plugin, and has all that a kind has."""
        verifyObject(IUnitKind, self.kind)
        self.assertTrue(IPlugin.providedBy(self.kind))
        self.assertIsInstance(self.kind.name, str)
        self.assertNotEqual(self.kind.name, "")
        self.assertIsInstance(self.kind.portable, bool)

    def test_config_class(self) -> None:
        """Its configuration is frozen."""
        self.assertTrue(attrs.has(self.kind.config_class))
        config = self.config()
        for key in attrs.fields_dict(self.kind.config_class):
            self.assertRaises(
                attrs.exceptions.FrozenInstanceError, setattr, config, key, None
            )

    def test_unknown_key(self) -> None:
        """A key that it does not know is refused."""
        table = {**self.table, "no_such_key": 1}
        self.assertRaises(ConfigError, structure, self.kind.config_class, table)

    def test_bad_tables(self) -> None:
        """What is wrong is refused when the configuration is read."""
        for table in self.bad:
            with self.assertRaises(ConfigError, msg=f"{table} was taken"):
                structure(self.kind.config_class, table)

    def test_equal(self) -> None:
        """The same table gives equal configurations: nothing has changed."""
        self.assertEqual(self.config(), self.config())

    def test_make(self) -> None:
        """It makes units, each its own."""
        first = self.kind.make("one", self.config(), self.fixture)
        second = self.kind.make("two", self.config(), self.fixture)
        verifyObject(IUnit, first)
        self.assertIsNot(first, second)

    def test_make_opens_nothing(self) -> None:
        """Making a unit opens no descriptor, and makes no file."""
        before = self.surroundings()
        unit = self.kind.make("one", self.config(), self.fixture)
        self.assertEqual(self.surroundings(), before)
        self.assertEqual(dict(unit.status()), dict(unit.status()))

    def surroundings(self) -> object:
        """What a unit that was started might leave traces in."""
        timers: Any = getattr(self.fixture.reactor, "getDelayedCalls", list)()
        files = sorted(os.walk(self.fixture.run_dir))
        return len(os.listdir("/proc/self/fd")), len(timers), files

    def test_portable(self) -> None:
        """A kind that goes into workers can be imported and made there."""
        if not self.kind.portable:
            self.lack("that units of this kind go into workers")
        ours = type(self.kind)
        found: Any = import_module(ours.__module__)
        for name in ours.__qualname__.split("."):
            found = getattr(found, name)
        verifyObject(IUnitKind, found())
        self.assertEqual(found().name, self.kind.name)

    def test_usual_policy(self) -> None:
        """If it has an opinion on restarts, that is a policy."""
        usual = getattr(self.kind, "usual_policy", None)
        if usual is not None:
            self.assertIsInstance(usual(self.table), RestartPolicy)


def kind_contract_tests(
    kind: IUnitKind,
    table: Mapping[str, Any],
    host: Callable[[TestCase], IUnitHost],
    bad: Sequence[Mapping[str, Any]] = (),
) -> type[TestCase]:
    """
    Make the tests of L{IUnitKind} for a kind.

    @param table: a good table of the kind's own keys.
    @param host: makes the host for the units, such as a L{MemoryUnitHost
        <sockhost.testing.units.MemoryUnitHost>}.
    @param bad: tables of which each has something wrong.
    """
    names = {"kind": kind, "table": table, "bad": tuple(bad)}
    return contract_tests(
        "KindContractTests", _KindContract, make=staticmethod(host), **names
    )
