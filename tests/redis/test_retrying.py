"""
Tests for L{sockhost.redis.retrying} and L{sockhost.redis.decoding}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisLoading,
    RedisReplyError,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.decoding import decode_reply
from sockhost.redis.lifetime import Lifetime
from sockhost.redis.resp import Push
from sockhost.redis.retrying import FIRST, MOST, send_again
from tests.redis.fakes import Wire


class RetryingTests(SynchronousTestCase):
    """Sending again, where the caller allows it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lifetime = Lifetime(self.clock)
        self.sent: list[Deferred[Any]] = []

    def send(self) -> Deferred[Any]:
        sent: Deferred[Any] = Deferred()
        self.sent.append(sent)
        return sent

    def test_first(self) -> None:
        """What succeeds is sent once."""
        outcome = send_again(self.send, 3, self.lifetime)
        self.sent[0].callback(1)
        self.assertEqual(self.successResultOf(outcome), 1)
        self.assertEqual(len(self.sent), 1)

    def test_again(self) -> None:
        """What is lost is sent again, later each time, and then is lost."""
        outcome = send_again(self.send, 2, self.lifetime)
        self.sent[0].errback(MaybeExecuted("lost"))
        self.assertEqual(len(self.sent), 1)
        self.clock.advance(FIRST)
        self.sent[1].errback(RedisConnectionError("not connected"))
        self.clock.advance(FIRST)
        self.assertEqual(len(self.sent), 2)
        self.clock.advance(FIRST)
        self.sent[2].errback(MaybeExecuted("lost again"))
        self.failureResultOf(outcome, MaybeExecuted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_most(self) -> None:
        """The time between two attempts does not grow for ever."""
        send_again(self.send, 20, self.lifetime).addErrback(lambda _: None)
        for _ in range(20):
            self.sent[-1].errback(MaybeExecuted("lost"))
            self.clock.advance(MOST)
        self.assertEqual(len(self.sent), 21)

    def test_transient(self) -> None:
        """A server that is not ready yet is asked again; other errors are final."""
        outcome = send_again(self.send, 3, self.lifetime)
        self.sent[0].errback(RedisLoading("LOADING wait"))
        self.clock.advance(FIRST)
        self.sent[1].errback(RedisReplyError("WRONGTYPE no"))
        self.failureResultOf(outcome, RedisReplyError)
        self.assertEqual(len(self.sent), 2)

    def test_cancel(self) -> None:
        """Cancelling cancels what is under way, or the pause."""
        outcome = send_again(self.send, 3, self.lifetime)
        outcome.cancel()
        self.failureResultOf(outcome, CancelledError)
        self.assertTrue(self.sent[0].called)
        outcome = send_again(self.send, 3, self.lifetime)
        self.sent[1].errback(MaybeExecuted("lost"))
        outcome.cancel()
        self.failureResultOf(outcome, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AtMostOnceTests(SynchronousTestCase):
    """What a client does with a command whose reply was lost."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.client = RedisClient(self.clock, wait=5.0)

    def attach(self) -> Wire:
        connection = RedisConnection(self.clock)
        wire = Wire(self.clock, connection)
        self.client.attach(connection)
        return wire

    def test_by_default(self) -> None:
        """It is not sent again: its caller hears that it may be executed."""
        wire = self.attach()
        sent = self.client.execute("INCR", "n")
        wire.lose()
        self.failureResultOf(sent, MaybeExecuted)
        self.assertEqual(self.attach().sent(), [])

    def test_retry(self) -> None:
        """Where that does no harm, it waits for the next connection and goes again."""
        wire = self.attach()
        sent = self.client.execute("SET", "a", 1, retry=1)
        wire.lose()
        self.clock.advance(FIRST)
        self.assertNoResult(sent)
        again = self.attach()
        self.assertEqual(again.sent(), [[b"SET", b"a", b"1"]])
        again.send(b"+OK\r\n")
        self.assertEqual(self.successResultOf(sent), b"OK")


class DecodingTests(SynchronousTestCase):
    """Replies as text."""

    def test_every_type(self) -> None:
        """Strings are decoded wherever they are; all else stays what it is."""
        error = RedisReplyError("ERR no")
        reply = [b"\xc3\xa9", 1, 1.5, None, True, {b"k": [b"v"]}, error, Push([b"p"])]
        decoded = decode_reply(reply, "utf-8")
        self.assertEqual(
            decoded, ["\xe9", 1, 1.5, None, True, {"k": ["v"]}, error, ["p"]]
        )
        self.assertIsInstance(decoded[-1], Push)

    def test_numbers(self) -> None:
        """Nothing that looks like a number becomes one."""
        for text in (b"007", b"1_000", b".5", b"1e5"):
            self.assertEqual(decode_reply(text, "utf-8"), text.decode())

    def test_per_call_and_client(self) -> None:
        """A client may decode all its replies, and a call its own."""
        clock = Clock()
        client = RedisClient(clock, decode="utf-8")
        connection = RedisConnection(clock)
        wire = Wire(clock, connection)
        client.attach(connection)
        usual = client.execute("GET", "a")
        own = client.execute("GET", "a", decode="latin-1")
        clock.advance(0)
        wire.send(b"$2\r\n\xc3\xa9\r\n" * 2)
        self.assertEqual(self.successResultOf(usual), "\xe9")
        self.assertEqual(self.successResultOf(own), "\xc3\xa9")

    def test_bytes_of_a_client_that_decodes(self) -> None:
        """A call may ask for bytes, however it is sent."""
        clock = Clock()
        client = RedisClient(clock, decode="utf-8")
        connection = RedisConnection(clock)
        wire = Wire(clock, connection)
        client.attach(connection)
        plain = client.execute("GET", "a", decode="")
        again = client.execute("GET", "a", decode="", retry=1)
        typed = client.having(decode="").get("a")
        clock.advance(0)
        wire.send(b"$2\r\n\xc3\xa9\r\n" * 3)
        for each in (plain, again, typed):
            self.assertEqual(self.successResultOf(each), b"\xc3\xa9")

    def test_no_text(self) -> None:
        """What is no text fails its own command, and shifts no reply."""
        clock = Clock()
        client = RedisClient(clock, decode="ascii")
        connection = RedisConnection(clock)
        wire = Wire(clock, connection)
        client.attach(connection)
        bad, good = client.execute("GET", "a"), client.execute("GET", "b")
        clock.advance(0)
        wire.send(b"$1\r\n\xff\r\n$1\r\nx\r\n")
        self.failureResultOf(bad, UnicodeDecodeError)
        self.assertEqual(self.successResultOf(good), "x")
