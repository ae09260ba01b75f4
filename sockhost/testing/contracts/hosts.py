# -*- test-case-name: tests.testing.test_contracts -*-
"""
The contracts of L{IUnitHost<sockhost.interfaces.IUnitHost>} and of
L{IHost<sockhost.interfaces.IHost>} as tests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    ConfigError,
    GoalChanged,
    IHost,
    INotifier,
    IUnitHost,
    IUnitKind,
    NoClients,
    NoSuchClient,
    NoSuchUnit,
    SockhostError,
)
from sockhost.status import Event, Goal, HostStatus, State, UnitStatus, to_json
from sockhost.testing.contracts._case import ContractCase, contract_tests

NOBODY = "no-such-unit"
ME = "the contract test"


@define(kw_only=True)
class HostFixture:
    """
    A host, and what it has.

    @ivar host: the host, or what a unit sees of it.
    @ivar units: names of units, of which an L{IHost
        <sockhost.interfaces.IHost>} has at least one that is up.
    @ivar kinds: names of kinds that it has.
    @ivar clients: names of units that it offers for use.
    @ivar live: whether it does what it is asked for; C{False} for one that
        only notes that.
    @ivar spoil_config: makes the configuration file bad; C{None} if there is
        no file.
    @ivar ended: fires when the host has ended after a C{shutdown}.
    """

    host: Any
    units: Sequence[str] = ()
    kinds: Sequence[str] = ()
    clients: Sequence[str] = ()
    live: bool = True
    spoil_config: Callable[[], object] | None = None
    ended: Deferred[Any] | None = None


@implementer(INotifier)
@define(eq=False)
class _Ear:
    """Notes events; or breaks on each."""

    breaks: bool = False
    events: list[Event] = field(factory=list)

    def notify(self, event: Event) -> None:
        self.events.append(event)
        if self.breaks:
            raise ZeroDivisionError("a notifier with a defect")


class UnitHostContract(ContractCase):
    """What L{IUnitHost} promises."""

    fixture: HostFixture

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.host = self.fixture.host

    def test_interface(self) -> None:
        """It has all that a unit may ask its host for."""
        verifyObject(IUnitHost, self.host)

    def test_directories(self) -> None:
        """It says where things are, absolutely."""
        for path in (self.host.run_dir, self.host.log_dir, self.host.config_dir):
            self.assertIsInstance(path, str)
            self.assertTrue(os.path.isabs(path), path)

    def test_unknown_names(self) -> None:
        """What it does not have it cannot give."""
        self.assertRaises(NoSuchUnit, self.host.use, NOBODY)
        self.assertRaises(NoSuchUnit, self.host.unit_config, NOBODY)
        self.assertRaises(SockhostError, self.host.child_kind, "no-such-kind")

    def test_known_names(self) -> None:
        """What it has it gives, and the same each time."""
        for name in self.fixture.clients:
            self.assertIs(self.host.use(name), self.host.use(name))
        for name in self.fixture.kinds:
            verifyObject(IUnitKind, self.host.child_kind(name))
            self.assertEqual(self.host.child_kind(name).name, name)
        for name in self.fixture.units:
            self.assertEqual(self.host.unit_config(name).name, name)

    def test_publish(self) -> None:
        """It takes any event, and gives nothing back."""
        for unit in (None, "kv"):
            event = Event(at=1.0, event="strange", unit=unit, fields={"a": [None]})
            self.assertIsNone(self.host.publish(event))


class HostContract(UnitHostContract):
    """What L{IHost} promises, whatever it is made of."""

    @property
    def name(self) -> str:
        """The name of a unit."""
        return self.fixture.units[0]

    def listen(self, breaks: bool = False) -> _Ear:
        """Have events noted."""
        ear = _Ear(breaks)
        self.addCleanup(self.host.subscribe(ear))
        return ear

    def test_host_interface(self) -> None:
        """It has all that the control API asks for."""
        verifyObject(IHost, self.host)

    def test_status(self) -> None:
        """Its status is one tree, which JSON can carry."""
        status = self.host.status()
        self.assertIsInstance(status, HostStatus)
        json.dumps(to_json(status), allow_nan=False)
        names = [each.name for each in status.units]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(set(self.fixture.units) - set(names), set())

    def test_unit_status(self) -> None:
        """A unit's status is the same alone and in the tree."""
        for each in self.host.status().units:
            alone = self.host.unit_status(each.name)
            self.assertIsInstance(alone, UnitStatus)
            self.assertEqual((alone.name, alone.kind), (each.name, each.kind))
            self.assertEqual((alone.goal, alone.state), (each.goal, each.state))

    def test_log_path(self) -> None:
        """Each unit has a place for its output."""
        path = self.host.log_path(self.name)
        self.assertTrue(os.path.isabs(path), path)

    async def test_no_such_unit(self) -> None:
        """A unit that is not there is an error, and of a Deferred where one is."""
        self.assertRaises(NoSuchUnit, self.host.unit_status, NOBODY)
        self.assertRaises(NoSuchUnit, self.host.log_path, NOBODY)
        for verb in ("start", "stop", "restart", "reload"):
            method = getattr(self.host, verb)
            error = await self.refused(lambda m=method: m(NOBODY, ME), NoSuchUnit)  # type: ignore[misc]
            self.assertEqual(error.name, NOBODY)

    async def test_clients(self) -> None:
        """A unit has clients that can be listed, or none at all; nobody is no one's."""
        await self.refused(lambda: self.host.clients(NOBODY), NoSuchUnit)
        await self.refused(lambda: self.host.kick(NOBODY, "1", ME), NoSuchUnit)
        for name in self.fixture.units:
            try:
                found = await self.host.clients(name)
            except NoClients as error:
                self.assertEqual(error.name, name)
                await self.refused(lambda n=name: self.host.kick(n, "1", ME), NoClients)  # type: ignore[misc]
            else:
                for each in found:
                    self.assertIsInstance(each["id"], str)
                await self.refused(
                    lambda n=name: self.host.kick(n, NOBODY, ME),  # type: ignore[misc]
                    NoSuchClient,
                )

    def test_subscribe(self) -> None:
        """A notifier is told of every event in order, until it has enough."""
        ear = _Ear()
        end = self.host.subscribe(ear)
        events = [Event(at=float(n), event="strange") for n in range(3)]
        for event in events[:2]:
            self.host.publish(event)
        end()
        end()
        self.host.publish(events[2])
        told = [each for each in ear.events if each.event == "strange"]
        self.assertEqual(told, events[:2])

    def test_subscribe_twice(self) -> None:
        """To end one subscription ends no other."""
        first, second = _Ear(), self.listen()
        self.host.subscribe(first)()
        event = Event(at=1.0, event="strange")
        self.host.publish(event)
        self.assertEqual(first.events, [])
        self.assertIn(event, second.events)

    def test_notifier_breaks(self) -> None:
        """A notifier with a defect costs nobody else the event."""
        before, _, after = self.listen(), self.listen(breaks=True), self.listen()
        event = Event(at=1.0, event="strange")
        self.assertIsNone(self.host.publish(event))
        self.assertIn(event, before.events)
        self.assertIn(event, after.events)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_reopen_logs(self) -> None:
        """Logs can be reopened at any time, again and again."""
        self.assertIsNone(self.host.reopen_logs())
        self.assertIsNone(self.host.reopen_logs())


class LiveHostContract(HostContract):
    """What L{IHost} promises of a host that does what it is asked for."""

    def assert_is(self, goal: Goal, state: State) -> None:
        """The unit is as it should be."""
        status = self.host.unit_status(self.name)
        self.assertEqual((status.goal, status.state), (goal, state), status.reason)

    async def test_start_and_stop(self) -> None:
        """A unit is down when the stop has ended, and up when the start has."""
        self.assertIsNone(await self.host.stop(self.name, ME))
        self.assert_is(Goal.DOWN, State.DOWN)
        self.assertIsNone(await self.host.stop(self.name, ME))
        self.assertIsNone(await self.host.start(self.name, ME))
        self.assert_is(Goal.UP, State.UP)
        self.assertIsNone(await self.host.start(self.name, ME))

    async def test_who_asked(self) -> None:
        """Who wanted a unit to end is on record."""
        await self.host.stop(self.name, ME)
        last = self.host.unit_status(self.name).last_exit
        self.assertEqual(last.asked_by, ME)
        await self.host.start(self.name, ME)

    async def test_restart(self) -> None:
        """A unit is up again after a restart, whatever it was before."""
        self.assertIsNone(await self.host.restart(self.name, ME))
        self.assert_is(Goal.UP, State.UP)
        await self.host.stop(self.name, ME)
        self.assertIsNone(await self.host.restart(self.name, ME))
        self.assert_is(Goal.UP, State.UP)

    async def test_goal_changed(self) -> None:
        """Who waits for what is abandoned is told so, if it is not there yet."""
        await self.host.stop(self.name, ME)
        starting = self.host.start(self.name, ME)
        outcome: list[Any] = []
        starting.addBoth(outcome.append)
        await self.host.stop(self.name, ME)
        self.assertEqual(len(outcome), 1)
        self.assertTrue(outcome[0] is None or outcome[0].check(GoalChanged))
        self.assert_is(Goal.DOWN, State.DOWN)
        await self.host.start(self.name, ME)

    async def test_reload(self) -> None:
        """A unit that was given its configuration again is up."""
        self.assertIsInstance(await self.host.reload(self.name, ME), bool)
        self.assert_is(Goal.UP, State.UP)

    async def test_events(self) -> None:
        """Each change of a unit is told in order."""
        ear = self.listen()
        await self.host.restart(self.name, ME)
        mine = [each for each in ear.events if each.unit == self.name]
        states = [each.fields["state"] for each in mine if each.event == "state"]
        self.assertIn(states[0], ("stopping", "down"))
        self.assertEqual(states[-1], "up")
        times = [each.at for each in ear.events]
        self.assertEqual(times, sorted(times))

    async def test_reconfigure(self) -> None:
        """An unchanged configuration changes nothing."""
        found = await self.host.reconfigure(ME)
        self.assertEqual(set(found), {"added", "removed", "changed", "unchanged"})
        self.assertIn(self.name, found["unchanged"])
        self.assertEqual([*found["added"], *found["removed"], *found["changed"]], [])
        self.assert_is(Goal.UP, State.UP)

    async def test_bad_configuration(self) -> None:
        """A bad file changes nothing, and says what is wrong."""
        if self.fixture.spoil_config is None:
            self.lack("how the configuration becomes bad")
        before = self.host.unit_status(self.name)
        self.fixture.spoil_config()
        error = await self.refused(lambda: self.host.reconfigure(ME), ConfigError)
        self.assertGreater(len(error.problems), 0)
        self.assertEqual(self.host.unit_status(self.name).since, before.since)

    async def test_shutdown(self) -> None:
        """It ends once, however often it is told, and its units before it."""
        if self.fixture.ended is None:
            self.lack("when the host has ended")
        ear = self.listen()
        self.assertIsNone(self.host.shutdown(ME))
        self.assertIsNone(self.host.shutdown(ME))
        await self.fixture.ended
        self.assertEqual([e.event for e in ear.events].count("stopping"), 1)
        states = {each.state for each in self.host.status().units}
        self.assertEqual(states & {State.UP, State.STARTING, State.STOPPING}, set())


def unit_host_contract_tests(make: Callable[[TestCase], object]) -> type[TestCase]:
    """
    Make the tests of L{IUnitHost} for what a unit sees of its host.

    @param make: makes a L{HostFixture} anew for each test; or a Deferred of
        one, or it is C{async}.
    """
    return contract_tests(
        "UnitHostContractTests", UnitHostContract, make=staticmethod(make)
    )


def host_contract_tests(
    make: Callable[[TestCase], object], live: bool = True
) -> type[TestCase]:
    """
    Make the tests of L{IHost} for a host.

    @param make: makes a L{HostFixture} anew for each test; or a Deferred of
        one, or it is C{async}.
    @param live: C{False} for a host that only notes what it is asked for.
    """
    contract = LiveHostContract if live else HostContract
    return contract_tests("HostContractTests", contract, make=staticmethod(make))
