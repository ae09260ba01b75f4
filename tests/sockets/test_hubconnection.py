"""
Tests for what a client in a hub has of its own: L{sockhost.sockets.hubquiet},
L{sockhost.sockets.hubanswers} and L{sockhost.sockets.hubconnection}.  What it has
in common with others is in L{tests.sockets.test_hub_parity}.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from select import EPOLLERR, EPOLLHUP, EPOLLIN
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, FrameError, IClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import HEADER, pack
from tests.sockets.fakes import Later, Scripted
from tests.sockets.hub_fakes import HubConnected, HubServed, HubTestCase


def joined(*payloads: bytes) -> list[bytes]:
    """The bytes of frames, as what was written is compared."""
    return [pack(each) for each in payloads]


class Case(HubTestCase):
    """A handler, a server in a hub, and a client."""

    def connect(
        self, answer: Callable[[IClient, bytes], object], **limits: Any
    ) -> HubConnected:
        """Connect a client."""
        self.served = HubServed(Scripted(answer=answer), Limits(**limits))
        self.connected = self.served.connect()
        self.client: IClient = self.served.handler.clients[0]
        return self.connected

    @property
    def quiet(self) -> bool:
        """Whether the client has no session."""
        return self.connected.connection.session is None


class QuietTests(Case):
    """When there is a session."""

    def test_frames_and_answers(self) -> None:
        """For frames and answers of all kinds there is none."""
        later = Later()

        async def soon() -> bytes:
            return b"soon"

        kinds: dict[bytes, Callable[[], object]] = {
            b"now": lambda: b"now",
            b"none": lambda: None,
            b"later": later,
            b"soon": soon,
        }
        connection = self.connect(lambda _, frame: kinds[frame]())
        connection.send(*kinds)
        self.assertTrue(self.quiet)
        self.assertEqual(self.client.in_flight, 1)
        later[0].callback(b"later")
        self.assertEqual(connection.wire.writes, joined(b"now", b"soon", b"later"))
        self.assertTrue(self.quiet)
        verifyObject(IClient, self.client)
        self.assertIsNone(self.client.transport)

    def test_greeting(self) -> None:
        """There is one until C{connected} has ended."""
        greeting = Later()
        served = HubServed(Scripted(greet=greeting))
        connected = served.connect()
        connection = connected.connection
        self.assertIsNotNone(connection.session)
        self.assertEqual(served.server.status()["clients"], 1)
        greeting[0].callback(None)
        connected.send(b"a")
        connected.wire.take()
        self.assertIsNone(connection.session)
        self.assertEqual(served.server.status()["clients"], 1)

    def test_too_much(self) -> None:
        """There is one while frames wait that were read, and none after."""
        later = Later()
        connection = self.connect(later, max_in_flight=2)
        connection.send(b"a", b"b", b"c", b"d")
        self.assertFalse(self.quiet)
        self.assertEqual(len(later.made), 2)
        for number in range(4):
            later[number].callback(b"%d" % number)
        self.assertEqual(
            connection.wire.writes, joined(*(b"%d" % number for number in range(4)))
        )
        connection.wire.take()
        self.assertTrue(self.quiet)
        self.assertEqual((self.client.frames_in, self.client.frames_out), (4, 4))
        self.assertEqual((self.client.bytes_in, self.client.bytes_out), (20, 20))

    def test_counted_once(self) -> None:
        """What was read is counted once, whoever has it."""
        later = Later()
        connection = self.connect(later, max_in_flight=1)
        data = b"".join(joined(b"abc", b"defg", b"h"))
        connection.dataReceived(data + b"\x10")
        self.assertEqual(self.client.bytes_in, len(data) + 1)
        self.assertEqual(self.served.server.counters.bytes_in, len(data) + 1)

    def test_same_client(self) -> None:
        """The handler has the same client with a session and without."""
        seen: list[IClient] = []

        def answer(client: IClient, _: bytes) -> bytes:
            seen.append(client)
            client.data = len(seen)
            return b""

        self.connect(answer).send(b"a")
        self.connected.connection.wake()
        self.connected.send(b"b")
        self.connected.wire.take()
        self.assertTrue(self.quiet)
        self.connected.send(b"c")
        self.assertEqual({id(each) for each in seen}, {id(self.client)})
        self.assertEqual(self.client.data, 3)

    def test_timed(self) -> None:
        """Who may be timed out has a session all the time."""
        self.connect(lambda *_: b"").send(b"a")
        self.assertTrue(self.quiet)
        self.served.server.limits = Limits(idle_timeout=5)
        self.assertFalse(self.quiet)
        self.connected.send(b"a")
        self.assertFalse(self.quiet)

    def test_other_rules(self) -> None:
        """Of rules that were in force nothing is left behind the last client."""
        first = self.connect(lambda *_: b"", max_frame=10)
        served = self.served
        first.connection.wake()
        for size in (11, 12, 13):
            served.server.limits = Limits(max_frame=size)
            served.connect().lose()
        self.assertEqual(len(served.server._quiet), 2)
        first.wire.pump()
        first.connection.sleep()
        self.assertEqual(served.server.status()["clients"], 1)
        first.lose()
        old = served.clients
        served.server.limits = Limits(max_frame=14)
        served.connect()
        self.assertEqual(served.server._quiet, [served.clients])
        self.assertFalse(old.fits(Limits(max_frame=13)))

    def test_end_within_frame(self) -> None:
        """Whether the client went in the middle of a frame is told."""
        for rest in (b"", b"\x09", pack(b"x" * 40_000)[:-1]):
            connection = self.connect(lambda *_: None)
            connection.dataReceived(pack(b"a") + rest)
            connection.lose()
            ((_, reason),) = self.served.handler.gone
            self.assertEqual(reason.clean, not rest)
            self.assertEqual(self.served.server.status()["buffered"], 0)
            self.assertFalse(self.client.connected)
            self.failureResultOf(self.client.send(b"x"), Disconnected)

    def test_nobody_cares(self) -> None:
        """A handler of one method is enough, and what was counted is kept."""

        class Bare:
            def received(self, client: IClient, frame: bytes) -> bytes:
                self.client = client
                return frame

        served = HubServed(Bare())
        connection = served.connect()
        connection.send(b"a")
        connection.lose()
        status = served.server.status()
        self.assertEqual((status["clients"], status["frames_in"]), (0, 1))
        client = served.handler.client
        self.assertFalse(client.connected)
        self.failureResultOf(client.send(b"x"), Disconnected)
        client.drop("again")
        self.assertEqual(client.in_flight, 0)
        self.assertIsNone(client.pidfd)
        self.assertEqual(served.hub.fileno(), -1)


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


class GoneTests(Case):
    """A client that goes while it is not read from."""

    def go(self, *unread: bytes) -> None:
        """Send what is not read, and close the connection."""
        self.connected.wire.inbox += b"".join(joined(*unread))
        self.connected.wire.ended = True
        self.connected.connection.event(EPOLLHUP | EPOLLERR)

    def test_frames_left(self) -> None:
        """What it had sent before is given to the handler when it may have more."""
        later = Later()
        connection = self.connect(later, max_in_flight=2)
        connection.send(b"a", b"b")
        self.go(b"c", b"d")
        self.assertEqual(self.served.handler.gone, [])
        self.assertIn(connection.connection.fd, self.served.hub.muted)
        for number in range(2):
            later[number].callback(None)
        self.assertEqual(self.served.hub.muted, set())
        connection.wire.pump()
        self.assertEqual(self.served.handler.frames, [b"a", b"b", b"c", b"d"])
        self.assertEqual(self.served.handler.gone, [])
        connection.connection.event(EPOLLHUP | EPOLLERR)
        self.assertCountEqual(later.cancelled, later.made[2:])
        self.assertEqual(len(self.served.handler.gone), 1)
        self.assertEqual(self.served.server.status()["clients"], 0)

    def test_frames_read(self) -> None:
        """So is what was read already."""
        later = Later()
        connection = self.connect(later, max_in_flight=1)
        connection.send(b"a", b"b")
        self.go()
        self.assertEqual(self.served.handler.gone, [])
        later[0].callback(None)
        self.assertEqual(self.served.handler.frames, [b"a", b"b"])
        connection.connection.event(EPOLLHUP)
        self.assertEqual(len(self.served.handler.gone), 1)

    def test_nothing_left(self) -> None:
        """If there is nothing, its requests are cancelled at once."""
        later = Later()
        self.connect(later, max_in_flight=1).send(b"a")
        self.go()
        self.assertEqual(later.cancelled, later.made)
        self.assertEqual(len(self.served.handler.gone), 1)

    def test_draining(self) -> None:
        """So they are when nothing is given to the handler any more."""
        later = Later()
        self.connect(later, max_in_flight=1).send(b"a")
        self.served.server.drain(10)
        self.go(b"b")
        self.assertEqual(later.cancelled, later.made)

    def test_ended_while_muted(self) -> None:
        """The server may end it meanwhile."""
        connection = self.connect(Later(), max_in_flight=1)
        connection.send(b"a")
        self.go(b"b")
        self.client.drop("no")
        self.served.hub.settle()
        self.assertEqual(str(self.served.handler.gone[0][1]), "no")
        self.assertEqual(self.served.hub.muted, set())


class SendTests(Case):
    """What the handler sends by itself."""

    def test_read_fails_before(self) -> None:
        """What is sent after the connection broke, but in that turn, was not sent."""
        connection = self.connect(lambda *_: None)
        connection.connection.wake()
        connection.wire.error = ConnectionResetError(errno.ECONNRESET, "reset")
        connection.connection.event(EPOLLIN)
        sent = self.client.send(b"x")
        self.served.hub.settle()
        self.failureResultOf(sent, Disconnected)


class CutTests(Case):
    """Frames in pieces."""

    def test_every_cut(self) -> None:
        """Wherever a stream is cut, the same frames come out of it."""
        payloads = [b"", b"a", b"bc", b"d" * 300]
        data = b"".join(joined(*payloads))
        for place in range(len(data)):
            connection = self.connect(lambda _, frame: frame)
            connection.dataReceived(data[:place])
            connection.dataReceived(data[place:])
            self.assertEqual(self.served.handler.frames, payloads)
            self.assertEqual(connection.wire.writes, [data])
            self.assertTrue(self.quiet)

    def test_large(self) -> None:
        """A large frame is collected, and what follows is a frame again."""
        payloads = [b"a", b"x" * 200_000, b"b", b"y" * 65_532, b"z" * 32_764, b"c"]
        data = b"".join(joined(*payloads))
        for step in (7000, 65_536, 300_000):
            connection = self.connect(lambda *_: None)
            for offset in range(0, len(data), step):
                connection.dataReceived(data[offset : offset + step])
            self.assertEqual(self.served.handler.frames, payloads)
            self.assertTrue(self.quiet)

    def test_wakes_within(self) -> None:
        """A session takes the beginning of a frame over."""
        for payload in (b"abc", b"x" * 100_000):
            connection = self.connect(lambda *_: None)
            data = pack(payload)
            connection.dataReceived(data[:-1])
            connection.connection.wake()
            connection.dataReceived(data[-1:])
            self.assertEqual(self.served.handler.frames, [payload])
            self.assertTrue(self.quiet)

    def test_held(self) -> None:
        """What has come of a frame counts as held, and nothing announced."""
        connection = self.connect(lambda *_: None)
        connection.dataReceived(HEADER.pack(1 << 24) + b"x" * 100)
        self.assertEqual(self.served.server.status()["buffered"], 100)

    def test_bad(self) -> None:
        """A bad length ends the client, behind the frames in front of it."""
        for bad in (0, 3, 1001):
            connection = self.connect(lambda _, frame: frame, max_frame=1000)
            connection.dataReceived(pack(b"a") + HEADER.pack(bad))
            self.assertEqual(connection.wire.writes, joined(b"a"))
            self.assertFalse(self.client.connected)


class LaterTests(Case):
    """Answers that come later."""

    def test_collected(self) -> None:
        """Those of one turn are written in one piece at its end."""
        later = Later()
        connection = self.connect(later)
        connection.send(b"a", b"b", b"c")
        for made in later.made:
            made.callback(b"x")
        self.assertEqual(connection.connection.taken, 0)
        self.served.hub.settle()
        self.assertEqual(connection.wire.writes, joined(b"x", b"x", b"x"))
        self.assertEqual(len(connection.connection.queue or ()), 1)
        self.assertEqual((self.client.frames_out, self.client.queued), (3, 15))

    def test_order(self) -> None:
        """They keep their place among answers at once and what is sent."""
        later = Later()
        connection = self.connect(
            lambda _, frame: later() if frame == b"later" else frame
        )
        connection.send(b"later", b"later")
        later[0].callback(b"first")
        connection.send(b"second")
        later[1].callback(b"third")
        self.client.send(b"fourth")
        self.assertEqual(
            connection.wire.writes, joined(b"first", b"second", b"third", b"fourth")
        )

    def test_gone_meanwhile(self) -> None:
        """An answer for who has gone in the same turn goes nowhere."""
        later = Later()
        connection = self.connect(later)
        connection.send(b"a", b"b")
        later[0].callback(b"x")
        connection.lose()
        self.assertEqual(len(self.served.handler.gone), 1)
        self.assertEqual(self.served.server.counters.in_flight, 0)
        self.assertEqual(later.cancelled, [later[1]])

    def test_kernel_breaks(self) -> None:
        """A write that fails ends the client, at the end of the turn."""
        later = Later()
        connection = self.connect(later)
        connection.send(b"a", b"b")
        connection.wire.broken = True
        later[0].callback(b"x")
        self.served.hub.settle()
        self.served.hub.settle()
        ((_, reason),) = self.served.handler.gone
        self.assertFalse(reason.clean)
        self.assertIn("Broken pipe", str(reason))
