"""
Tests for L{sockhost.workers.spec}.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.config import RestartPolicy, UnitConfig, structure
from sockhost.interfaces import IUnit, IUnitHost, IUnitKind
from sockhost.sockets.settings import SocketConfig
from sockhost.workers.spec import WorkerSpec, make_spec
from tests.sockets.hub_fakes import DrivenClock
from tests.workers.hosts import socket_unit


@frozen
class NoKeys:
    """A unit without keys."""


@implementer(IUnitKind)
@frozen
class StaticKind:
    """A kind that makes nothing."""

    portable: bool = True
    name: str = "static"
    config_class: type = NoKeys

    def make(self, name: str, config: Any, host: IUnitHost) -> IUnit:
        """It does not get so far."""
        raise NotImplementedError


class MakeSpecTests(SynchronousTestCase):
    """
    Tests for L{make_spec}.
    """

    def spec(self, portable: bool = True, **keys: Any) -> WorkerSpec:
        """Make the specification of a unit that uses another one."""
        host, config = socket_unit(
            Clock(), "/run", uses=("store",), handler="a:B", workers=2, **keys
        )
        host.kinds["static"] = StaticKind(portable)
        host.units["store"] = UnitConfig(
            name="store",
            kind="static",
            own=NoKeys(),
            table={"url": "é"},
            policy=RestartPolicy(backoff=7.0),
        )
        return make_spec("kv", config, host)

    def test_round_trip(self) -> None:
        """It arrives as it was sent, options and all."""
        spec = self.spec(options={"a": [1, 2.5, "x"], "b": {"c": True}})
        self.assertEqual(WorkerSpec.loads(spec.dumps()), spec)

    def test_socket(self) -> None:
        """The configuration of the socket can be made of it again."""
        spec = self.spec(owner="root", drain=2.5)
        config = structure(SocketConfig, WorkerSpec.loads(spec.dumps()).socket)
        self.assertEqual(
            (config.handler, config.owner, config.group), ("a:B", "root", None)
        )
        self.assertEqual(config.drain, 2.5)

    def test_used_units(self) -> None:
        """A used unit of a portable kind is in it, with its policy."""
        (used,) = self.spec().uses
        self.assertEqual(used.factory, "tests.workers.test_spec:StaticKind")
        self.assertEqual((used.name, used.kind), ("store", "static"))
        self.assertEqual(used.policy.backoff, 7.0)

    def test_not_portable(self) -> None:
        """A used unit that cannot be made in a worker is left out."""
        self.assertEqual(self.spec(portable=False).uses, ())

    def test_reactor(self) -> None:
        """Workers run on the kind of reactor that the host runs on."""
        self.assertFalse(self.spec().hub_reactor)
        host, config = socket_unit(DrivenClock(), "/run", handler="a:B", workers=2)
        self.assertTrue(make_spec("kv", config, host).hub_reactor)

    def test_title(self) -> None:
        """Titles name the unit and the role."""
        self.assertEqual(self.spec().title("worker 1"), "sockhost: kv worker 1")
