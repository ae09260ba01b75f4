"""
The bounds that our client has where hiredis' asynchronous client has none: see
L{tests.redis.test_hiredis_parity}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisQueueFull
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from tests.redis.fakes import Wire


class QueueTests(SynchronousTestCase):
    """The bounds that none of them has."""

    def setUp(self) -> None:
        self.clock = Clock()

    def attach(self, **options: Any) -> tuple[RedisClient, Wire]:
        client = RedisClient(self.clock, wait=2.0, max_queued=3, **options)
        connection = RedisConnection(self.clock)
        wire = Wire(self.clock, connection)
        client.attach(connection)
        return client, wire

    def test_raise(self) -> None:
        """More than so many unanswered commands are refused, unsent."""
        client, wire = self.attach()
        sent = [client.execute("ECHO", number) for number in range(4)]
        failure = self.failureResultOf(sent[3], RedisQueueFull)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.clock.advance(0)
        wire.send(b":0\r\n")
        again = client.execute("ECHO", 4)
        self.clock.advance(0)
        wire.send(b":1\r\n:2\r\n:4\r\n")
        self.assertEqual(self.successResultOf(again), 4)

    def test_wait(self) -> None:
        """Or they wait for room, in order, with those that come later."""
        client, wire = self.attach(wait_when_full=True)
        sent = [client.execute("ECHO", number) for number in range(5)]
        self.clock.advance(0)
        self.assertEqual((len(wire.sent()), client.queued), (3, 2))
        wire.send(b":0\r\n")
        self.assertEqual(wire.sent(), [[b"ECHO", b"3"]])
        wire.send(b":1\r\n:2\r\n:3\r\n")
        self.assertEqual(wire.sent(), [[b"ECHO", b"4"]])
        wire.send(b":4\r\n")
        self.assertEqual([self.successResultOf(each) for each in sent], [*range(5)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wait_too_long(self) -> None:
        """But not for ever; and then the way is free for others."""
        client, wire = self.attach(wait_when_full=True)
        sent = [client.execute("ECHO", number) for number in range(4)]
        self.clock.advance(2.0)
        self.failureResultOf(sent[3], RedisQueueFull)
        wire.send(b":0\r\n:1\r\n:2\r\n")
        wire.clear()
        client.execute("ECHO", 5)
        self.assertEqual(wire.sent(), [[b"ECHO", b"5"]])

    def test_wait_cancelled(self) -> None:
        """One that is cancelled while it waits leaves the way free too."""
        client, wire = self.attach(wait_when_full=True)
        sent = [client.execute("ECHO", number) for number in range(4)]
        self.clock.advance(0)
        sent[3].cancel()
        self.failureResultOf(sent[3], CancelledError)
        wire.send(b":0\r\n:1\r\n:2\r\n")
        wire.clear()
        client.execute("ECHO", 5)
        self.assertEqual(wire.sent(), [[b"ECHO", b"5"]])

    def test_lost_while_waiting(self) -> None:
        """What waited for room goes to the next connection."""
        client, wire = self.attach(wait_when_full=True)
        sent = [client.execute("ECHO", number) for number in range(4)]
        self.clock.advance(0)
        wire.lose()
        for lost in sent[:3]:
            self.failureResultOf(lost, MaybeExecuted)
        connection = RedisConnection(self.clock)
        again = Wire(self.clock, connection)
        client.attach(connection)
        again.send(b":3\r\n")
        self.assertEqual(self.successResultOf(sent[3]), 3)

    def test_given_up_where_all_is(self) -> None:
        """
        Room that is made by giving up what was not sent is used, though the
        server owes no reply whose coming would say so.
        """
        client, wire = self.attach(wait_when_full=True)
        sent: list[Deferred[Any]] = []

        def fill(_: object) -> None:
            sent.extend(client.execute("ECHO", number) for number in range(5))
            for each in sent[:3]:
                each.cancel()

        client.execute("PING").addCallback(fill)
        self.clock.advance(0)
        wire.clear()
        wire.send(b"+PONG\r\n")
        for each in sent[:3]:
            self.failureResultOf(each, CancelledError)
        self.assertEqual(wire.sent(), [[b"ECHO", b"3"], [b"ECHO", b"4"]])
        wire.send(b":3\r\n:4\r\n")
        self.assertEqual([self.successResultOf(each) for each in sent[3:]], [3, 4])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given_up_behind_another(self) -> None:
        """The same where the server is slow to answer what it was sent."""
        client, wire = self.attach(wait_when_full=True)
        sent = [client.execute("ECHO", number) for number in range(5)]
        for each in sent[1:3]:
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.clock.advance(0)
        self.clock.advance(0)
        numbers = [int(number) for _, number in wire.sent()]
        self.assertEqual((numbers, client.queued), ([0, 3, 4], 0))
        wire.send(b":0\r\n:3\r\n:4\r\n")
        self.assertEqual([self.successResultOf(sent[n]) for n in numbers], numbers)

    def test_expired_where_all_is(self) -> None:
        """Room that is made by what was not sent in its time is used too."""
        client, wire = self.attach(wait_when_full=True)
        sent = [client.execute("ECHO", 0)]
        self.clock.advance(0)
        outlet: Any = wire.producer
        outlet.pauseProducing()
        sent += [client.execute("ECHO", number, timeout=0.5) for number in (1, 2)]
        sent += [client.execute("ECHO", 3)]
        self.clock.pump([0.125] * 8)
        for each in sent[1:3]:
            self.failureResultOf(each, RedisConnectionError)
        self.assertEqual(client.queued, 0)
        outlet.resumeProducing()
        wire.send(b":0\r\n:3\r\n")
        self.assertEqual(self.successResultOf(sent[3]), 3)
