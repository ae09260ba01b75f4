"""
Tests for what a client in a hub has of its own: L{sockhost.sockets.hubquiet},
L{sockhost.sockets.hubanswers} and L{sockhost.sockets.hubconnection}.  What it has
in common with others is in L{tests.sockets.test_hub_parity}.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from select import EPOLLERR, EPOLLHUP, EPOLLIN

from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import HEADER, pack
from tests.sockets.fakes import Later, Scripted
from tests.sockets.hub_case import Case, joined
from tests.sockets.hub_fakes import HubServed


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

    def test_answers_left(self) -> None:
        """
        Nor if it has not taken its answers.  It need not be told as writable: its
        going is told before the kernel throws away what it had not read.
        """
        connection = self.connect(lambda _, frame: frame, high_water=4)
        connection.send(b"answered")
        self.assertFalse(connection.connection.reading)
        self.go(b"left")
        self.assertEqual(self.served.hub.muted, set())
        self.assertEqual(len(self.served.handler.gone), 1)
        self.assertEqual(self.served.server.status()["clients"], 0)

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
