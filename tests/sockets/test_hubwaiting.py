"""
Tests for L{sockhost.sockets.hubwaiting}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred

from sockhost.interfaces import IClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Later, Scripted
from tests.sockets.hub_fakes import HubConnected, HubServed, HubTestCase

RUN = [b"%03d" % number for number in range(64)]


class Case(HubTestCase):
    """A client in a hub whose requests are answered later."""

    def connect(
        self, answer: Callable[[IClient, bytes], object] | None = None, **limits: Any
    ) -> HubConnected:
        """Connect a client."""
        self.later = Later()
        handler = Scripted(answer=answer or self.later)
        self.served = HubServed(handler, Limits(**limits))
        connected = self.served.connect()
        self.client: IClient = handler.clients[0]
        return connected


class WaitingTests(Case):
    """What is known of requests that are not answered."""

    def test_counted(self) -> None:
        """Each is counted until it is answered, by whatever."""
        connection = self.connect()
        connection.send(*RUN)
        for number, answer in enumerate((b"x", None, b"y" * 100)):
            self.later[number].callback(answer)
            self.assertEqual(self.client.in_flight, 63 - number)
        self.assertEqual(connection.wire.writes, [pack(b"x"), pack(b"y" * 100)])
        self.assertEqual(self.served.server.counters.in_flight, 61)

    def test_reads_on(self) -> None:
        """A client that may have no more is read from when enough are answered."""
        connection = self.connect(max_in_flight=64)
        connection.send(*RUN)
        self.assertFalse(connection.connection.reading)
        for made in self.later.made[:32]:
            made.callback(b"x")
        connection.wire.willing = True
        self.served.hub.settle()
        self.assertTrue(connection.connection.reading)
        self.assertIsNone(connection.connection.session)

    def test_mixed(self) -> None:
        """In one run some may be answered at once, and some later."""
        late = {b"000", b"001", b"002", b"050"}
        connection = self.connect(
            lambda _, frame: self.later() if frame in late else frame
        )
        connection.send(*RUN)
        self.assertEqual(self.client.in_flight, 4)
        for made in self.later.made:
            made.callback(b"late")
        at_once = [pack(frame) for frame in RUN if frame not in late]
        self.assertEqual(connection.wire.writes, [*at_once, *4 * [pack(b"late")]])
        self.assertEqual(self.client.in_flight, 0)

    def test_failure(self) -> None:
        """A failure drops the client behind earlier answers; the rest is cancelled."""
        connection = self.connect()
        connection.send(*RUN)
        self.later[5].callback(b"x")
        self.later[6].errback(ValueError("bug"))
        self.assertEqual(connection.wire.writes, [pack(b"x")])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.later.cancelled), 62)
        self.assertEqual(self.served.server.counters.in_flight, 0)

    def test_fails_at_once(self) -> None:
        """So it is if one has failed before it is returned."""

        def answer(_: IClient, frame: bytes) -> Deferred[bytes]:
            made = self.later()
            if frame == b"033":
                made.errback(ValueError("bug"))
            return made

        connection = self.connect(answer)
        connection.send(*RUN)
        self.assertEqual(connection.wire.writes, [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.later.cancelled), 63)
        self.assertEqual(self.served.server.counters.in_flight, 0)

    def test_session_meanwhile(self) -> None:
        """They are answered alike if the client has a session for a while."""
        connection = self.connect()
        connection.send(*RUN)
        self.later[0].callback(b"0")
        connection.connection.wake()
        self.later[1].callback(b"1")
        self.assertEqual(self.client.in_flight, 62)
        for made in self.later.made[2:]:
            made.callback(b"2")
        connection.wire.take()
        self.assertIsNone(connection.connection.session)
        self.assertEqual(self.client.in_flight, 0)
        connection.send(b"more")
        self.assertEqual(self.client.in_flight, 1)
        self.later[64].callback(b"more")
        expected = [pack(b"0"), pack(b"1"), *62 * [pack(b"2")], pack(b"more")]
        self.assertEqual(connection.wire.writes, expected)

    def test_cancelled(self) -> None:
        """When the client goes, what is unanswered is cancelled, and only that."""
        connection = self.connect()
        connection.send(*RUN)
        self.later[0].callback(b"x")
        connection.lose()
        self.assertEqual(self.later.cancelled, self.later.made[1:])

    def test_cancels_what_is_waited_for(self) -> None:
        """One that waits for another is cancelled by way of the other."""
        outer: Deferred[Any] = Deferred()
        connection = self.connect(lambda *_: outer)
        inner = self.later()
        outer.addCallback(lambda _: inner)
        outer.callback(None)
        connection.send(b"a")
        connection.lose()
        self.assertEqual(self.later.cancelled, [inner])

    def test_not_kept(self) -> None:
        """Most that have fired are not kept until the last has."""
        made: list[Deferred[bytes]] = []

        def answer(_: IClient, frame: bytes) -> Deferred[bytes]:
            made.append(Deferred())
            return made[-1]

        connection = self.connect(answer)
        connection.send(*RUN)
        fired = [ref(each) for each in made[1:]]
        for each in made[1:]:
            each.callback(b"x")
        del made[1:], each
        self.served.hub.settle()
        self.assertEqual([each for each in fired if each() is not None], [])
        self.assertEqual(self.client.in_flight, 1)
        connection.lose()
        self.assertEqual(self.client.in_flight, 0)


class AloneTests(Case):
    """The answer to the only request of a client."""

    def test_at_once(self) -> None:
        """It is written without waiting for the end of the turn."""
        connection = self.connect()
        connection.send(b"a")
        connection.wire.willing = True
        self.later[0].callback(b"x")
        self.assertEqual(connection.wire.outbox, pack(b"x"))
        self.assertEqual(self.served.hub.unsettled, [])
        self.assertEqual((self.client.queued, self.client.bytes_out), (0, 5))
        self.assertEqual(self.client.frames_out, 1)

    def test_last_of_two(self) -> None:
        """It does not overtake another that is to be written."""
        connection = self.connect()
        connection.send(b"a", b"b")
        connection.wire.willing = True
        self.later[1].callback(b"y")
        self.later[0].callback(b"x")
        self.assertEqual(connection.wire.writes, [pack(b"y"), pack(b"x")])

    def test_kernel_takes_nothing(self) -> None:
        """It is queued, and counted."""
        connection = self.connect()
        connection.send(b"a")
        self.later[0].callback(b"x")
        self.assertEqual(self.client.queued, 5)
        self.assertEqual(self.served.server.status()["buffered"], 5)
        connection.wire.take()
        self.assertEqual(connection.wire.outbox, pack(b"x"))
        self.assertEqual(self.served.server.status()["buffered"], 0)

    def test_kernel_breaks(self) -> None:
        """If it cannot be written, the client is gone."""
        connection = self.connect()
        connection.send(b"a")
        connection.wire.broken = True
        self.later[0].callback(b"x")
        self.served.hub.settle()
        ((_, reason),) = self.served.handler.gone
        self.assertFalse(reason.clean)

    def test_too_large(self) -> None:
        """One above the limit is the handler's error."""
        connection = self.connect(max_frame=20)
        connection.send(b"a")
        self.later[0].callback(b"x" * 50)
        self.served.hub.settle()
        self.assertEqual(connection.wire.writes, [])
        self.assertEqual(len(self.flushLoggedErrors()), 1)
