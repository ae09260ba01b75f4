"""
What hiredis' own tests of its asynchronous client ask for, and what other
clients are known to get wrong, against a real server.  The names say which;
those of published messages and of MONITOR are in
L{tests.functional.test_redis_pubsub} and
L{tests.functional.test_redis_listening}.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from benchmarks import procfs
from benchmarks.redis_proxy import RedisProxy
from sockhost.interfaces import (
    CommandTimeout,
    MaybeExecuted,
    RedisConnectionError,
    RedisLoading,
    RedisQueueFull,
    RedisReplyError,
)
from sockhost.redis import RedisClient, connect
from sockhost.redis.formatting import format_command
from sockhost.redis.resp import encode_command
from tests.functional.servers import ValkeyServer
from tests.functional.test_redis import settled

CLOCK: Any = IReactorTime(reactor)


def wait(seconds: float) -> Deferred[None]:
    """Let things happen."""
    return deferLater(CLOCK, seconds)


class _Case(TestCase):
    timeout = 100
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self, *self.options)

    async def connect(self, url: str = "", **options: Any) -> RedisClient:
        client = await connect(url or self.server.unix_url, CLOCK, **options)
        self.addCleanup(client.abort)
        return client

    async def through_proxy(self, **options: Any) -> tuple[RedisClient, RedisProxy]:
        """Connect by a line that can be made bad."""
        directory = Path(tempfile.mkdtemp(prefix="sockhost-line-"))
        path = str(directory / "line.sock")
        proxy = RedisProxy(reactor, path, self.server.path)
        self.addCleanup(directory.rmdir)
        self.addCleanup(proxy.stop)
        return await self.connect(f"unix://{path}", **options), proxy


class HiredisAsyncTests(_Case):
    """hiredis, test.c: the tests of the asynchronous API."""

    async def test_async_connect_and_free(self) -> None:
        """A client is connected, and gone when it is closed."""
        client = await self.connect(self.server.tcp_url)
        self.assertTrue(client.connected)
        await client.close()
        self.assertFalse(client.connected)

    async def test_async_connect_timeout(self) -> None:
        """A server that does not accept is given up in time; nothing is left."""
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        for _ in range(3):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(address)
        began = CLOCK.seconds()
        with self.assertRaises(RedisConnectionError):
            url = f"redis://127.0.0.1:{address[1]}"
            await connect(url, CLOCK, connect_timeout=0.3)
        self.assertLess(CLOCK.seconds() - began, 3)

    async def test_async_ping_pong(self) -> None:
        """A PING and its PONG."""
        client = await self.connect()
        self.assertEqual(await client.execute("PING"), b"PONG")

    async def test_async_ping_pong_after_connect_timeout(self) -> None:
        """The limit for connecting never ends a connection that was made."""
        client = await self.connect(connect_timeout=0.2)
        await wait(0.4)
        self.assertEqual(await client.execute("PING"), b"PONG")

    async def test_async_disconnect_in_on_connect(self) -> None:
        """Closing from the callback of connecting."""
        closing = connect(self.server.unix_url, CLOCK)
        closing.addCallback(lambda client: client.close())
        await closing

    async def test_async_free_in_reply_of_on_connect(self) -> None:
        """Asking in the callback of connecting, and aborting in the reply."""
        outcomes: list[Any] = []

        def connected(client: RedisClient) -> Deferred[None]:
            asked = client.execute("PING")
            after = client.execute("PING")
            after.addErrback(lambda failure: outcomes.append(failure.type))
            asked.addCallback(outcomes.append)
            return asked.addCallback(lambda _: client.abort())

        await connect(self.server.unix_url, CLOCK).addCallback(connected)
        self.assertEqual(outcomes, [b"PONG", MaybeExecuted])

    async def test_async_argv_and_format_and_formatted(self) -> None:
        """Arguments, formats, and bytes that are formatted already."""
        client = await self.connect()
        await client.execute_raw(format_command("SET key:%d %b", 7, b"a\0b c"))
        self.assertEqual(await client.execute("GET", b"key:7"), b"a\0b c")
        data = encode_command(("PING",)) + encode_command(("GET", "key:7"))
        self.assertEqual(await client.execute_raw(data, 2), [b"PONG", b"a\0b c"])

    async def test_async_connect_bind(self) -> None:
        """The address to connect from can be said."""
        client = await self.connect(self.server.tcp_url, source_address="127.0.0.9")
        info = await client.execute("CLIENT", "INFO")
        self.assertIn(b"addr=127.0.0.9:", info)

    async def test_keep_alive(self) -> None:
        """TCP is told to look for dead machines; a Unix socket is left alone."""
        for url in (self.server.tcp_url, self.server.unix_url):
            client = await self.connect(url, keepalive=7.0, user_timeout=3.0)
            connection: Any = client.connection
            handle = connection.transport.getHandle()
            if handle.family == socket.AF_UNIX:
                continue
            read = [
                handle.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_NODELAY,
                    socket.TCP_USER_TIMEOUT,
                )
            ]
            self.assertEqual(read, [7, 1, 3000])
            self.assertTrue(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


class KnownDefectsTests(_Case):
    """What was seen in other clients."""

    async def test_one_lost_reply_is_one_increment(self) -> None:
        """redis-py and coredis, by default: INCR is executed twice."""
        client, proxy = await self.through_proxy()
        lost = iter([True])
        proxy.swallow = lambda: next(lost, False)
        sent = client.execute("INCR", "n")
        while b"1" not in self.server.call("GET", "n"):
            await wait(0.01)
        await wait(0.1)
        proxy.cut_all()
        with self.assertRaises(MaybeExecuted):
            await sent
        self.assertEqual(await client.execute("GET", "n"), b"1")

    async def test_retry_only_where_asked(self) -> None:
        """A command that does no harm is sent again where its caller says so."""
        client, proxy = await self.through_proxy()
        lost = iter([True])
        proxy.swallow = lambda: next(lost, False)
        sent = client.execute("SET", "a", 1, retry=3)
        await wait(0.1)
        proxy.cut_all()
        self.assertEqual(await sent, b"OK")

    async def test_cancelled_blpop_eats_nothing(self) -> None:
        """valkey-glide and aioredis: a cancelled BLPOP takes the next item."""
        client = await self.connect()
        for _ in range(5):
            blocked = client.execute("BLPOP", "list", 0)
            await wait(0.02)
            blocked.cancel()
            with self.assertRaises(CancelledError):
                await blocked
        await wait(0.1)
        await client.execute("RPUSH", "list", "item")
        await wait(0.1)
        self.assertEqual(await client.execute("LLEN", "list"), 1)

    async def test_given_up_blpop_eats_nothing_at_once(self) -> None:
        """Nor does it take what is added in the very turn that gives it up."""
        client, other = await self.connect(), await self.connect()
        for adds in (client, other):
            for timeout in (None, 0.02):
                for _ in range(5):
                    blocked = client.execute("BLPOP", "list", 0, timeout=timeout)
                    if timeout is None:
                        await wait(0.02)
                        blocked.cancel()
                    with self.assertRaises((CancelledError, CommandTimeout)):
                        await blocked
                    await adds.execute("RPUSH", "list", "item")
                    self.assertEqual(await adds.execute("LPOP", "list"), b"item")

    async def test_blocking_holds_nobody_up(self) -> None:
        """ioredis, glide: a command that blocks stops all others."""
        client = await self.connect(ping_interval=0.5)
        blocked = client.execute("BLPOP", "list", 0)
        await wait(1.6)
        self.assertEqual(await client.execute("PING"), b"PONG")
        await client.execute("RPUSH", "list", "item")
        self.assertEqual(await blocked, [b"list", b"item"])

    async def test_cwe_404(self) -> None:
        """
        redis-py: commands and batches that are cancelled at any moment, with
        replies on their way, never leave a reply to the next caller.
        """
        client, proxy = await self.through_proxy()
        await client.execute("MSET", "a", "1", "b", "2")
        for step in range(12):
            proxy.delay = lambda: 0.01
            first = client.execute("GET", "a")
            batch = client.send_many(2, encode_command(("GET", "a")) * 2)
            await wait(step * 0.003)
            first.cancel()
            batch.cancel()
            second = client.execute("GET", "b")
            outcomes = await settled([first, batch, second])
            self.assertIn(type(outcomes[0]), (CancelledError, bytes))
            self.assertEqual(outcomes[2], b"2")

    async def test_suspended_server(self) -> None:
        """coredis hangs, redis-py takes a minute: a server that stands still."""
        client = await self.connect(timeout=0.3, ping_interval=0)
        self.server.suspend()
        self.addCleanup(self.server.resume)
        began = CLOCK.seconds()
        with self.assertRaises(CommandTimeout):
            await client.execute("GET", "a")
        self.assertLess(CLOCK.seconds() - began, 3)
        self.server.resume()
        self.assertEqual(await client.execute("ECHO", "x", timeout=20), b"x")

    async def test_reply_timeout_not_for_blocking(self) -> None:
        """
        txredisapi: the limit of ordinary commands is not that of those that
        block; one that is given its own keeps it, and costs no connection.
        """
        client = await self.connect(timeout=0.4)
        self.assertIsNone(await client.execute("BLPOP", "none", 1))
        with self.assertRaises(CommandTimeout):
            await client.execute("DEBUG", "SLEEP", "0.5", timeout=0.2)
        self.assertEqual(await client.execute("PING", timeout=0), b"PONG")
        self.assertTrue(client.connected)

    async def test_slow_server_costs_no_memory(self) -> None:
        """
        node-redis, ioredis: what cannot be sent is bounded, and said; and what
        is beyond the first buffer is still ours to withdraw.
        """
        client = await self.connect(max_queued=200, ping_interval=0)
        self.server.suspend()
        self.addCleanup(self.server.resume)
        value = b"x" * 50_000
        sent = [client.execute("RPUSH", "a", value) for _ in range(100)]
        await wait(0.05)
        connection: Any = client.connection
        transport = connection.transport
        first = len(transport.dataBuffer) + transport._tempDataLen
        sent += [client.execute("RPUSH", "a", value) for _ in range(100)]
        await wait(0.05)
        # The transport is full, and was given nothing of the second half.
        held = len(transport.dataBuffer) + transport._tempDataLen
        self.assertGreater(first, 0)
        self.assertLessEqual(held, first)
        before = procfs.memory(os.getpid())
        for _ in range(20):
            refused = await settled(
                client.execute("RPUSH", "a", value) for _ in range(200)
            )
            self.assertEqual({type(each) for each in refused}, {RedisQueueFull})
        self.assertLess(procfs.memory(os.getpid()) - before, 4 << 20)
        for each in sent[150:]:
            each.cancel()
        self.server.resume()
        done = await settled(sent[:150])
        self.assertEqual(done, list(range(1, 151)))
        self.assertEqual(await client.execute("LLEN", "a"), 150)
        await settled(sent[150:])

    async def test_wait_when_full(self) -> None:
        """The same, where commands are to wait for room instead."""
        client = await self.connect(max_queued=10, when_full="wait", wait=5.0)
        replies = await settled(client.execute("ECHO", n) for n in range(20))
        self.assertEqual(replies, [b"%d" % n for n in range(20)])

    async def test_loading(self) -> None:
        """A server that reads its data says so by a type of its own."""
        client = await self.connect()
        await settled(
            client.execute("SET", f"k{n}", b"x" * 1000) for n in range(10_000)
        )
        await client.execute("CONFIG", "SET", "key-load-delay", "200")
        await client.execute(
            "CONFIG", "SET", "loading-process-events-interval-bytes", 1024
        )
        reloading = client.execute("DEBUG", "RELOAD")
        other = await self.connect(client_name="other")
        outcomes: set[Any] = set()
        while not reloading.called:
            [outcome] = await settled([other.execute("GET", "k")])
            outcomes.add(type(outcome))
            await wait(0.005)
        await reloading
        self.assertIn(RedisLoading, outcomes)

    async def test_values_stay_bytes(self) -> None:
        """txredisapi: what looks like a number is made one."""
        client = await self.connect()
        for value in (b"007", b"1_000", b".5", b"1e3", b"None"):
            await client.execute("SET", "a", value)
            self.assertEqual(await client.execute("GET", "a"), value)

    async def test_multibulk(self) -> None:
        """txredisapi: what is nested in the reply to EXEC."""
        client = await self.connect()
        nested = "return {1, {2, {3, false}, {}}, 'x'}"
        transaction = client.transaction().rpush("l", "a", "b").lrange("l", 0, -1)
        transaction.hset("h", {"f": 1}).hgetall("h").execute("EVAL", nested, 0)
        transaction.xadd("s", [("f", "v")]).execute("XRANGE", "s", "-", "+")
        replies = await transaction.run()
        self.assertEqual(replies[:2], [2, [b"a", b"b"]])
        self.assertEqual(replies[3:5], [{b"f": b"1"}, [1, [2, [3, None], []], b"x"]])
        self.assertEqual(replies[6], [[replies[5], [b"f", b"v"]]])

    async def test_large_pipeline_lets_others_live(self) -> None:
        """
        redis-py: what is received in one go is one list, errors in place; the
        program goes on meanwhile, and another client is answered.
        """
        client, other = await self.connect(), await self.connect()
        turns: list[float] = []
        # By our own time: what others have of the machine is not our delay.
        ticking = LoopingCall(lambda: turns.append(time.process_time()))
        answered = 0

        async def ask() -> None:
            nonlocal answered
            while not running.called:
                await other.execute("PING")
                answered += 1

        data = encode_command(("ECHO", b"x" * 500)) * 50_000
        data += encode_command(("NOPE",))
        running = client.send_many(50_001, data)
        asking = Deferred.fromCoroutine(ask())
        ticking.start(0.005)
        replies = await running
        ticking.stop()
        await asking
        self.assertEqual(replies[:-1], [b"x" * 500] * 50_000)
        self.assertIsInstance(replies[-1], RedisReplyError)
        self.assertGreater(answered, 10)
        gaps = [after - at for at, after in pairwise(turns)]
        self.assertGreater(len(gaps), 3)
        self.assertLess(max(gaps), 1.0)


class ListingTests(_Case):
    """The listing of the documentation."""

    async def test_runs(self) -> None:
        """It runs as it is printed."""
        path = Path(__file__).parents[2] / "docs/listings/redis_commands.py"
        output, errors, status = await getProcessOutputAndValue(
            sys.executable, [str(path), self.server.unix_url], os.environ
        )
        self.assertEqual((errors, status), (b"", 0))
        self.assertEqual(output.split(b"\n")[:2], [b"1", b"yes"])
