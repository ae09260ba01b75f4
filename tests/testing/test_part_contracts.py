"""
Codecs, handlers, notifiers, clients and spawners keep their contracts in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from examples.quickstart.quickstart import KeyValue
from sockhost.interfaces import Disconnected, IBatchHandler, IClient
from sockhost.processes.spec import ChildSpec
from sockhost.sockets.codecs import _OURS, DEFAULT
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.netstring import NetstringCodec
from sockhost.sockets.wire import MAX_FRAME
from sockhost.supervise.events import CommandNotifier, LogNotifier
from sockhost.testing.contracts import (
    ClientFixture,
    RedisFixture,
    SpawnerFixture,
    client_contract_tests,
    codec_contract_tests,
    codec_kind_contract_tests,
    handler_contract_tests,
    lifecycle_contract_tests,
    notifier_contract_tests,
    redis_contract_tests,
    spawner_contract_tests,
)
from sockhost.testing.contracts.spawners import CODE, OUTPUT
from sockhost.testing.processes import MemoryChild, MemorySpawner
from sockhost.testing.sockets import connected_pair
from sockhost.testing.units import MemoryUnitHost
from tests.sockets.fakes import Hooked, Scripted
from tests.testing.fakes import MemoryRedis


def clients_in_memory(_: TestCase) -> ClientFixture:
    """Two clients of a server in memory."""
    handler = Scripted()
    pair = connected_pair(handler)
    pair.another()
    client, other = handler.clients
    frames: list[bytes] = []
    pair.client.on_frame = frames.append
    return ClientFixture(
        client=client,
        other=other,
        take=pair.flush,
        frames=lambda: frames,
        leave=pair.close,
        reasons=lambda: [reason for who, reason in handler.gone if who is client],
        too_large=bytes(MAX_FRAME),
    )


def memory_spawner(_: TestCase) -> SpawnerFixture:
    """A spawner that executes nothing."""

    def die(child: MemoryChild, signum: int) -> None:
        child.others_end()
        if child.pid is not None:
            child.kill(signum)

    spawner = MemorySpawner(on_signal=die)

    def exit_child(child: Any) -> None:
        if child.spec.argv[0] == "leaving":
            child.others = True
            child.exit()
        else:
            child.output(OUTPUT)
            child.exit(CODE)

    return SpawnerFixture(
        spawner=spawner,
        sleeping=ChildSpec(argv=("sleeping",)),
        exiting=ChildSpec(argv=("exiting",)),
        leaving=ChildSpec(argv=("leaving",)),
        missing=ChildSpec(argv=("/missing",)),
        exit=exit_child,
        spoil=lambda: spawner.fail_next(path="/missing"),
    )


def command_notifier() -> CommandNotifier:
    """A notifier whose command nobody executes."""
    return CommandNotifier(reactor=Clock(), spawner=MemorySpawner(), argv=("/tell",))


@implementer(IBatchHandler)
class Batched:
    """Echoes all that came together."""

    def connected(self, client: IClient) -> None:
        """Be glad."""

    def received(self, client: IClient, frame: bytes) -> bytes:
        """Is not called."""
        raise NotImplementedError

    def received_batch(self, client: IClient, frames: Sequence[bytes]) -> list[bytes]:
        """Echo."""
        return list(frames)

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Be sad."""


def key_value(case: TestCase) -> KeyValue:
    """The handler of the quickstart, with a store in memory."""
    host = MemoryUnitHost(case.mktemp())
    host.clients["store"] = MemoryRedis()
    return KeyValue(host)


Length32ContractTests = codec_contract_tests(
    Length32Codec, garbage=b"\0\0\0\0", too_large=bytes(MAX_FRAME)
)


SmallFramesContractTests = codec_contract_tests(
    lambda: Length32Codec(max_frame=10),
    payloads=(b"a", b"", b"sixsix"),
    garbage=b"\xff\xff\xff\xff",
    too_large=b"seven77",
)


NetstringContractTests = codec_contract_tests(
    lambda: NetstringCodec(1000), garbage=b"x", too_large=bytes(1001)
)


NetstringKindContractTests = codec_kind_contract_tests(_OURS["netstring"])


LineKindContractTests = codec_kind_contract_tests(_OURS["line"])


Length32KindContractTests = codec_kind_contract_tests(_OURS[DEFAULT])


Int32KindContractTests = codec_kind_contract_tests(_OURS["length32be-exclusive"])


BatchedContractTests = handler_contract_tests(lambda _: Batched(), [(b"a", b"a"), b""])


LogNotifierContractTests = notifier_contract_tests(LogNotifier)


CommandNotifierContractTests = notifier_contract_tests(command_notifier)


ClientContractTests = client_contract_tests(clients_in_memory)


MemorySpawnerContractTests = spawner_contract_tests(memory_spawner)


MemoryRedisContractTests = redis_contract_tests(
    lambda _: RedisFixture(redis=MemoryRedis())
)


KeyValueContractTests = handler_contract_tests(
    key_value,
    [
        (b"set a 1", b"ok"),
        (b"get a", b"1"),
        (b"incr a", b"2"),
        (b"del a", b"1"),
        (b"get a", b"error: no such key"),
        b"nonsense",
        b"",
    ],
)


ScriptedContractTests = handler_contract_tests(lambda _: Hooked(), [(b"a", b"a"), b""])


HookedLifecycleContractTests = lifecycle_contract_tests(lambda _: Hooked())
