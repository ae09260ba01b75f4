"""
Tests for L{sockhost.sockets.ends}: what clients are counted as that are dropped.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import IClient
from sockhost.sockets import ends
from sockhost.sockets.limits import Limits
from sockhost.sockets.roster import kick
from sockhost.sockets.wire import HEADER
from tests.sockets.fakes import Connection, Later, Scripted, Served


class EndsTests(SynchronousTestCase):
    """Each client that is dropped is counted once, by why it is."""

    def serve(self, handler: Scripted | None = None, **limits: Any) -> Connection:
        """Connect a client."""
        self.served = Served(handler or Scripted(), Limits(**limits))
        return self.served.connect()

    def check(self, connection: Connection, *words: str) -> None:
        """Let the connection end; check what was counted."""
        if not connection.wire.disconnecting:
            connection.wire.take()
        connection.lose()
        status: Any = self.served.server.status()
        self.assertEqual(status["dropped"], dict.fromkeys(words, 1))

    def test_by_itself(self) -> None:
        """One that goes is not, nor one that the handler does not let in."""
        self.check(self.serve())
        self.check(self.serve(Scripted(greet=lambda _: False)))

    def test_frame(self) -> None:
        """What is no frame, or too large a one."""
        for length in (0, 1000):
            connection = self.serve(max_frame=100)
            connection.protocol.dataReceived(HEADER.pack(length))
            self.check(connection, ends.BAD_FRAME)

    def test_handler(self) -> None:
        """The handler drops it, or fails."""

        def drop(client: IClient, _: bytes) -> None:
            client.drop("no")
            client.drop("no, no")

        connection = self.serve(Scripted(answer=drop))
        connection.send(b"a")
        self.check(connection, ends.HANDLER)
        connection = self.serve(Scripted(answer=lambda *_: 1 / 0))
        connection.send(b"a")
        self.check(connection, ends.FAILURE)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_kicked(self) -> None:
        """Whoever runs the host does."""
        connection = self.serve()
        clients = self.served.server.clients
        self.assertTrue(kick(clients, str(clients[0].id)))
        self.check(connection, ends.KICK)

    def test_holds_most(self) -> None:
        """All hold too much."""
        connection = self.serve(max_buffered=100)
        connection.protocol.dataReceived(HEADER.pack(500) + bytes(200))
        self.check(connection, ends.HOLDS_MOST)

    def test_time(self) -> None:
        """It has taken too long, in one of three ways."""
        half = HEADER.pack(50) + b"x"
        for word, sent in (
            (ends.FRAME_TIMEOUT, half),
            (ends.IDLE_TIMEOUT, b""),
            (ends.STALL_TIMEOUT, HEADER.pack(4)),
        ):
            connection = self.serve(None, **{word: 4.0})
            connection.protocol.dataReceived(sent)
            self.served.clock.pump([1.0] * 6)
            self.check(connection, word)

    def test_drained(self) -> None:
        """The end of the socket is none of them, whatever was outstanding."""
        for handler in (Scripted(), Scripted(answer=Later())):
            connection = self.serve(handler)
            connection.send(b"a")
            self.served.server.drain(0)
            self.served.clock.advance(0)
            self.check(connection)


class DescriptorsTests(SynchronousTestCase):
    """What comes beside the bytes may be too much, too."""

    def test_descriptors(self) -> None:
        """It passes more descriptors than are taken."""
        served = Served()
        served.server.max_fds = 0
        served.connect()
        client: Any = served.handler.clients[0]
        client.descriptors_received([os.open("/dev/null", os.O_RDONLY)])
        client.descriptors_lost()
        status: Any = served.server.status()
        self.assertEqual(status["dropped"], {ends.DESCRIPTORS: 1})
