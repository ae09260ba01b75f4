"""
Tests for L{sockhost.redis.client}: commands between and across connections.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    IRedis,
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from tests.redis.fakes import Wire


class ClientCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.client = RedisClient(self.clock, wait=2.0, max_queued=3)

    def attach(self) -> Wire:
        connection = RedisConnection(self.clock)
        wire = Wire(self.clock, connection)
        self.client.attach(connection)
        self.clock.advance(0)
        return wire

    def cancel_and_pass(self, failure: Failure, other: Deferred[Any]) -> Failure:
        """As an errback: cancel another command."""
        other.cancel()
        return failure

    def assert_unsent(self, outcome: Deferred[Any], text: str) -> None:
        """The command failed, was not sent, and the error says why."""
        failure = self.failureResultOf(outcome, RedisConnectionError)
        self.assertNotIsInstance(failure.value, MaybeExecuted)
        self.assertIn(text, str(failure.value))


class WaitTests(ClientCase):
    """How long commands wait for a connection."""

    def test_again(self) -> None:
        """One that waits anew keeps none of the others waiting with it."""
        late: list[float] = []

        def note(_: object) -> None:
            late.append(self.clock.seconds())

        def again(_: object) -> None:
            self.client.execute("C").addErrback(note)

        self.client.execute("A").addErrback(again)
        self.clock.advance(0.5)
        self.client.execute("B").addErrback(note)
        self.clock.pump([0.5] * 8)
        self.assertEqual(late, [2.5, 4.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ConnectedTests(ClientCase):
    """While there is a connection."""

    def test_interface(self) -> None:
        """It is what handlers are promised."""
        self.assertTrue(verifyObject(IRedis, self.client))

    def test_execute(self) -> None:
        """Commands go out and replies come back."""
        wire = self.attach()
        outcome = self.client.execute("GET", "a")
        self.assertEqual(wire.sent(), [[b"GET", b"a"]])
        self.assertEqual(self.client.outstanding, 1)
        wire.send(b"$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(outcome), b"x")

    def test_cancel_sent(self) -> None:
        """A cancelled command that was sent keeps its place."""
        wire = self.attach()
        first, second = self.client.execute("A"), self.client.execute("B")
        self.clock.advance(0)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        wire.send(b":1\r\n:2\r\n")
        self.assertEqual(self.successResultOf(second), 2)

    def test_not_shared(self) -> None:
        """What changes the meaning of the replies is refused, in any writing."""
        wire = self.attach()
        for args in (
            ("subscribe", "c"),
            (b"Monitor",),
            ("SELECT", 1),
            ("CLIENT", "reply", "OFF"),
        ):
            failure = self.failureResultOf(self.client.execute(*args), RedisError)
            self.assertIn("shared", str(failure.value))
        self.assertEqual(wire.sent(), [])
        for good in (("CLIENT", "ID"), ("CLIENT",), (1,)):
            self.client.execute(*good)
        self.clock.advance(0)
        self.assertEqual(len(wire.sent()), 3)

    def test_no_command(self) -> None:
        """What is no command fails."""
        self.failureResultOf(self.client.execute(), ValueError)
        self.failureResultOf(self.client.execute("GET", True), TypeError)

    def test_unencodable(self) -> None:
        """Text that UTF-8 has no bytes for fails, and raises nothing."""
        self.attach()
        outcome = self.client.execute("GET", "\ud800")
        self.failureResultOf(outcome, UnicodeEncodeError)


class DisconnectedTests(ClientCase):
    """While there is none."""

    def test_wait(self) -> None:
        """Commands wait for the connection, and are sent in their order."""
        outcomes = [self.client.execute("ECHO", n) for n in range(3)]
        self.assertEqual((self.client.connected, self.client.queued), (False, 3))
        wire = self.attach()
        self.assertEqual(wire.sent(), [[b"ECHO", b"%d" % n] for n in range(3)])
        wire.send(b":0\r\n:1\r\n:2\r\n")
        self.assertEqual([self.successResultOf(each) for each in outcomes], [0, 1, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_expiry(self) -> None:
        """Each waits for its own time, and then says why there is no connection."""
        self.client.refused("nobody there")
        first = self.client.execute("A")
        self.clock.advance(1)
        second = self.client.execute("B")
        self.clock.advance(1)
        self.assert_unsent(first, "no connection within 2.0 s: nobody there")
        self.assertNoResult(second)
        self.clock.advance(1)
        self.assert_unsent(second, "nobody there")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_retry_from_expiry(self) -> None:
        """A command issued from such a failure waits for its own time."""
        again: list[Deferred[Any]] = []
        first = self.client.execute("A")
        first.addErrback(lambda _: again.append(self.client.execute("B")))
        self.clock.advance(2)
        self.assertNoResult(again[0])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(2)
        self.assert_unsent(again[0], "no connection")

    def test_expiry_cancels_another(self) -> None:
        """A failure may withdraw the next one to fail."""
        first, second = self.client.execute("A"), self.client.execute("B")
        first.addErrback(lambda _: second.cancel())
        self.clock.advance(2)
        self.failureResultOf(second, CancelledError)

    def test_bounded(self) -> None:
        """More than so many do not wait."""
        outcomes = [self.client.execute("A") for _ in range(3)]
        self.assert_unsent(self.client.execute("A"), "3 commands wait already")
        outcomes[0].cancel()
        self.failureResultOf(outcomes[0], CancelledError)
        self.assertNoResult(self.client.execute("A"))

    def test_withdraw(self) -> None:
        """A cancelled command is never sent."""
        first, second = self.client.execute("A"), self.client.execute("B")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        wire = self.attach()
        self.assertEqual(wire.sent(), [[b"B"]])
        wire.send(b":2\r\n")
        self.assertEqual(self.successResultOf(second), 2)

    def test_no_wait(self) -> None:
        """Without a time to wait, commands fail at once."""
        self.client.configure(wait=0.0, max_queued=3)
        self.assert_unsent(self.client.execute("A"), "not connected")

    def test_lost(self) -> None:
        """What was sent never runs again; what comes after the loss waits."""
        wire = self.attach()
        sent = self.client.execute("INCR", "n")
        later: list[Deferred[Any]] = []
        lost: list[object] = []

        def retry(failure: Failure) -> None:
            lost.append(failure.type)
            later.append(self.client.execute("GET", "n"))

        sent.addErrback(retry)
        wire.lose()
        self.assertEqual(lost, [MaybeExecuted])
        self.assertFalse(self.client.connected)
        self.assertIn("lost", str(self.client.reason))
        wire = self.attach()
        self.assertEqual(wire.sent(), [[b"GET", b"n"]])
        self.assertIsNone(self.client.reason)

    def test_aborted_under_way(self) -> None:
        """From the abort of a connection on, commands wait for the next."""
        connection = RedisConnection(self.clock)
        Wire(self.clock, connection)
        self.client.attach(connection)
        connection.abort()
        self.assertNoResult(self.client.execute("A"))
        self.assertEqual(self.client.queued, 1)

    def test_when_connected(self) -> None:
        """It fires with the connection, and at once while there is one."""
        first, second = self.client.when_connected(), self.client.when_connected()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertNoResult(first)
        self.attach()
        self.successResultOf(first)
        self.successResultOf(self.client.when_connected())

    def test_cancel_from_when_connected(self) -> None:
        """One who waited may cancel another who waits."""
        first, second = self.client.when_connected(), self.client.when_connected()
        first.addCallback(lambda _: second.cancel())
        self.attach()
        self.failureResultOf(second, CancelledError)


class CloseTests(ClientCase):
    """The end of the client."""

    def test_drains(self) -> None:
        """What was sent is answered; nothing new is taken."""
        wire = self.attach()
        sent = self.client.execute("A")
        closing = self.client.close()
        self.assert_unsent(self.client.execute("B"), "closed")
        wire.send(b":1\r\n")
        self.assertEqual(self.successResultOf(sent), 1)
        self.clock.advance(0)
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """What is not answered in time fails."""
        self.attach()
        sent = self.client.execute("A")
        closing = self.client.close(1.0)
        self.clock.advance(1)
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)
        self.successResultOf(closing)

    def test_disconnected(self) -> None:
        """What waits fails, and no timer is left."""
        waiting = [self.client.execute("A"), self.client.execute("B")]
        waiting[0].addErrback(self.cancel_and_pass, waiting[1])
        connected = self.client.when_connected()
        self.successResultOf(self.client.close())
        self.assert_unsent(waiting[0], "closed")
        self.failureResultOf(waiting[1], CancelledError)
        self.failureResultOf(connected, RedisConnectionError)
        self.failureResultOf(self.client.when_connected(), RedisConnectionError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wait_while_closed(self) -> None:
        """Who waits anew for a connection while it is closed is refused."""
        self.attach()
        sent = self.client.execute("A")
        self.client.close()
        self.failureResultOf(self.client.when_connected(), RedisConnectionError)
        self.assertNoResult(sent)

    def test_wait_from_refusal(self) -> None:
        """So is one who waits anew as soon as a command was refused."""
        self.attach()
        refused: list[Deferred[None]] = []
        self.client.configure(1.0, 1, wait_when_full=True)
        self.client.execute("A")
        self.client.execute("B").addErrback(
            lambda _: refused.append(self.client.when_connected())
        )
        self.client.close()
        self.failureResultOf(refused[0], RedisConnectionError)

    def test_abort(self) -> None:
        """What was sent fails at once."""
        wire = self.attach()
        sent = self.client.execute("A")
        aborting = self.client.abort()
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)
        self.successResultOf(aborting)
        self.assertTrue(wire.aborted)
        self.successResultOf(self.client.abort())

    def test_owner(self) -> None:
        """What hands in connections is told to end."""
        times: list[float] = []

        def on_close(timeout: float) -> Deferred[None]:
            times.append(timeout)
            return succeed(None)

        client = RedisClient(self.clock, on_close=on_close)
        self.successResultOf(client.close(3.0))
        self.assertEqual(times, [3.0])

    def test_owner_slower(self) -> None:
        """What was handed in is closed in any case, and no later than asked."""
        ended: Deferred[None] = Deferred()
        self.client.on_close = lambda timeout: ended
        wire = self.attach()
        sent = self.client.execute("A")
        closing = self.client.close(5.0), self.client.close(1.0)
        self.clock.advance(1.0)
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)
        self.assertTrue(wire.aborted)
        self.assertNoResult(closing[0])
        ended.callback(None)
        for each in closing:
            self.successResultOf(each)

    def test_reopen(self) -> None:
        """A closed client can be opened again by its owner."""
        self.successResultOf(self.client.close())
        self.client.reopen()
        waiting = self.client.execute("A")
        wire = self.attach()
        wire.send(b":1\r\n")
        self.assertEqual(self.successResultOf(waiting), 1)
