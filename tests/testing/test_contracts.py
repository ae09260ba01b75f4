"""
Every implementation in the project that works in memory keeps its contracts;
tests.functional.test_contracts has those that need the system.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

from attrs import evolve
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.host.units import UnitView
from sockhost.interfaces import (
    IClientsUnit,
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    IUsableUnit,
    UnitLost,
)
from sockhost.plugins import kinds
from sockhost.sockets import reach
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.unit import SocketUnit
from sockhost.supervise.cron import CronConfig, CronKind
from sockhost.supervise.process import ProcessConfig, ProcessKind
from sockhost.supervise.ready import Ready
from sockhost.supervise.tap import TapConfig, TapKind
from sockhost.testing.contracts import (
    HostFixture,
    UnitFixture,
    host_contract_tests,
    unit_contract_tests,
    unit_host_contract_tests,
)
from sockhost.testing.processes import MemoryChild, MemorySpawner, obedient
from sockhost.testing.units import MemoryUnit, MemoryUnitHost
from tests.control.fakes import FakeHost
from tests.sockets.fakes import FakeSocket, Hooked
from tests.testing.fakes import HandMaker, MemoryRedis, RichUnit
from tests.workers.hosts import socket_unit

# -- units ------------------------------------------------------------------


def hands(unit: MemoryUnit) -> dict[str, Any]:
    """The hands of a unit in memory."""
    return {
        "unit": unit,
        "config": object(),
        "others": [object()],
        "ready": unit.ready,
        "stopped": unit.stopped,
        "lose": lambda: unit.lose(UnitLost("killed")),
        "spoil": lambda: None,
        "fail": lambda: unit.fail(OSError("no")),
        "spoil_stop": lambda: None,
        "fail_stop": lambda: unit.fail_stop(OSError("still there")),
        "clock": Clock(),
    }


def memory_unit(_: TestCase) -> UnitFixture:
    """A unit that is nothing besides."""
    return UnitFixture(**hands(MemoryUnit()))


def rich_unit(case: TestCase) -> UnitFixture:
    """A unit that is everything."""
    unit = RichUnit(case.mktemp())

    def spoil_hooks() -> None:
        unit.broken = True

    return UnitFixture(
        **hands(unit),
        reachable=lambda: unit.reachable,
        hooks=lambda: unit.hooks,
        spoil_hooks=spoil_hooks,
        log=unit.log,
        write=unit.write,
    )


class Bound:
    """A bound socket of which the test sees what is left."""

    path = "kv.sock"

    def __init__(self, traces: set[str]) -> None:
        self.traces = traces
        # Any number may be that of the poller itself, which refuses it.
        self._socket = FakeSocket()
        traces |= {"file", "descriptor"}

    def fileno(self) -> int:
        """A descriptor."""
        return self._socket.fileno()

    def unlink(self) -> bool:
        """Remove the file."""
        self.traces.discard("file")
        return True

    def close(self) -> None:
        """Close the descriptor."""
        self._socket.close()
        self.traces.discard("descriptor")


class FullyHooked(Hooked):
    """A handler with every hook that is called again and again."""

    def reopen_logs(self) -> object:
        """Note it."""
        return self._hook("reopen_logs")


made: list[Hooked] = []


def make_hooked(host: object, **options: object) -> Hooked:
    """Make a handler that the test can turn."""
    made.append(FullyHooked())
    return made[-1]


def socket_in_memory(case: TestCase) -> UnitFixture:
    """A socket that is bound to nothing."""
    made.clear()
    reactor = cast(Any, MemoryReactorClock())
    host = MemoryUnitHost(case.mktemp(), reactor)
    config = SocketConfig(path="kv.sock", handler=f"{__name__}:make_hooked")
    traces: set[str] = set()
    errors: list[Exception] = []

    def bind(path: str, **how: object) -> Bound:
        if errors:
            raise errors[0]
        return Bound(traces)

    case.patch(reach, "bind_unix", bind)
    case.patch(sys, "path", list(sys.path))

    def lose() -> None:
        reactor.getReaders()[0].connectionLost(Failure(OSError(9, "broken")))

    def fail() -> None:
        raise ZeroDivisionError("a defect")

    return UnitFixture(
        unit=SocketUnit("kv", config, host),
        config=config,
        others=[evolve(config, max_clients=7), evolve(config, path="other.sock")],
        lose=lose,
        spoil=lambda: errors.append(OSError("taken")),
        mend=errors.clear,
        left=lambda: (sorted(traces), reactor.getReaders()),
        clock=reactor,
        reachable=lambda: bool(traces),
        hooks=lambda: [name for each in made for name in each.called],
        spoil_hooks=lambda: made[-1].on.update(reconfigure=fail),
    )


def process_in_memory(case: TestCase, ready: bool = False) -> UnitFixture:
    """A program that nobody executes."""
    clock, spawner = Clock(), MemorySpawner()
    host = MemoryUnitHost(case.mktemp(), clock)
    config = ProcessConfig(
        argv=("/bin/prog",), ready=Ready(delay=1.0) if ready else None
    )
    kind = ProcessKind(spawner=lambda _: spawner)

    def defy(child: MemoryChild, signum: int) -> None:
        """Die of nothing."""

    def spoil_stop() -> None:
        spawner.child.on_signal = defy

    def fail_stop() -> None:
        clock.advance(config.grace)
        clock.pump([0.1] * 120)

    def mend_stop() -> None:
        spawner.child.on_signal = obedient

    return UnitFixture(
        unit=kind.make("prog", config, host),
        config=config,
        others=[evolve(config, grace=1.0), evolve(config, argv=("/bin/other",))],
        ready=lambda: clock.advance(1.0),
        lose=lambda: spawner.child.kill(),
        spoil=spawner.fail_next,
        spoil_stop=spoil_stop,
        fail_stop=fail_stop,
        mend_stop=mend_stop,
        left=lambda: [child for child in spawner.children if child.pid is not None],
        clock=clock,
        log=str(Path(host.log_dir) / "prog.log"),
        write=lambda: spawner.child.output(b"a line\n"),
    )


def process_with_readiness(case: TestCase) -> UnitFixture:
    """The same, but it takes a second to be ready."""
    return process_in_memory(case, ready=True)


def cron_in_memory(case: TestCase) -> UnitFixture:
    """A program that nobody executes, every minute."""
    clock, spawner = Clock(), MemorySpawner()
    host = MemoryUnitHost(case.mktemp(), clock)
    config = CronConfig(argv=("/bin/prog",), schedule="* * * * *", timezone="UTC")
    kind = CronKind(spawner=lambda _: spawner, wall=clock.seconds)

    def write() -> None:
        if not (spawner.children and spawner.child.pid):
            clock.advance(60)
        spawner.child.output(b"a line\n")

    return UnitFixture(
        unit=kind.make("job", config, host),
        config=config,
        others=[evolve(config, grace=1.0), evolve(config, schedule="never")],
        left=lambda: [child for child in spawner.children if child.pid is not None],
        clock=clock,
        log=str(Path(host.log_dir) / "job.log"),
        write=write,
    )


def tap_in_memory(case: TestCase) -> UnitFixture:
    """A service that starts and stops when it is told."""
    clock, maker = Clock(), HandMaker()
    config = TapConfig(tap="hand")
    kind = TapKind(lambda: [maker])

    def fail() -> None:
        maker.made[-1].starting.errback(OSError("taken"))
        maker.stop_all()

    return UnitFixture(
        unit=kind.make("web", config, MemoryUnitHost(case.mktemp(), clock)),
        config=config,
        others=[TapConfig(tap="hand", grace=2.0)],
        ready=lambda: maker.made[-1].starting.callback(None),
        stopped=maker.stop_all,
        spoil=lambda: None,
        fail=fail,
        spoil_stop=lambda: None,
        fail_stop=lambda: clock.advance(config.grace),
        left=lambda: [each for each in maker.made if each.running],
        clock=clock,
    )


MemoryUnitContractTests = unit_contract_tests(memory_unit)
RichUnitContractTests = unit_contract_tests(
    rich_unit, IUsableUnit, IListeningUnit, IHookedUnit, ILoggingUnit
)
SocketUnitContractTests = unit_contract_tests(
    socket_in_memory, IListeningUnit, IHookedUnit, IClientsUnit
)
ProcessUnitContractTests = unit_contract_tests(process_in_memory, ILoggingUnit)
ReadyProcessUnitContractTests = unit_contract_tests(
    process_with_readiness, ILoggingUnit
)
CronUnitContractTests = unit_contract_tests(cron_in_memory, ILoggingUnit)
TapUnitContractTests = unit_contract_tests(tap_in_memory)

# -- kinds ------------------------------------------------------------------

KINDS = kinds()


# -- hosts ------------------------------------------------------------------


def memory_host(case: TestCase) -> HostFixture:
    """The host that users test their units with."""
    host = MemoryUnitHost(case.mktemp())
    host.clients["store"] = MemoryRedis()
    host.kinds["tap"] = KINDS["tap"]
    return HostFixture(host=host, kinds=["tap"], clients=["store"])


def lone_host(case: TestCase) -> HostFixture:
    """The host of the tests of workers."""
    host, _ = socket_unit(Clock(), "/nowhere", handler="a:b")
    host.kinds["tap"] = KINDS["tap"]
    return HostFixture(host=host, units=["kv"], kinds=["tap"])


def view(case: TestCase) -> HostFixture:
    """What one unit sees of a host."""
    fixture = memory_host(case)
    fixture.host = UnitView(fixture.host, "kv", ("store",))
    return fixture


def fake_host(_: TestCase) -> HostFixture:
    """The host of the tests of the control API."""
    return HostFixture(host=FakeHost(), units=["kv", "store"])


MemoryUnitHostContractTests = unit_host_contract_tests(memory_host)
LoneHostContractTests = unit_host_contract_tests(lone_host)
UnitViewContractTests = unit_host_contract_tests(view)
FakeHostContractTests = host_contract_tests(fake_host, live=False)
