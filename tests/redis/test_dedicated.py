"""
Tests for L{sockhost.redis.dedicated} and L{sockhost.redis.alone}: connections
beside the shared one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    CommandTimeout,
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
)
from sockhost.redis.client import RedisClient
from sockhost.redis.connection import RedisConnection
from sockhost.redis.dedicated import IDLE
from tests.redis.fakes import Wire


class DedicatedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wires: list[Wire] = []
        self.asked: list[Deferred[RedisConnection]] = []
        self.client = RedisClient(self.clock, wait=2.0)
        self.client.configure(2.0, 100, self.connect, max_dedicated=2)

    def make(self, **options: Any) -> RedisConnection:
        connection = RedisConnection(self.clock, **options)
        self.wires.append(Wire(self.clock, connection))
        return connection

    def attach(self, **options: Any) -> Wire:
        """Connect what all share."""
        self.client.attach(self.make(**options))
        return self.wires[0]

    def connect(self) -> Deferred[RedisConnection]:
        """As a connector: be told when to succeed."""
        asked: Deferred[RedisConnection] = Deferred()
        self.asked.append(asked)
        return asked

    def accept(self) -> Wire:
        """Let the last attempt succeed."""
        self.asked[-1].callback(self.make())
        return self.wires[-1]

    def block(self, *args: Any, **options: Any) -> tuple[Deferred[Any], Wire]:
        """Issue a command that blocks, and connect it."""
        sent = self.client.execute(*(args or ("BLPOP", "a", 0)), **options)
        return sent, self.accept()


class BlockingTests(DedicatedCase):
    """Commands that keep the server from answering others."""

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.attach()

    def test_which(self) -> None:
        """They are known by name, and streams by their option."""
        for args in (
            ("blpop", "a", 0),
            (b"BZMPOP", 0, 1, "a", "MIN"),
            ("XREAD", "BLOCK", 0, "STREAMS", "block", "$"),
            ("XReadGroup", "GROUP", "g", "c", "block", 5, "STREAMS", "s", ">"),
        ):
            asked = len(self.asked)
            sent, wire = self.block(*args)
            self.assertEqual(len(self.asked), asked + 1)
            self.assertEqual(len(wire.sent()), 1)
            wire.lose()
            self.failureResultOf(sent, MaybeExecuted)
        self.assertEqual(self.shared.sent(), [])

    def test_which_not(self) -> None:
        """A stream that is read without blocking goes the usual way."""
        self.client.execute("XREAD", "STREAMS", "BLOCK", "0")
        self.assertEqual((len(self.shared.sent()), self.asked), (1, []))

    def test_others_go_on(self) -> None:
        """Others are answered meanwhile; then the connection is used again."""
        blocked, wire = self.block()
        sent = self.client.execute("GET", "a")
        self.shared.send(b":1\r\n")
        self.assertEqual(self.successResultOf(sent), 1)
        wire.send(b"*2\r\n$1\r\na\r\n$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(blocked), [b"a", b"x"])
        again = self.client.execute("BRPOP", "a", 0)
        self.assertEqual((len(self.asked), self.client.lent), (1, 1))
        wire.send(b"_\r\n")
        self.assertIsNone(self.successResultOf(again))

    def test_cancel(self) -> None:
        """Cancelling one that was sent closes its connection and no other."""
        blocked, wire = self.block()
        blocked.cancel()
        self.failureResultOf(blocked, CancelledError)
        self.assertTrue(wire.aborted)
        self.assertFalse(self.shared.aborted)
        self.clock.advance(0)
        self.assertEqual(self.client.lent, 0)

    def test_cancel_connecting(self) -> None:
        """Cancelling one whose connection is being made gives that up."""
        blocked = self.client.execute("BLPOP", "a", 0)
        blocked.cancel()
        self.failureResultOf(blocked, CancelledError)
        self.assertTrue(self.asked[0].called)
        self.assertEqual(self.client.lent, 0)

    def test_late(self) -> None:
        """One that ran out of time does not stay to eat what comes later."""
        blocked, wire = self.block("BLPOP", "a", 0, timeout=1.0)
        self.clock.pump([0.25] * 6)
        self.failureResultOf(blocked, CommandTimeout)
        self.assertTrue(wire.aborted)

    def test_usual_limit(self) -> None:
        """The limit of ordinary commands is not its own."""
        blocked = self.client.execute("BLPOP", "a", 30)
        self.asked[-1].callback(self.make(timeout=1.0))
        self.clock.pump([1.0] * 29)
        self.assertNoResult(blocked)
        self.wires[-1].send(b"*-1\r\n")
        self.assertIsNone(self.successResultOf(blocked))

    def test_error(self) -> None:
        """An error reply is its outcome, and the connection is kept."""
        blocked, wire = self.block()
        wire.send(b"-WRONGTYPE no\r\n")
        self.failureResultOf(blocked, RedisError)
        self.assertFalse(wire.aborted)

    def test_no_connection(self) -> None:
        """It fails as the attempt to connect does."""
        blocked = self.client.execute("BLPOP", "a", 0)
        self.asked[0].errback(RedisConnectionError("refused"))
        self.failureResultOf(blocked, RedisConnectionError)
        self.assertEqual(self.client.lent, 0)


class StalledTests(DedicatedCase):
    """A server that says nothing."""

    def test_shared(self) -> None:
        """When the shared connection finds out, the blocked ones end too."""
        self.attach(ping_interval=1.0)
        blocked, wire = self.block()
        self.clock.pump([1.0] * 3)
        self.failureResultOf(blocked, MaybeExecuted)
        self.assertTrue(wire.aborted)

    def test_blocked(self) -> None:
        """A blocked connection is not pinged, and not held to be dead."""
        self.attach()
        sent = self.client.execute("BLPOP", "a", 0)
        connection = self.make(ping_interval=1.0)
        self.asked[0].callback(connection)
        wire = self.wires[-1]
        wire.clear()
        self.clock.pump([0.5] * 20)
        self.assertNoResult(sent)
        self.assertEqual(wire.sent(), [])
        wire.send(b"_\r\n")
        self.assertIsNone(self.successResultOf(sent))
        self.clock.pump([0.5] * 2)
        self.assertEqual(wire.sent(), [[b"PING"]])
        self.client.abort()
        self.clock.advance(0)


class LoanTests(DedicatedCase):
    """Who has a connection, and for how long."""

    def borrow(self) -> RedisConnection:
        """Get one that is made for it."""
        loan = self.client.dedicated()
        self.accept()
        return self.successResultOf(loan)

    def test_bounded(self) -> None:
        """There are only so many; who comes late waits, in order, and not long."""
        self.attach()
        one, two = self.borrow(), self.borrow()
        third, fourth = self.client.dedicated(), self.client.dedicated()
        self.assertNoResult(third)
        self.client.release(two)
        self.assertIs(self.successResultOf(third), two)
        self.clock.advance(2.0)
        self.failureResultOf(fourth, RedisConnectionError)
        one.abort()
        self.clock.advance(0)
        fifth = self.client.dedicated()
        self.assertEqual(len(self.asked), 3)
        fifth.cancel()
        self.failureResultOf(fifth, CancelledError)

    def test_cancel_waiting(self) -> None:
        """Who does not wait any more takes nobody's turn."""
        self.attach()
        one, _ = self.borrow(), self.borrow()
        third, fourth = self.client.dedicated(), self.client.dedicated()
        third.cancel()
        self.failureResultOf(third, CancelledError)
        self.client.release(one)
        self.assertIs(self.successResultOf(fourth), one)

    def test_unclean(self) -> None:
        """One that still owes something is closed instead of being kept."""
        self.attach()
        one = self.borrow()
        sent = one.execute("GET", "a")
        self.client.release(one)
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)
        self.assertEqual(self.client.lent, 0)

    def test_idle(self) -> None:
        """One that nobody wants is closed after a while; no timer is left."""
        self.attach()
        one = self.borrow()
        self.client.release(one)
        self.client.release(one)
        self.clock.advance(IDLE)
        self.clock.advance(0)
        self.assertFalse(one.open)
        self.assertEqual((self.client.lent, self.clock.getDelayedCalls()), (0, []))

    def test_idle_to_the_last(self) -> None:
        """One that is asked for as it is closed is not lent; another is made."""
        self.attach()
        one = self.borrow()
        self.client.release(one)
        self.clock.callLater(IDLE, self.client.dedicated)
        self.clock.advance(IDLE)
        self.assertEqual(len(self.asked), 2)
        self.assertFalse(one.open)

    def test_idle_closing(self) -> None:
        """One that is being closed is not lent."""
        self.attach()
        one = self.borrow()
        self.client.release(one)
        one.close()
        self.client.dedicated()
        self.assertEqual(len(self.asked), 2)

    def test_close_ending(self) -> None:
        """Closing waits for those, too, that were given up before."""
        shared = self.attach()
        one = self.borrow()
        one.execute("GET", "a").addErrback(lambda why: why.trap(MaybeExecuted))
        self.client.release(one)
        closed = self.client.close()
        shared.lose()
        self.assertNoResult(closed)
        self.clock.advance(0)
        self.successResultOf(closed)

    def test_refused_by_turns(self) -> None:
        """Who waits may give up others that do when the client is closed."""
        self.attach()
        self.borrow(), self.borrow()
        third, fourth = self.client.dedicated(), self.client.dedicated()
        third.addErrback(lambda _: fourth.cancel())
        self.client.close()
        self.successResultOf(third)
        self.failureResultOf(fourth, CancelledError)

    def test_lost_idle(self) -> None:
        """One that is lost while nobody has it is not lent again."""
        self.attach()
        one = self.borrow()
        self.client.release(one)
        self.wires[-1].lose()
        self.assertEqual((self.client.lent, self.clock.getDelayedCalls()), (0, []))

    def test_waits_for_connection(self) -> None:
        """While the client is not connected, a loan waits as commands do."""
        soon, late = self.client.dedicated(), self.client.dedicated()
        self.clock.advance(1.0)
        self.attach()
        self.assertEqual(len(self.asked), 2)
        self.accept()
        self.asked[0].callback(self.make())
        self.successResultOf(soon)
        self.successResultOf(late)

    def test_never_connected(self) -> None:
        """If no connection comes, it fails in its time, or at once if so wished."""
        loan = self.client.dedicated()
        self.clock.advance(2.0)
        self.failureResultOf(loan, RedisConnectionError)
        self.client.configure(0.0, 100, self.connect)
        self.failureResultOf(self.client.dedicated(), RedisConnectionError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_connector(self) -> None:
        """A client that cannot connect says so."""
        self.client.configure(2.0, 100)
        self.attach()
        self.failureResultOf(self.client.dedicated(), RedisConnectionError)

    def test_close(self) -> None:
        """Closing drains what was lent, and refuses who waits and who comes."""
        shared = self.attach()
        one, two = self.borrow(), self.borrow()
        sent = one.execute("GET", "a")
        waiting = self.client.dedicated()
        closed = self.client.close(1.0)
        self.failureResultOf(waiting, RedisConnectionError)
        self.failureResultOf(self.client.dedicated(), RedisConnectionError)
        self.clock.advance(0)
        self.assertTrue(shared.disconnecting)
        self.assertFalse(two.open)
        self.assertNoResult(closed)
        self.wires[1].send(b":1\r\n")
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(sent), 1)
        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_while_connecting(self) -> None:
        """A connection that is being made is given up."""
        self.attach()
        loan = self.client.dedicated()
        closed = self.client.close()
        self.clock.advance(0)
        self.failureResultOf(loan, RedisConnectionError)
        self.successResultOf(closed)

    def test_connected_while_closing(self) -> None:
        """One that is connected all the same is closed."""
        self.attach()
        connection = self.make()

        def stubborn() -> Deferred[RedisConnection]:
            return Deferred(lambda making: making.callback(connection))

        self.client.configure(2.0, 100, stubborn)
        loan = self.client.dedicated()
        closed = self.client.close()
        self.clock.advance(0)
        self.failureResultOf(loan, RedisConnectionError)
        self.successResultOf(closed)
        self.assertFalse(connection.open)

    def test_abort(self) -> None:
        """An abort ends all at once, those that are lent too."""
        self.attach()
        one = self.borrow()
        sent = one.execute("GET", "a")
        aborted = self.client.abort()
        self.clock.advance(0)
        self.failureResultOf(sent, MaybeExecuted)
        self.successResultOf(aborted)

    def test_attempt_fails(self) -> None:
        """Who waits gets a turn when an attempt of another fails."""
        self.attach()
        self.borrow()
        second, third = self.client.dedicated(), self.client.dedicated()
        self.asked[1].errback(RedisConnectionError("refused"))
        self.failureResultOf(second, RedisConnectionError)
        self.assertEqual(len(self.asked), 3)
        self.accept()
        self.successResultOf(third)

    def test_fails_at_once(self) -> None:
        """So does a connector that has failed when it returns."""
        self.attach()
        self.client.configure(2.0, 100, lambda: fail(RedisConnectionError("no")))
        self.failureResultOf(self.client.dedicated(), RedisConnectionError)
        self.assertEqual(self.client.lent, 0)
