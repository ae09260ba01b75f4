"""
The bounds that our client has where hiredis' asynchronous client has none: see
L{tests.redis.test_hiredis_parity}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import MaybeExecuted, RedisQueueFull
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
