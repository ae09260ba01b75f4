"""
What the clients on Twisted do in each scenario of the comparison of Redis
clients: see L{benchmarks.redis_load}.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from benchmarks.redis_load import (
    BURST,
    CHANNEL,
    KEY,
    OUTSTANDING,
    VALUE,
    Run,
    fill,
    sequential,
)

Load = Callable[[Run, Any], Coroutine[Any, Any, None]]

# As safe as a program would have it: a limit for every reply among the rest.
OPTIONS: dict[str, Any] = {"timeout": 30.0}


def by_twisted(load: Load, run: Run) -> None:
    """Run on Twisted's own choice of reactor."""
    from twisted.internet import reactor
    from twisted.internet.task import react

    react(lambda _: Deferred.fromCoroutine(load(run, reactor)))


async def concurrent(run: Run, get: Callable[[str], Deferred[Any]]) -> None:
    """Keep 64 outstanding."""

    async def worker() -> None:
        for _ in range(run.count // OUTSTANDING):
            await get(KEY)

    await gatherResults([get(KEY) for _ in range(OUTSTANDING)])
    run.begin()
    await gatherResults([Deferred.fromCoroutine(worker()) for _ in range(OUTSTANDING)])
    run.end()


async def sockhost(run: Run, reactor: Any) -> None:
    """The client of this project."""
    from sockhost.redis import connect

    client = await connect(f"unix://{run.path}", reactor, **OPTIONS)

    def get(key: str) -> Deferred[Any]:
        return client.execute("GET", key)

    if run.scenario == "sequential":
        await sequential(run, get)
    elif run.scenario == "concurrent":
        await concurrent(run, get)
    elif run.scenario == "pubsub":
        await _sockhost_pubsub(run, client)
    elif run.scenario == "bulk":
        await _sockhost_bulk(run, client)
    else:
        await _sockhost_pipeline(run, client)
    await client.close()


async def _sockhost_bulk(run: Run, client: Any) -> None:
    execute = client.execute
    sent: list[Deferred[Any]] = []
    run.begin()
    fill(
        run,
        lambda key, value: sent.append(execute("SET", key, value)),
        lambda key: sent.append(execute("GET", key)),
    )
    run.expect([await each for each in sent])
    run.end()


async def _sockhost_pipeline(run: Run, client: Any) -> None:
    run.begin()
    pipeline = client.pipeline()
    execute = pipeline.execute
    fill(
        run,
        lambda key, value: execute("SET", key, value),
        lambda key: execute("GET", key),
    )
    run.expect(await pipeline.run())
    run.end()


async def _sockhost_pubsub(run: Run, client: Any) -> None:
    publisher = await client.dedicated()
    done: Deferred[None] = Deferred()
    left = run.count

    def heard(_channel: bytes, _data: bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            run.end()
            done.callback(None)

    subscription = await client.pubsub.subscribe(CHANNEL, listener=heard)
    run.begin()
    burst = publisher.execute("EVAL", BURST, 0, run.count, VALUE)
    await done
    await burst
    await subscription.close()
    publisher.abort()


async def txredisapi(run: Run, reactor: Any) -> None:
    """txredisapi."""
    import txredisapi as library

    client = await library.UnixConnection(run.path, reconnect=False)
    if run.scenario == "sequential":
        await sequential(run, client.get)
    elif run.scenario == "concurrent":
        await concurrent(run, client.get)
    elif run.scenario == "pubsub":
        await _txredisapi_pubsub(run, client, reactor)
    else:
        await client.get(KEY)
        run.begin()
        pipeline = await client.pipeline()
        fill(run, pipeline.set, pipeline.get)
        replies = await pipeline.execute_pipeline()
        run.expect(replies)
        run.end()
    await client.disconnect()


async def _txredisapi_pubsub(run: Run, client: Any, reactor: Any) -> None:
    import txredisapi as library
    from twisted.internet.endpoints import UNIXClientEndpoint

    done: Deferred[None] = Deferred()
    left = run.count

    class Subscriber(library.SubscriberProtocol):  # type: ignore[misc]
        def connectionMade(self) -> None:
            self.subscribe(CHANNEL)

        def messageReceived(self, _pattern: Any, channel: Any, message: Any) -> None:
            nonlocal left
            if channel == CHANNEL and message != 1:
                left -= 1
                if not left:
                    run.end()
                    done.callback(None)

    factory = library.SubscriberFactory()
    factory.protocol = Subscriber
    factory.startConnecting(UNIXClientEndpoint(reactor, run.path))
    await deferLater(reactor, 0.2)
    run.begin()
    burst = client.eval(BURST, [], [run.count, VALUE])
    await done
    await burst
    factory.stopTrying() if hasattr(factory, "stopTrying") else None


LOADS: dict[str, Load] = {
    "sockhost": sockhost,
    "sockhost-hub": sockhost,
    "txredisapi": txredisapi,
}
