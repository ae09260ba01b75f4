"""
Published messages of a real server, in RESP3 on the shared connection and in
RESP2 on one of their own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.interfaces import (
    CommandTimeout,
    RedisConnectionError,
    RedisReplyError,
)
from sockhost.redis import RedisClient, connect
from sockhost.redis.pubsub import Gap, Message
from tests.functional.servers import ValkeyServer

CLOCK: Any = IReactorTime(reactor)
BINARY = b"\x00\xff\r\n$5 *"


def wait(seconds: float) -> Deferred[None]:
    """Let things happen."""
    return deferLater(CLOCK, seconds)


class _PubSubCase(TestCase):
    timeout = 100
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self, *self.options)
        self.heard: list[tuple[bytes, bytes]] = []

    def hear(self, channel: bytes, data: bytes) -> None:
        """Keep a message."""
        self.heard.append((channel, data))

    async def connect(self, **options: Any) -> RedisClient:
        client = await connect(self.server.unix_url, CLOCK, **options)
        self.addCleanup(client.abort)
        return client

    async def publish(self, client: RedisClient, *pairs: tuple[bytes, bytes]) -> None:
        for channel, data in pairs:
            await client.execute("PUBLISH", channel, data)

    async def until(self, condition: Any) -> None:
        """Wait for what must come true soon."""
        for _ in range(1000):
            if condition():
                return
            await wait(0.01)
        raise AssertionError("it did not come true")


class SharedTests(_PubSubCase):
    """Both protocols do these; here, RESP3 and one connection for all."""

    own = 0

    async def test_subscribe_message_unsubscribe(self) -> None:
        """
        A message comes between the two acknowledgements and none after;
        commands issued from the listener are answered.
        """
        client = await self.connect()
        asked: list[Deferred[Any]] = []

        def listener(channel: bytes, data: bytes) -> None:
            self.hear(channel, data)
            asked.append(subscription.unsubscribe())
            asked.append(client.execute("LPUSH", "list", "x"))

        subscription = await client.pubsub.subscribe("a", listener=listener)
        self.assertEqual(await client.execute("PUBLISH", "a", "hello"), 1)
        await self.until(lambda: asked)
        self.assertEqual([await each for each in asked], [None, 1])
        self.assertEqual(await client.execute("PUBLISH", "a", "more"), 0)
        self.assertEqual(self.heard, [(b"a", b"hello")])

    async def test_replies_like_messages(self) -> None:
        """Replies that look like messages are replies."""
        client = await self.connect()
        pushes: list[Any] = []
        client.on_push = pushes.append
        subscription = await client.pubsub.subscribe("a", listener=self.hear)
        await client.execute("RPUSH", "list", "message", "a", "no")
        reply = await client.execute("LRANGE", "list", 0, 2)
        self.assertEqual(reply, [b"message", b"a", b"no"])
        await client.execute("DEL", "list")
        await client.execute("RPUSH", "list", "subscribe", "b", "1")
        both = [client.execute("LRANGE", "list", 0, 2), subscription.subscribe("b")]
        self.assertEqual(await both[0], [b"subscribe", b"b", b"1"])
        await both[1]
        self.assertEqual((self.heard, pushes), ([], []))

    async def test_multiple_channels(self) -> None:
        """
        Unsubscribing from names twice, from names that are not subscribed and
        from no patterns at all answers each call once, and shifts no reply.
        """
        client = await self.connect()
        one = await client.pubsub.subscribe("A", "B", listener=self.hear)
        calls = [
            one.unsubscribe("B", "X", "A", "A", "Z"),
            one.punsubscribe(),
            one.unsubscribe(),
            client.execute("LPUSH", "list", "x"),
        ]
        self.assertEqual([await each for each in calls], [None, None, None, 1])
        self.assertEqual(await client.execute("PUBLISH", "A", "x"), 0)
        self.assertEqual(one.channels, frozenset())

    async def test_binary_names(self) -> None:
        """Names and data are bytes of any kind, patterns too."""
        client = await self.connect()
        one = await client.pubsub.subscribe(BINARY, "é", listener=self.hear)
        await one.psubscribe(BINARY[:2] + b"[?]*", b"p*")
        await self.publish(client, (BINARY, BINARY), ("é".encode(), b""), (b"pq", b"1"))
        await self.until(lambda: len(self.heard) == 3)
        expected = [(BINARY, BINARY), ("é".encode(), b""), (b"pq", b"1")]
        self.assertEqual(self.heard, expected)

    async def test_iterate(self) -> None:
        """Messages say what they are, and the loop ends when it is closed."""
        client = await self.connect()
        one = await client.pubsub.subscribe("a")
        await one.psubscribe("a*")
        await one.ssubscribe("s")
        await client.execute("PUBLISH", "a", "1")
        await client.execute("SPUBLISH", "s", "2")
        await self.until(lambda: one.buffered == 3)
        await one.close()
        messages = [message async for message in one]
        expected = {
            Message("message", b"a", b"1"),
            Message("pmessage", b"a", b"1", b"a*"),
            Message("smessage", b"s", b"2"),
        }
        self.assertEqual(set(messages), expected)

    async def test_several_listeners(self) -> None:
        """
        Listeners of one channel come and go by themselves; the server is told
        when the last has gone.
        """
        client = await self.connect()
        one = await client.pubsub.subscribe("a", listener=self.hear)
        two = await client.pubsub.subscribe("a")
        self.assertEqual(await client.execute("PUBLISH", "a", "1"), 1)
        # The message comes after the reply.
        await self.until(lambda: self.heard)
        await one.close()
        self.assertEqual(await client.execute("PUBLISH", "a", "2"), 1)
        self.assertEqual([(await two.next()).data for _ in "12"], [b"1", b"2"])
        await two.unsubscribe("a")
        self.assertEqual(await client.execute("PUBLISH", "a", "3"), 0)
        self.assertEqual(self.heard, [(b"a", b"1")])

    async def test_sub_unsub_resub(self) -> None:
        """Calls in a row without waiting end as the last one says."""
        client = await self.connect()
        one = await client.pubsub.subscribe("a", listener=self.hear)
        calls = [one.unsubscribe("a"), one.subscribe("a"), one.unsubscribe("a")]
        calls += [one.subscribe("a"), one.subscribe("a")]
        for each in calls:
            await each
        self.assertEqual(await client.execute("PUBLISH", "a", "1"), 1)
        await self.until(lambda: self.heard == [(b"a", b"1")])

    async def test_async_and_raising_listeners(self) -> None:
        """Listeners may be async; what they raise is logged and hurts nobody."""
        client = await self.connect()
        waited: list[bytes] = []

        async def slow(channel: bytes, data: bytes) -> None:
            waited.append(await client.execute("ECHO", data))
            raise ZeroDivisionError

        def bad(channel: bytes, data: bytes) -> None:
            raise ZeroDivisionError

        for listener in (bad, slow, self.hear):
            await client.pubsub.subscribe("a", listener=listener)
        await self.publish(client, (b"a", b"1"), (b"a", b"2"))
        await self.until(lambda: len(self.heard) == len(waited) == 2)
        self.assertEqual(waited, [b"1", b"2"])
        await self.until(lambda: len(self.flushLoggedErrors(ZeroDivisionError)) == 4)

    async def test_lost_and_back(self) -> None:
        """
        After a loss everything is listened to again, what was asked for and
        given up meanwhile is right, and the listener is told of the gap.
        """
        client = await self.connect(wait=10.0)
        gaps: list[Gap] = []
        one = await client.pubsub.subscribe(
            "a", BINARY, "b", listener=self.hear, on_gap=gaps.append
        )
        await one.psubscribe(b"p\xff*")
        await one.ssubscribe("s")
        self.server.kill()
        await self.until(lambda: not client.connected)
        calls = [one.unsubscribe("b"), one.subscribe("c"), one.subscribe("d")]
        calls += [one.unsubscribe("d")]
        self.server.start()
        for each in calls:
            await each
        await self.until(lambda: gaps)
        names = (b"a", BINARY, b"b", b"c", b"d", b"p\xffq")
        await self.publish(client, *[(name, b"1") for name in names])
        await client.execute("SPUBLISH", "s", "1")
        await self.until(lambda: len(self.heard) >= 5)
        heard = {name for name, _ in self.heard}
        self.assertEqual(heard, {b"a", BINARY, b"c", b"p\xffq", b"s"})
        self.assertEqual((len(gaps), gaps[0].refused, one.gaps), (1, (), 1))

    async def test_killed_often(self) -> None:
        """However often the connection is cut, each message after it is heard."""
        client = await self.connect(wait=10.0)
        gaps: list[Gap] = []
        one = await client.pubsub.subscribe("a", on_gap=gaps.append)
        for number in range(1, 4):
            self.server.ask(b"CLIENT KILL TYPE pubsub\r\n")
            await self.until(lambda now=number: len(gaps) == now)
            await client.execute("PUBLISH", "a", str(number))
            message = await one.next()
            self.assertEqual(message.data, b"%d" % number)
            self.assertIsNotNone(message.gap)

    async def test_no_permission(self) -> None:
        """A channel that is not permitted fails its call, and nothing else."""
        client = await self.connect()
        one = await client.pubsub.subscribe("ok", listener=self.hear)
        self.server.ask(b"ACL SETUSER default resetchannels &ok*\r\n")
        client2 = await self.connect()
        two = await client2.pubsub.subscribe("ok", listener=self.hear)
        calls = [
            two.subscribe("ok2", "secret"),
            two.subscribe("ok3"),
            client2.execute("ECHO", "x"),
        ]
        with self.assertRaises(RedisReplyError) as caught:
            await calls[0]
        self.assertEqual(caught.exception.code, "NOPERM")
        self.assertEqual([await each for each in calls[1:]], [None, b"x"])
        self.assertEqual(two.channels, {b"ok", b"ok3"})
        self.assertEqual(one.channels, {b"ok"})
        await client2.execute("PUBLISH", "ok", "1")
        await self.until(lambda: len(self.heard) == 2)

    async def test_permission_taken_away(self) -> None:
        """
        A channel that is refused after a loss spoils no other; the listener is
        told, and it is asked for again the next time.
        """
        client = await self.connect(wait=10.0)
        gaps: list[Gap] = []
        await client.pubsub.subscribe("ok", "x", listener=self.hear, on_gap=gaps.append)
        self.server.ask(b"ACL SETUSER default resetchannels &ok\r\n")
        await self.until(lambda: len(gaps) == 1)
        self.assertEqual(gaps[0].refused, (b"x",))
        self.assertEqual(await client.execute("PUBLISH", "ok", "1"), 1)
        self.server.ask(b"ACL SETUSER default allchannels\r\n")
        self.server.ask(b"CLIENT KILL TYPE pubsub\r\n")
        await self.until(lambda: len(gaps) == 2)
        self.assertEqual(gaps[1].refused, ())
        self.assertEqual(await client.execute("PUBLISH", "x", "1"), 1)

    async def test_late_and_withdrawn(self) -> None:
        """What is asked for while the server is away is done, or withdrawn."""
        client = await self.connect(wait=10.0)
        one = client.pubsub.subscription(self.hear)
        self.server.kill()
        await self.until(lambda: not client.connected)
        late, withdrawn = one.subscribe("late"), one.subscribe("withdrawn")
        withdrawn.cancel()
        with self.assertRaises(CancelledError):
            await withdrawn
        self.server.start()
        await late
        self.assertEqual(await client.execute("PUBLISH", "withdrawn", "1"), 0)
        self.assertEqual(await client.execute("PUBLISH", "late", "1"), 1)

    async def test_cancel_at_random(self) -> None:
        """Cancelled calls leave nothing subscribed and shift no reply."""
        client = await self.connect()
        one = client.pubsub.subscription(self.hear)
        for number in range(50):
            call = one.subscribe("a", f"b{number}")
            call.addErrback(lambda why: why.trap(CancelledError))
            if number % 3:
                await wait(number / 20000)
            call.cancel()
            self.assertEqual(await client.execute("ECHO", number), b"%d" % number)
            await one.unsubscribe()
        await self.until(lambda: not one.channels)
        await self.until(lambda: self.server.ask(b"PUBSUB CHANNELS\r\n") == b"*0\r\n")

    async def test_closed_client(self) -> None:
        """Iterating ends with the client; so does asking for more."""
        client = await self.connect()
        one = await client.pubsub.subscribe("a")
        waiting = one.next()
        await client.close()
        self.assertTrue(one.closed)
        for failing in (waiting, one.next(), one.subscribe("b")):
            with self.assertRaises(RedisConnectionError):
                await failing
        with self.assertRaises(RedisConnectionError):
            await client.pubsub.subscribe("a")

    async def test_pause(self) -> None:
        """
        With back-pressure nothing is lost to a slow reader, who may use the
        client meanwhile, and the messages wait in the kernel and the server.
        """
        client = await self.connect()
        slow = await client.pubsub.subscribe("a", max_buffered=10, overflow="pause")
        data = b"x" * 1000
        for number in range(5000):
            client.execute("PUBLISH", "a", b"%d " % number + data)
        await client.execute("PING")
        await wait(0.1)
        self.assertLess(slow.buffered, 1500)
        for number in range(5000):
            message = await slow.next()
            self.assertTrue(message.data.startswith(b"%d " % number))
            if number % 100 == 0:
                await client.execute("PING")
        self.assertEqual(slow.dropped, 0)
        await slow.close()
        asked = b"PUBSUB NUMSUB a\r\n"
        await self.until(lambda: self.server.ask(asked)[-4:] == b":0\r\n")

    async def test_command_timeout(self) -> None:
        """A command that is too late fails alone; the subscription goes on."""
        client = await self.connect(timeout=0.2)
        await client.pubsub.subscribe("a", listener=self.hear)
        self.server.suspend()
        with self.assertRaises(CommandTimeout):
            await client.execute("ECHO", "late")
        self.server.resume()
        await client.execute("PUBLISH", "a", "1", timeout=20)
        await self.until(lambda: self.heard == [(b"a", b"1")])

    async def test_half_open(self) -> None:
        """A server that goes silent is noticed while nothing but messages come."""
        client = await self.connect(ping_interval=0.4, wait=10.0)
        gaps: list[Gap] = []
        await client.pubsub.subscribe("a", listener=self.hear, on_gap=gaps.append)
        await wait(1.0)
        self.assertEqual(gaps, [])
        self.server.suspend()
        await wait(1.0)
        self.server.resume()
        await self.until(lambda: gaps)
        self.assertEqual(await client.execute("PUBLISH", "a", "1"), 1)


class OwnConnectionTests(SharedTests):
    """The same with a server that speaks RESP2 only."""

    options = ("--rename-command", "HELLO", "")

    async def test_connections(self) -> None:
        """There is one connection for all subscriptions, while there are any."""
        client = await self.connect()
        one = await client.pubsub.subscribe("a")
        two = await client.pubsub.subscribe("b")
        names = self.server.ask(b"CLIENT LIST TYPE pubsub\r\n").count(b" name=")
        self.assertEqual(names, 1)
        await one.close()
        await two.close()
        listed = b"CLIENT LIST TYPE pubsub\r\n"
        await self.until(lambda: b" name=" not in self.server.ask(listed))
        await client.pubsub.subscribe("c", listener=self.hear)
        self.assertEqual(await client.execute("PUBLISH", "c", "1"), 1)
