"""
Every implementation in the project that needs the system keeps its contracts,
with real sockets, processes and servers; tests.testing.test_contracts has
those that work in memory.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from sockhost.interfaces import (
    IClientsUnit,
    IHookedUnit,
    IListeningUnit,
    ILoggingUnit,
    IUsableUnit,
)
from sockhost.plugins import kinds
from sockhost.redis.settings import RedisConfig
from sockhost.sockets.reconnecting import SocketClientConfig
from sockhost.sockets.settings import SocketConfig
from sockhost.supervise.cron import CronConfig
from sockhost.supervise.process import ProcessConfig
from sockhost.supervise.ready import Ready
from sockhost.supervise.tap import TapConfig
from sockhost.testing.contracts import UnitFixture, unit_contract_tests
from tests.functional.servers import ValkeyServer
from tests.functional.traces import (
    can_connect,
    descriptors,
    grown,
    import_apart,
    reactor,
    short_directory,
    system_host,
    traces,
    until,
)
from tests.functional.worker_case import inherit_orphans
from tests.workers.hosts import socket_unit

KINDS = kinds()

HANDLER = """
from pathlib import Path

class Echo:
    def __init__(self, host):
        self.calls = Path(host.run_dir, "calls")

    def _note(self, name):
        with self.calls.open("a") as calls:
            calls.write(name + "\\n")

    def received(self, client, frame):
        return frame

    def reopen_logs(self):
        print("a line")
        self._note("reopen_logs")

    def reconfigure(self):
        self._note("reconfigure")
        if self.calls.with_name("spoilt").exists():
            raise ZeroDivisionError("spoilt")
"""
TICK = "while :; do echo tick; sleep 0.02; done"
NOTIFIER = """
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
time.sleep(0.05)
s.send(b"READY=1")
while True:
    print("tick", flush=True)
    time.sleep(0.02)
"""


def write_handler(directory: str) -> str:
    """Write a module with a handler, and name that."""
    # A name of its own, as another test may have imported such a module.
    name = f"contract_handler_{os.path.basename(directory).replace('-', '_')}"
    Path(directory, f"{name}.py").write_text(HANDLER)
    return f"{name}:Echo"


def hook_hands(run_dir: str) -> dict[str, Any]:
    """The hands for the hooks of such a handler."""
    calls = Path(run_dir, "calls")
    return {
        "hooks": lambda: calls.read_text().split() if calls.exists() else [],
        "spoil_hooks": lambda: Path(run_dir, "spoilt").touch(),
    }


def connects(case: TestCase, path: str) -> Callable[[], None]:
    """The hand that connects clients, which stay until the test ends."""

    def connect() -> None:
        client = socket.socket(socket.AF_UNIX)
        case.addCleanup(client.close)
        client.connect(path)

    return connect


def in_the_way(path: str) -> dict[str, Any]:
    """The hands that keep a socket from being bound."""
    return {
        "spoil": lambda: os.makedirs(path, exist_ok=True),
        "mend": lambda: os.rmdir(path),
    }


# -- units ------------------------------------------------------------------


def real_socket(case: TestCase) -> UnitFixture:
    """A socket that the host serves."""
    import_apart(case)
    host = system_host(case)
    path = os.path.join(host.run_dir, "kv.sock")
    config = SocketConfig(path=path, handler=write_handler(host.config_dir))
    unit: Any = KINDS["socket"].make("kv", config, host)

    return UnitFixture(
        unit=unit,
        config=config,
        others=[evolve(config, max_clients=7), evolve(config, mode="0660")],
        # What it is lost by is an error of accept, which the tests in memory make.
        **in_the_way(path),
        left=traces(host.run_dir),
        reachable=lambda: can_connect(path),
        connect=connects(case, path),
        **hook_hands(host.run_dir),
    )


def real_workers(case: TestCase) -> UnitFixture:
    """A socket that two workers serve."""
    inherit_orphans(case)
    directory = str(short_directory(case))
    host, config = socket_unit(
        reactor, directory, handler=write_handler(directory), workers=2
    )
    path = f"{directory}/kv.sock"
    unit: Any = KINDS["socket"].make("kv", config, host)

    async def write() -> None:
        growing = Deferred.fromCoroutine(grown(f"{directory}/kv.log"))
        await unit.run_hook("reopen_logs")
        await growing

    hands = hook_hands(directory)
    return UnitFixture(
        unit=unit,
        config=config,
        others=[evolve(config, max_clients=7)],
        **in_the_way(path),
        left=traces(directory),
        reachable=lambda: can_connect(path),
        connect=connects(case, path),
        # Each of the two was called.
        hooks=lambda: hands["hooks"]()[::2],
        spoil_hooks=hands["spoil_hooks"],
        log=f"{directory}/kv.log",
        write=write,
    )


class Peer(Protocol):
    """The other end of a client."""

    def connectionMade(self) -> None:
        """Be known to the test."""
        peers: Any = self.factory
        peers.connected.append(self.transport)


class Peers(Factory):
    """The other ends of clients."""

    protocol = Peer
    noisy = False

    def __init__(self) -> None:
        self.connected: list[Any] = []


def real_socket_client(case: TestCase) -> UnitFixture:
    """A client of a framed socket."""
    host = system_host(case)
    path, away = f"{host.run_dir}/s.sock", f"{host.run_dir}/away.sock"
    peers = Peers()
    case.addCleanup(reactor.listenUNIX(path, peers).stopListening)
    config = SocketClientConfig(path=path)
    unit: Any = KINDS["socket-client"].make("remote", config, host)

    def spoil() -> None:
        if os.path.exists(path):
            os.rename(path, away)

    def mend() -> None:
        if os.path.exists(away):
            os.rename(away, path)

    # The port removes its file in the end, which has to be there.
    case.addCleanup(mend)

    async def lose() -> None:
        await until(lambda: bool(peers.connected))
        peers.connected.pop().abortConnection()

    return UnitFixture(
        unit=unit,
        config=config,
        others=[evolve(config, timeout=2.0), evolve(config, match="number")],
        lose=lose,
        spoil=spoil,
        mend=mend,
    )


def real_redis(case: TestCase) -> UnitFixture:
    """A connection to a server."""
    server = ValkeyServer.started(case)
    host = system_host(case)
    config = RedisConfig(url=server.unix_url)
    return UnitFixture(
        unit=KINDS["redis"].make("store", config, host),
        config=config,
        others=[evolve(config, wait=2.0), evolve(config, url=server.tcp_url)],
        lose=lambda: server.ask(b"CLIENT KILL TYPE normal\r\n"),
        spoil=server.kill,
        mend=server.start,
        left=descriptors,
    )


def real_process(case: TestCase, *argv: str, ready: Ready | None = None) -> UnitFixture:
    """A program that writes lines."""
    host = system_host(case)
    # Another name for the program, which can be taken away.
    program = Path(host.config_dir, "program")
    program.symlink_to(argv[0] if argv else "/bin/sh")
    config = ProcessConfig(
        argv=(str(program), *(argv[1:] or ("-c", TICK))), ready=ready, grace=5.0
    )
    unit: Any = KINDS["process"].make("prog", config, host)
    log = os.path.join(host.log_dir, "prog.log")
    away = program.with_name("away")

    def lose() -> None:
        os.kill(unit.status()["pid"], signal.SIGKILL)

    return UnitFixture(
        unit=unit,
        config=config,
        others=[evolve(config, grace=1.0), evolve(config, argv=("/bin/true",))],
        lose=lose,
        spoil=lambda: program.exists() and program.rename(away),
        mend=lambda: away.rename(program),
        left=traces(host.run_dir),
        log=log,
        write=lambda: grown(log),
    )


def real_notifier(case: TestCase) -> UnitFixture:
    """A program that says when it is ready."""
    return real_process(case, sys.executable, "-c", NOTIFIER, ready=Ready(notify=True))


def real_cron(case: TestCase) -> UnitFixture:
    """A program that is run in a year."""
    host = system_host(case)
    config = CronConfig(argv=("/bin/true",), schedule="0 0 1 1 *")
    return UnitFixture(
        unit=KINDS["cron"].make("job", config, host),
        config=config,
        others=[evolve(config, grace=1.0), evolve(config, schedule="never")],
        left=traces(host.run_dir),
    )


def real_tap(case: TestCase) -> UnitFixture:
    """Twisted's own web server."""
    host = system_host(case)
    path = os.path.join(host.run_dir, "web.sock")
    config = TapConfig(
        tap="web", args=("--listen", f"unix:{path}", "--path", host.config_dir)
    )
    return UnitFixture(
        unit=KINDS["tap"].make("web", config, host),
        config=config,
        others=[evolve(config, grace=1.0)],
        # Not its descriptors: Twisted keeps one in reserve once it has accepted.
        # Nor a start that fails, after which its web server leaves a timer.
        left=lambda: os.path.exists(path),
    )


SocketUnitContractTests = unit_contract_tests(
    real_socket, IListeningUnit, IHookedUnit, IClientsUnit
)
WorkerSocketUnitContractTests = unit_contract_tests(
    real_workers, IListeningUnit, IHookedUnit, ILoggingUnit, IClientsUnit
)
SocketClientUnitContractTests = unit_contract_tests(real_socket_client, IUsableUnit)
RedisUnitContractTests = unit_contract_tests(real_redis, IUsableUnit)
ProcessUnitContractTests = unit_contract_tests(real_process, ILoggingUnit)
NotifyingUnitContractTests = unit_contract_tests(real_notifier, ILoggingUnit)
CronUnitContractTests = unit_contract_tests(real_cron, ILoggingUnit)
TapUnitContractTests = unit_contract_tests(real_tap)
