"""Sending commands to a Redis server, and what may become of them."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.task import react

from sockhost.interfaces import CommandTimeout, MaybeExecuted, RedisConnectionError
from sockhost.redis import RedisClient, connect
from sockhost.redis.formatting import format_command


async def increment(client: RedisClient) -> int | None:
    """Count, and say what is known of it."""
    try:
        return int(await client.execute("INCR", "visitors", timeout=2.0))
    except CommandTimeout:
        # Slow.  It may be counted; the connection goes on.
        return None
    except MaybeExecuted:
        # The connection was lost before the reply came.  It may be counted.
        return None
    except RedisConnectionError:
        # It was not sent, and is certainly not counted.
        return await increment(client)


async def remember(client: RedisClient) -> None:
    """Say what may be executed twice."""
    await client.execute("SET", "seen", "yes", retry=3)


async def read(client: RedisClient) -> str:
    """Have text instead of bytes."""
    text: str = await client.execute("GET", "seen", decode="utf-8")
    return text


async def many(client: RedisClient) -> list[Any]:
    """Send commands that are formatted already, in one piece."""
    data = format_command("SET user:%d %b", 42, b"Ada") + format_command("GET user:42")
    replies: list[Any] = await client.execute_raw(data, count=2)
    return replies


async def take(client: RedisClient) -> bytes | None:
    """Wait for work, on a connection of its own."""
    found = await client.execute("BLPOP", "work", 5)
    return None if found is None else bytes(found[1])


def calm() -> None:
    """Tell the garbage collector to walk over live objects less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def main(reactor: Any, url: str) -> None:
    """Do all of it."""
    client = await connect(url, reactor, timeout=30.0)
    calm()
    print(await increment(client))
    await remember(client)
    print(await read(client))
    print(await many(client))
    await client.execute("RPUSH", "work", "dig")
    print(await take(client))
    await client.close()


if __name__ == "__main__":
    import sys

    from twisted.internet.defer import Deferred

    react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
