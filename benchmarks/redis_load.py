"""
What one client does in each scenario of the comparison of Redis clients, in a
process of its own: C{python -m benchmarks.redis_load CLIENT SCENARIO SOCKET
PORT COUNT} prints seconds, and seconds of CPU time, on one line.

The scenarios, C{COUNT} operations each:

    sequential  GETs, one at a time
    concurrent  GETs, 64 outstanding: one connection where the client can, else
                a pool as it offers
    bulk        half SETs and half GETs, all at once, a result object for each
                where the client has that, else its pipeline
    pipeline    the same through the client's pipeline
    pubsub      messages that a script publishes, received one by one
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from attrs import define

OUTSTANDING = 64
KEY = "bench:key"
CHANNEL = "bench:channel"
VALUE = b"0123456789abcdef"
BURST = (
    "for i = 1, tonumber(ARGV[1]) do "
    "redis.call('PUBLISH', 'bench:channel', ARGV[2]) end"
)


def cpu_seconds() -> float:
    """The CPU time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@define
class Run:
    """
    What is to be done, and a stopwatch.

    @ivar path: of the server's Unix socket.
    @ivar port: of the server, on the loopback interface.
    """

    scenario: str
    path: str
    port: int
    count: int
    _wall: float = 0.0
    _cpu: float = 0.0

    def begin(self) -> None:
        """Start the stopwatch."""
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()

    def end(self) -> None:
        """Stop it, and print what it shows."""
        wall, cpu = time.perf_counter() - self._wall, cpu_seconds() - self._cpu
        print(f"{wall:.9f} {cpu:.9f}", flush=True)

    def expect(self, replies: Any) -> None:
        """Check the last reply of a bulk."""
        if len(replies) != self.count or replies[-1] not in (VALUE, VALUE.decode()):
            raise AssertionError(f"{len(replies)} replies, the last {replies[-1]!r}")


async def sequential(run: Run, get: Callable[[str], Awaitable[Any]]) -> None:
    """Ask one at a time."""
    await get(KEY)
    run.begin()
    for _ in range(run.count):
        await get(KEY)
    run.end()


async def concurrent(run: Run, get: Callable[[str], Awaitable[Any]]) -> None:
    """Keep 64 outstanding, by asyncio."""

    async def worker() -> None:
        for _ in range(run.count // OUTSTANDING):
            await get(KEY)

    await asyncio.gather(*[get(KEY) for _ in range(OUTSTANDING)])
    run.begin()
    await asyncio.gather(*[worker() for _ in range(OUTSTANDING)])
    run.end()


def fill(run: Run, put: Callable[..., Any], get: Callable[..., Any]) -> None:
    """Put what a bulk consists of into a pipeline."""
    for number in range(run.count // 2):
        put(f"bench:{number}", VALUE)
    for number in range(run.count // 2):
        get(f"bench:{number}")


async def redis_py(run: Run) -> None:
    """redis-py's asyncio client."""
    from redis import asyncio as redis

    pool = redis.BlockingConnectionPool(
        connection_class=redis.UnixDomainSocketConnection,
        path=run.path,
        max_connections=OUTSTANDING,
    )
    client = redis.Redis(connection_pool=pool)
    if run.scenario == "sequential":
        await sequential(run, client.get)
    elif run.scenario == "concurrent":
        await concurrent(run, client.get)
    elif run.scenario == "pubsub":
        await _redis_py_pubsub(run, client)
    else:
        await client.get(KEY)
        run.begin()
        pipeline = client.pipeline(transaction=False)
        fill(run, pipeline.set, pipeline.get)
        run.expect(await pipeline.execute())
        run.end()
    await client.aclose()


async def _redis_py_pubsub(run: Run, client: Any) -> None:
    subscriber = client.pubsub(ignore_subscribe_messages=True)
    await subscriber.subscribe(CHANNEL)
    await subscriber.get_message(timeout=1)
    run.begin()
    burst = asyncio.create_task(client.eval(BURST, 0, run.count, VALUE))
    left = run.count
    async for message in subscriber.listen():
        left -= message["type"] == "message"
        if not left:
            break
    run.end()
    await burst
    await subscriber.aclose()


async def coredis(run: Run) -> None:
    """coredis."""
    import coredis

    async with coredis.Redis(unix_socket_path=run.path) as client:
        await client.get(KEY)
        if run.scenario == "sequential":
            await sequential(run, client.get)
        elif run.scenario == "concurrent":
            await concurrent(run, client.get)
        elif run.scenario == "pubsub":
            await _coredis_pubsub(run, client)
        else:
            run.begin()
            replies: list[Any] = []
            async with client.pipeline() as pipeline:
                fill(
                    run,
                    lambda *args: replies.append(pipeline.set(*args)),
                    lambda *args: replies.append(pipeline.get(*args)),
                )
            run.expect([await reply for reply in replies])
            run.end()


async def _coredis_pubsub(run: Run, client: Any) -> None:
    options = {"channels": [CHANNEL], "ignore_subscribe_messages": True}
    async with client.pubsub(**options) as subscriber:
        await asyncio.sleep(0.2)
        run.begin()

        async def publish() -> None:
            await client.eval(BURST, args=[run.count, VALUE])

        burst = asyncio.create_task(publish())
        left = run.count
        async for message in subscriber:
            left -= message["type"] in ("message", b"message")
            if not left:
                break
        run.end()
        await burst


async def valkey_glide(run: Run) -> None:
    """valkey-glide, over TCP: it knows no Unix sockets."""
    import glide

    address = [glide.NodeAddress("127.0.0.1", run.port)]
    options = {"request_timeout": 60_000}
    configuration = glide.GlideClientConfiguration(address, **options)
    client = await glide.GlideClient.create(configuration)
    await client.get(KEY)
    if run.scenario == "sequential":
        await sequential(run, client.get)
    elif run.scenario == "concurrent":
        await concurrent(run, client.get)
    elif run.scenario == "pubsub":
        await _glide_pubsub(run, client, address)
    else:
        run.begin()
        batch = glide.Batch(is_atomic=False)
        fill(run, batch.set, batch.get)
        run.expect(await client.exec(batch, raise_on_error=True))
        run.end()
    await client.close()


async def _glide_pubsub(run: Run, client: Any, address: Any) -> None:
    import glide

    done = asyncio.Event()
    left = run.count

    def received(_message: Any, _context: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            run.end()
            done.set()

    subscriptions = glide.GlideClientConfiguration.PubSubSubscriptions(
        {glide.GlideClientConfiguration.PubSubChannelModes.Exact: {CHANNEL}},
        callback=received,
        context=None,
    )
    subscriber = await glide.GlideClient.create(
        glide.GlideClientConfiguration(
            address, pubsub_subscriptions=subscriptions, request_timeout=60_000
        )
    )
    await subscriber.ping()
    run.begin()
    script = ["EVAL", BURST, "0", str(run.count), VALUE]
    burst = asyncio.create_task(client.custom_command(script))
    await asyncio.wait_for(done.wait(), 60)
    await burst
    await subscriber.close()


def by_asyncio(load: Callable[[Run], Coroutine[Any, Any, None]], run: Run) -> None:
    """Run on asyncio's own loop."""
    asyncio.run(load(run))


def by_uvloop(load: Callable[[Run], Coroutine[Any, Any, None]], run: Run) -> None:
    """Run on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load(run))


def main(argv: list[str]) -> None:
    """Do what the command line says."""
    client, scenario, path, port, count = argv
    run = Run(scenario, path, int(port), int(count))
    if client in ("sockhost", "sockhost-hub", "txredisapi"):
        if client == "sockhost-hub":
            from sockhost.sockets.hubreactor import install

            install()
        from benchmarks.redis_twisted import LOADS, by_twisted

        by_twisted(LOADS[client], run)
        return
    loads = {"redis-py": redis_py, "coredis": coredis, "valkey-glide": valkey_glide}
    name, _, loop = client.partition("+")
    (by_uvloop if loop == "uvloop" else by_asyncio)(loads[name], run)


if __name__ == "__main__":
    main(sys.argv[1:])
