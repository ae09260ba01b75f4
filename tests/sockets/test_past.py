"""
Tests for L{sockhost.sockets.past}: what is left of clients that are gone.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, IClient
from tests.sockets import hub_fakes
from tests.sockets.fakes import Later, Scripted, Served
from tests.sockets.hub_fakes import HubServed, HubTestCase


class Simple:
    """A handler that wants to hear of nothing but frames."""

    def received(self, client: IClient, frame: bytes) -> bytes:
        """Echo it."""
        return frame


class GarbageTests(HubTestCase):
    """Nothing of a client that is gone waits for the garbage collector."""

    def setUp(self) -> None:
        """Collect no garbage."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def assert_nothing_left(
        self, served: Served | HubServed, live: Callable[[Any], object]
    ) -> None:
        """Have a client live; is all of it gone at once?"""
        connected = served.connect()
        live(connected)
        known: list[Callable[[], object]] = []
        known += [ref(each) for each in served.server.clients]
        known += [ref(each) for each in served.server._sessions]
        connected.lose()
        del connected
        hub_fakes._wires.clear()
        if isinstance(served.handler, Scripted):
            served.handler.clients.clear()
            served.handler.gone.clear()
        self.assertEqual([each() for each in known if each() is not None], [])

    def test_protocol(self) -> None:
        """So it is on a transport of Twisted."""
        served = Served()
        self.assert_nothing_left(
            served,
            lambda connected: connected.send(b"a"),
        )

    def test_session(self) -> None:
        """And in a hub, with a session."""
        served = HubServed()
        self.assert_nothing_left(
            served,
            lambda connected: connected.connection.wake(),
        )

    def test_quiet(self) -> None:
        """And without one."""
        served = HubServed(Simple())
        self.assert_nothing_left(
            served,
            lambda connected: connected.send(b"a"),
        )

    def test_unanswered(self) -> None:
        """And with requests that were not answered."""
        served = HubServed(Scripted(answer=lambda *_: Deferred()))
        self.assert_nothing_left(
            served,
            lambda connected: connected.send(b"a", b"b"),
        )

    def test_farewell(self) -> None:
        """And after a farewell that takes a while."""
        farewell = Later()
        served = HubServed(Scripted(part=farewell))
        connected = served.connect()
        client = ref(served.handler.clients[0])
        connected.lose()
        served.handler.clients.clear()
        served.handler.gone.clear()
        del connected
        hub_fakes._wires.clear()
        farewell[0].callback(None)
        farewell.made.clear()
        self.assertIsNone(client())


class PastTests(SynchronousTestCase):
    """Tests for L{Past}, which a client has in place of its session."""

    def test_client(self) -> None:
        """A client that is gone can be asked for all that it was."""
        served = Served()
        connected = served.connect()
        connected.send(b"abc", b"defg")
        (client,) = served.handler.clients
        known = (client.id, client.pid, client.uid, client.gid)
        connected.lose()
        verifyObject(IClient, client)
        self.assertEqual((client.id, client.pid, client.uid, client.gid), known)
        self.assertEqual((client.frames_in, client.frames_out), (2, 2))
        self.assertEqual((client.bytes_in, client.bytes_out), (15, 15))
        self.assertEqual((client.in_flight, client.queued, client.groups), (0, 0, ()))
        self.assertIs(client.connected, False)
        self.assertEqual((client.pidfd, client.transport), (None, None))

    def test_nothing_more(self) -> None:
        """It can be sent nothing, and dropping it does nothing."""
        served = Served()
        connected = served.connect()
        connected.lose()
        (client,) = served.handler.clients
        client.drop("late")
        error = self.failureResultOf(client.send(b"late"), Disconnected).value
        self.assertEqual(str(error), str(served.handler.gone[0][1]))

    def test_answered_after(self) -> None:
        """An answer that does not let itself be cancelled goes nowhere."""
        held: list[Deferred[None]] = []

        async def stubborn() -> bytes:
            try:
                await Deferred()
            except BaseException:
                held.append(Deferred())
                await held[0]
            return b"too late"

        served = Served(Scripted(answer=lambda *_: stubborn()))
        connected = served.connect()
        connected.send(b"a")
        connected.lose()
        self.assertEqual(served.server.status()["clients"], 0)
        held[0].callback(None)
        self.assertEqual(served.server.counters.frames_out, 0)
        self.assertEqual(served.server.counters.errors, 0)
