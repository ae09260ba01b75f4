"""
Tests for the end of a L{sockhost.sockets.session}, and for its back-pressure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.peer import Client
from sockhost.sockets.server import FAREWELL
from sockhost.sockets.wire import HEADER, pack
from tests.sockets.fakes import Connection, Later, Scripted, Served


class DisconnectedTests(SynchronousTestCase):
    """What becomes of the handler's C{disconnected}."""

    def reason(self, data: bytes, error: Exception | None = None) -> Disconnected:
        """Connect, send, lose the connection; what was the handler told?"""
        served = Served(Scripted(answer=lambda *_: None))
        connection = served.connect()
        connection.protocol.dataReceived(data)
        connection.lose(error)
        ((client, reason),) = served.handler.gone
        self.assertIs(client, served.handler.clients[0])
        self.assertFalse(client.connected)
        assert isinstance(reason, Disconnected)
        return reason

    def test_clean(self) -> None:
        """A client that closes between two frames has gone cleanly."""
        self.assertTrue(self.reason(pack(b"a")).clean)

    def test_within_frame(self) -> None:
        """A client that closes within a frame has not."""
        reason = self.reason(pack(b"a") + b"\0")
        self.assertFalse(reason.clean)
        self.assertIn("in the middle of a frame", str(reason))

    def test_lost(self) -> None:
        """Nor has one whose connection broke."""
        reason = self.reason(b"", ConnectionLost())
        self.assertFalse(reason.clean)
        self.assertIn("lost", str(reason))

    def test_cancels_first(self) -> None:
        """Requests in flight are cancelled before it is called, and quietly."""
        later = Later()
        cancelled: list[int] = []
        handler = Scripted(
            answer=later, part=lambda _: cancelled.append(len(later.cancelled))
        )
        connection = Served(handler).connect()
        connection.send(b"a", b"b")
        connection.lose()
        self.assertEqual(cancelled, [2])

    def test_let_in_at_the_end(self) -> None:
        """A client that is let in by its own end is parted with once, and whole."""
        farewell: Deferred[None] = Deferred()

        async def greet() -> None:
            with contextlib.suppress(CancelledError):
                await Deferred()

        served = Served(Scripted(greet=lambda _: greet(), part=lambda _: farewell))
        connection = served.connect()
        forgotten: list[bool] = []
        self.patch(Client, "forget", lambda _: forgotten.append(farewell.called))
        connection.lose(ConnectionLost())
        self.assertEqual(len(served.handler.gone), 1)
        self.assertEqual(forgotten, [])
        farewell.callback(None)
        self.assertEqual(forgotten, [True])

    def test_counted_to_the_end(self) -> None:
        """What was read is counted, though the handler failed before its end."""
        served = Served(Scripted(answer=lambda *_: 1 / 0))
        connection = served.connect()
        connection.send(b"abc", b"def", b"ghi")
        self.assertEqual(served.server.counters.bytes_in, 21)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_late_answer(self) -> None:
        """An answer that comes in spite of being cancelled is discarded."""

        async def stubborn() -> bytes:
            try:
                await Deferred()
            except CancelledError:
                return b"too late"
            return b""

        served = Served(Scripted(answer=lambda *_: stubborn()))
        connection = served.connect()
        connection.send(b"a")
        connection.lose()
        self.assertEqual(connection.wire.writes, [])
        self.assertEqual(served.server.counters.in_flight, 0)

    def test_late_failure(self) -> None:
        """A failure in spite of being cancelled is logged."""

        async def clumsy() -> bytes:
            try:
                return await Deferred[bytes]()
            except CancelledError:
                raise ValueError("clean-up failed") from None

        connection = Served(Scripted(answer=lambda *_: clumsy())).connect()
        connection.send(b"a")
        connection.lose()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_fails(self) -> None:
        """Its failure is logged and changes nothing."""

        async def part() -> None:
            raise ValueError("bug")

        served = Served(Scripted(part=lambda _: part()))
        served.connect().lose()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(served.server.status()["clients"], 0)


def refuse(_: object) -> None:
    """Cancel badly."""
    raise ValueError("canceller")


class CancellerTests(SynchronousTestCase):
    """What a canceller of the handler's raises concerns nobody else."""

    def connect(self, greet: object = None) -> Connection:
        """Connect a client with a request that cannot be cancelled well."""
        answer: Callable[..., object] = lambda *_: Deferred(refuse)  # noqa: E731
        self.served = Served(Scripted(answer=answer, greet=lambda _: greet))
        connection = self.served.connect()
        connection.send(b"a", b"b")
        return connection

    def check_gone(self, count: int) -> None:
        """All is over, and each failure was logged."""
        self.assertEqual(self.served.server.status()["clients"], 0)
        self.assertFalse(self.served.server.door._inside)
        self.assertEqual(self.served.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), count)

    def test_drop(self) -> None:
        """A client that is dropped is closed."""
        connection = self.connect()
        self.served.handler.clients[0].drop("no")
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        self.assertEqual(len(self.served.handler.gone), 1)
        self.check_gone(2)

    def test_lost(self) -> None:
        """One that goes is gone, and its handler told."""
        self.connect().lose()
        self.assertEqual(len(self.served.handler.gone), 1)
        self.check_gone(2)

    def test_connecting(self) -> None:
        """So is one whose C{connected} is under way."""
        self.connect(Deferred(refuse)).lose(ConnectionLost())
        self.assertEqual(self.served.handler.gone, [])
        self.check_gone(1)

    def test_farewell(self) -> None:
        """A drain ends that gives up a C{disconnected}."""
        served = self.served = Served(Scripted(part=lambda _: Deferred(refuse)))
        connection = served.connect()
        drained = served.server.drain(0)
        connection.lose()
        served.clock.advance(FAREWELL)
        self.assertIsNone(self.successResultOf(drained))
        self.check_gone(1)


class BackPressureTests(SynchronousTestCase):
    """A client that takes or waits for too much is not read from."""

    def test_slow_reader(self) -> None:
        """Nobody reads from a client that lets answers queue, until it takes them."""
        served = Served(limits=Limits(high_water=1000))
        connection = served.connect()
        connection.send(b"x" * 800)
        self.assertTrue(connection.wire.reading)
        connection.send(b"y" * 800)
        self.assertFalse(connection.wire.reading)
        connection.wire.take()
        self.assertTrue(connection.wire.reading)

    def test_amplified(self) -> None:
        """Frames that were read are not handed over while too much is queued."""
        answer = b"x" * 1000
        handler = Scripted(answer=lambda *_: answer)
        served = Served(handler, Limits(high_water=1500))
        connection = served.connect()
        connection.send(*[b"%d" % n for n in range(10)])
        self.assertEqual(len(handler.frames), 2)
        for _ in range(10):
            connection.wire.take()
        self.assertEqual(handler.frames, [b"%d" % n for n in range(10)])
        self.assertEqual(b"".join(connection.wire.writes), pack(answer) * 10)
        self.assertTrue(connection.wire.reading)

    def test_pushed(self) -> None:
        """What the handler sends by itself counts too."""
        served = Served(limits=Limits(high_water=1000))
        connection = served.connect()
        served.handler.clients[0].send(b"x" * 2000)
        self.assertFalse(connection.wire.reading)
        connection.wire.take()
        self.assertTrue(connection.wire.reading)

    def test_in_flight(self) -> None:
        """No more requests are handed over than may be unanswered."""
        later = Later()
        served = Served(Scripted(answer=later), Limits(max_in_flight=4))
        connection = served.connect()
        connection.send(*[b"%d" % n for n in range(6)])
        self.assertEqual(len(later.made), 4)
        self.assertFalse(connection.wire.reading)
        for number in range(6):
            later[number].callback(b"done")
        self.assertEqual(len(later.made), 6)
        self.assertTrue(connection.wire.reading)

    def test_one_at_a_time(self) -> None:
        """A limit of one hands frames over one after the other."""
        later = Later()
        served = Served(Scripted(answer=later), Limits(max_in_flight=1))
        connection = served.connect()
        connection.send(b"a", b"b")
        self.assertEqual(served.handler.frames, [b"a"])
        later[0].callback(None)
        self.assertEqual(served.handler.frames, [b"a", b"b"])
        later[1].callback(None)
        self.assertTrue(connection.wire.reading)

    def test_bad_frame_behind_backlog(self) -> None:
        """Frames in front of a bad one are handed over even when that takes time."""
        later = Later()
        served = Served(Scripted(answer=later), Limits(max_in_flight=1))
        connection = served.connect()
        connection.protocol.dataReceived(pack(b"a") + pack(b"b") + HEADER.pack(0))
        later[0].callback(b"A")
        self.assertEqual(served.handler.frames, [b"a", b"b"])
        later[1].callback(b"B")
        self.assertEqual(connection.wire.writes, [pack(b"A"), pack(b"B")])
        connection.wire.take()
        self.assertTrue(connection.wire.disconnecting)

    def test_answer_within_received(self) -> None:
        """A handler may answer an earlier request while it gets the next."""
        later = Later()

        def answer(client: IClient, frame: bytes) -> Deferred[Any]:
            if later.made:
                later[0].callback(b"first")
            return later()

        served = Served(Scripted(answer=answer))
        connection = served.connect()
        connection.send(b"a", b"b")
        self.assertEqual(connection.wire.writes, [pack(b"first")])
        self.assertEqual(served.handler.frames, [b"a", b"b"])
