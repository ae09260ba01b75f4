"""
A program that does a little of everything with a Redis server, on the reactor
that it is told, with or without the C library:
C{python -m tests.functional._redis_program REACTOR hiredis|plain URL…}.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


async def work(reactor: Any, url: str) -> None:
    """Try one server."""
    from sockhost.interfaces import RedisReplyError
    from sockhost.redis import connect

    client = await connect(url, reactor)
    await client.flushdb()
    large = b"x\r\n" * 400_000
    await client.set("large", large)
    assert await client.get("large") == large
    assert await client.hset("h", {"a": 1, "b": "\xe9"}) == 2
    assert await client.hgetall("h") == {b"a": b"1", b"b": b"\xc3\xa9"}
    pipeline = client.pipeline()
    for number in range(2000):
        pipeline.execute("ECHO", number)
    assert await pipeline.run() == [b"%d" % number for number in range(2000)]
    many = [client.execute("ECHO", number) for number in range(500)]
    assert [await each for each in many] == [b"%d" % number for number in range(500)]
    [refused] = await client.pipeline().incr("large").run()
    assert isinstance(refused, RedisReplyError), refused
    assert await client.transaction().set("n", 1).incr("n").run() == [True, 2]
    heard = await client.pubsub.subscribe("news")
    await client.publish("news", b"\x00\xff")
    assert (await heard.next()).data == b"\x00\xff"
    await heard.close()
    blocked = client.blpop("list", timeout=5)
    await client.rpush("list", "item")
    assert await blocked == (b"list", b"item")
    await client.close()


def main(name: str, library: str, *urls: str) -> None:
    """Install what is asked for, and work."""
    if library == "plain":
        sys.modules["hiredis"] = None  # type: ignore[assignment]
    import_module(f"twisted.internet.{name}").install()
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react

    from sockhost.redis.values import hiredis

    assert (hiredis is None) == (library == "plain")

    async def everything(reactor: Any) -> None:
        assert type(reactor).__module__ == f"twisted.internet.{name}", reactor
        for url in urls:
            await work(reactor, url)
            print(f"{url} done")

    react(lambda each: Deferred.fromCoroutine(everything(each)))


if __name__ == "__main__":
    main(*sys.argv[1:])
