# -*- test-case-name: tests.testing.test_part_contracts -*-
"""
The contract of L{INotifier<sockhost.interfaces.INotifier>} as tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import INotifier
from sockhost.status import Event
from sockhost.testing.contracts._case import ContractCase, contract_tests

EVENTS = (
    Event(at=0.0, event="ready"),
    Event(at=1.5, event="state", unit="kv", fields={"state": "up", "reason": None}),
    Event(at=2.0, event="strange", unit="kv", fields={"deep": {"a": [None, 1]}}),
    Event(at=2.0, event="strange", unit="kv", fields={"text": "\u2028\n{braces} \x00"}),
)
"""Events of the host and of units, with and without fields, and odd ones."""


class _NotifierContract(ContractCase):
    """What L{INotifier} promises."""

    told: Callable[[Any], Sequence[Event]] | None

    def test_interface(self) -> None:
        """It has all that a notifier has."""
        verifyObject(INotifier, self.fixture)

    def test_events(self) -> None:
        """It takes every event, and gives nothing back to wait for."""
        for event in EVENTS:
            self.assertIsNone(self.fixture.notify(event))

    def test_same_again(self) -> None:
        """It may be told the same twice."""
        for _ in range(2):
            self.assertIsNone(self.fixture.notify(EVENTS[0]))

    async def test_order(self) -> None:
        """It takes note of the events in their order, of each once."""
        if self.told is None:
            self.lack("what the notifier has noted")
        for event in EVENTS:
            self.fixture.notify(event)
        noted = await self.turn(type(self).told, self.fixture)  # type: ignore[arg-type]
        self.assertEqual(list(noted), list(EVENTS))


def notifier_contract_tests(
    make: Callable[[], INotifier],
    told: Callable[[Any], Any] | None = None,
) -> type[TestCase]:
    """
    Make the tests of L{INotifier} for a notifier.

    @param make: makes a notifier anew for each test.
    @param told: says which events it has taken note of, where that can be
        known; plainly, or by a Deferred.
    """

    def make_for(_: TestCase) -> INotifier:
        return make()

    return contract_tests(
        "NotifierContractTests",
        _NotifierContract,
        make=staticmethod(make_for),
        told=None if told is None else staticmethod(told),
    )
