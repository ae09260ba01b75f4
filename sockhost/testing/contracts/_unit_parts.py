# -*- test-case-name: tests.testing.test_contracts -*-
"""
The contracts of what a unit may be besides a unit: usable, listening, with
hooks, with a log.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    IClientsUnit,
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    IUsableUnit,
)
from sockhost.testing.contracts._unit_case import UnitCase

HOOKS = ("reopen_logs", "reconfigure")


class UsableContract(UnitCase):
    """What L{IUsableUnit} promises."""

    def test_usable_interface(self) -> None:
        """It has all that a unit has that handlers use."""
        verifyObject(IUsableUnit, self.unit)

    async def test_client_stays(self) -> None:
        """Its client is the same in every state."""
        client = self.unit.client()
        starting = self.unit.start(self.lost)
        self.assertIs(self.unit.client(), client)
        await self.turn(self.fixture.ready)
        await starting
        self.assertIs(self.unit.client(), client)
        await self.stop()
        self.assertIs(self.unit.client(), client)
        await self.start()
        self.assertIs(self.unit.client(), client)

    async def test_client_survives_loss(self) -> None:
        """Its client is the same after each loss."""
        client = self.unit.client()
        for _ in range(2):
            await self.start()
            await self.lose()
            self.assertIs(self.unit.client(), client)
        await self.start()
        self.assertIs(self.unit.client(), client)

    async def test_reload_when_down(self) -> None:
        """It takes a configuration when it is down, and keeps its client."""
        client = self.unit.client()
        self.assertIsInstance(await self.unit.reload(self.fixture.config), bool)
        await self.start()
        await self.stop()
        self.assertIsInstance(await self.unit.reload(self.fixture.config), bool)
        self.assertIs(self.unit.client(), client)
        await self.assert_nothing_left()


class ListeningContract(UnitCase):
    """What L{IListeningUnit} promises."""

    def reachable(self) -> bool:
        """Whether others can connect."""
        if self.fixture.reachable is None:
            self.lack("whether the unit can be reached")
        return self.fixture.reachable()

    def test_listening_interface(self) -> None:
        """It has all that a unit has that others connect to."""
        verifyObject(IListeningUnit, self.unit)

    async def test_listens_when_ready(self) -> None:
        """Others can connect when it is ready, and not when it is down."""
        self.assertFalse(self.reachable())
        await self.start()
        self.assertTrue(self.reachable())
        await self.stop()
        self.assertFalse(self.reachable())

    async def test_unlisten(self) -> None:
        """After it was told to, nobody can connect; it is no loss."""
        await self.start()
        self.unit.unlisten()
        self.assertFalse(self.reachable())
        await self.settle()
        self.assertEqual(self.losses, [])
        await self.stop()

    async def test_unlisten_in_every_state(self) -> None:
        """It can be told at any time, and again."""
        self.unit.unlisten()
        await self.start()
        self.unit.unlisten()
        self.unit.unlisten()
        stopping = self.unit.stop()
        self.unit.unlisten()
        await self.turn(self.fixture.stopped)
        await stopping
        self.unit.unlisten()
        await self.assert_nothing_left()

    async def test_unlisten_while_starting(self) -> None:
        """A start under way does not make it reachable any more."""
        starting = self.unit.start(self.lost)
        starting.addErrback(lambda _: None)
        self.unit.unlisten()
        self.assertFalse(self.reachable())
        await self.stop()
        self.assertFalse(self.reachable())

    async def test_listens_again(self) -> None:
        """With the next start others can connect again."""
        await self.start()
        self.unit.unlisten()
        await self.stop()
        await self.start()
        self.assertTrue(self.reachable())
        await self.stop()


class HookedContract(UnitCase):
    """What L{IHookedUnit} promises."""

    async def call_hooks(self) -> None:
        """Call all hooks, one after the other."""
        for name in HOOKS:
            self.assertIsNone(await self.unit.run_hook(name))

    def test_hooked_interface(self) -> None:
        """It has all that a unit has that has hooks."""
        verifyObject(IHookedUnit, self.unit)

    async def test_hooks(self) -> None:
        """When it is up, the hooks of its handler are called."""
        if self.fixture.hooks is None:
            self.lack("which hooks were called")
        await self.start()
        before = len(self.fixture.hooks())
        await self.call_hooks()
        self.assertEqual(list(self.fixture.hooks()[before:]), list(HOOKS))
        await self.stop()

    async def test_hooks_when_down(self) -> None:
        """When no handler runs there is none to call, which is no failure."""
        await self.call_hooks()
        await self.start()
        await self.stop()
        await self.call_hooks()
        await self.assert_nothing_left()

    async def test_hooks_while_starting(self) -> None:
        """A start under way is not disturbed by hooks."""
        starting = self.unit.start(self.lost)
        calls = [self.unit.run_hook(name) for name in HOOKS]
        await self.turn(self.fixture.ready)
        self.assertIsNone(await starting)
        for each in calls:
            await each
        await self.stop()

    async def test_hook_and_stop(self) -> None:
        """A call under way ends when the unit does, in one way or another."""
        await self.start()
        call: Deferred[None] = self.unit.run_hook("reconfigure")
        ended: list[object] = []
        call.addBoth(ended.append)
        await self.stop()
        await self.settle()
        self.assertEqual(len(ended), 1)

    async def test_hook_fails(self) -> None:
        """A hook's failure is told to who called it, and costs nothing else."""
        if self.fixture.spoil_hooks is None:
            self.lack("how a hook fails")
        await self.start()
        await self.turn(self.fixture.spoil_hooks)
        await self.failure_of(self.unit.run_hook("reconfigure"), Exception)
        # Where several run it, one failure is told and the others are logged.
        self.flushLoggedErrors()
        await self.settle()
        self.assertEqual(self.losses, [])
        self.assertIsNone(await self.unit.run_hook("reopen_logs"))
        await self.stop()


class LoggingContract(UnitCase):
    """What L{ILoggingUnit} promises."""

    def test_logging_interface(self) -> None:
        """It has all that a unit has that writes a log."""
        verifyObject(ILoggingUnit, self.unit)

    async def test_reopen_in_every_state(self) -> None:
        """It can be told to reopen its log at any time."""
        self.unit.reopen_logs()
        starting = self.unit.start(self.lost)
        self.unit.reopen_logs()
        await self.turn(self.fixture.ready)
        await starting
        self.unit.reopen_logs()
        stopping = self.unit.stop()
        self.unit.reopen_logs()
        await self.turn(self.fixture.stopped)
        await stopping
        self.unit.reopen_logs()
        await self.assert_nothing_left()
        self.assertEqual(self.losses, [])

    async def test_reopen_after_move(self) -> None:
        """When its log was moved away, it goes on in a new one."""
        if self.fixture.log is None or self.fixture.write is None:
            self.lack("how the unit writes to its log")
        log, moved = Path(self.fixture.log), Path(f"{self.fixture.log}.moved")
        self.addCleanup(moved.unlink, missing_ok=True)
        await self.start()
        await self.turn(self.fixture.write)
        self.assertGreater(log.stat().st_size, 0)
        os.rename(log, moved)
        self.unit.reopen_logs()
        then = moved.stat().st_size
        await self.turn(self.fixture.write)
        self.assertGreater(log.stat().st_size, 0)
        self.assertEqual(moved.stat().st_size, then)
        await self.stop()


class ClientsContract(UnitCase):
    """What L{IClientsUnit} promises."""

    async def connect(self) -> None:
        """Connect one client, until the unit has it."""
        if self.fixture.connect is None:
            self.lack("how a client connects")
        before = len(await self.clients())
        await self.turn(self.fixture.connect)
        while len(await self.clients()) == before:
            await self.settle()

    async def clients(self) -> list[dict[str, Any]]:
        """Those who are connected, as JSON can carry it."""
        found = [dict(each) for each in await self.unit.clients()]
        json.dumps(found, allow_nan=False)
        ids = [each["id"] for each in found]
        self.assertTrue(all(isinstance(each, str) for each in ids), ids)
        self.assertEqual(len(ids), len(set(ids)))
        return found

    async def finish(self) -> None:
        """Stop the unit; the other ends of its clients are still there."""
        stopping = self.unit.stop()
        await self.turn(self.fixture.stopped)
        self.check_end(await stopping)

    def test_clients_interface(self) -> None:
        """It has all that a unit has whose clients can be looked at."""
        verifyObject(IClientsUnit, self.unit)

    async def test_no_clients(self) -> None:
        """In every state it can be asked, and nobody is there."""
        self.assertEqual(await self.clients(), [])
        await self.start()
        self.assertEqual(await self.clients(), [])
        self.assertIs(await self.unit.kick("no such client"), False)
        await self.stop()
        self.assertEqual(await self.clients(), [])
        self.assertIs(await self.unit.kick("no such client"), False)

    async def test_clients(self) -> None:
        """Each client that connects is there, and none after the stop."""
        await self.start()
        await self.connect()
        await self.connect()
        self.assertEqual(len(await self.clients()), 2)
        await self.finish()
        self.assertEqual(await self.clients(), [])

    async def test_kick(self) -> None:
        """One that is dropped is gone soon, and the others are not."""
        await self.start()
        await self.connect()
        await self.connect()
        first, second = (each["id"] for each in await self.clients())
        self.assertIs(await self.unit.kick(first), True)
        while len(await self.clients()) > 1:
            await self.settle()
        self.assertEqual([each["id"] for each in await self.clients()], [second])
        self.assertIs(await self.unit.kick(first), False)
        await self.finish()
