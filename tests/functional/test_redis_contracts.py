"""
The clients of a cluster, and of servers that Sentinels watch over, keep the
contract of L{IRedis<sockhost.interfaces.IRedis>}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from sockhost.redis import connect
from sockhost.testing.contracts import RedisFixture, redis_contract_tests
from tests.functional.servers import ClusterServers, SentinelServers, ValkeyServer
from tests.functional.traces import until

REACTOR: Any = reactor


def fixture(redis: Any, servers: Sequence[ValkeyServer]) -> RedisFixture:
    """Make the hands that turn several servers as one."""

    def suspend() -> None:
        for each in servers:
            each.suspend()

    async def cut() -> None:
        for each in servers:
            each.kill()
        await until(lambda: not redis.connected)

    def restore() -> None:
        for each in servers:
            each.start()

    return RedisFixture(redis=redis, suspend=suspend, cut=cut, restore=restore)


async def cluster_client(case: TestCase) -> RedisFixture:
    """The client of a cluster of two nodes."""
    servers = ClusterServers.started(case, count=2)
    redis = await connect(servers.url(), REACTOR, wait=20.0)
    return fixture(redis, servers.primaries)


async def sentinel_client(case: TestCase) -> RedisFixture:
    """The client of a primary, whose replica may be another one's."""
    servers = SentinelServers.started(case, count=1)
    redis = await connect(servers.url(), REACTOR, wait=20.0)
    return fixture(redis, [servers.primary, servers.replica])


ClusterClientContractTests = redis_contract_tests(cluster_client)
SentinelClientContractTests = redis_contract_tests(sentinel_client)
