"""
Tests for frames that come together to a client in a hub: L{sockhost.sockets.hubanswers}
and L{sockhost.sockets.hubcut}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import FrameError, IClient
from tests.sockets.fakes import Later, Scripted
from tests.sockets.hub_case import Case, joined
from tests.sockets.hub_fakes import HubConnected, HubServed, HubTestCase


class RunTests(Case):
    """Frames of one length, given to the handler one after the other."""

    FRAMES = tuple(b"%03d" % number for number in range(100))

    def test_answers(self) -> None:
        """Each is answered, in order, and they go out in one piece."""
        connection = self.connect(lambda _, frame: frame)
        connection.send(*self.FRAMES)
        self.assertEqual(connection.wire.writes, joined(*self.FRAMES))
        self.assertEqual(len(connection.connection.queue or ()), 1)
        self.assertEqual(self.client.frames_out, 100)

    def test_lengths(self) -> None:
        """Answers of different lengths, and none, have their own headers."""
        answers: list[Any] = [b"x" * (number % 5) for number in range(100)]
        answers[70:80] = [None] * 10
        left = iter(answers)
        connection = self.connect(lambda *_: next(left))
        connection.send(*self.FRAMES)
        told = [each for each in answers if each is not None]
        self.assertEqual(connection.wire.writes, joined(*told))
        self.assertEqual(self.client.frames_out, 90)

    def test_other_types(self) -> None:
        """What only looks like bytes is no answer here either."""
        wide = memoryview(b"abcdefgh").cast("I")
        for wrong in (bytearray(b"abc"), wide, "abc", 3):
            connection = self.connect(lambda *_, wrong=wrong: wrong)
            connection.send(*self.FRAMES)
            self.assertEqual(connection.wire.writes, [])
            self.assertTrue(connection.wire.disconnecting)
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
            self.assertFalse(self.client.connected)

    def test_exception(self) -> None:
        """Answers in front of an exception are sent, and nothing behind it."""

        def answer(_: IClient, frame: bytes) -> bytes:
            if frame == b"033":
                raise ValueError("bug")
            return frame

        connection = self.connect(answer)
        connection.send(*self.FRAMES)
        self.assertEqual(connection.wire.writes, joined(*self.FRAMES[:33]))
        self.assertEqual(self.served.handler.frames, list(self.FRAMES[:34]))
        self.assertEqual(self.client.frames_in, 34)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertFalse(self.client.connected)

    def test_drop(self) -> None:
        """A handler that drops its client gets no further frame."""

        def answer(client: IClient, frame: bytes) -> bytes:
            if frame == b"033":
                client.drop("enough")
            return frame

        connection = self.connect(answer)
        connection.send(*self.FRAMES)
        self.assertEqual(connection.wire.writes, joined(*self.FRAMES[:33]))
        self.assertEqual(self.served.handler.frames, list(self.FRAMES[:34]))
        self.assertEqual(self.client.frames_in, 34)
        self.assertEqual(self.served.server.counters.frames_in, 34)

    def test_dropped_and_failed(self) -> None:
        """The frame at which it fails then is counted, too."""

        def answer(client: IClient, frame: bytes) -> bytes:
            if frame == b"033":
                client.drop("enough")
                raise ValueError("bug")
            return frame

        self.connect(answer).send(*self.FRAMES)
        self.assertEqual(self.client.frames_in, 34)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_sent_meanwhile(self) -> None:
        """What is sent between two answers goes between them."""

        def answer(client: IClient, frame: bytes) -> bytes:
            if frame in (b"033", b"050"):
                client.send(b"news at " + frame)
            return frame

        connection = self.connect(answer)
        connection.send(*self.FRAMES)
        expected = list(self.FRAMES)
        expected.insert(50, b"news at 050")
        expected.insert(33, b"news at 033")
        self.assertEqual(connection.wire.writes, joined(*expected))

    def test_answered_meanwhile(self) -> None:
        """So does an earlier answer that comes while a later frame is handled."""
        later = Later()

        def answer(_: IClient, frame: bytes) -> object:
            if frame == b"early":
                return later()
            if frame == b"040":
                later[0].callback(b"at last")
            return frame

        connection = self.connect(answer)
        connection.send(b"early")
        connection.send(*self.FRAMES)
        expected = list(self.FRAMES)
        expected.insert(40, b"at last")
        self.assertEqual(connection.wire.writes, joined(*expected))

    def test_asynchronous(self) -> None:
        """What is asynchronous begins before the next frame is given."""
        begun: list[bytes] = []

        async def answer(client: IClient, frame: bytes) -> bytes:
            begun.append(frame)
            if frame == b"010":
                client.drop("enough")
            return frame

        class Handler:
            async def received(self, client: IClient, frame: bytes) -> bytes:
                return await answer(client, frame)

        hidden = Scripted(answer=answer)
        for handler, most in ((Handler(), 11), (hidden, 64)):
            begun.clear()
            connection = HubServed(handler).connect()
            connection.send(*self.FRAMES)
            self.assertEqual(connection.wire.writes, joined(*self.FRAMES[:10]))
            self.assertEqual(begun, list(self.FRAMES[:11]))
            self.assertLessEqual(len(hidden.frames), most)

    def test_many_later(self) -> None:
        """Deferreds of a run are answered each, also those that have fired."""
        later = Later()
        fired: Deferred[bytes] = Deferred()
        fired.callback(b"000")

        def answer(_: IClient, frame: bytes) -> object:
            return fired if frame == b"000" else later()

        connection = self.connect(answer)
        connection.send(*self.FRAMES)
        self.assertEqual(self.client.in_flight, 99)
        for made, frame in zip(later.made, self.FRAMES[1:], strict=True):
            made.callback(frame)
        self.assertEqual(connection.wire.writes, joined(*self.FRAMES))
        self.assertEqual(self.client.in_flight, 0)
        self.assertTrue(self.quiet)

    def test_in_flight(self) -> None:
        """No more are begun than may be unanswered."""
        for most in (1, 5, 8, 20, 63, 64, 65):
            later = Later()
            self.connect(later, max_in_flight=most).send(*self.FRAMES)
            self.assertEqual(len(later.made), most)

    def test_in_flight_bytes(self) -> None:
        """Nor have those that are begun many more bytes than they may."""
        later = Later()
        self.connect(later, max_in_flight_bytes=100).send(*self.FRAMES)
        self.assertEqual(len(later.made), 34)

    def test_large_answers(self) -> None:
        """A handler whose answers are large is not asked for 64 at once."""
        connection = self.connect(lambda *_: b"x" * 50_000)
        connection.send(*self.FRAMES[:8])
        connection.wire.take()
        before = len(self.served.handler.frames)
        connection.send(*self.FRAMES)
        self.assertLess(len(self.served.handler.frames) - before, 8)

    def test_small_again(self) -> None:
        """When they are small again it is, and large ones to others are nothing."""
        size = 50_000
        connection = self.connect(lambda *_: b"x" * size)
        connection.send(*self.FRAMES[:8])
        connection.wire.take()
        self.assertEqual(self.served.clients.room, size + 4)
        size = 1
        for _ in range(20):
            connection.send(*self.FRAMES)
            connection.wire.take()
        self.assertLess(self.served.clients.room, 4096)
        connection.send(b"y" * 60_000)
        connection.wire.take()
        self.assertLess(self.served.clients.room, 4096)

    def test_answer_too_large(self) -> None:
        """An answer above the limit is the handler's error."""
        connection = self.connect(lambda *_: b"x" * 50, max_frame=20)
        connection.send(*self.FRAMES[:4])
        self.assertEqual(connection.wire.writes, [])
        self.assertEqual(len(self.flushLoggedErrors(FrameError)), 1)


class BatchTests(HubTestCase):
    """A handler that takes several frames at once."""

    def connect(self, answer: Callable[[list[bytes]], object]) -> HubConnected:
        """Connect a client."""

        class Batched:
            def __init__(self) -> None:
                self.batches: list[int] = []

            def received_batch(self, client: IClient, frames: list[bytes]) -> object:
                self.batches.append(len(frames))
                return answer(frames)

        self.served = HubServed(Batched())
        return self.served.connect()

    def given(self, answers: object, _: object) -> object:
        """Answer with what the test says."""
        return answers

    def test_one_read(self) -> None:
        """It gets all frames of a read, whatever their lengths, and no session."""
        payloads = [b"%d" % number for number in range(150)]
        connection = self.connect(list)
        connection.send(*payloads)
        self.assertEqual(self.served.handler.batches, [150])
        self.assertEqual(connection.wire.writes, joined(*payloads))
        self.assertIsNone(connection.connection.session)

    def test_single(self) -> None:
        """It gets a frame that comes alone as one of one."""
        for single in ([b"x"], None, [None]):
            connection = self.connect(partial(self.given, single))
            connection.send(b"a")
            self.assertEqual(self.served.handler.batches, [1])
            expected = joined(b"x") if single == [b"x"] else []
            self.assertEqual(connection.wire.writes, expected)
            self.assertIsNone(connection.connection.session)

    def test_single_later(self) -> None:
        """The list may come later, and so may what is in it."""
        for wrapped in (False, True):
            inner: Deferred[bytes] = Deferred()
            outer: Deferred[Any] = Deferred()
            connection = self.connect(partial(self.answer_later, outer, wrapped))
            connection.send(b"a")
            outer.callback([inner])
            self.assertEqual(connection.wire.writes, [])
            inner.callback(b"x")
            self.assertEqual(connection.wire.writes, joined(b"x"))

    def answer_later(self, outer: Deferred[Any], wrapped: bool, _: object) -> object:
        """Return a Deferred, or a coroutine that waits for it."""

        async def wait() -> object:
            return await outer

        return wait() if wrapped else outer

    def test_single_wrong(self) -> None:
        """A list of another length drops the client."""
        for wrong in ([], [b"a", b"b"], b"a", 7):
            connection = self.connect(partial(self.given, wrong))
            connection.send(b"a")
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
            self.assertTrue(connection.wire.disconnecting)
