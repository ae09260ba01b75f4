"""
Pipelines, transactions, scripts, locks and scans against a real
server.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.interfaces import (
    LockLost,
    LockTaken,
    MaybeExecuted,
    RedisConnectionError,
    RedisReplyError,
    TransactionConflict,
)
from sockhost.redis import RedisClient, connect
from sockhost.redis.scripts import Library, Script
from sockhost.redis.transaction import Transaction, Watch
from tests.functional.servers import ValkeyServer

CLOCK: Any = IReactorTime(reactor)
ADD = Script("return redis.call('incrby', KEYS[1], ARGV[1])")
LIBRARY = Library(
    """#!lua name=sums
server.register_function('add', function(keys, args)
    return server.call('incrby', keys[1], args[1])
end)
"""
)


def spawned(work: Awaitable[Any]) -> Deferred[Any]:
    """Let something run beside the test."""
    return Deferred.fromCoroutine(work)  # type: ignore[arg-type]


class _ServerCase(TestCase):
    timeout = 100

    async def setUp(self) -> None:  # type: ignore[override]
        self.server = ValkeyServer.started(self)
        self.client = await self.connect()

    async def connect(self, **options: Any) -> RedisClient:
        client = await connect(self.server.unix_url, CLOCK, **options)
        self.addCleanup(client.abort)
        return client

    async def connections(self) -> int:
        """How many clients the server has."""
        return len((await self.client.client_list()).splitlines())


class PipelineTests(_ServerCase):
    """Many commands at once."""

    async def test_in_place(self) -> None:
        """Results and errors stand where their commands stood, and are shaped."""
        pipeline = self.client.pipeline()
        pipeline.set("s", "text").incr("s").hset("h", {"a": 1}).hgetall("h")
        pipeline.execute("NONSENSE").get("s")
        replies = await pipeline.run()
        self.assertEqual(
            [replies[0], replies[2], replies[3], replies[5]],
            [True, 1, {b"a": b"1"}, b"text"],
        )
        self.assertIsInstance(replies[1], RedisReplyError)
        self.assertIsInstance(replies[4], RedisReplyError)
        self.assertEqual(len(pipeline), 0)

    async def test_many(self) -> None:
        """Twenty thousand commands are one pipeline."""
        pipeline = self.client.pipeline()
        for number in range(20_000):
            pipeline.execute("INCR", "n")
            if number % 1000 == 0:
                pipeline.ping(str(number))
        replies = await pipeline.run()
        self.assertEqual(len(replies), 20_020)
        self.assertEqual(replies[-1], 20_000)

    async def test_cancel(self) -> None:
        """A pipeline that is cancelled takes no reply of anybody else."""
        pipeline = self.client.pipeline()
        for number in range(1000):
            pipeline.execute("ECHO", number)
        sent = pipeline.run()
        after = self.client.execute("ECHO", "after")
        sent.cancel()
        with self.assertRaises(CancelledError):
            await sent
        self.assertEqual(await after, b"after")

    async def test_script(self) -> None:
        """Scripts run in pipelines also when the server does not know them."""
        await self.client.script_flush()
        pipeline = self.client.pipeline()
        pipeline.script(ADD, ["n"], [1]).script(ADD, ["n"], [1]).get("n")
        self.assertEqual(await pipeline.run(), [1, 2, b"2"])

    async def test_killed(self) -> None:
        """Of a pipeline that was cut off it is not known what was executed."""
        self.server.suspend()
        sent = self.client.pipeline().incr("n").incr("n").run()
        await deferLater(CLOCK, 0.05)
        self.server.kill()
        with self.assertRaises(MaybeExecuted):
            await sent


class TransactionTests(_ServerCase):
    """All or nothing."""

    async def test_replies(self) -> None:
        """The replies are those of the commands, errors at execution in place."""
        transaction = self.client.transaction()
        transaction.set("s", "text").incr("s").zadd("z", {"a": 1})
        transaction.zrange("z", 0, -1, withscores=True)
        replies = await transaction.run()
        self.assertIsInstance(replies[1], RedisReplyError)
        self.assertEqual([replies[0], *replies[2:]], [True, 1, [(b"a", 1.0)]])

    async def test_refused(self) -> None:
        """If one command is none, nothing is executed, and it is said why."""
        transaction = self.client.transaction().set("s", 1).execute("GET")
        with self.assertRaises(RedisReplyError) as caught:
            await transaction.run()
        self.assertEqual(caught.exception.code, "EXECABORT")
        self.assertIn("wrong number", str(caught.exception))
        self.assertIsNone(await self.client.get("s"))

    async def test_together(self) -> None:
        """Nothing of others on the same connection comes between."""
        transactions, others = [], []
        for _ in range(50):
            transaction = self.client.transaction()
            transactions.append(transaction.incr("n").incr("n").run())
            others.append(self.client.set("n", 0))
        for replies in await gatherResults(transactions):
            self.assertEqual(replies[1] - replies[0], 1)
        await gatherResults(others)

    async def test_blocking(self) -> None:
        """Commands that block do not in a transaction."""
        transaction = self.client.transaction().blpop("none", timeout=0)
        self.assertEqual(await transaction.run(), [None])

    async def test_watch(self) -> None:
        """A transaction is executed if no watched key changes, and not otherwise."""
        async with self.client.watch("n") as watch:
            self.assertIsNone(await watch.get("n"))
            self.assertEqual(await watch.transaction().set("n", 1).run(), [True])
            await watch.watch("n")
            await self.client.incr("n")
            with self.assertRaises(TransactionConflict):
                await watch.transaction().set("n", 9).run()
        self.assertEqual(await self.client.get("n"), b"2")

    async def test_unwatched(self) -> None:
        """The connection of a watch is used again, and watches nothing."""
        for _ in range(3):
            async with self.client.watch("n"):
                pass
            await self.client.incr("n")
            async with self.client.watch("m") as watch:
                self.assertEqual(await watch.transaction().ping().run(), [True])
        self.assertEqual(await self.connections(), 2)

    async def test_more_than_connections(self) -> None:
        """More of them than there may be connections wait for each other."""

        async def add(watch: Watch, transaction: Transaction) -> None:
            await watch.ping()
            transaction.incr("n")

        keys = [f"k{number}" for number in range(200)]
        await gatherResults([self.client.transact(add, key) for key in keys])
        self.assertEqual(await self.client.get("n"), b"200")
        self.assertLessEqual(await self.connections(), 65)

    async def test_transact(self) -> None:
        """Competing transactions are tried until each has been executed."""
        others = [await self.connect() for _ in range(4)]

        async def add(watch: Watch, transaction: Transaction) -> None:
            transaction.set("n", int(await watch.get("n") or 0) + 1)

        work = [other.transact(add, "n", attempts=500) for other in others * 10]
        await gatherResults(work)
        self.assertEqual(await self.client.get("n"), b"40")

    async def test_cancel(self) -> None:
        """A body that is cancelled leaves no connection that watches."""

        async def hang(watch: Watch, transaction: Transaction) -> None:
            await Deferred()

        work = self.client.transact(hang, "n")
        await deferLater(CLOCK, 0.05)
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        while await self.connections() > 1:
            await deferLater(CLOCK, 0.01)

    async def test_script(self) -> None:
        """Scripts run in transactions also when the server does not know them."""
        transaction = self.client.transaction()
        transaction.script(ADD, ["n"], [1]).script(ADD, ["n"], [1])
        self.assertEqual(await transaction.run(), [1, 2])


class ScriptTests(_ServerCase):
    """Scripts and functions."""

    async def test_fallback(self) -> None:
        """A script is brought to a server that does not know it, and stays."""
        for wanted in (1, 2):
            self.assertEqual(await self.client.script(ADD, ["n"], [1]), wanted)
        await self.client.script_flush()
        self.assertEqual(await self.client.script(ADD, ["n"], [1]), 3)
        self.assertEqual(await self.client.script_exists(ADD.digest), [True])

    async def test_error(self) -> None:
        """What fails in a script is not tried again."""
        script = "redis.call('incr', KEYS[1]); return redis.call('nonsense')"
        with self.assertRaises(RedisReplyError):
            await self.client.script(script, ["n"])
        self.assertEqual(await self.client.get("n"), b"1")

    async def test_read_only(self) -> None:
        """A script that only reads is run as one."""
        script = Script("return redis.call('set', KEYS[1], 1)", read_only=True)
        with self.assertRaises(RedisReplyError):
            await self.client.script(script, ["n"])

    async def test_function(self) -> None:
        """A library is brought to a server that does not have it."""
        for wanted in (2, 4):
            self.assertEqual(await self.client.call(LIBRARY, "add", ["n"], [2]), wanted)
        await self.client.function_flush()
        self.assertEqual(await self.client.call(LIBRARY, "add", ["n"], [2]), 6)

    async def test_no_function(self) -> None:
        """A function that is not in the library is an error."""
        with self.assertRaises(RedisReplyError):
            await self.client.call(LIBRARY, "multiply", ["n"])


class ScanTests(_ServerCase):
    """All of many."""

    async def test_keys(self) -> None:
        """All keys that match are found."""
        pipeline = self.client.pipeline()
        for number in range(500):
            pipeline.set(f"k{number}", 1)
        await pipeline.sadd("other", "x").run()
        found = [key async for key in self.client.scan_keys("k*", count=50)]
        self.assertEqual(set(found), {b"k%d" % number for number in range(500)})
        sets = await self.client.scan_keys(type="set").all()
        self.assertEqual(sets, [b"other"])

    async def test_members(self) -> None:
        """All members of hashes, sets and sorted sets are found."""
        await self.client.hset("h", {f"f{n}": n for n in range(1000)})
        await self.client.sadd("s", *range(1000))
        await self.client.zadd("z", {f"m{n}": n for n in range(1000)})
        fields = await self.client.scan_hash("h").all()
        self.assertEqual(dict(fields)[b"f7"], b"7")
        self.assertEqual(len(set(await self.client.scan_set("s").all())), 1000)
        scores = dict(await self.client.scan_sorted_set("z").all())
        self.assertEqual(sum(scores.values()), 499_500)


class GroupTests(_ServerCase):
    """Readers of a client that has text instead of bytes."""

    async def test_decoded(self) -> None:
        """Entries are handed out as text: new ones, those of others, its own."""
        client = await self.connect(decode="utf-8")
        for consumer in ("first", "second"):
            await client.xadd("s", [("n", consumer)])
            reader = client.group_reader("s", "g", consumer, claim_idle=0.001)
            found: list[Any] = []
            async for each in reader:
                found.append((each.stream, *dict[Any, Any](each.fields).items()))
                if found[-1][-1] == ("n", consumer):
                    break
            reader.close()
            # What the first one had is taken over before what is new is read.
            wished = ["first", "second"][: 1 + (consumer == "second")]
            self.assertEqual(found, [("s", ("n", each)) for each in wished])
            await deferLater(CLOCK, 0.01)
        own = client.group_reader("s", "g", "second", claim_idle=None)
        delivery = await own.__anext__()
        self.assertTrue(delivery.claimed)
        self.assertEqual(await delivery.ack(), 1)

    async def test_closed(self) -> None:
        """A reader that waits ends with the client."""
        client = await self.connect()
        waiting = spawned(client.group_reader("s", "g", "me").__anext__())
        while await self.connections() < 3:
            await deferLater(CLOCK, 0.01)
        await client.close(0.1)
        await self.assertFailure(waiting, RedisConnectionError)


class LockTests(_ServerCase):
    """One at a time."""

    async def test_exclusive(self) -> None:
        """Only one has the lock at a time, and their numbers grow."""
        inside: list[int] = []
        fences: list[int] = []

        async def work() -> None:
            async with self.client.lock("l", ttl=5) as lease:
                fences.append(lease.fence)
                inside.append(1)
                self.assertEqual(len(inside), 1)
                await deferLater(CLOCK, 0.005)
                inside.pop()

        await gatherResults([spawned(work()) for _ in range(10)])
        self.assertEqual(fences, sorted(set(fences)))
        self.assertIsNone(await self.client.get("l"))

    async def test_taken(self) -> None:
        """Who waits for too long does not get it."""
        lease = await self.client.lock("l").acquire()
        with self.assertRaises(LockTaken):
            await self.client.lock("l", wait=0.05).acquire()
        self.assertTrue(await lease.release())
        lease = await self.client.lock("l", wait=0).acquire()
        await lease.release()

    async def test_renewed(self) -> None:
        """It is held for longer than it lasts by itself."""
        async with self.client.lock("l", ttl=0.9) as lease:
            await deferLater(CLOCK, 2.0)
            self.assertTrue(lease.held)
            with self.assertRaises(LockTaken):
                await self.client.lock("l", wait=0).acquire()

    async def test_stolen(self) -> None:
        """Who does not have it any more is told, and does not release another's."""
        lease = await self.client.lock("l", ttl=0.15).acquire()
        await self.client.set("l", "thief")
        with self.assertRaises(LockLost):
            await lease.when_lost()
        self.assertFalse(await lease.release())
        self.assertEqual(await self.client.get("l"), b"thief")

    async def test_stalled(self) -> None:
        """A lock that cannot be renewed in time is given up on."""
        lease = await self.client.lock("l", ttl=0.3).acquire()
        self.server.suspend()
        with self.assertRaises(LockLost):
            await lease.when_lost()
        self.server.resume()
        self.assertFalse(lease.held)

    async def test_cancel(self) -> None:
        """An attempt that is cancelled leaves the lock free."""
        for _ in range(20):
            attempt = self.client.lock("l", ttl=60).acquire()
            attempt.addErrback(lambda failure: failure.trap(CancelledError))
            attempt.cancel()
        lease = await self.client.lock("l", wait=20).acquire()
        await lease.release()
