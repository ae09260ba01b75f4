# -*- test-case-name: tests.testing.test_contracts -*-
"""
The contracts of sockhost's interfaces as tests, for any implementation.

Each function here makes a test case class from something that makes what is to
be tested, so that a plugin's tests need one line for each of its classes::

    HeartbeatContractTests = unit_contract_tests(lambda case: UnitFixture(...))

The classes are those of trial; C{trial} and C{pytest} both find them, by the
name that the module gives them.  What a test needs beyond the object itself
(the hands that bring about a loss, an end, a failure) is in a fixture; a test
for which there is no hand is skipped, and says so.

    - L{units<sockhost.testing.contracts.units>}: C{IUnit}, C{IUsableUnit},
      C{IListeningUnit}, C{IHookedUnit}, C{ILoggingUnit},
      C{IClientsUnit};
    - L{kinds<sockhost.testing.contracts.kinds>}: C{IUnitKind};
    - L{handlers<sockhost.testing.contracts.handlers>}: C{ISocketHandler},
      C{IBatchHandler}, C{ILifecycle};
    - L{clients<sockhost.testing.contracts.clients>}: C{IClient};
    - L{codecs<sockhost.testing.contracts.codecs>}: C{ICodec}, C{ICodecKind};
    - L{notifiers<sockhost.testing.contracts.notifiers>}: C{INotifier};
    - L{spawners<sockhost.testing.contracts.spawners>}: C{ISpawner}, C{IChild};
    - L{redis<sockhost.testing.contracts.redis>}: C{IRedis};
    - L{hosts<sockhost.testing.contracts.hosts>}: C{IUnitHost}, C{IHost}.
"""

from __future__ import annotations

from sockhost.testing.contracts.clients import ClientFixture, client_contract_tests
from sockhost.testing.contracts.codecs import (
    codec_contract_tests,
    codec_kind_contract_tests,
)
from sockhost.testing.contracts.handlers import (
    Exchange,
    handler_contract_tests,
    lifecycle_contract_tests,
)
from sockhost.testing.contracts.hosts import (
    HostFixture,
    host_contract_tests,
    unit_host_contract_tests,
)
from sockhost.testing.contracts.kinds import kind_contract_tests
from sockhost.testing.contracts.notifiers import notifier_contract_tests
from sockhost.testing.contracts.redis import RedisFixture, redis_contract_tests
from sockhost.testing.contracts.spawners import SpawnerFixture, spawner_contract_tests
from sockhost.testing.contracts.units import UnitFixture, unit_contract_tests

__all__ = [
    "ClientFixture",
    "Exchange",
    "HostFixture",
    "RedisFixture",
    "SpawnerFixture",
    "UnitFixture",
    "client_contract_tests",
    "codec_contract_tests",
    "codec_kind_contract_tests",
    "handler_contract_tests",
    "host_contract_tests",
    "kind_contract_tests",
    "lifecycle_contract_tests",
    "notifier_contract_tests",
    "redis_contract_tests",
    "spawner_contract_tests",
    "unit_contract_tests",
    "unit_host_contract_tests",
]
