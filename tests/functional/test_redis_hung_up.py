"""
Servers that hang up on a Redis connection which is writing.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.interfaces import RedisConnectionError
from sockhost.redis.connection import RedisConnection

REACTOR: Any = reactor
# More of them than one read takes.
COUNT = 6
VALUE = b"x" * 20_000
REPLY = b"$%d\r\n%s\r\n" % (len(VALUE), VALUE)


class HungUpTests(TestCase):
    """One end of a pair of sockets is the server, turned by hand."""

    timeout = 100

    def setUp(self) -> None:
        here, self.server = socket.socketpair()
        self.addCleanup(self.server.close)
        self.server.settimeout(30)
        self.connection = RedisConnection(REACTOR)
        factory = Factory.forProtocol(lambda: self.connection)
        factory.noisy = False
        with here:
            here.setblocking(False)
            REACTOR.adoptStreamConnection(here.fileno(), here.family, factory)
        self.addCleanup(self.connection.abort)

    async def test_replies_before(self) -> None:
        """Replies that came before are handed out, though a write fails first."""
        replies: list[bytes] = []
        refused: list[Deferred[Any]] = []

        def replied(reply: bytes) -> None:
            replies.append(reply)
            refused.append(self.connection.execute("SET", "k", "v"))

        for _ in range(COUNT):
            self.connection.execute("GET", "k").addCallback(replied)
        # The first may be over before the reactor gets to writing.
        await deferLater(REACTOR, 0)
        await deferLater(REACTOR, 0.02)
        self.server.recv(1 << 16)
        self.server.sendall(REPLY * COUNT)
        self.server.close()
        await self.connection.when_disconnected()
        self.assertEqual(replies, [VALUE] * COUNT)
        for each in refused:
            await self.assertFailure(each, RedisConnectionError)
