"""
Tests for what the client of a cluster is made of.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from sockhost.interfaces import (
    IRedis,
    IUsableUnit,
    RedisConnectionError,
    RedisError,
)
from sockhost.redis.cluster import ClusterClient
from sockhost.redis.cluster_keys import SLOTS, KeyTable, slot_of
from sockhost.redis.cluster_map import SlotMap, read_redirection
from sockhost.redis.cluster_unit import ClusterUnit, make_unit
from sockhost.redis.resp import Argument
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisKind, RedisUnit
from sockhost.testing.units import MemoryUnitHost

URL = "redis+cluster://127.0.0.1:1,127.0.0.2:2"
COMMANDS = [
    [b"get", 2, {b"readonly", b"fast"}, 1, 1, 1],
    [b"mset", -3, {b"write"}, 1, -1, 2],
    [b"blpop", -3, [b"write"], 1, -2, 1],
    [b"ping", -1, set(), 0, 0, 0],
    [b"xinfo", -2, set(), 0, 0, 0, [], [], [], [[b"xinfo|stream", -3, set(), 2, 2, 1]]],
]


class SlotTests(SynchronousTestCase):
    """The slot of a key."""

    def test_known(self) -> None:
        """They are those of the specification."""
        self.assertEqual(slot_of("123456789"), 0x31C3)
        self.assertEqual(slot_of(b"foo"), 12182)
        self.assertEqual(slot_of(7), slot_of("7"))

    def test_braces(self) -> None:
        """Only what is in the first braces counts, unless that is nothing."""
        self.assertEqual(slot_of("a{user}b{c}"), slot_of("user"))
        self.assertNotEqual(slot_of("{}a"), slot_of(""))
        self.assertEqual(slot_of("{a"), slot_of(b"{a"))

    @given(st.binary())
    def test_any(self, key: bytes) -> None:
        """Any bytes have a slot."""
        self.assertIn(slot_of(key), range(SLOTS))


class KeyTableTests(SynchronousTestCase):
    """The keys of a command."""

    def setUp(self) -> None:
        self.table = KeyTable.read(COMMANDS)

    def test_places(self) -> None:
        """They are where the server says, or where they are counted."""
        cases: list[tuple[list[Argument], list[Argument]]] = [
            (["get", "a"], ["a"]),
            (["MSET", "a", 1, "b", 2], ["a", "b"]),
            (["BLPOP", "a", "b", 0], ["a", "b"]),
            (["PING"], []),
            (["NOSUCH", "a"], []),
            (["XINFO", b"stream", "a"], ["a"]),
            (["EVAL", "return", 2, "a", "b", "c"], ["a", "b"]),
            (["ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS", 1, 2], ["d", "a", "b"]),
            (["XREAD", "COUNT", 1, "streams", "a", "b", 0, 0], ["a", "b"]),
            (["SORT", "a", "BY", "w_*", "STORE", "b"], ["a", "b"]),
        ]
        for args, keys in cases:
            self.assertEqual(list(self.table.keys(args)), keys, args)

    def test_bad(self) -> None:
        """A command that is not well-formed is refused."""
        for bad in (["EVAL", "x"], ["EVAL", "x", "y"], ["XREAD", "a"]):
            with self.assertRaises(RedisError):
                self.table.keys(bad)

    def test_reads(self) -> None:
        """It is known what only reads."""
        self.assertTrue(self.table.reads(["GET", "a"]))
        self.assertFalse(self.table.reads(["MSET", "a", 1]))
        self.assertFalse(self.table.reads(["NOSUCH"]))


class SlotMapTests(SynchronousTestCase):
    """Where slots are."""

    def setUp(self) -> None:
        self.map = SlotMap.read(
            [
                [100, 199, [b"h", 1, b"id"], [b"i", 2, b"id"]],
                [0, 50, [None, 3, b"id"], [b"?", 4, b"id"]],
            ],
            ("asked", 9),
        )

    def test_find(self) -> None:
        """A slot is in one range, or in none."""
        for slot, primary in (
            (0, ("asked", 3)),
            (50, ("asked", 3)),
            (100, ("h", 1)),
            (199, ("h", 1)),
        ):
            found = self.map.find(slot)
            assert found is not None
            self.assertEqual(found.primary, primary)
        for slot in (51, 99, 200):
            self.assertIsNone(self.map.find(slot))

    def test_moved(self) -> None:
        """A slot that has moved is elsewhere, and the rest where it was."""
        self.map.move(100, ("j", 5))
        moved, rest = self.map.find(100), self.map.find(101)
        assert moved is not None
        assert rest is not None
        self.assertEqual((moved.primary, rest.primary), (("j", 5), ("h", 1)))
        self.assertEqual(
            self.map.addresses,
            {("h", 1), ("i", 2), ("asked", 3), ("asked", 4), ("j", 5)},
        )

    def test_redirection(self) -> None:
        """A node says where to go, maybe to its own host, maybe by IPv6."""
        for text, place in (
            ("MOVED 7 h:1", ("h", 1)),
            ("ASK 7 :1", ("asked", 1)),
            ("MOVED 7 ::1:6379", ("::1", 6379)),
        ):
            self.assertEqual(read_redirection(text, ("asked", 9)), (7, place))


class UnitTests(SynchronousTestCase):
    """The unit of a cluster's client."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.unit = ClusterUnit("store", RedisConfig(url=URL), self.reactor)

    def test_interface(self) -> None:
        """It is a unit, and its client is one for Redis."""
        self.assertTrue(verifyObject(IUsableUnit, self.unit))
        self.assertTrue(verifyClass(IUsableUnit, ClusterUnit))
        self.assertTrue(verifyObject(IRedis, self.unit.client()))
        self.assertTrue(verifyClass(IRedis, ClusterClient))

    def test_chosen(self) -> None:
        """The kind makes it for the URL of a cluster."""
        made = RedisKind().make(
            "store", RedisConfig(url=URL), MemoryUnitHost(self.mktemp())
        )
        self.assertIsInstance(made, ClusterUnit)
        one = make_unit("store", RedisConfig(url="redis://h"), self.reactor)
        self.assertIsInstance(one, RedisUnit)
        with self.assertRaises(RedisError):
            RedisUnit("store", RedisConfig(url=URL), self.reactor)

    def test_nobody_there(self) -> None:
        """Where no node answers the start fails, and nothing is left."""
        starting = self.unit.start(lambda failure: None)
        self.reactor.advance(5)
        self.reactor.pump([0.0] * 5)
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertIn("redis+cluster://127.0.0.1:1,127.0.0.2:2", str(failure.value))
        self.assertIs(self.unit.last_error, failure.value)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_commands_wait(self) -> None:
        """A command before that waits for it, and not for ever."""
        waiting: Deferred[object] = self.unit.client().execute("GET", "a")
        self.reactor.pump([0.1] * 8)
        self.assertNoResult(waiting)
        self.reactor.pump([0.1] * 20)
        self.failureResultOf(waiting, RedisConnectionError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closed(self) -> None:
        """A client that is closed refuses commands and those who wait."""
        client = self.unit.client()
        waiting = client.when_connected()
        self.successResultOf(client.close())
        self.failureResultOf(waiting, RedisConnectionError)
        self.failureResultOf(client.when_connected(), RedisConnectionError)
        self.failureResultOf(client.execute("GET", "a"), RedisConnectionError)
        self.assertFalse(client.connected)

    def test_closed_while_starting(self) -> None:
        """A client that is closed while the unit starts fails the start alone."""
        lost: list[object] = []
        starting = self.unit.start(lost.append)
        self.successResultOf(self.unit.client().close())
        self.failureResultOf(starting, RedisConnectionError)
        self.assertEqual((lost, self.reactor.getDelayedCalls()), ([], []))

    def test_stopped(self) -> None:
        """What waits when the unit is stopped fails at once, and leaves nothing."""
        client = self.unit.client()
        starting = self.unit.start(lambda failure: None)
        waiting = [
            client.execute("GET", "a"),
            client.execute("GET", "a", retry=5),
            client.when_connected(),
        ]
        self.reactor.pump([0.1] * 3)
        self.successResultOf(self.unit.stop())
        self.failureResultOf(starting, CancelledError)
        for each in waiting:
            self.failureResultOf(each, RedisConnectionError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closed_while_refreshing(self) -> None:
        """Who waits for the map hears that the client is closed; nothing is logged."""
        nodes = self.unit.client().router.nodes
        nodes.open()
        waiting = nodes.refresh()
        nodes.refresh_soon()
        self.successResultOf(self.unit.stop())
        failure = self.failureResultOf(waiting, RedisConnectionError)
        self.assertIn("closed", str(failure.value))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reload(self) -> None:
        """A configuration is taken in place, so that the client stays."""
        client = self.unit.client()
        for config in (
            RedisConfig(url=URL),
            RedisConfig(url=URL, wait=7.0),
            RedisConfig(url=URL, timeout=3.0),
        ):
            reloading = self.unit.reload(config)
            self.assertTrue(self.successResultOf(reloading))
        self.assertIs(self.unit.client(), client)
        waiting: Deferred[object] = client.execute("GET", "a")
        self.reload_while_up()
        waiting.addErrback(lambda failure: None)
        self.successResultOf(client.close())

    def reload_while_up(self) -> None:
        """Reload a unit that is being started, and have it stopped meanwhile."""
        starting = self.unit.start(lambda failure: None)
        reloading = self.unit.reload(RedisConfig(url=URL, timeout=4.0))
        stopping = self.unit.stop()
        self.reactor.pump([0.1] * 20)
        self.successResultOf(stopping)
        self.failureResultOf(starting, RedisConnectionError)
        self.failureResultOf(reloading, CancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reload_elsewhere(self) -> None:
        """What is no cluster is for another unit; what cannot be is refused."""
        reloading = self.unit.reload(RedisConfig(url="redis://h"))
        self.assertFalse(self.successResultOf(reloading))
        one = RedisUnit("store", RedisConfig(url="redis://h"), self.reactor)
        self.assertFalse(self.successResultOf(one.reload(RedisConfig(url=URL))))
        bad = RedisConfig(url=URL, password_env="NO_SUCH_VARIABLE")
        self.failureResultOf(self.unit.reload(bad), RedisError)

    def test_status(self) -> None:
        """It says what it knows."""
        status = self.unit.status()
        self.assertEqual((status["connected"], status["nodes"]), (False, []))
