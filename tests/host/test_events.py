# -*- test-case-name: tests.host.test_events -*-
"""
Tests for L{sockhost.host.events}.
"""

from __future__ import annotations

import json
import signal
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import NotifySettings
from sockhost.host.events import PARTING, HostEvents, wanted
from sockhost.status import Event
from sockhost.testing.processes import MemorySpawner

READY = Event(at=1.0, event="ready")
FAILED = Event(at=2.0, event="state", unit="kv", fields={"state": "failed"})
UP = Event(at=3.0, event="state", unit="kv", fields={"state": "up"})


class WantedTests(SynchronousTestCase):
    """Which events a command is run for."""

    def told(self, *on: str) -> list[Event]:
        """Say which of the three."""
        return list(filter(wanted(on), (READY, FAILED, UP)))

    def test_all(self) -> None:
        """Without a choice it is all of them."""
        self.assertEqual(self.told(), [READY, FAILED, UP])

    def test_some(self) -> None:
        """States and names of events are words alike."""
        self.assertEqual(self.told("failed"), [FAILED])
        self.assertEqual(self.told("ready", "up"), [READY, UP])
        self.assertEqual(self.told("state"), [FAILED, UP])
        self.assertEqual(self.told("nothing"), [])


class HostEventsTests(SynchronousTestCase):
    """The command of a host."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.spawner = MemorySpawner()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def events(self, **settings: Any) -> HostEvents:
        """Make the events of a host with a command."""
        notify = NotifySettings(argv=("/tell",), **settings)
        return HostEvents(self.clock, notify, spawner=lambda _: self.spawner)

    def test_none(self) -> None:
        """Without a command nothing is run, and nothing waited for."""
        events = HostEvents(self.clock)
        events.publish(READY)
        self.successResultOf(events.finish())

    def test_told(self) -> None:
        """The command is run for what it is to be told of."""
        events = self.events(on=("failed",))
        events.publish(READY)
        events.publish(FAILED)
        self.assertEqual(len(self.spawner.children), 1)
        self.assertEqual(json.loads(self.spawner.child.written)["unit"], "kv")
        self.spawner.child.exit(0)

    def test_timeout(self) -> None:
        """It is killed when it takes as long as it says."""
        events = self.events(timeout=2.0)
        events.publish(READY)
        self.clock.advance(2.0)
        self.assertEqual(self.spawner.child.signals, [signal.SIGKILL])
        self.successResultOf(events.finish())

    def test_finish(self) -> None:
        """The end waits for what was told last, and takes nothing more."""
        events = self.events()
        for _ in range(6):
            events.publish(READY)
        ending = events.finish()
        while len(self.spawner.children) < 6:
            self.spawner.children[len(self.spawner.children) - 4].exit(0)
        for child in self.spawner.children[2:]:
            self.assertNoResult(ending)
            child.exit(0)
        self.successResultOf(ending)
        events.publish(READY)
        self.assertEqual(len(self.spawner.children), 6)

    def test_finish_late(self) -> None:
        """But not for ever."""
        events = self.events()
        events.publish(READY)
        ending = events.finish()
        self.clock.advance(PARTING)
        self.assertEqual(self.spawner.child.signals, [signal.SIGKILL])
        self.successResultOf(ending)
