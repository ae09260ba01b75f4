"""
Tests for L{sockhost.redis.unsent}: why there is no connection, by type.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisDenied,
    RedisError,
    RedisLoading,
    RedisMaxClients,
    RedisReplyError,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.unsent import unsent
from sockhost.redis.values import error_reply
from tests.redis.fakes import Wire

FULL = "ERR max number of clients reached"


class UnsentTests(SynchronousTestCase):
    """What a command that was not sent fails with."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.client = RedisClient(self.clock, wait=2.0)

    def assert_typed(self, sent: Deferred[Any], kind: type[RedisError]) -> None:
        """It was not sent, for a reason that the type says too."""
        failure = self.failureResultOf(sent, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assertIsInstance(failure.value, kind)

    def test_kinds(self) -> None:
        """Each of the typed errors has one, with the code of what was said."""
        for text, kind, code in (
            (FULL, RedisMaxClients, "ERR"),
            ("LOADING wait", RedisLoading, "LOADING"),
            ("NOAUTH no", RedisDenied, "NOAUTH"),
            ("-DENIED protected", RedisDenied, "-DENIED"),
        ):
            error: Any = unsent(f"not connected: {text}", error_reply(text))
            self.assertIsInstance(error, kind)
            self.assertIsInstance(error, RedisConnectionError)
            self.assertEqual(error.code, code)
            self.assertEqual(str(error), f"not connected: {text}")

    def test_others(self) -> None:
        """Any other reason is none of those."""
        for reason in (None, ValueError(), RedisReplyError("ERR x")):
            self.assertIs(type(unsent("no", reason)), RedisConnectionError)

    def test_waited(self) -> None:
        """A command that waits for a connection that the server refuses."""
        sent = self.client.execute("GET", "a")
        self.client.refused(error_reply(FULL))
        self.clock.advance(2)
        self.assert_typed(sent, RedisMaxClients)

    def test_at_once(self) -> None:
        """One that does not wait, and the same for a connection of its own."""
        self.client.configure(0.0, 10)
        self.client.refused(error_reply("WRONGPASS no"))
        self.assert_typed(self.client.execute("GET", "a"), RedisDenied)
        self.assert_typed(self.client.execute("BLPOP", "a", 0), RedisDenied)

    def test_beside_the_shared_one(self) -> None:
        """A further connection that is refused is no reply to the command."""
        self.client.configure(
            2.0, 10, lambda: fail(error_reply(FULL)), wait_when_full=True
        )
        connection = RedisConnection(self.clock)
        Wire(self.clock, connection)
        self.client.attach(connection)
        self.assert_typed(self.client.execute("BLPOP", "a", 0), RedisMaxClients)

    def test_hung_up(self) -> None:
        """What the server said as it hung up is the reason of what comes after."""
        connection = RedisConnection(self.clock)
        wire = Wire(self.clock, connection)
        self.client.attach(connection)
        wire.send(b"-LOADING wait\r\n")
        self.clock.advance(0)
        sent = self.client.execute("GET", "a")
        self.clock.advance(2)
        self.assert_typed(sent, RedisLoading)

    def test_forgotten(self) -> None:
        """With the next connection the reason is over."""
        self.client.refused(error_reply(FULL))
        connection = RedisConnection(self.clock)
        wire = Wire(self.clock, connection)
        self.client.attach(connection)
        wire.lose()
        sent = self.client.execute("GET", "a")
        self.clock.advance(2)
        failure = self.failureResultOf(sent, RedisConnectionError)
        self.assertIs(type(failure.value), RedisConnectionError)
