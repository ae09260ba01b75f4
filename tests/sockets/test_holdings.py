"""
Tests for L{sockhost.sockets.holdings}.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.holdings import RELIEF, TOO_MUCH, Holdings
from sockhost.sockets.limits import REQUEST, Limits
from sockhost.sockets.wire import HEADER, pack
from tests.sockets.fakes import Connection, Later, Scripted, Served


@define(eq=False)
class Someone:
    """Holds as much as the test says, until aborted."""

    all: Holdings
    held: int = field(default=0)
    why: str = field(default="")

    def hold(self, size: int) -> None:
        """Hold that much."""
        difference, self.held = size - self.held, size
        self.all.change(difference)

    def abort(self, reason: str, why: str | None) -> None:
        """Hold nothing any more."""
        self.why = reason
        self.hold(0)


class HoldingsTests(SynchronousTestCase):
    """Tests for L{Holdings}."""

    def setUp(self) -> None:
        """Make three holders, with a limit of 100."""
        self.limit = 100
        self.clock, self.relieved = Clock(), 0
        self.holdings = Holdings(
            self.clock, lambda: self.limit, lambda: self.holders, self.relieve
        )
        self.holders = [Someone(self.holdings) for _ in range(3)]

    def relieve(self) -> None:
        """Count."""
        self.relieved += 1

    def test_relief(self) -> None:
        """Who was told that it is tight is tried again soon after it is not, once."""
        self.holders[0].hold(80)
        self.assertTrue(self.holdings.tight)
        self.clock.advance(RELIEF)
        self.holders[0].hold(70)
        self.assertEqual(self.relieved, 0)
        self.holders[0].hold(60)
        self.clock.advance(RELIEF)
        self.holders[0].hold(50)
        self.clock.advance(RELIEF)
        self.assertEqual((self.relieved, self.clock.getDelayedCalls()), (1, []))

    def test_nobody_hindered(self) -> None:
        """If nobody was told there is nothing to do."""
        self.holders[0].hold(80)
        self.holders[0].hold(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """In the end nobody is tried again."""
        self.holders[0].hold(80)
        self.assertTrue(self.holdings.tight)
        self.holders[0].hold(0)
        self.holdings.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tight(self) -> None:
        """It is tight above three quarters of the limit."""
        self.holders[0].hold(75)
        self.assertFalse(self.holdings.tight)
        self.holders[1].hold(1)
        self.assertTrue(self.holdings.tight)
        self.holders[0].hold(10)
        self.assertFalse(self.holdings.tight)

    def test_greatest_is_dropped(self) -> None:
        """Whoever holds most is dropped, not who asks for the last byte."""
        for holder, size in zip(self.holders, (30, 60, 10), strict=True):
            holder.hold(size)
        self.assertEqual([each.why for each in self.holders], ["", "", ""])
        self.holders[2].hold(11)
        self.assertEqual([each.why for each in self.holders], ["", TOO_MUCH, ""])
        self.assertEqual(self.holdings.total, 41)

    def test_several_are_dropped(self) -> None:
        """As many are dropped as it takes, and no more."""
        self.holders[0].hold(50)
        self.holders[1].hold(50)
        self.limit = 40
        self.holders[2].hold(20)
        self.assertEqual([bool(each.why) for each in self.holders], [1, 1, 0])

    def test_no_limit(self) -> None:
        """Without a limit nothing is too much."""
        self.limit = 0
        self.holders[0].hold(10**12)
        self.assertFalse(self.holdings.tight)
        self.assertEqual(self.holders[0].why, "")


class ServerHoldingsTests(SynchronousTestCase):
    """What is counted for the clients of a server, and what becomes of it."""

    def serve(self, handler: Scripted | None = None, **limits: int) -> Served:
        """Make a server with limits."""
        allowed = Limits(**limits)  # type: ignore[arg-type]
        self.served = Served(handler or Scripted(), allowed)
        return self.served

    def held(self) -> object:
        """What the server says that it holds."""
        return self.served.server.status()["buffered"]

    def test_partial_frame(self) -> None:
        """The beginning of a frame counts until the frame is whole."""
        connection = self.serve(Scripted(answer=lambda *_: None)).connect()
        data = pack(b"x" * 100)
        connection.protocol.dataReceived(data[:60])
        self.assertEqual(self.held(), 60)
        connection.protocol.dataReceived(data[60:])
        self.assertEqual(self.held(), 0)

    def test_request(self) -> None:
        """A request counts until it is answered, its answer until it is taken."""
        later = Later()
        connection = self.serve(Scripted(answer=later)).connect()
        connection.send(b"x" * 50)
        self.assertEqual(self.held(), 50)
        later[0].callback(b"y" * 20)
        self.assertEqual(self.held(), 24)
        connection.wire.take()
        self.assertEqual(self.held(), 0)

    def test_many_requests(self) -> None:
        """Each request but the first counts, also one without any bytes."""
        later = Later()
        connection = self.serve(Scripted(answer=later)).connect()
        connection.send(b"", b"", b"")
        self.assertEqual(self.held(), 2 * REQUEST)
        for number in range(2):
            later[number].callback(None)
        self.assertEqual(self.held(), 0)

    def test_endless_requests(self) -> None:
        """Clients that ask what is never answered are cut off for that alone."""
        self.serve(Scripted(answer=Later()), max_buffered=10 * REQUEST)
        connection = self.served.connect()
        connection.send(*[b""] * 20)
        self.assertTrue(connection.wire.aborted)

    def test_backlog(self) -> None:
        """So does what was read and is not handed over."""
        later = Later()
        connection = self.serve(Scripted(answer=later), max_in_flight=1).connect()
        connection.send(b"x" * 50, b"y" * 30)
        self.assertEqual(self.held(), 80)
        later[0].callback(None)
        self.assertEqual(self.held(), 30)
        later[1].callback(None)
        self.assertEqual(self.held(), 0)

    def test_gone(self) -> None:
        """Nothing is held for who is gone, whatever was."""
        later = Later()
        connection = self.serve(Scripted(answer=later), max_in_flight=1).connect()
        self.served.handler.clients[0].send(b"z").addErrback(lambda _: None)
        connection.protocol.dataReceived(pack(b"a") + pack(b"b") + b"\0")
        self.assertNotEqual(self.held(), 0)
        connection.lose()
        self.assertEqual(self.held(), 0)

    def test_dropped(self) -> None:
        """What is queued towards a dropped client counts until it is taken."""
        connection = self.serve().connect()
        connection.send(b"x")
        self.served.handler.clients[0].drop("no")
        self.assertEqual(self.held(), 5)
        connection.wire.take()
        connection.lose()
        self.assertEqual(self.held(), 0)

    def test_most_is_cut_off(self) -> None:
        """Who holds most is cut off when it is too much; the others are served."""
        self.serve(max_buffered=1000)
        big, small, last = (self.served.connect() for _ in range(3))
        big.protocol.dataReceived(HEADER.pack(5000) + b"x" * 800)
        small.protocol.dataReceived(HEADER.pack(5000) + b"x" * 100)
        self.assertFalse(big.wire.aborted)
        last.protocol.dataReceived(HEADER.pack(5000) + b"x" * 300)
        self.assertEqual(
            [each.wire.aborted for each in (big, small, last)], [True, False, False]
        )
        big.lose()
        [(_, reason)] = self.served.handler.gone
        self.assertEqual(str(reason), TOO_MUCH)

    def test_tight(self) -> None:
        """When it is tight, those are not read from to whom something is owed."""
        later = Later()
        self.serve(Scripted(answer=later), max_buffered=1000)
        waiting, quiet, big = (self.served.connect() for _ in range(3))
        waiting.send(b"a")
        big.protocol.dataReceived(HEADER.pack(5000) + b"x" * 800)
        waiting.send(b"b")
        self.assertEqual(len(later.made), 1)
        self.assertEqual(self.reading(waiting, quiet, big), [False, True, True])
        quiet.send(b"c")
        self.assertEqual(len(later.made), 2)
        later[0].callback(None)
        self.assertEqual(self.served.handler.frames, [b"a", b"c", b"b"])

    def test_not_tight_any_more(self) -> None:
        """They are read from again when it is not, though they are owed the same."""
        later = Later()
        self.serve(Scripted(answer=later), max_buffered=10_000)
        waiting, big = (self.served.connect() for _ in range(2))
        waiting.send(b"a")
        big.protocol.dataReceived(HEADER.pack(9000) + b"x" * 8000)
        waiting.send(b"b")
        waiting.send(b"c")
        self.assertEqual(self.reading(waiting), [False])
        self.assertNotIn(b"c", self.served.handler.frames)
        big.lose()
        self.served.clock.advance(RELIEF)
        self.assertEqual(self.reading(waiting), [True])
        self.assertEqual(self.served.handler.frames, [b"a", b"b", b"c"])

    def test_nobody_left(self) -> None:
        """When all have gone there is no timer for those who waited."""
        self.serve(Scripted(answer=Later()), max_buffered=1000)
        waiting, big = (self.served.connect() for _ in range(2))
        waiting.send(b"a")
        big.protocol.dataReceived(HEADER.pack(5000) + b"x" * 800)
        waiting.send(b"b")
        self.assertEqual(self.reading(waiting), [False])
        big.lose()
        waiting.lose()
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def reading(self, *connections: Connection) -> list[bool]:
        """Say who is read from."""
        return [each.wire.reading for each in connections]
