# -*- test-case-name: tests.testing.test_contracts -*-
"""
The contract of L{IUnit<sockhost.interfaces.IUnit>}, and of what a unit may be
besides, as tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    IClientsUnit,
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    IUnit,
    IUsableUnit,
)
from sockhost.testing.contracts._case import cancelled, contract_tests
from sockhost.testing.contracts._unit_case import Hand, UnitCase, UnitFixture
from sockhost.testing.contracts._unit_parts import (
    ClientsContract,
    HookedContract,
    ListeningContract,
    LoggingContract,
    UsableContract,
)

__all__ = ["Hand", "UnitFixture", "unit_contract_tests"]

CONTRACTS: dict[Any, type[UnitCase]] = {
    IUsableUnit: UsableContract,
    IListeningUnit: ListeningContract,
    IHookedUnit: HookedContract,
    ILoggingUnit: LoggingContract,
    IClientsUnit: ClientsContract,
}
"""The contracts of what a unit may be besides."""


class UnitContract(UnitCase):
    """What L{IUnit} promises."""

    interfaces: Sequence[Any] = ()

    def test_interface(self) -> None:
        """It has every method that a unit has."""
        verifyObject(IUnit, self.unit)

    def test_every_interface(self) -> None:
        """The contract of each interface that it provides is tested."""
        provided = {each for each in CONTRACTS if each.providedBy(self.unit)}
        self.assertEqual(provided, set(self.interfaces))

    async def test_start_and_stop(self) -> None:
        """It comes up, and nothing of it is left when it is down."""
        await self.start()
        await self.stop()
        await self.settle()
        self.assertEqual(self.losses, [])

    async def test_start_again(self) -> None:
        """It can be started again and again."""
        for _ in range(3):
            await self.start()
            await self.stop()
        self.assertEqual(self.losses, [])

    async def test_stop_when_down(self) -> None:
        """Stopping what is down does nothing, and says that it is down."""
        await self.stop()
        await self.start()
        await self.stop()
        await self.stop()

    async def test_stop_twice(self) -> None:
        """A stop during a stop ends when that does."""
        await self.start()
        both = [self.unit.stop(), self.unit.stop()]
        await self.turn(self.fixture.stopped)
        for each in both:
            self.check_end(await each)
        await self.assert_nothing_left()
        self.assertEqual(self.losses, [])

    async def test_stop_while_starting(self) -> None:
        """A stop overtakes a start, which does not succeed any more."""
        outcome: list[object] = []
        starting = self.unit.start(self.lost)
        at_once = starting.called
        starting.addBoth(outcome.append)
        await self.stop()
        await self.settle()
        if at_once:
            self.assertEqual(outcome, [None])
        else:
            self.assertTrue(all(map(cancelled, outcome)), outcome)
        self.assertEqual(self.losses, [])

    async def test_start_after_overtaken(self) -> None:
        """After a stop that has overtaken a start, it can be started."""
        self.unit.start(self.lost).addErrback(lambda _: None)
        await self.stop()
        await self.start()
        await self.stop()
        self.assertEqual(self.losses, [])

    async def test_start_fails(self) -> None:
        """A start that fails leaves nothing, and is no loss."""
        await self.spoilt_start()
        await self.assert_nothing_left()
        await self.settle()
        self.assertEqual(self.losses, [])

    async def test_start_after_failure(self) -> None:
        """When the reason is gone, it can be started, with or without a stop."""
        await self.spoilt_start()
        await self.stop()
        await self.spoilt_start()
        await self.turn(self.fixture.mend)
        await self.start()
        await self.stop()
        self.assertEqual(self.losses, [])

    async def test_stop_again(self) -> None:
        """A stop that failed can be tried again, until nothing is left."""
        if self.fixture.spoil_stop is None:
            self.lack("how a stop fails")
        await self.start()
        await self.turn(self.fixture.spoil_stop)
        for _ in range(2):
            stopping = self.unit.stop()
            await self.turn(self.fixture.fail_stop)
            await self.failure_of(stopping, Exception)
            self.assert_status()
        await self.turn(self.fixture.mend_stop)
        await self.stop()
        await self.settle()
        self.assertEqual(self.losses, [])
        await self.start()
        await self.stop()

    async def test_status(self) -> None:
        """Its status can be asked for at any time, and written as JSON."""
        self.assert_status()
        starting = self.unit.start(self.lost)
        self.assert_status()
        await self.turn(self.fixture.ready)
        await starting
        self.assert_status()
        stopping = self.unit.stop()
        self.assert_status()
        await self.turn(self.fixture.stopped)
        await stopping
        self.assert_status()

    async def test_reload(self) -> None:
        """It takes a configuration or asks for a restart, and runs on."""
        for config in (self.fixture.config, *self.fixture.others):
            await self.start()
            self.assertIsInstance(await self.unit.reload(config), bool)
            self.assert_status()
            await self.stop()
        self.assertEqual(self.losses, [])

    async def test_abort(self) -> None:
        """Cutting the grace short has no effect but on a stop under way."""
        self.unit.abort()
        starting = self.unit.start(self.lost)
        self.unit.abort()
        await self.turn(self.fixture.ready)
        await starting
        self.unit.abort()
        await self.settle()
        self.assertEqual(self.losses, [])
        await self.stop()
        self.unit.abort()

    async def test_abort_stop(self) -> None:
        """A stop that is cut short still leaves nothing, and can be followed."""
        await self.start()
        stopping = self.unit.stop()
        self.unit.abort()
        self.unit.abort()
        await self.turn(self.fixture.stopped)
        self.check_end(await stopping)
        await self.assert_nothing_left()
        await self.start()
        await self.stop()

    async def test_lost(self) -> None:
        """It says once that it was lost, with a reason, and nothing is left."""
        await self.start()
        await self.lose()
        await self.assert_nothing_left()
        await self.settle()
        (failure,) = self.losses
        self.assertIsInstance(failure, Failure)
        self.assertNotEqual(failure.getErrorMessage(), "")
        self.assert_status()

    async def test_start_after_loss(self) -> None:
        """It can be started again after each loss, of which the last is told."""
        for count in range(3):
            told: list[Failure] = []
            await self.start(lambda failure, told=told: self._note(failure, told))  # type: ignore[misc]
            await self.lose()
            self.assertEqual((len(told), len(self.losses)), (1, count + 1))
        await self.start()
        await self.stop()
        self.assertEqual(len(self.losses), 3)

    async def test_start_when_told(self) -> None:
        """It can be started by the very call that tells of its loss."""
        again: list[Deferred[None]] = []

        def lost(failure: Failure) -> None:
            again.append(self.unit.start(self.losses.append))
            self.lost(failure)

        await self.start(lost)
        await self.lose()
        await self.turn(self.fixture.ready)
        await again[0]
        await self.stop()
        self.assertEqual(len(self.losses), 1)

    async def test_stop_after_loss(self) -> None:
        """Stopping what was lost does nothing, and tells nobody again."""
        await self.start()
        await self.lose()
        await self.stop()
        await self.settle()
        self.assertEqual(len(self.losses), 1)

    async def test_not_lost_when_stopped(self) -> None:
        """What ends after the stop has begun is no loss."""
        if self.fixture.lose is None:
            self.lack("how the unit is lost")
        await self.start()
        await self.turn(self.fixture.lose)
        known = len(self.losses)
        await self.stop()
        await self.settle()
        self.assertEqual(len(self.losses), known)

    def _note(self, failure: Failure, told: list[Failure]) -> None:
        told.append(failure)
        self.lost(failure)

    async def spoilt_start(self) -> None:
        """Start it so that it fails."""
        if self.fixture.spoil is None:
            self.lack("how a start fails")
        await self.turn(self.fixture.spoil)
        starting = self.unit.start(self.lost)
        await self.turn(self.fixture.fail)
        await self.failure_of(starting, Exception)

    def assert_status(self) -> None:
        """The status is a mapping that JSON can carry."""
        status = dict(self.unit.status())
        self.assertTrue(all(isinstance(key, str) for key in status))
        json.dumps(status, allow_nan=False)


def unit_contract_tests(
    make: Callable[[TestCase], object], *interfaces: Any
) -> type[TestCase]:
    """
    Make the tests of L{IUnit}, and of the interfaces on top of it, for a unit.

    @param make: makes a L{UnitFixture} anew for each test, given its test case
        (for C{addCleanup} and C{mktemp}); or a Deferred of one, or it is
        C{async}.
    @param interfaces: what the unit provides of L{IUsableUnit},
        L{IListeningUnit}, L{IHookedUnit}, L{ILoggingUnit} and
        L{IClientsUnit}.  One that is forgotten fails a test.
    """
    bases = [CONTRACTS[each] for each in interfaces]
    return contract_tests(
        "UnitContractTests",
        UnitContract,
        *bases,
        make=staticmethod(make),
        interfaces=interfaces,
    )
