"""
Tests for L{sockhost.workers.worker_host}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.config import RestartPolicy
from sockhost.interfaces import ConfigError, IUnitHost, NoSuchUnit, SockhostError
from sockhost.status import Event
from sockhost.workers.spec import UsedUnit, WorkerSpec
from sockhost.workers.worker_host import PATIENCE, WorkerHost
from tests.workers import plugs


class WorkerHostTests(SynchronousTestCase):
    """
    Tests for L{WorkerHost}.
    """

    def setUp(self) -> None:
        """Begin with nothing."""
        plugs.journal.clear()
        self.clock = Clock()
        self.events: list[Event] = []

    def make(self, start: str = "up", **table: Any) -> WorkerHost:
        """Make a host whose handler uses one unit."""
        used = UsedUnit(
            name="store",
            kind="store",
            factory="tests.workers.plugs:StoreKind",
            table={"url": "u", "start": start, **table},
            policy=RestartPolicy(restart="never"),
        )
        spec = WorkerSpec(
            unit="kv",
            socket={},
            run_dir="/r",
            log_dir="/l",
            config_dir="/c",
            uses=(used,),
        )
        return WorkerHost(self.clock, spec, self.events.append)

    def test_interface(self) -> None:
        """It is the host of a handler, with the directories of the real one."""
        host = self.make()
        self.assertTrue(verifyObject(IUnitHost, host))
        self.assertEqual(
            (host.run_dir, host.log_dir, host.config_dir), ("/r", "/l", "/c")
        )

    def test_use(self) -> None:
        """A used unit is made here, started, and offers its client."""
        host = self.make()
        self.successResultOf(host.start_units())
        self.assertEqual(host.use("store"), "client of u")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_use_what_is_not_there(self) -> None:
        """Another unit cannot be used; the text says what can."""
        host = self.make()
        self.successResultOf(host.start_units())
        error = self.assertRaises(NoSuchUnit, host.use, "cache")
        self.assertIn("units here: store", str(error))

    def test_slow(self) -> None:
        """A unit that does not come up is not waited for without end."""
        host = self.make("never")
        starting = host.start_units()
        self.assertNoResult(starting)
        self.clock.advance(PATIENCE)
        self.successResultOf(starting)
        self.assertEqual(host.use("store"), "client of u")
        self.successResultOf(host.stop_units())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_broken(self) -> None:
        """A unit that cannot come up does not prevent the handler's start."""
        host = self.make("broken")
        self.successResultOf(host.start_units())
        self.assertEqual(host.use("store"), "client of u")

    def test_bad_table(self) -> None:
        """A unit that cannot be made is an error."""
        self.failureResultOf(self.make(colour="red").start_units(), ConfigError)

    def test_stop(self) -> None:
        """The units are stopped."""
        host = self.make()
        self.successResultOf(host.start_units())
        self.successResultOf(host.stop_units())
        self.assertEqual(plugs.journal, ["store stopped"])

    def test_kinds_and_configs(self) -> None:
        """Kinds and configurations of what is used can be had, no others."""
        host = self.make()
        self.assertIsInstance(host.child_kind("store"), plugs.StoreKind)
        self.assertEqual(host.unit_config("store").own, plugs.StoreConfig("u"))
        self.assertRaises(SockhostError, host.child_kind, "redis")
        self.assertRaises(NoSuchUnit, host.unit_config, "cache")

    def test_publish(self) -> None:
        """Events are sent; one that cannot be is logged."""
        host = self.make()
        event = Event(at=1.0, event="seen")
        host.publish(event)
        self.assertEqual(self.events, [event])
        host._publish = lambda _event: 1 / 0
        host.publish(event)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
