"""
Clients of a real server on sockets that somebody else has connected, as hiredis'
own tests ask for them.
"""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import TestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisQueueFull,
    RedisReplyError,
)
from sockhost.redis import Greeting, adopt
from sockhost.redis.resp import Limits
from tests.functional.servers import ValkeyServer


class AdoptTests(TestCase):
    """Tests for L{adopt}."""

    timeout = 100

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)

    async def test_async_connect_fd(self) -> None:
        """A descriptor that somebody else has connected."""
        with socket.socket(socket.AF_UNIX) as connected:
            connected.connect(self.server.path)
            client = await adopt(connected, reactor, Greeting(client_name="adopted"))
        self.addCleanup(client.abort)
        self.assertEqual(await client.execute("CLIENT", "GETNAME"), b"adopted")
        with self.assertRaises(RedisConnectionError):
            await client.execute("BLPOP", "a", 1)
        await client.close()
        with self.assertRaises(RedisConnectionError):
            await client.execute("PING")

    async def test_async_connect_fd_refused(self) -> None:
        """One whose server refuses the greeting is closed."""
        with socket.socket(socket.AF_UNIX) as connected:
            connected.connect(self.server.path)
            greeting = Greeting(username="nobody", password="wrong")
            with self.assertRaises(RedisReplyError):
                await adopt(connected, reactor, greeting)

    async def test_async_connect_fd_limits(self) -> None:
        """Its limits are those of any other connection."""
        with socket.socket(socket.AF_UNIX) as connected:
            connected.connect(self.server.path)
            client = await adopt(
                connected, reactor, max_queued=1, limits=Limits(bulk=64 << 10)
            )
        self.addCleanup(client.abort)
        first = client.execute("ECHO", b"x" * 100_000)
        with self.assertRaises(RedisQueueFull):
            await client.execute("PING")
        with self.assertRaisesRegex(MaybeExecuted, "no length"):
            await first

    async def test_async_connect_fd_silent(self) -> None:
        """A server that says nothing, or hangs up, is not waited for for ever."""
        ours, theirs = socket.socketpair()
        with theirs, self.assertRaisesRegex(RedisConnectionError, "within 0.05 s"):
            await adopt(ours, reactor, connect_timeout=0.05)
        ours, theirs = socket.socketpair()
        theirs.close()
        with self.assertRaises(RedisConnectionError) as caught:
            await adopt(ours, reactor)
        self.assertNotIsInstance(caught.exception, MaybeExecuted)

    async def test_async_connect_fd_cancelled(self) -> None:
        """Who gives up leaves nothing."""
        ours, theirs = socket.socketpair()
        with theirs:
            adopting = adopt(ours, reactor)
            adopting.cancel()
            await self.assertFailure(adopting, CancelledError)
            theirs.setblocking(True)
            while theirs.recv(4096):
                pass
