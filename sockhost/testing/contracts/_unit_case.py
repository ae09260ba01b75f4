# -*- test-case-name: tests.testing.test_contracts -*-
"""
A unit under test, and the hands that turn the world around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from sockhost.interfaces import UnitLost
from sockhost.testing.contracts._case import ContractCase, nothing

Hand = Callable[[], object]
"""
Something that a test does to the world around a unit.  It may return a
Deferred or be C{async} where that takes time.
"""


@define(kw_only=True)
class UnitFixture:
    """
    A unit, and the hands that turn the world around it.  The unit alone is
    enough where all happens by itself; tests for which a hand is missing are
    skipped, and say so.

    @ivar unit: it is down.
    @ivar config: the configuration that it was made from.
    @ivar others: further configurations for C{reload}.
    @ivar ready: brings about that a start under way succeeds, where that does
        not happen by itself.
    @ivar stopped: the same for a stop.
    @ivar lose: ends the unit from outside, as by C{kill -9}; C{None} if there
        is no such thing.
    @ivar spoil: brings about that the next start fails.
    @ivar fail: brings about that a start under way fails, where that does not
        happen by itself after C{spoil}.
    @ivar mend: takes back C{spoil}.
    @ivar spoil_stop: brings about that the next stops fail.
    @ivar fail_stop: brings about that a stop under way fails, where that does
        not happen by itself after C{spoil_stop}.
    @ivar mend_stop: takes back C{spoil_stop}.
    @ivar left: what an outsider can see of the unit: files, processes,
        descriptors.  When nothing of the unit is left it is the same as before
        the first start.
    @ivar clock: the unit's clock, if it is one in memory.
    @ivar reachable: says whether others can connect to an L{IListeningUnit
        <sockhost.interfaces.IListeningUnit>}.
    @ivar hooks: says which hooks of the handler of an L{IHookedUnit
        <sockhost.interfaces.IHookedUnit>} were called, in order.
    @ivar spoil_hooks: brings about that C{reconfigure} fails.
    @ivar log: the path of the log of an L{ILoggingUnit
        <sockhost.interfaces.ILoggingUnit>}.
    @ivar write: has the unit, which is up, write something to its log.
    @ivar connect: connects a client to an L{IClientsUnit
        <sockhost.interfaces.IClientsUnit>} that is up.
    """

    unit: Any
    config: Any
    others: Sequence[Any] = ()
    ready: Hand = nothing
    stopped: Hand = nothing
    lose: Hand | None = None
    spoil: Hand | None = None
    fail: Hand = nothing
    mend: Hand = nothing
    spoil_stop: Hand | None = None
    fail_stop: Hand = nothing
    mend_stop: Hand = nothing
    left: Hand = nothing
    clock: Clock | None = None
    reachable: Callable[[], bool] | None = None
    hooks: Callable[[], Sequence[str]] | None = None
    spoil_hooks: Hand | None = None
    log: str | None = None
    write: Hand | None = None
    connect: Hand | None = None


class UnitCase(ContractCase):
    """What the tests of a unit have in common."""

    fixture: UnitFixture

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.unit = self.fixture.unit
        self.losses: list[Failure] = []
        self.when_lost: Deferred[None] = Deferred()
        self.addCleanup(self.take_down)
        await self.settle()
        self.before = await self.turn(self.fixture.left)

    def lost(self, failure: Failure) -> None:
        """Be told of a loss."""
        self.losses.append(failure)
        if not self.when_lost.called:
            self.when_lost.callback(None)

    async def start(self, lost: Callable[[Failure], None] | None = None) -> None:
        """Start the unit."""
        starting = self.unit.start(lost or self.lost)
        await self.turn(self.fixture.ready)
        self.assertIsNone(await starting)

    async def stop(self) -> None:
        """Stop the unit: nothing of it is left."""
        stopping = self.unit.stop()
        await self.turn(self.fixture.stopped)
        self.check_end(await stopping)
        await self.assert_nothing_left()

    async def lose(self) -> None:
        """Lose the unit, which is up."""
        if self.fixture.lose is None:
            self.lack("how the unit is lost")
        self.when_lost = Deferred()
        await self.turn(self.fixture.lose)
        await self.when_lost

    async def settle(self) -> None:
        """Let happen what is to happen by itself."""
        if self.fixture.clock is None:
            from twisted.internet import reactor

            await deferLater(IReactorTime(reactor), 0.01)
        else:
            self.fixture.clock.advance(0)

    def check_end(self, how: object) -> None:
        """A stop says how the unit ended, or nothing."""
        self.assertTrue(how is None or isinstance(how, UnitLost), how)

    async def assert_nothing_left(self) -> None:
        """Neither the clock nor an outsider sees anything of the unit."""
        if self.fixture.clock is not None:
            self.assertEqual(self.fixture.clock.getDelayedCalls(), [])
        self.assertEqual(await self.turn(self.fixture.left), self.before)

    async def take_down(self) -> None:
        """Leave no unit behind, also when a test fails."""
        stopping = self.unit.stop()
        self.unit.abort()
        await self.turn(self.fixture.stopped)
        await stopping
