"""
The Redis server in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import (
    CommandTimeout,
    IRedis,
    LockTaken,
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
    TransactionConflict,
)
from sockhost.redis import RedisClient, connect
from sockhost.redis.resp import encode_command
from sockhost.redis.scripts import Script
from sockhost.testing.redis import MemoryRedis


class ClientTests(SynchronousTestCase):
    """The client that is answered at once."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = MemoryRedis(self.clock)
        self.client = self.server.client()

    def get(self, result: Deferred[Any]) -> Any:
        """What a command has given by now."""
        return self.successResultOf(result)

    def test_interface(self) -> None:
        """It is a client."""
        verifyObject(IRedis, self.client)

    def test_typed(self) -> None:
        """Typed commands have their values at once."""
        self.assertIs(self.get(self.client.set("a", 1)), True)
        self.assertEqual(self.get(self.client.hset("h", {"f": "v"})), 1)
        self.assertEqual(self.get(self.client.hgetall("h")), {b"f": b"v"})
        self.assertEqual(self.server.received[0], [b"SET", b"a", b"1"])

    def test_decoded(self) -> None:
        """A call has text where it asks for it, as with the real client."""
        self.client.set("a", "\xe9")
        self.assertEqual(self.get(self.client.execute("GET", "a", decode="utf-8")), "é")
        self.assertEqual(
            self.get(self.client.execute("GET", "a", decode="")), b"\xc3\xa9"
        )
        self.assertEqual(self.get(self.client.having(decode="utf-8").get("a")), "é")

    def test_waits(self) -> None:
        """There are no replicas to wait for; by itself that is refused, too."""
        self.assertEqual(
            self.get(self.client.pipeline().set("a", 1).wait(1, 100).run()), [True, 0]
        )
        self.failureResultOf(self.client.wait(1, 100), RedisError)

    def test_expiry(self) -> None:
        """Keys go when their time has come by the clock."""
        self.client.set("a", 1, ex=10)
        self.client.hset("h", {"f": 1})
        self.client.pexpire("h", 500)
        self.clock.advance(0.6)
        self.assertEqual(self.get(self.client.keys("*")), [b"a"])
        self.assertEqual(self.get(self.client.pttl("a")), 9400)
        self.client.persist("a")
        self.clock.advance(100)
        self.assertEqual(self.get(self.client.get("a")), b"1")

    def test_failed_change(self) -> None:
        """A command that fails leaves nothing."""
        self.failureResultOf(self.client.execute("HINCRBYFLOAT", "h", "f", "x"))
        self.failureResultOf(self.client.execute("ZADD", "z", "x", "m"))
        self.assertEqual(self.get(self.client.dbsize()), 0)

    def test_pipeline(self) -> None:
        """Pipelines and transactions work."""
        replies = self.get(self.client.pipeline().incr("n").execute("X").run())
        self.assertEqual(replies[0], 1)
        self.assertIsInstance(replies[1], RedisReplyError)
        replies = self.get(self.client.transaction().incr("n").get("n").run())
        self.assertEqual(replies, [2, b"2"])

    def test_watch(self) -> None:
        """A transaction whose key has changed is not executed."""

        async def work() -> None:
            async with self.client.watch("n") as watch:
                await self.client.incr("n")
                await watch.transaction().set("n", 9).run()

        failed = Deferred.fromCoroutine(work())
        self.failureResultOf(failed, TransactionConflict)
        self.assertEqual(self.get(self.client.get("n")), b"1")

    def test_lock(self) -> None:
        """Locks work, and time out by the clock."""
        lease = self.get(self.client.lock("l", ttl=9).acquire())
        self.failureResultOf(self.client.lock("l", wait=0).acquire(), LockTaken)
        self.clock.pump([1.0] * 20)
        self.assertTrue(lease.held)
        self.assertTrue(self.get(lease.release()))
        again = self.get(self.client.lock("l").acquire())
        self.assertGreater(again.fence, lease.fence)
        self.get(again.release())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_script(self) -> None:
        """A script is what it was taught to be."""
        script = Script("return redis.call('incr', KEYS[1]) * ARGV[1]")
        self.failureResultOf(self.client.script(script, ["n"]), RedisReplyError)
        self.server.teach(script, lambda call, keys, args: call("INCR", keys[0]) * 10)
        self.assertEqual(self.get(self.client.script(script, ["n"], [10])), 10)
        names = [command[0] for command in self.server.received[-2:]]
        self.assertEqual(names, [b"EVALSHA", b"EVAL"])
        self.assertEqual(self.get(self.client.script(script, ["n"], [10])), 20)

    def test_answers(self) -> None:
        """Replies that a test gives are used in order, and then no more."""
        self.server.answer("XREAD", {b"s": [[b"1-1", [b"f", b"v"]]]})
        self.server.answer("get", RedisReplyError("LOADING not yet"), b"now")
        entries = self.get(self.client.xread({"s": "0"}))
        self.assertEqual(entries[b"s"][0].fields, {b"f": b"v"})
        error = self.failureResultOf(self.client.get("a"), RedisReplyError)
        self.assertEqual(error.value.code, "LOADING")
        self.assertEqual(self.get(self.client.get("a")), b"now")
        self.assertIsNone(self.get(self.client.get("a")))

    def test_suspended(self) -> None:
        """Nothing is executed until the server goes on."""
        self.server.suspend()
        first, second = self.client.incr("n"), self.client.incr("n")
        self.assertNoResult(first)
        second.cancel()
        self.failureResultOf(second)
        self.server.resume()
        self.assertEqual(self.get(first), 1)
        self.assertEqual(self.get(self.client.get("n")), b"2")

    def test_lost_reply(self) -> None:
        """A command whose reply is lost was executed."""
        self.server.lose_reply()
        self.failureResultOf(self.client.incr("n"), MaybeExecuted)
        self.assertFalse(self.client.connected)
        self.failureResultOf(self.client.incr("n"), RedisConnectionError)
        back = self.client.when_connected()
        self.client.connect()
        self.assertIsNone(self.get(back))
        self.assertEqual(self.get(self.client.get("n")), b"1")

    def test_blocking(self) -> None:
        """What blocks waits, for as long as it may, and holds nothing up."""
        waiting = self.client.blpop("l", timeout=5)
        late = self.client.blpop("none", timeout=5)
        self.assertEqual(self.get(self.client.rpush("l", "x")), 1)
        self.assertEqual(self.get(waiting), (b"l", b"x"))
        self.clock.advance(5)
        self.assertIsNone(self.get(late))
        self.assertEqual(len(self.server.sessions), 1)

    def test_blocking_in_turn(self) -> None:
        """Who has waited longest gets what comes, whenever it connected."""
        first = self.server.client()
        self.client.brpop("other", timeout=1)
        late, soon = self.client.blpop("l", timeout=0), first.blpop("l", timeout=0)
        self.clock.advance(1)
        later = self.client.blpop("l", timeout=0)
        self.client.rpush("l", 1, 2)
        self.client.rpush("l", 3)
        gotten = [self.get(each)[1] for each in (late, soon, later)]
        self.assertEqual(gotten, [b"1", b"2", b"3"])

    def test_blocking_in_a_chain(self) -> None:
        """What waits for one who waited before is not forgotten."""
        behind = self.client.blpop("b", timeout=0)

        async def move() -> None:
            connection = await self.client.dedicated()
            taken = connection.execute("BLPOP", "a", 0)
            pushed = connection.execute("RPUSH", "b", "x")
            await taken
            await pushed

        moved = Deferred.fromCoroutine(move())
        self.client.rpush("a", 1)
        self.get(moved)
        self.assertEqual(self.get(behind), (b"b", b"x"))

    def test_decode(self) -> None:
        """Replies are text where that is asked for, for one call or for all."""
        self.client.set("a", "é")
        typed = self.client.having(decode="utf-8")
        self.assertEqual(self.get(typed.get("a")), "é")
        self.assertEqual(self.get(self.client.get("a")), "é".encode())
        text = self.server.client(decode="utf-8")
        self.assertEqual(self.get(text.get("a")), "é")
        self.assertEqual(self.get(text.pipeline().get("a").run()), ["é"])
        self.assertEqual(self.get(text.execute("GET", "a", decode="")), "é".encode())

    def test_limit(self) -> None:
        """What is not answered in its time fails, and its reply goes to nobody."""
        self.server.suspend()
        calls = [
            self.client.execute("INCR", "n", timeout=1.0),
            self.client.send_many(1, encode_command(("INCR", "n")), timeout=1.0),
        ]
        after = self.client.execute("GET", "n", timeout=9.0)
        self.clock.advance(1.0)
        for each in calls:
            self.failureResultOf(each, CommandTimeout)
        self.server.resume()
        self.assertEqual(self.get(after), b"2")
        blocked = self.client.execute("BLPOP", "l", 0, timeout=1.0)
        self.clock.advance(1.0)
        self.failureResultOf(blocked, CommandTimeout)
        self.assertEqual(self.get(self.client.rpush("l", "x")), 1)
        self.assertEqual(self.get(self.client.llen("l")), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_retry(self) -> None:
        """What may be executed twice is sent again when its reply was lost."""
        self.server.lose_reply()
        sent = self.client.having(retry=1).incr("n")
        self.assertNoResult(sent)
        self.client.connect()
        self.clock.advance(1.0)
        self.assertEqual(self.get(sent), 2)

    def test_unknown_option(self) -> None:
        """An option that no client has is refused."""
        options: dict[str, Any] = {"encoding": "utf-8"}
        with self.assertRaises(TypeError):
            self.client.execute("GET", "a", **options)

    def test_cut_in_between(self) -> None:
        """After a cut nothing is executed: neither a transaction nor its rest."""

        async def write() -> None:
            async with self.client.watch("k") as watch:
                transaction = watch.transaction().set("k", 1)
                self.server.cut()
                await transaction.run()

        writing = Deferred.fromCoroutine(write())
        self.failureResultOf(writing, RedisConnectionError)
        self.client.connect()
        self.server.lose_reply()
        pipeline = self.client.pipeline().set("a", 1).set("b", 1)
        self.failureResultOf(pipeline.run(), MaybeExecuted)
        self.client.connect()
        self.assertEqual(self.get(self.client.mget("k", "a", "b")), [None, b"1", None])

    def test_not_shared(self) -> None:
        """What the real client refuses is refused."""
        self.failureResultOf(self.client.execute("SELECT", 1), RedisError)

    def test_closed(self) -> None:
        """After it was closed it refuses all."""
        self.get(self.client.close())
        self.failureResultOf(self.client.get("a"), RedisConnectionError)
        self.assertEqual(self.server.sessions, [])


class RealClientTests(SynchronousTestCase):
    """The real client, connected to the server in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = MemoryRedis(self.clock)

    def connect(self, **options: Any) -> RedisClient:
        """Connect a client that ends with the test."""
        connecting = connect(self.server.url, self.server.reactor, **options)
        self.server.pump()
        client: RedisClient = self.successResultOf(connecting)
        self.addCleanup(self.end, client)
        return client

    def end(self, client: RedisClient) -> None:
        """Close a client."""
        closing = client.abort()
        self.server.pump()
        self.successResultOf(closing)

    def get(self, result: Deferred[Any]) -> Any:
        """What a command gives."""
        self.server.pump()
        return self.successResultOf(result)

    def test_commands(self) -> None:
        """Its commands are executed."""
        client = self.connect()
        self.assertEqual(self.get(client.incr("n")), 1)
        scored = (
            client.pipeline().zadd("z", {"m": 1}).zrange("z", 0, 0, withscores=True)
        )
        self.assertEqual(self.get(scored.run()), [1, [(b"m", 1.0)]])

    def test_comes_back(self) -> None:
        """It comes back after a cut, as the real one does."""
        client = self.connect()
        self.server.refusing = True
        self.server.lose_reply()
        lost = client.incr("n")
        self.server.pump()
        self.failureResultOf(lost, MaybeExecuted)
        self.clock.pump([0.1] * 20)
        self.assertFalse(client.connected)
        self.server.refusing = False
        self.clock.pump([0.1] * 40)
        self.assertEqual(self.get(client.get("n")), b"1")

    def test_delay(self) -> None:
        """Replies take as long as they are to take."""
        client = self.connect()
        self.server.delay = 2.0
        reply = client.incr("n")
        self.clock.pump([0.5] * 3)
        self.assertNoResult(reply)
        self.clock.pump([0.5] * 2)
        self.assertEqual(self.successResultOf(reply), 1)

    def test_timeout(self) -> None:
        """A server that hangs is noticed."""
        client = self.connect(timeout=1.0)
        self.server.suspend()
        reply = client.incr("n")
        self.clock.pump([0.1] * 15)
        self.failureResultOf(reply, MaybeExecuted)
        self.server.resume()
        self.assertEqual(self.get(client.get("n")), b"1")

    def test_password(self) -> None:
        """Who does not know the password is not let in."""
        self.server.password = "secret"
        refused = connect(self.server.url, self.server.reactor)
        self.server.pump()
        self.failureResultOf(refused, RedisReplyError)
        url = "unix://:secret@/in-memory/redis.sock"
        connecting = connect(url, self.server.reactor)
        self.server.pump()
        self.end(self.successResultOf(connecting))

    def test_messages(self) -> None:
        """What is published arrives."""
        client, other = self.connect(), self.connect()
        subscribing = client.pubsub.subscribe("news")
        self.server.pump()
        subscription = self.successResultOf(subscribing)
        self.assertEqual(self.get(other.publish("news", "x")), 1)
        message = self.get(subscription.__anext__())
        self.assertEqual(message.data, b"x")

    def test_paused(self) -> None:
        """What is not read stays with the server, and comes when it is."""
        client, other = self.connect(), self.connect()
        subscribing = client.pubsub.subscribe("c", overflow="pause", max_buffered=2)
        self.server.pump()
        subscription = self.successResultOf(subscribing)
        for n in range(6):
            self.assertEqual(self.get(other.publish("c", n)), 1)
        self.assertEqual(subscription.buffered, 2)
        data = [self.get(subscription.next()).data for _ in range(6)]
        self.assertEqual(data, [b"%d" % n for n in range(6)])

    def test_paused_and_cut(self) -> None:
        """Who does not read hears of a cut all the same."""
        client = self.connect()
        connection: Any = client.connection
        connection.pause_reading()
        self.server.cut()
        self.server.pump(1)
        self.assertFalse(connection.open)

    def test_closes(self) -> None:
        """A client that is closed leaves nothing on either side."""
        client = self.connect()
        closing = client.close()
        self.server.pump()
        self.successResultOf(closing)
        self.assertEqual(self.server.sessions, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
