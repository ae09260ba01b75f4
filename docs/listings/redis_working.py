"""
Work with the data of a Redis server:
C{python redis_working.py unix:///run/valkey.sock}.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from sockhost.redis import RedisClient, connect
from sockhost.redis.scripts import Script
from sockhost.redis.transaction import Transaction, Watch


async def commands(client: RedisClient) -> None:
    """Typed commands."""
    await client.set("greeting", "hello", ex=60, nx=True)
    await client.hset("user:1", {"name": "Ada", "born": 1815})
    print(await client.hgetall("user:1"))
    await client.zadd("scores", {"ada": 9.5, "bob": 7})
    print(await client.zrange("scores", 0, -1, withscores=True))
    print(await client.execute("OBJECT", "ENCODING", "scores"))


async def pipeline(client: RedisClient) -> None:
    """Many commands for the price of a few."""
    pipeline = client.pipeline()
    for number in range(1000):
        pipeline.set(f"n:{number}", number)
    replies = await pipeline.incr("n:7").incr("greeting").run()
    print(replies[-2:])


async def transaction(client: RedisClient) -> None:
    """All or nothing, and nothing of others between."""
    print(await client.transaction().incr("n:1").incr("n:2").run())


async def transfer(client: RedisClient) -> None:
    """What depends on what was read."""

    async def move(watch: Watch, transaction: Transaction) -> None:
        left = int(await watch.get("n:9") or 0)
        transaction.set("n:9", left - 1).incr("n:8")

    print(await client.transact(move, "n:9"))


ADD_UP = Script("return redis.call('incrby', KEYS[1], ARGV[1] * ARGV[2])")


async def script(client: RedisClient) -> None:
    """A script, which the server is given when it does not know it."""
    print(await client.script(ADD_UP, ["total"], [6, 7]))


async def lock(client: RedisClient) -> None:
    """One at a time, in all programs that use the name."""
    async with client.lock("reports", ttl=10.0, wait=5.0) as lease:
        print("number", lease.fence, "has the lock:", lease.held)


async def scan(client: RedisClient) -> None:
    """All of many, a few at a time."""
    found = [key async for key in client.scan_keys("n:99*")]
    print(len(found), "keys")


async def group(client: RedisClient) -> None:
    """Entries of a stream, each to one member of the group."""
    await client.xadd("orders", {"item": "tea"})
    reader = client.group_reader("orders", "mail", "worker-1", max_unacked=10)
    async for delivery in reader:
        print(delivery.stream, delivery.fields)
        await delivery.ack()
        reader.close()


async def main(reactor: Any, url: str) -> None:
    client = await connect(url, reactor)
    for part in (commands, pipeline, transaction, transfer, script, lock, scan, group):
        await part(client)
    await client.close()


if __name__ == "__main__":
    react(lambda *args: Deferred.fromCoroutine(main(*args)), sys.argv[1:])
