"""
Published messages, the commands of a server, and a cache:
C{python redis_listening.py unix:///run/valkey.sock}.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from sockhost.redis import RedisClient, connect
from sockhost.redis.pubsub import Gap


async def iterate(client: RedisClient) -> None:
    """Read messages one after the other."""
    subscription = await client.pubsub.subscribe("news")
    await subscription.psubscribe("weather.*")
    await client.execute("PUBLISH", "news", "hello")
    async for message in subscription:
        print(message.channel, message.data)
        if message.gap is not None:
            print("there may have been others before it:", message.gap.reason)
        await subscription.close()


async def call(client: RedisClient) -> None:
    """Be called with messages, and be told when some may be missing."""
    heard: Deferred[None] = Deferred()

    def listener(channel: bytes, data: bytes) -> None:
        print(channel, data)
        heard.callback(None)

    def on_gap(gap: Gap) -> None:
        print("read everything anew:", gap.reason)

    subscription = await client.pubsub.subscribe(
        "news", listener=listener, on_gap=on_gap
    )
    await client.execute("PUBLISH", "news", "hello")
    await heard
    await subscription.close()


async def monitor(client: RedisClient) -> None:
    """See what the server is given."""
    seen = await client.monitor()
    await client.execute("SET", "a", "1")
    async for command in seen:
        print(command.address, command.db, command.args)
        await seen.close()


async def remember(client: RedisClient) -> None:
    """Answer reads from memory."""
    cache = client.cache(max_entries=1000)
    for _ in range(3):
        print(await cache.execute("GET", "a"))
    print(f"{cache.stats.hits} of 3 were not asked of the server")
    await cache.close()


async def main(reactor: Any, url: str) -> None:
    """Do it all."""
    client = await connect(url, reactor)
    for part in (iterate, call, monitor, remember):
        await part(client)
    await client.close()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
