"""
Tests for L{sockhost.sockets.patience}, through a server.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.limits import Limits
from sockhost.sockets.patience import LONGEST, LOOKS
from sockhost.sockets.wire import HEADER, pack
from tests.sockets.fakes import Connection, Later, Scripted, Served


class PatienceCase(SynchronousTestCase):
    """A server that somebody connects to, and time."""

    def serve(self, handler: Scripted | None = None, **limits: float) -> Connection:
        """Connect a client to a server with limits."""
        allowed = Limits(**limits)  # type: ignore[arg-type]
        self.served = Served(handler or Scripted(), allowed)
        return self.served.connect()

    def wait(self, seconds: float) -> None:
        """Let time pass, a little at a time."""
        for _ in range(round(seconds * 20)):
            self.served.clock.advance(0.05)

    def tearDown(self) -> None:
        """With the last client, the timer is gone too."""
        for each in list(self.served.server._sessions):
            each.lost(each.farewell_reason())
        self.assertEqual(self.served.clock.getDelayedCalls(), [])


class NoTimeoutTests(PatienceCase):
    """With no time-out, nothing is looked at."""

    def test_no_timer(self) -> None:
        """There is no timer at all."""
        self.serve()
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def test_one_timer(self) -> None:
        """There is one timer for all clients, and none without any."""
        first = self.serve(idle_timeout=8.0)
        second = self.served.connect()
        [timer] = self.served.clock.getDelayedCalls()
        self.assertEqual(timer.getTime(), 8.0 / LOOKS)
        first.lose()
        self.assertEqual(self.served.clock.getDelayedCalls(), [timer])
        second.lose()

    def test_seldom(self) -> None:
        """Long time-outs are not looked for more seldom than is useful."""
        self.serve(idle_timeout=36000.0)
        [timer] = self.served.clock.getDelayedCalls()
        self.assertEqual(timer.getTime(), LONGEST)

    def test_limits_change(self) -> None:
        """A time-out that is set later is in force for those who are there."""
        connection = self.serve()
        self.served.server.limits = Limits(idle_timeout=1.0)
        self.wait(2.5)
        self.assertTrue(connection.wire.disconnecting)

    def test_limits_go(self) -> None:
        """A time-out that is taken away is not in force any more."""
        connection = self.serve(idle_timeout=1.0)
        self.served.server.limits = Limits()
        self.wait(5)
        self.assertFalse(connection.wire.disconnecting)


class IdleTests(PatienceCase):
    """C{idle_timeout}."""

    def test_idle(self) -> None:
        """A client that does nothing is dropped, not too early nor too late."""
        connection = self.serve(idle_timeout=4.0)
        self.wait(3.9)
        self.assertFalse(connection.wire.disconnecting)
        self.wait(1.4)
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        [(_, reason)] = self.served.handler.gone
        self.assertEqual(str(reason), "the client was idle for 4 s")

    def test_sends(self) -> None:
        """One that sends now and then is not idle."""
        connection = self.serve(Scripted(answer=lambda *_: None), idle_timeout=4.0)
        for _ in range(5):
            self.wait(3)
            connection.send(b"x")
        self.assertFalse(connection.wire.disconnecting)

    def test_is_sent_to(self) -> None:
        """Nor is one that is sent to and takes it."""
        connection = self.serve(idle_timeout=4.0)
        for _ in range(5):
            self.wait(3)
            sent = self.served.handler.clients[0].send(b"news")
            connection.wire.take()
            self.successResultOf(sent)
        self.assertFalse(connection.wire.disconnecting)

    def test_waits_for_answer(self) -> None:
        """Nor one that waits for an answer; its time begins with that."""
        later = Later()
        connection = self.serve(Scripted(answer=later), idle_timeout=4.0)
        connection.send(b"x")
        self.wait(10)
        self.assertFalse(connection.wire.disconnecting)
        later[0].callback(None)
        self.wait(3)
        self.assertFalse(connection.wire.disconnecting)
        self.wait(2.1)
        self.assertTrue(connection.wire.disconnecting)

    def test_takes_its_answer(self) -> None:
        """The time in which an answer is taken does not count."""
        connection = self.serve(idle_timeout=4.0)
        connection.send(b"x")
        self.wait(10)
        self.assertFalse(connection.wire.disconnecting)

    def test_being_welcomed(self) -> None:
        """The time in which the handler thinks about it does not count."""
        greeting = Later()
        connection = self.serve(Scripted(greet=greeting), idle_timeout=1.0)
        self.wait(5)
        self.assertFalse(connection.wire.disconnecting)
        greeting[0].callback(None)
        self.assertTrue(connection.wire.reading)


class FrameTests(PatienceCase):
    """C{frame_timeout}."""

    def test_partial(self) -> None:
        """A frame that dribbles in too slowly ends its client."""
        connection = self.serve(frame_timeout=4.0)
        connection.protocol.dataReceived(HEADER.pack(1000))
        for _ in range(4):
            self.wait(0.9)
            connection.protocol.dataReceived(b"x")
        self.assertFalse(connection.wire.disconnecting)
        self.wait(2.0)
        self.assertTrue(connection.wire.disconnecting)
        connection.lose()
        [(_, reason)] = self.served.handler.gone
        self.assertEqual(str(reason), "a frame has not come whole in 4 s")

    def test_one_after_the_other(self) -> None:
        """Frames that are always cut, but do come, are in time."""
        connection = self.serve(frame_timeout=4.0)
        data = pack(b"abcdef")
        connection.protocol.dataReceived(data[:5])
        for _ in range(10):
            self.wait(3)
            connection.protocol.dataReceived(data[5:] + data[:5])
        self.assertFalse(connection.wire.disconnecting)

    def test_between_frames(self) -> None:
        """Between two frames there is any amount of time."""
        connection = self.serve(frame_timeout=1.0)
        connection.send(b"x")
        self.wait(10)
        self.assertFalse(connection.wire.disconnecting)

    def test_not_read(self) -> None:
        """The time in which the client is not read from does not count."""
        later = Later()
        self.served = Served(
            Scripted(answer=later), Limits(frame_timeout=1.0, max_in_flight=1)
        )
        connection = self.served.connect()
        connection.protocol.dataReceived(pack(b"a") + HEADER.pack(100))
        self.assertFalse(connection.wire.reading)
        self.wait(5)
        self.assertFalse(connection.wire.disconnecting)
        later[0].callback(None)
        self.wait(2)
        self.assertTrue(connection.wire.disconnecting)


class StallTests(PatienceCase):
    """C{stall_timeout}."""

    def test_takes_nothing(self) -> None:
        """A client that takes nothing of its answer is cut off."""
        connection = self.serve(stall_timeout=4.0)
        connection.send(b"x")
        self.wait(3.9)
        self.assertFalse(connection.wire.aborted)
        self.wait(1.4)
        self.assertTrue(connection.wire.aborted)
        connection.lose()
        [(_, reason)] = self.served.handler.gone
        self.assertEqual(str(reason), "the client has taken nothing for 4 s")

    def test_takes_no_greeting(self) -> None:
        """So is one that takes nothing of what its handler greets it with."""
        handler = Scripted(greet=lambda client: client.send(b"hello"))
        connection = self.serve(handler, stall_timeout=4.0)
        self.wait(3.9)
        self.assertFalse(connection.wire.aborted)
        self.wait(1.4)
        self.assertTrue(connection.wire.aborted)

    def test_greeted_slowly(self) -> None:
        """A handler may take its time for that, which is no idleness either."""
        later = Later()
        handler = Scripted(greet=lambda client: later(client, b""))
        connection = self.serve(handler, stall_timeout=2.0, idle_timeout=2.0)
        self.wait(5)
        later[0].callback(None)
        self.wait(1)
        self.assertFalse(connection.wire.disconnecting)
        self.wait(1.5)
        self.assertTrue(connection.wire.disconnecting)
        self.assertFalse(connection.wire.aborted)

    def test_takes_slowly(self) -> None:
        """One that takes a large answer piece by piece is not."""
        connection = self.serve(stall_timeout=4.0)
        connection.send(b"x" * 1024 * 1024)
        for _ in range(5):
            self.wait(3)
            self.assertFalse(connection.wire.aborted)
            connection.wire.take()
        self.assertEqual(self.served.handler.clients[0].queued, 0)
        self.wait(10)
        self.assertFalse(connection.wire.aborted)
