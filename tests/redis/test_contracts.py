"""
The C{redis} kind and its units keep the contracts that any kind keeps.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from sockhost.interfaces import IUsableUnit
from sockhost.redis.settings import RedisConfig
from sockhost.redis.unit import RedisKind, RedisUnit
from sockhost.testing.contracts import (
    UnitFixture,
    kind_contract_tests,
    unit_contract_tests,
)
from sockhost.testing.units import MemoryUnitHost
from tests.redis.fakes import FakeServer, Wire

URL = "unix:///run/v.sock"


def fixture(case: TestCase) -> UnitFixture:
    """Make a unit whose server is turned by hand."""
    reactor = MemoryReactorClock()
    server = FakeServer(reactor)
    wires: list[Wire] = []
    config = RedisConfig(url=URL)
    return UnitFixture(
        unit=RedisUnit("store", config, reactor),
        config=config,
        ready=lambda: wires.append(server.greet()),
        stopped=lambda: reactor.advance(0),
        lose=lambda: wires[-1].lose(),
        spoil=lambda: None,
        fail=lambda: server.refuse(ConnectionRefusedError("nobody there")),
        clock=reactor,
    )


RedisUnitContractTests = unit_contract_tests(fixture, IUsableUnit)
RedisKindContractTests = kind_contract_tests(
    RedisKind(), {"url": URL, "timeout": 2}, lambda case: MemoryUnitHost(case.mktemp())
)
