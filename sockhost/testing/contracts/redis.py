# -*- test-case-name: tests.testing.test_part_contracts -*-
"""
The contract of L{IRedis<sockhost.interfaces.IRedis>} as tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    IRedis,
    MaybeExecuted,
    RedisConnectionError,
    RedisReplyError,
)
from sockhost.testing.contracts._case import ContractCase, contract_tests, nothing


@define(kw_only=True)
class RedisFixture:
    """
    A client of a server that is the test's own, and the hands that turn the
    server.

    @ivar redis: it is connected.
    @ivar suspend: brings about that the server takes commands and answers
        none; C{None} if that cannot be had.
    @ivar cut: ends the connection, and keeps it from coming back; C{None} if
        that cannot be had.
    @ivar restore: lets it come back.
    """

    redis: Any
    suspend: Callable[[], object] | None = None
    cut: Callable[[], object] | None = None
    restore: Callable[[], object] = nothing


class _RedisContract(ContractCase):
    """What L{IRedis} promises."""

    fixture: RedisFixture

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.redis = self.fixture.redis
        self.addCleanup(lambda: self.redis.close(0.0))

    async def cut(self) -> None:
        """Lose the connection."""
        if self.fixture.cut is None:
            self.lack("how the connection is lost")
        await self.turn(self.fixture.cut)

    async def suspend(self) -> None:
        """Have no replies come."""
        if self.fixture.suspend is None:
            self.lack("how replies are held back")
        await self.turn(self.fixture.suspend)

    def test_interface(self) -> None:
        """It has all that a client has, and is connected."""
        verifyObject(IRedis, self.redis)
        self.assertIs(self.redis.connected, True)

    async def test_replies_in_order(self) -> None:
        """Each reply goes to the command that it answers."""
        words = [b"%d" % number for number in range(200)]
        replies = [self.redis.execute("ECHO", word) for word in words]
        self.assertEqual(await gatherResults(replies), words)

    async def test_bytes(self) -> None:
        """Bytes come back as they were sent; what is not there is C{None}."""
        binary = bytes(range(256))
        await self.redis.execute("SET", "key", binary)
        self.assertEqual(await self.redis.execute(b"GET", "key"), binary)
        await self.redis.execute("SET", "key", b"")
        self.assertEqual(await self.redis.execute("GET", b"key"), b"")
        self.assertIsNone(await self.redis.execute("GET", "no such key"))

    async def test_arguments(self) -> None:
        """Texts and numbers are sent as what they look like."""
        for value, wanted in (
            ("caf\u00e9", "caf\u00e9".encode()),
            (7, b"7"),
            (-1.5, b"-1.5"),
        ):
            self.assertEqual(await self.redis.execute("ECHO", value), wanted)

    async def test_unfit_argument(self) -> None:
        """What cannot be sent fails that command alone."""
        for value in (None, [], {}, object()):
            await self.refused(lambda v=value: self.redis.execute("ECHO", v), TypeError)  # type: ignore[misc]
        self.assertEqual(await self.redis.execute("ECHO", "on"), b"on")

    async def test_error_reply(self) -> None:
        """An error reply fails its command, with its code, and no other."""
        await self.redis.execute("SET", "key", "text")
        bad = self.redis.execute("INCR", "key")
        good = self.redis.execute("ECHO", "good")
        error = await self.failure_of(bad, RedisReplyError)
        self.assertEqual(error.code, "ERR")
        self.assertEqual(await good, b"good")
        self.assertIs(self.redis.connected, True)

    async def test_when_connected(self) -> None:
        """When there is a connection, it is not waited for."""
        self.assertIsNone(self.successResultOf(self.redis.when_connected()))

    async def test_cancel_sent(self) -> None:
        """A command that is cancelled takes nobody else's reply."""
        first = self.redis.execute("ECHO", "first")
        cancelled = self.redis.execute("ECHO", "cancelled")
        last = self.redis.execute("ECHO", "last")
        if not cancelled.called:
            cancelled.cancel()
            await self.failure_of(cancelled, CancelledError)
        self.assertEqual([await first, await last], [b"first", b"last"])

    async def test_cancel_unsent(self) -> None:
        """A command that is cancelled before it was sent is not executed."""
        await self.redis.execute("SET", "key", "before")
        await self.cut()
        command = self.redis.execute("SET", "key", "after")
        if command.called:
            await self.failure_of(command, RedisConnectionError)
        else:
            command.cancel()
            await self.failure_of(command, CancelledError)
        await self.turn(self.fixture.restore)
        await self.redis.when_connected()
        self.assertNotEqual(await self.redis.execute("GET", "key"), b"after")

    async def test_comes_back(self) -> None:
        """The same client goes on when there is a connection again."""
        await self.cut()
        self.assertIs(self.redis.connected, False)
        back = self.redis.when_connected()
        self.assertNoResult(back)
        await self.turn(self.fixture.restore)
        self.assertIsNone(await back)
        self.assertIs(self.redis.connected, True)
        self.assertEqual(await self.redis.execute("ECHO", "back"), b"back")

    async def test_lost_reply(self) -> None:
        """A command whose reply is lost may or may not have been executed."""
        await self.suspend()
        commands = [self.redis.execute("INCR", "n") for _ in range(3)]
        ended: list[Any] = []
        for each in commands:
            each.addErrback(ended.append)
        await self.cut()
        self.assertEqual([bool(e.check(MaybeExecuted)) for e in ended], [True] * 3)

    async def test_close(self) -> None:
        """Closing waits for the replies of what was sent."""
        replies = [self.redis.execute("INCR", "n") for _ in range(20)]
        await self.redis.close()
        self.assertEqual([each.called for each in replies], [True] * 20)
        self.assertEqual(await gatherResults(replies), list(range(1, 21)))
        self.assertIs(self.redis.connected, False)

    async def test_closed(self) -> None:
        """What is asked for after the close was not sent, and says so."""
        closing = self.redis.close()
        await self.refuses(lambda: self.redis.execute("ECHO", "late"))
        await closing
        await self.refuses(lambda: self.redis.execute("ECHO", "later"))
        await self.refuses(self.redis.when_connected)

    async def test_close_twice(self) -> None:
        """A second close ends when the first does; a later one at once."""
        both = [self.redis.close(), self.redis.close()]
        for each in both:
            self.assertIsNone(await each)
        self.assertIsNone(await self.redis.close())

    async def test_close_in_haste(self) -> None:
        """A close that will not wait gives up what has no reply."""
        await self.suspend()
        command = self.redis.execute("ECHO", "lost")
        ended: list[Any] = []
        command.addErrback(ended.append)
        await self.redis.close(0.0)
        self.assertEqual([bool(each.check(MaybeExecuted)) for each in ended], [True])

    async def test_close_without_connection(self) -> None:
        """A close when nothing is there fails all that waits, and ends."""
        await self.cut()
        waiting: list[Deferred[Any]] = [
            self.redis.when_connected(),
            self.redis.execute("ECHO", "waits"),
        ]
        failures: list[Any] = []
        for each in waiting:
            each.addErrback(failures.append)
        await self.redis.close()
        self.assertEqual(
            [bool(each.check(RedisConnectionError)) for each in failures], [True] * 2
        )

    async def refuses(self, call: Callable[[], Deferred[Any]]) -> None:
        """A closed client takes nothing, and has sent nothing."""
        error = await self.refused(call, RedisConnectionError)
        self.assertNotIsInstance(error, MaybeExecuted)


def redis_contract_tests(make: Callable[[TestCase], object]) -> type[TestCase]:
    """
    Make the tests of L{IRedis} for a client.

    @param make: makes a L{RedisFixture} anew for each test; or a Deferred of
        one, or it is C{async}.
    """
    return contract_tests("RedisContractTests", _RedisContract, make=staticmethod(make))
