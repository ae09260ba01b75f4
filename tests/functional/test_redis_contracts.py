"""
The clients and units of clusters, and of servers that Sentinels watch over, keep
the contracts of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from sockhost.interfaces import IUsableUnit
from sockhost.redis import connect
from sockhost.redis.cluster_unit import ClusterUnit
from sockhost.redis.settings import RedisConfig
from sockhost.testing.contracts import (
    RedisFixture,
    UnitFixture,
    redis_contract_tests,
    unit_contract_tests,
)
from tests.functional.servers import ClusterServers, SentinelServers, ValkeyServer
from tests.functional.traces import descriptors, until

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


def cluster_unit(case: TestCase) -> UnitFixture:
    """A client of a cluster, which is lost when its user closes it."""
    servers = ClusterServers.started(case, count=2)
    config = RedisConfig(url=servers.url(), connect_timeout=3.0)
    unit = ClusterUnit("store", config, REACTOR)

    def spoil() -> None:
        for each in servers.primaries:
            each.suspend()

    def mend() -> None:
        for each in servers.primaries:
            each.resume()

    return UnitFixture(
        unit=unit,
        config=config,
        others=[evolve(config, wait=2.0), evolve(config, timeout=3.0)],
        lose=lambda: unit.client().close(),
        spoil=spoil,
        mend=mend,
        left=descriptors,
    )


ClusterClientContractTests = redis_contract_tests(cluster_client)
SentinelClientContractTests = redis_contract_tests(sentinel_client)
ClusterUnitContractTests = unit_contract_tests(cluster_unit, IUsableUnit)
