"""
Tests for handlers that take frames together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import CORO_CLOSED, getcoroutinestate
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, IBatchHandler, IClient
from sockhost.sockets.limits import REQUEST, Limits
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Connection, Later, Served


@implementer(IBatchHandler)
@define(eq=False)
class Batched:
    """A handler that notes batches, and answers as the test says."""

    answer: Callable[[Sequence[bytes]], object] = list
    batches: list[list[bytes]] = field(factory=list)
    gone: list[Disconnected] = field(factory=list)

    def connected(self, client: IClient) -> None:
        """Let everybody in."""

    def received(self, client: IClient, frame: bytes) -> object:
        """Not called."""
        raise AssertionError("there is received_batch")

    def received_batch(self, client: IClient, frames: Sequence[bytes]) -> object:
        """Note the frames and answer them."""
        self.batches.append(list(frames))
        return self.answer(frames)

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Note it."""
        self.gone.append(reason)


class BatchTests(SynchronousTestCase):
    """What becomes of the handler's C{received_batch}."""

    def connect(
        self, answer: Callable[[Sequence[bytes]], object] = list, **limits: Any
    ) -> Connection:
        """Connect a client."""
        self.handler = Batched(answer)
        self.served = Served(self.handler, Limits(**limits))
        return self.served.connect()

    def test_interface(self) -> None:
        """The handler of these tests is one."""
        verifyObject(IBatchHandler, Batched())

    def test_together(self) -> None:
        """Frames that arrive together come together, also a lone one."""
        connection = self.connect()
        connection.send(b"a", b"b", b"c")
        connection.send(b"d")
        self.assertEqual(self.handler.batches, [[b"a", b"b", b"c"], [b"d"]])
        self.assertEqual(
            connection.wire.writes, [pack(b"a") + pack(b"b") + pack(b"c"), pack(b"d")]
        )
        self.assertEqual(self.served.server.counters.frames_in, 4)

    def test_only_batches(self) -> None:
        """C{received} may be missing."""

        class Only:
            def received_batch(self, _: IClient, frames: list[bytes]) -> list[bytes]:
                return frames

        connection = Served(Only()).connect()
        connection.send(b"a")
        self.assertEqual(connection.wire.writes, [pack(b"a")])

    def test_some_answers(self) -> None:
        """Each frame has its own kind of answer: now, none, or later."""
        later = Later()

        async def soon() -> bytes:
            return b"soon"

        connection = self.connect(lambda _: [b"now", None, later(), soon()])
        connection.send(b"a", b"b", b"c", b"d")
        self.assertEqual(connection.wire.writes, [pack(b"now") + pack(b"soon")])
        self.assertEqual(self.served.server.counters.in_flight, 1)
        later[0].callback(b"late")
        connection.wire.take()
        self.assertEqual(connection.wire.writes[1:], [pack(b"late")])

    def test_none(self) -> None:
        """C{None} answers none of them."""
        connection = self.connect(lambda _: None)
        connection.send(b"a", b"b")
        self.assertEqual(connection.wire.writes, [])
        self.assertFalse(connection.wire.disconnecting)

    def test_all_later(self) -> None:
        """All answers may come later; until then all frames are in flight."""
        later = Later()
        connection = self.connect(lambda _: later())
        connection.send(b"aa", b"b")
        self.assertEqual(self.served.server.counters.in_flight, 2)
        self.assertEqual(self.served.server.status()["buffered"], 3 + REQUEST)
        later[0].callback([b"A", None])
        self.assertEqual(connection.wire.writes, [pack(b"A")])
        self.assertEqual(self.served.server.counters.in_flight, 0)

    def test_not_more_than_in_flight(self) -> None:
        """No more come together than may be in flight."""
        later = Later()
        connection = self.connect(lambda _: later(), max_in_flight=2)
        connection.send(b"a", b"b", b"c")
        self.assertEqual(self.handler.batches, [[b"a", b"b"]])
        self.assertFalse(connection.wire.reading)
        later[0].callback([b"A", b"B"])
        self.assertEqual(self.handler.batches[1:], [[b"c"]])

    def test_raises(self) -> None:
        """An exception answers none of them, is logged once and drops the client."""
        connection = self.connect(lambda frames: frames[7])
        connection.send(b"a", b"b")
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)
        connection.lose()
        self.assertEqual(len(self.handler.gone), 1)

    def test_wrong_answers(self) -> None:
        """So does what is no list with an answer for each."""
        for wrong in ([b"only one"], b"ab", 7, {b"a": 1, b"b": 2}):
            answers: object = wrong
            connection = self.connect(partial(lambda answers, _: answers, answers))
            connection.send(b"a", b"b")
            self.assertEqual(connection.wire.writes, [])
            self.assertTrue(connection.wire.disconnecting)
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_one_wrong_answer(self) -> None:
        """Those in front of a wrong one are sent; what was begun is cancelled."""
        later = Later()
        connection = self.connect(lambda _: [b"A", "wrong", later()])
        connection.send(b"a", b"b", b"c")
        connection.wire.take()
        self.assertEqual(connection.wire.writes, [pack(b"A")])
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(later.cancelled, later.made)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_failing_answer(self) -> None:
        """So it is behind one that fails, whatever was begun."""
        later, awaited = Later(), []

        async def bad() -> bytes:
            raise ValueError("bug")

        async def never() -> None:
            awaited.append(1)

        work = never()
        connection = self.connect(lambda _: [bad(), later(), work])
        connection.send(b"a", b"b", b"c")
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(later.cancelled, later.made)
        self.assertEqual(getcoroutinestate(work), CORO_CLOSED)
        self.assertEqual(awaited, [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_wrong_count(self) -> None:
        """Nothing goes on of a list that does not fit its frames."""
        later = Later()
        connection = self.connect(lambda _: [later(), later(), later()])
        connection.send(b"a", b"b")
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(later.cancelled, later.made)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_too_late(self) -> None:
        """Nor of a list that comes when the client has gone."""
        later, stubborn = Later(), Deferred[Any](lambda _: stubborn.callback(None))
        stubborn.addCallback(lambda _: [later(), None])
        connection = self.connect(lambda _: stubborn)
        connection.send(b"a", b"b")
        connection.lose()
        self.assertEqual(len(later.made), 1)
        self.assertEqual(later.cancelled, later.made)

    def test_gone(self) -> None:
        """Batches in flight are cancelled when the client has gone."""
        cancelled: list[Deferred[Any]] = []
        connection = self.connect(lambda _: Deferred(cancelled.append))
        connection.send(b"a", b"b")
        connection.lose()
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.served.server.counters.in_flight, 0)
