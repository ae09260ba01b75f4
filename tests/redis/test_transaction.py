"""
All or nothing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisError,
    RedisReplyError,
    TransactionConflict,
)
from sockhost.redis import RedisClient, connect
from sockhost.redis.transaction import Transaction, Watch
from sockhost.testing.redis import MemoryRedis


class TransactionTests(SynchronousTestCase):
    """Transactions that watch nothing."""

    def setUp(self) -> None:
        self.server = MemoryRedis(Clock())
        self.client = self.server.client()
        self.transaction = self.client.transaction()

    def test_sent(self) -> None:
        """The commands stand between MULTI and EXEC; their replies are shaped."""
        self.transaction.hset("h", {"f": 1}).hgetall("h")
        replies = self.successResultOf(self.transaction.run())
        self.assertEqual(replies, [1, {b"f": b"1"}])
        names = [command[0] for command in self.server.received]
        self.assertEqual(names, [b"MULTI", b"HSET", b"HGETALL", b"EXEC"])

    def test_empty(self) -> None:
        """One without commands has no replies."""
        self.assertEqual(self.successResultOf(self.transaction.run()), [])

    def test_error_in_place(self) -> None:
        """A command that fails when it is executed fails alone."""
        self.transaction.set("s", "x").incr("s")
        done, error = self.successResultOf(self.transaction.run())
        self.assertTrue(done)
        self.assertIsInstance(error, RedisReplyError)

    def test_aborted(self) -> None:
        """If a command is none, all fails, and it is said why."""
        self.transaction.set("s", "x").execute("NONSENSE")
        failure = self.failureResultOf(self.transaction.run(), RedisReplyError)
        self.assertEqual(failure.value.code, "EXECABORT")
        self.assertIn("NONSENSE", str(failure.value))
        self.assertIsNone(self.successResultOf(self.client.get("s")))

    def test_multi_refused(self) -> None:
        """If there is no transaction, the reason is what it fails with."""
        self.server.answer("MULTI", RedisReplyError("NOPERM no MULTI"))
        failure = self.failureResultOf(
            self.transaction.incr("n").run(), RedisReplyError
        )
        self.assertEqual(failure.value.code, "NOPERM")
        self.assertIn("1 of 1 commands were executed", str(failure.value))

    def test_all_refused(self) -> None:
        """That nothing was executed is not made more of than it is."""
        refused = RedisReplyError("LOADING wait")
        for name in ("MULTI", "INCR", "EXEC"):
            self.server.answer(name, refused)
        sent = self.transaction.incr("n").run()
        failure = self.failureResultOf(sent, RedisReplyError)
        self.assertEqual(str(failure.value), "LOADING wait")

    def test_refused(self) -> None:
        """What would end it or change the connection is refused at once."""
        for name in ("EXEC", "MULTI", "WATCH", "SELECT"):
            with self.assertRaises(RedisError):
                self.transaction.execute(name, "a")

    def test_blocking(self) -> None:
        """What blocks elsewhere does not here."""
        self.transaction.blpop("l", timeout=0)
        self.assertEqual(self.successResultOf(self.transaction.run()), [None])


class WatchTests(SynchronousTestCase):
    """Transactions that depend on keys, with the real client."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = MemoryRedis(self.clock)
        connecting = connect(self.server.url, self.server.reactor, decode="utf-8")
        self.server.pump()
        self.client: RedisClient = self.successResultOf(connecting)
        self.other = self.server.client()

    def tearDown(self) -> None:
        closing = self.client.abort()
        self.server.pump()
        self.successResultOf(closing)

    def start(self, work: Any) -> Deferred[Any]:
        """Let a coroutine run as far as it comes."""
        started = Deferred.fromCoroutine(work)
        self.server.pump()
        return started

    @property
    def connections(self) -> int:
        """How many connections the client has."""
        return len(self.server.sessions) - 1

    def test_unchanged(self) -> None:
        """It reads at once, and is executed; the connection is used again."""

        async def work() -> Any:
            async with self.client.watch("n") as watch:
                value = int(await watch.get("n") or 0)
                return await watch.transaction().set("n", value + 1).get("n").run()

        for wanted in ("1", "2"):
            replies = self.successResultOf(self.start(work()))
            self.assertEqual(replies, [True, wanted])
        self.assertEqual(self.connections, 2)
        self.assertNotIn([b"UNWATCH"], self.server.received)

    def test_changed(self) -> None:
        """If somebody has changed it, nothing is executed."""

        async def work() -> None:
            async with self.client.watch("n") as watch:
                self.other.incr("n")
                await watch.transaction().set("n", 9).run()

        self.failureResultOf(self.start(work()), TransactionConflict)
        self.assertEqual(self.successResultOf(self.other.get("n")), b"1")
        # EXEC has ended the watch, so the connection is good for others.
        self.assertEqual(self.connections, 2)

    def test_unused(self) -> None:
        """What was watched for nothing is watched no more."""

        async def work() -> None:
            async with self.client.watch("n"):
                pass

        self.successResultOf(self.start(work()))
        self.assertEqual(self.server.received[-1], [b"UNWATCH"])
        self.assertEqual(self.connections, 2)

    def test_body_fails(self) -> None:
        """If the body fails, the connection is closed, and its error passes."""

        async def work() -> None:
            async with self.client.watch("n"):
                raise ZeroDivisionError

        self.failureResultOf(self.start(work()), ZeroDivisionError)
        self.assertEqual(self.connections, 1)

    def test_cancelled(self) -> None:
        """A body that is cancelled leaves nothing, whatever the server does."""

        async def work() -> None:
            async with self.client.watch("n"):
                await Deferred()

        started = self.start(work())
        self.server.suspend()
        started.cancel()
        self.failureResultOf(started, CancelledError)
        self.server.pump()
        self.assertEqual(self.connections, 1)

    def test_cancelled_exec(self) -> None:
        """Cancelling while EXEC is under way costs that connection alone."""

        async def work() -> None:
            async with self.client.watch("n") as watch:
                self.server.suspend()
                await watch.transaction().set("n", 1).run()

        started = self.start(work())
        started.cancel()
        self.failureResultOf(started, CancelledError)
        self.server.resume()
        self.server.pump()
        self.assertEqual(self.connections, 1)

    def test_lost(self) -> None:
        """If the reply to EXEC is lost, it is not known what was executed."""

        async def work() -> None:
            async with self.client.watch("n") as watch:
                transaction = watch.transaction().set("n", 1)
                self.server.suspend()
                sent = transaction.run()
                self.server.cut()
                await sent

        self.failureResultOf(self.start(work()), MaybeExecuted)

    def test_unwatch_fails(self) -> None:
        """
        What becomes of the watch when its body has succeeded is nobody's
        trouble: the connection ends with it.
        """

        async def work(fail: Any) -> str:
            async with self.client.watch("n"):
                fail()
            return "done"

        def refuse() -> None:
            self.server.answer("UNWATCH", RedisReplyError("NOPERM no"))

        for fail in (refuse, self.server.cut):
            self.assertEqual(self.successResultOf(self.start(work(fail))), "done")
            self.clock.advance(0)
            self.server.pump()
            self.assertEqual(self.connections, 0 if fail == self.server.cut else 1)

    def test_watched_again(self) -> None:
        """
        A connection that was told to watch again, before the server had said
        that nothing is watched any more, is not given to others.
        """

        async def unwatch(watch: Watch) -> None:
            sent = [watch.unwatch(), watch.watch("m")]
            for each in sent:
                await each

        async def execute(watch: Watch) -> None:
            done, again = watch.transaction().get("n").run(), watch.watch("m")
            await done
            await again

        async def work(end: Any) -> None:
            async with self.client.watch("n") as watch:
                await end(watch)
                raise ZeroDivisionError

        for end in (unwatch, execute):
            self.failureResultOf(self.start(work(end)), ZeroDivisionError)
            self.assertEqual(self.connections, 1)

    def test_run_too_late(self) -> None:
        """A transaction of a watch that has ended is not executed."""

        async def work() -> Transaction:
            async with self.client.watch("n") as watch:
                return watch.transaction().set("n", 1)

        transaction = self.successResultOf(self.start(work()))
        self.failureResultOf(transaction.run(), RedisError)
        self.server.pump()
        self.assertIsNone(self.successResultOf(self.other.get("n")))

    def test_watch_refused(self) -> None:
        """If the keys cannot be watched, the body does not begin."""
        self.server.answer("WATCH", RedisReplyError("NOPERM no WATCH"))

        async def work() -> None:
            async with self.client.watch("n"):
                self.fail("the body began")

        self.failureResultOf(self.start(work()), RedisReplyError)
        self.assertEqual(self.connections, 1)

    def test_ended(self) -> None:
        """When it has ended, it does nothing any more."""

        async def work() -> Watch:
            async with self.client.watch("n") as watch:
                with self.assertRaises(RedisError):
                    watch.execute("MULTI")
            return watch

        watch = self.successResultOf(self.start(work()))
        for call in (watch.transaction, lambda: watch.get("n")):
            with self.assertRaises(RedisError):
                call()

    def test_transact(self) -> None:
        """The body is run again until nobody interferes."""
        rounds = []

        async def add(watch: Watch, transaction: Transaction) -> None:
            value = int(await watch.get("n") or 0)
            rounds.append(value)
            if len(rounds) < 3:
                self.other.incr("n")
            transaction.set("n", value + 10)

        done = self.client.transact(add, "n")
        self.server.pump()
        self.assertEqual(self.successResultOf(done), [True])
        self.assertEqual(rounds, [0, 1, 2])
        self.assertEqual(self.successResultOf(self.other.get("n")), b"12")

    def test_transact_in_vain(self) -> None:
        """After so many attempts it is given up."""
        rounds = []

        async def body(watch: Watch, transaction: Transaction) -> None:
            rounds.append(await self.other.incr("n"))
            transaction.set("n", 0)

        done = self.client.transact(body, "n", attempts=3)
        self.server.pump()
        self.failureResultOf(done, TransactionConflict)
        self.assertEqual(rounds, [1, 2, 3])
