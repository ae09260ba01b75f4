"""
Many commands at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
)
from sockhost.redis import RedisClient, connect
from sockhost.redis.pipeline import Pipeline
from sockhost.redis.resp import RespReader
from sockhost.redis.scripts import Script
from sockhost.redis.transaction import Transaction, Watch
from sockhost.testing.redis import MemoryRedis

SCRIPT = Script("return 1")


class PipelineTests(SynchronousTestCase):
    """Pipelines over a client."""

    def setUp(self) -> None:
        self.server = MemoryRedis(Clock())
        self.client = self.server.client()
        self.pipeline = self.client.pipeline()

    def run_all(self) -> Any:
        """Run it, and have the replies."""
        return self.successResultOf(self.pipeline.run())

    def test_chained(self) -> None:
        """Every command returns the pipeline, whatever its reply will be."""
        same = self.pipeline.set("a", 1).execute("GET", "a").zrange("z", 0, 1)
        self.assertIs(same, self.pipeline)
        self.assertEqual(len(self.pipeline), 3)
        self.assertEqual(self.run_all(), [True, b"1", []])

    def test_nothing_early(self) -> None:
        """Nothing is sent before it is run."""
        self.pipeline.incr("n")
        self.assertEqual(self.server.received, [])

    def test_again(self) -> None:
        """When it was run, it is empty, and may be used again."""
        self.pipeline.hset("h", {"f": 1}).hgetall("h")
        self.run_all()
        self.assertEqual(len(self.pipeline), 0)
        self.pipeline.execute("HGETALL", "h")
        self.assertEqual(self.run_all(), [{b"f": b"1"}])

    def test_clear(self) -> None:
        """What is kept can be forgotten."""
        self.pipeline.incr("n").clear()
        self.assertEqual(self.run_all(), [])

    def test_empty(self) -> None:
        """An empty one sends nothing, also where there is no connection."""
        self.server.cut()
        self.assertEqual(self.run_all(), [])

    def test_unfit_argument(self) -> None:
        """What cannot be sent is refused at once, and the others stay."""
        unfit: Any = None
        self.pipeline.incr("n")
        with self.assertRaises(TypeError):
            self.pipeline.set("a", unfit)
        with self.assertRaises(ValueError):
            self.pipeline.execute()
        self.assertEqual(self.run_all(), [1])

    def test_refused(self) -> None:
        """What would change the connection, or hold it up, is refused at once."""
        for words in (["MULTI"], ["SUBSCRIBE", "a"], ["BLPOP", "a", 0]):
            with self.assertRaises(RedisError):
                self.pipeline.execute(*words)
        self.assertEqual(len(self.pipeline), 0)

    def test_errors_in_place(self) -> None:
        """An error reply is a value, and is not shaped."""
        self.pipeline.set("s", "x").hgetall("s").get("s")
        done, error, value = self.run_all()
        self.assertEqual((done, value), (True, b"x"))
        self.assertIsInstance(error, RedisReplyError)

    def test_odd_reply(self) -> None:
        """A reply that has no shape costs only itself."""
        self.server.answer("ZSCORE", b"no number")
        self.pipeline.zscore("z", "m").incr("n")
        odd, value = self.run_all()
        self.assertIsInstance(odd, ValueError)
        self.assertEqual(value, 1)

    def test_decoded(self) -> None:
        """Replies are text where that was asked for, and shaped then."""
        pipeline = Pipeline(self.client.send_many, decode="utf-8")
        pipeline.set("s", "caf\u00e9").get("s").set("b", b"\xff").get("b")
        pipeline.zadd("z", {"m": 1}).zrange("z", 0, 0, withscores=True)
        replies = self.successResultOf(pipeline.run())
        self.assertEqual(replies[1], "caf\u00e9")
        self.assertIsInstance(replies[3], UnicodeDecodeError)
        self.assertEqual(replies[5], [("m", 1.0)])

    def test_not_connected(self) -> None:
        """Without a connection all fails, unsent."""
        self.server.cut()
        failed = self.pipeline.incr("n").run()
        error = self.failureResultOf(failed, RedisConnectionError)
        self.assertFalse(error.check(MaybeExecuted))

    def test_lost(self) -> None:
        """If the replies are lost, it is not known what was executed."""
        self.server.suspend()
        sent = self.pipeline.incr("n").run()
        self.server.cut()
        self.failureResultOf(sent, MaybeExecuted)

    def test_script(self) -> None:
        """The first call of a script has its text, the others its digest."""
        self.pipeline.script(SCRIPT).script("return 2").script(SCRIPT, ["k"], [1])
        self.server.answer("EVAL", 1, 2)
        self.server.answer("EVALSHA", 3)
        self.assertEqual(self.run_all(), [1, 2, 3])
        self.assertEqual(
            self.server.received[2],
            [b"EVALSHA", SCRIPT.digest.encode(), b"1", b"k", b"1"],
        )
        self.pipeline.script(SCRIPT)
        self.server.answer("EVAL", 4)
        self.assertEqual(self.run_all(), [4])

    def test_one_piece(self) -> None:
        """All is handed over in one piece, with the time that it may take."""
        sent: list[tuple[int, bytes, float | None]] = []

        def send(count: int, data: bytes, timeout: float | None) -> Deferred[Any]:
            sent.append((count, data, timeout))
            return Deferred()

        Pipeline(send).incr("a").incr("b").run(timeout=3.0)
        ((count, data, timeout),) = sent
        self.assertEqual((count, timeout), (2, 3.0))
        self.assertEqual(len(RespReader().feed(data)), 2)


class CancelledTests(SynchronousTestCase):
    """Cancelling at every moment, with the real client."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = MemoryRedis(self.clock)
        connecting = connect(self.server.url, self.server.reactor)
        self.server.pump()
        self.client: RedisClient = self.successResultOf(connecting)

    def tearDown(self) -> None:
        closing = self.client.abort()
        self.server.pump()
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def at_every_turn(self, send: Callable[[], Deferred[Any]]) -> None:
        """Cancel after each number of turns; the others keep their replies."""
        for turns in range(8):
            before = self.client.execute("ECHO", f"before {turns}")
            sent = send()
            after = self.client.execute("ECHO", f"after {turns}")
            for _ in range(turns):
                self.clock.advance(0)
            done = sent.called
            sent.cancel()
            self.server.pump()
            if done:
                self.successResultOf(sent)
            else:
                self.failureResultOf(sent, CancelledError)
            self.assertEqual(self.successResultOf(before), b"before %d" % turns)
            self.assertEqual(self.successResultOf(after), b"after %d" % turns)

    def test_pipeline(self) -> None:
        """No reply of a pipeline goes to anybody else."""
        self.at_every_turn(lambda: self.client.pipeline().incr("n").incr("n").run())

    def test_transaction(self) -> None:
        """No reply of a transaction goes to anybody else, and it is whole."""
        self.at_every_turn(lambda: self.client.transaction().incr("n").incr("n").run())
        value = self.client.get("n")
        self.server.pump()
        self.assertEqual(int(self.successResultOf(value) or 0) % 2, 0)

    def test_watch(self) -> None:
        """A transaction of its own connection disturbs nobody, and leaves nothing."""

        async def body(watch: Watch, transaction: Transaction) -> None:
            await watch.get("n")
            transaction.incr("n").incr("n")

        self.at_every_turn(lambda: self.client.transact(body, "n"))
        value = self.client.get("n")
        self.server.pump()
        self.assertEqual(int(self.successResultOf(value) or 0) % 2, 0)
        self.assertLessEqual(len(self.server.sessions), 2)

    def test_lock(self) -> None:
        """An attempt to take a lock that is cancelled leaves it free."""

        async def hold() -> None:
            async with self.client.lock("l"):
                pass

        self.at_every_turn(lambda: Deferred.fromCoroutine(hold()))
        value = self.client.get("l")
        self.server.pump()
        self.assertIsNone(self.successResultOf(value))
