"""
Tests for L{sockhost.redis.sentinel} and L{sockhost.redis.racing}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import IUsableUnit, RedisConnectionError, RedisReplyError
from sockhost.redis.racing import first_of
from sockhost.redis.resp import Push
from sockhost.redis.sentinel import (
    Sentinels,
    SentinelWatch,
    _address,
    _fields,
    _is_fit,
)
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisUnit
from sockhost.redis.url import parse_url


class FirstOfTests(SynchronousTestCase):
    """Who answers first."""

    def setUp(self) -> None:
        self.tries: list[Deferred[int]] = [Deferred(), Deferred(), Deferred()]
        self.first = Deferred.fromCoroutine(first_of(self.tries))

    def test_first(self) -> None:
        """The first that succeeds counts, and the others are cancelled."""
        self.tries[0].errback(RedisConnectionError("down"))
        self.tries[2].callback(7)
        self.assertEqual(self.successResultOf(self.first), 7)
        self.assertTrue(self.tries[1].called)

    def test_none(self) -> None:
        """Where all fail, each reason is told."""
        for number, each in enumerate(self.tries):
            each.errback(RedisConnectionError(f"down {number}"))
        failure = self.failureResultOf(self.first, RedisConnectionError)
        self.assertEqual(str(failure.value), "down 0; down 1; down 2")

    def test_cancel(self) -> None:
        """Cancelling cancels all of them."""
        self.first.cancel()
        self.failureResultOf(self.first, CancelledError)
        self.assertTrue(all(each.called for each in self.tries))


class ReplicaTests(SynchronousTestCase):
    """What a Sentinel says of a replica."""

    def test_forms(self) -> None:
        """It is a map in RESP3 and its pieces in RESP2."""
        fields = {"ip": "1.2.3.4", "port": "5"}
        self.assertEqual(_fields({b"ip": b"1.2.3.4", b"port": b"5"}), fields)
        self.assertEqual(_fields([b"ip", b"1.2.3.4", b"port", b"5"]), fields)
        self.assertEqual(_address(fields), ("1.2.3.4", 5))

    def test_fit(self) -> None:
        """One that is down, or has lost its primary, is not to be used."""
        for flags, link, fit in (
            ("slave", "ok", True),
            ("slave", "err", False),
            ("s_down,slave", "ok", False),
            ("slave,disconnected", "ok", False),
        ):
            said = {"flags": flags, "master-link-status": link}
            self.assertEqual(_is_fit(said), fit, said)


@define(eq=False)
class FakeSentinel:
    """
    A Sentinel, or a server.  Provides what is used of a dialer and of its
    connection.
    """

    primary: tuple[str, int] | None = ("p", 1)
    others: int = 2
    replicas: list[list[bytes]] = field(factory=list)
    role: bytes = b"master"
    hangs: bool = False
    url: str = "redis://sentinel"
    open: int = 0

    def dial(self) -> Deferred[Any]:
        """Connect to it."""
        if self.hangs:
            return Deferred()
        self.open += 1
        return succeed(self)

    def execute(self, *words: str) -> Deferred[Any]:
        """Ask it."""
        match words:
            case ("ROLE",):
                return succeed([self.role])
            case (_, "MASTER", "main"):
                others = b"%d" % self.others
                return succeed([b"name", b"main", b"num-other-sentinels", others])
            case (_, "GET-MASTER-ADDR-BY-NAME", "main"):
                if self.primary is None:
                    return succeed(None)
                host, port = self.primary
                return succeed([host.encode(), b"%d" % port])
            case (_, "REPLICAS", "main"):
                return succeed(self.replicas)
        return fail(RedisReplyError("ERR unknown"))

    def abort(self) -> None:
        """Leave it."""
        self.open -= 1

    def when_disconnected(self) -> Deferred[None]:
        """It is left."""
        return succeed(None)


def replica(host: str, flags: str = "slave") -> list[bytes]:
    """What is said of a replica."""
    said = ("ip", host, "port", "2", "flags", flags, "master-link-status", "ok")
    return [each.encode() for each in said]


class SentinelsTests(SynchronousTestCase):
    """L{Sentinels}: who is asked, and who is believed."""

    def setUp(self) -> None:
        self.asked = [FakeSentinel() for _ in range(3)]

    def tearDown(self) -> None:
        self.assertEqual([each.open for each in self.asked], [0] * 3)

    def sentinels(
        self, query: str = "", choose: Callable[[Any], Any] = lambda some: some[-1]
    ) -> Sentinels:
        dialers: Any = self.asked
        return Sentinels(parse_url(f"redis+sentinel://h/main{query}"), dialers, choose)

    def found(self, query: str = "") -> str:
        return self.successResultOf(self.sentinels(query).find()).place

    def refused(self, query: str = "") -> str:
        finding = self.sentinels(query).find()
        return str(self.failureResultOf(finding, RedisConnectionError).value)

    def test_one_answers(self) -> None:
        """One that answers is enough, and where it says is connected to."""
        self.asked[0].primary = None
        self.asked[1].hangs = True
        self.asked[2].primary = ("q", 3)
        self.assertEqual(self.found(), "q:3")

    def test_none_knows(self) -> None:
        """Where none knows the service, each says so."""
        for each in self.asked:
            each.primary = None
        self.assertEqual(self.refused().count("no service 'main' is known"), 3)

    def test_min_other_sentinels(self) -> None:
        """One that knows fewer others than it should is not believed."""
        self.asked[0].others, self.asked[0].primary = 0, ("old", 1)
        self.asked[1].others, self.asked[1].primary = 1, ("old", 1)
        self.assertEqual(self.found("?min_other_sentinels=2"), "p:1")
        self.assertEqual(self.found("?min_other_sentinels=0"), "old:1")
        self.assertIn("it knows 0 other", self.refused("?min_other_sentinels=3"))

    def test_listened_to(self) -> None:
        """Nor is it listened to."""
        for number, each in enumerate(self.asked):
            each.others = number
        sentinels = self.sentinels("?min_other_sentinels=2")
        connection: Any = self.successResultOf(sentinels.connect())
        self.assertIs(connection, self.asked[2])
        connection.abort()

    def test_replica(self) -> None:
        """Of the replicas, one that is fit is chosen."""
        for each in self.asked:
            each.replicas = [replica("a"), replica("b"), replica("c", "s_down,slave")]
        for query in ("?role=replica", "?role=any"):
            self.assertEqual(self.found(query), "b:2")

    def test_no_replica(self) -> None:
        """Without one that is fit, the primary will do for any role only."""
        self.assertEqual(self.found("?role=any"), "p:1")
        self.assertIn("no replica is fit", self.refused("?role=replica"))

    def test_wrong_role(self) -> None:
        """What is not what a Sentinel says of it is not used."""
        for query, role, right in (
            ("", b"master", True),
            ("", b"slave", False),
            ("", b"sentinel", False),
            ("?role=replica", b"slave", True),
            ("?role=replica", b"master", False),
            ("?role=any", b"slave", True),
            ("?role=any", b"master", True),
        ):
            server: Any = FakeSentinel(role=role)
            checking = self.sentinels(query).check(server, "p:1")
            if right:
                self.assertIsNone(self.successResultOf(checking))
            else:
                failure = self.failureResultOf(checking, RedisConnectionError)
                self.assertIn("is not: it is", str(failure.value))


class WatchTests(SynchronousTestCase):
    """L{SentinelWatch}: what becomes of the server that is connected to."""

    def moved(self, role: str, place: str) -> list[str]:
        """
        Connect to a place, have the primary found for another connection after a
        failover, and hear of that failover.
        """
        sentinel: Any = FakeSentinel(primary=("new", 2), hangs=True)
        sentinels = Sentinels(parse_url("redis+sentinel://h/main"), [sentinel])
        moved: list[str] = []
        watch = SentinelWatch(
            Clock(), sentinels, "main", role, lambda why: moved.append(str(why))
        )
        watch.start(place)
        sentinel.hangs = False
        found = self.successResultOf(sentinels.find())
        self.assertEqual(found.place, "new:2")
        watch._take(Push([b"message", b"+switch-master", b"main old 1 new 2"]))
        self.successResultOf(watch.stop())
        return moved

    def test_moved(self) -> None:
        """It is judged by where it is, and not by what was found for others."""
        told = ["the primary is new:2 now"]
        self.assertEqual(self.moved("primary", "old:1"), told)
        self.assertEqual(self.moved("primary", "new:2"), [])
        self.assertEqual(self.moved("replica", "new:2"), told)
        self.assertEqual(self.moved("replica", "old:1"), [])
        self.assertEqual(self.moved("any", "old:1"), [])


class UnitTests(SynchronousTestCase):
    """The unit of a service that Sentinels know."""

    def test_nobody_there(self) -> None:
        """Where no Sentinel answers the start fails, and nothing is left."""
        reactor = MemoryReactorClock()
        config = RedisConfig(url="redis+sentinel://127.0.0.1,127.0.0.2/main")
        unit = RedisUnit("store", config, reactor)
        self.assertTrue(verifyObject(IUsableUnit, unit))
        starting = unit.start(lambda failure: None)
        self.assertEqual(len(reactor.tcpClients), 2)
        reactor.pump([1.0] * 6)
        failure = self.failureResultOf(starting, RedisConnectionError)
        self.assertIn("redis+sentinel://127.0.0.1:26379", str(failure.value))
        self.successResultOf(unit.stop())
        self.assertEqual(reactor.getDelayedCalls(), [])
