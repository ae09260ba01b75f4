"""
The host, its spawner and its client of Redis keep their contracts, with a real system.
"""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from sockhost.processes import Spawner
from sockhost.processes.spec import ChildSpec
from sockhost.redis import connect
from sockhost.testing.contracts import (
    HostFixture,
    RedisFixture,
    SpawnerFixture,
    host_contract_tests,
    redis_contract_tests,
    spawner_contract_tests,
)
from sockhost.testing.contracts.spawners import CODE, OUTPUT
from sockhost.testing.host import running_host
from tests.functional.servers import ValkeyServer
from tests.functional.test_contracts import HANDLER, KINDS
from tests.functional.traces import reactor, until


async def real_client(case: TestCase) -> RedisFixture:
    """The client of a server that can be stopped and killed."""
    server = ValkeyServer.started(case)
    redis = await connect(server.unix_url, reactor, wait=10.0)

    async def cut() -> None:
        server.kill()
        await until(lambda: not redis.connected)

    return RedisFixture(
        redis=redis, suspend=server.suspend, cut=cut, restore=server.start
    )


def real_spawner(_: TestCase) -> SpawnerFixture:
    """The spawner of the host."""
    shell = ("/bin/sh", "-c")
    return SpawnerFixture(
        spawner=Spawner(reactor),
        sleeping=ChildSpec(argv=("/bin/sleep", "60")),
        exiting=ChildSpec(
            argv=(*shell, f"printf '{OUTPUT.decode().rstrip()}\\n'; exit {CODE}")
        ),
        leaving=ChildSpec(argv=(*shell, "sleep 60 &")),
        missing=ChildSpec(argv=("/no/such/program",)),
    )


RedisClientContractTests = redis_contract_tests(real_client)


SpawnerContractTests = spawner_contract_tests(real_spawner)


CONFIG = """
[unit.echo]
kind = "socket"
path = "{run_dir}/echo.sock"
handler = "contract_handler:Echo"

[unit.prog]
kind = "process"
argv = ["/bin/sleep", "60"]
"""


async def real_host(case: TestCase, *first: str) -> HostFixture:
    """A whole host."""
    running = await running_host(case, CONFIG, {"contract_handler.py": HANDLER})
    return HostFixture(
        host=running.host,
        units=first or ("echo", "prog"),
        kinds=tuple(KINDS),
        spoil_config=lambda: running.write_config("[unit.echo]\nkind = 'sokcet'\n"),
        ended=running.ended(),
    )


async def real_host_of_process(case: TestCase) -> HostFixture:
    """The same, seen from its process."""
    return await real_host(case, "prog", "echo")


HostContractTests = host_contract_tests(real_host)


HostOfProcessContractTests = host_contract_tests(real_host_of_process)
