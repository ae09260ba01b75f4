"""
Streams against a real server, and the listing of the documentation.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from sockhost.interfaces import MaybeExecuted, RedisError
from sockhost.redis.streams import Delivery, GroupReader
from tests.functional.test_redis_work import CLOCK, _ServerCase, spawned


class StreamTests(_ServerCase):
    """Members of groups."""

    def reader(self, consumer: str = "me", **options: Any) -> GroupReader:
        """Make a reader that ends with the test."""
        options.setdefault("block", 0.2)
        reader: GroupReader = self.client.group_reader("s", "g", consumer, **options)
        self.addCleanup(reader.close)
        return reader

    async def add(self, *numbers: int) -> None:
        """Add entries."""
        pipeline = self.client.pipeline()
        for number in numbers:
            pipeline.xadd("s", {"n": number})
        await pipeline.run()

    async def take(self, reader: GroupReader, count: int) -> list[Delivery]:
        """Take some, without acknowledging them."""
        return [await reader.__anext__() for _ in range(count)]

    async def test_reads(self) -> None:
        """Entries from before and from later are read in order and acknowledged."""
        await self.add(*range(5))
        reader, seen = self.reader(count=2), []

        async def work() -> None:
            async for delivery in reader:
                seen.append(int(delivery.fields[b"n"]))
                await delivery.ack()
                if len(seen) == 10:
                    reader.close()

        working = spawned(work())
        await deferLater(CLOCK, 0.05)
        await self.add(*range(5, 10))
        await working
        self.assertEqual(seen, list(range(10)))
        self.assertEqual((await self.client.xpending("s", "g"))[0], 0)

    async def test_own_first(self) -> None:
        """What an earlier life did not get done comes first, and is marked."""
        await self.add(1, 2)
        earlier = self.reader()
        await self.take(earlier, 2)
        earlier.close()
        await self.add(3)
        again = await self.take(self.reader(), 3)
        self.assertEqual([each.fields[b"n"] for each in again], [b"1", b"2", b"3"])
        self.assertEqual([each.claimed for each in again], [True, True, False])

    async def test_claims(self) -> None:
        """What another consumer had for too long is taken over."""
        await self.add(1)
        await self.take(self.reader("gone"), 1)
        reader = self.reader(claim_idle=0.05, claim_interval=0.05, block=0.02)
        (delivery,) = await self.take(reader, 1)
        self.assertTrue(delivery.claimed)
        await delivery.ack()

    async def test_deleted(self) -> None:
        """What was deleted before it was dealt with is not handed out."""
        await self.add(1, 2)
        first = self.reader()
        deliveries = await self.take(first, 2)
        first.close()
        await self.client.xdel("s", deliveries[0].id)
        (delivery,) = await self.take(self.reader(), 1)
        self.assertEqual(delivery.fields, {b"n": b"2"})

    async def test_back_pressure(self) -> None:
        """No more is read than may be unacknowledged."""
        await self.add(*range(10))
        reader = self.reader(max_unacked=3)
        deliveries = await self.take(reader, 3)
        waiting = spawned(reader.__anext__())
        await deferLater(CLOCK, 0.1)
        self.assertFalse(waiting.called)
        self.assertEqual((await self.client.xpending("s", "g"))[0], 3)
        self.assertEqual(await reader.ack(*deliveries), 3)
        self.assertEqual((await waiting).fields, {b"n": b"3"})

    async def test_killed_connections(self) -> None:
        """However often the connections are cut, each entry comes exactly once."""
        reader, seen = self.reader(count=3), []

        async def work() -> None:
            async for delivery in reader:
                seen.append(int(delivery.fields[b"n"]))
                while True:
                    try:
                        await delivery.ack()
                        break
                    except MaybeExecuted:
                        pass
                if len(seen) == 60:
                    reader.close()

        working = spawned(work())
        for begin in range(0, 60, 10):
            await self.client.having(retry=5).ping()
            await self.add(*range(begin, begin + 10))
            self.server.ask(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
            await deferLater(CLOCK, 0.05)
        await working
        self.assertEqual(seen, list(range(60)))

    async def test_group_gone(self) -> None:
        """A group that is deleted is made again."""
        await self.add(1)
        reader = self.reader(block=0.05)
        await self.take(reader, 1)
        await self.client.delete("s")
        waiting = spawned(reader.__anext__())
        await deferLater(CLOCK, 0.1)
        await self.add(2)
        self.assertEqual((await waiting).fields, {b"n": b"2"})

    async def test_wrong_type(self) -> None:
        """What is no stream fails the iteration."""
        await self.client.set("s", "text")
        with self.assertRaises(RedisError):
            await self.reader().__anext__()

    async def test_cancelled(self) -> None:
        """A wait that is cancelled costs no entry."""
        reader = self.reader(block=5.0)
        waiting = spawned(reader.__anext__())
        await deferLater(CLOCK, 0.05)
        waiting.cancel()
        with self.assertRaises(CancelledError):
            await waiting
        await self.add(1)
        (delivery,) = await self.take(reader, 1)
        self.assertEqual(delivery.fields, {b"n": b"1"})


class ListingTests(_ServerCase):
    """What the documentation shows."""

    async def test_runs(self) -> None:
        """It runs, and does what it says."""
        path = Path(__file__).parents[2] / "docs/listings/redis_working.py"
        out, err, code = await getProcessOutputAndValue(
            sys.executable, [str(path), self.server.unix_url], dict(os.environ)
        )
        self.assertEqual((err, code), (b"", 0))
        self.assertEqual(
            out.decode().splitlines(),
            [
                "{b'name': b'Ada', b'born': b'1815'}",
                "[(b'bob', 7.0), (b'ada', 9.5)]",
                "b'listpack'",
                "[8, RedisReplyError('ERR value is not an integer or out of range')]",
                "[2, 3]",
                "[True, 9]",
                "42",
                "number 1 has the lock: True",
                "11 keys",
                "b'orders' {b'item': b'tea'}",
            ],
        )
