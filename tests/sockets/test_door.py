"""
Tests for L{sockhost.sockets.door}.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.access import Access
from sockhost.sockets.door import NOT_ALLOWED, TOO_MANY, TOO_MANY_OF_USER, Door
from sockhost.sockets.limits import Limits
from sockhost.sockets.settings import SocketConfig
from tests.sockets.fakes import Served
from tests.sockets.test_access import FakePeer


class DoorTests(SynchronousTestCase):
    """Tests for L{Door}."""

    def test_open(self) -> None:
        """Without rules and limits everybody gets in."""
        door = Door()
        for uid in (0, 1000):
            for _ in range(100):
                self.assertIsNone(door.refusal(FakePeer(uid, 1), Limits()))
                door.enter(uid)

    def test_is_open(self) -> None:
        """It does not matter who a client is if no rule and no limit asks."""
        config = SocketConfig(path="/run/x", handler="a:B")
        door = Door(config.access())
        self.assertTrue(door.is_open(config.limits))
        self.assertFalse(door.is_open(Limits(max_clients_per_uid=1)))
        door.access = evolve(config, deny=("33",)).access()
        self.assertFalse(door.is_open(config.limits))

    def test_access(self) -> None:
        """Those who may not are refused, before anything is counted."""
        door = Door(Access.parse(["33"]))
        self.assertEqual(door.refusal(FakePeer(0, 0), Limits()), NOT_ALLOWED)
        self.assertIsNone(door.refusal(FakePeer(33, 0), Limits()))

    def test_total(self) -> None:
        """No more than so many are in, until one goes."""
        door, limits = Door(), Limits(max_clients=2)
        door.enter(1)
        self.assertIsNone(door.refusal(FakePeer(1, 1), limits))
        door.enter(2)
        self.assertEqual(door.refusal(FakePeer(3, 1), limits), TOO_MANY)
        door.leave(1)
        self.assertIsNone(door.refusal(FakePeer(3, 1), limits))

    def test_user(self) -> None:
        """One user cannot take the place of the others."""
        door, limits = Door(), Limits(max_clients_per_uid=1)
        door.enter(1)
        self.assertEqual(door.refusal(FakePeer(1, 1), limits), TOO_MANY_OF_USER)
        self.assertIsNone(door.refusal(FakePeer(2, 1), limits))
        door.leave(1)
        self.assertIsNone(door.refusal(FakePeer(1, 1), limits))
        self.assertEqual(len(door._users), 0)


class ServerDoorTests(SynchronousTestCase):
    """How a server uses its door."""

    def test_counted(self) -> None:
        """Those who are refused are counted by the reason."""
        served = Served(limits=Limits(max_clients=1))
        served.server.door.access = Access.parse([], ["1000"])
        self.assertFalse(served.server.admit(FakePeer(1000, 1)))
        self.assertTrue(served.server.admit(FakePeer(1, 1)))
        served.connect()
        self.assertFalse(served.server.admit(FakePeer(1, 1)))
        nowhere: Any = None
        self.assertIsNone(served.server.buildProtocol(nowhere))
        status: Any = served.server.status()
        self.assertEqual(status["refused"], 3)
        self.assertEqual(status["refused_for"], {"access": 1, "max_clients": 2})

    def test_by_handler(self) -> None:
        """One whom the handler refuses is counted as such, and leaves again."""
        served = Served(limits=Limits(max_clients=1))
        served.handler.greet = lambda _client: False
        connection = served.connect()
        connection.lose()
        status: Any = served.server.status()
        self.assertEqual(status["refused_for"], {"handler": 1})
        self.assertFalse(served.server.door.is_full(served.limits))

    def test_draining(self) -> None:
        """A server that drains takes nobody."""
        served = Served()
        self.successResultOf(served.server.drain(0))
        nowhere: Any = None
        self.assertIsNone(served.server.buildProtocol(nowhere))
        self.assertEqual(served.server.counters.refused_for, {"draining": 1})
